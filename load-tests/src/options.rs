//! What may be chosen on the command line: what is measured, of whom, how long and how large.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};

use crate::peer::Kind;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Start to ready on an empty store, and the binary's size.
    Start,
    /// A storm of connections.
    Connect,
    /// The same over TLS with full handshakes.
    Tls,
    /// Live sessions that are revoked under load.
    Revoke,
    /// A fleet that comes back at once, beside a reader of the API.
    Reconnect,
    /// Memory of an idle connection.
    Idle,
    /// CPU time a message: QoS, windows, sizes, encodings, batches.
    Ingest,
    /// Latency on a schedule, from 10 to 120 % of saturation.
    Latency,
    /// Publish to pushed on SSE, and to readable over HTTP.
    Live,
    /// GET of a twin, of a list, of a tree.
    Reads,
    /// Pages and buckets of recorded values.
    History,
    /// POST with `wait` to device to answer.
    Commands,
    /// Twice of what the server takes.
    Overload,
    /// Cost of a message, a registration and a twin against the number of twins.
    Fleet,
    /// `kill -9` under load, with a fleet.
    Recover,
    /// Cost of roll-ups at depth 4.
    Rollup,
    /// What opening a dashboard and changing a desired state feel like.
    Dashboard,
}

/// Measures a server beside its peers, in turn, on this machine. `load-tests report FILE.json` shows what was measured.
#[derive(Debug, Parser)]
pub struct Options {
    /// The server's binary.
    #[arg(long, default_value = "target/release/twinfold")]
    pub server: PathBuf,
    /// Which measurements to make; all when absent.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub scenarios: Vec<Scenario>,
    /// Who takes part.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "twinfold,mosquitto")]
    pub peers: Vec<Kind>,
    /// How often each peer has its turn.
    #[arg(long, default_value_t = 3)]
    pub rounds: u32,
    /// Length of each load, in seconds.
    #[arg(long, default_value_t = 4.0)]
    pub seconds: f64,
    /// Short loads of small sizes: shows that everything runs, its figures say little.
    #[arg(long)]
    pub quick: bool,
    /// Devices that send.
    #[arg(long, default_value_t = 100)]
    pub connections: usize,
    /// Devices that send where many do.
    #[arg(long, default_value_t = 1_000)]
    pub many_connections: usize,
    /// The first so many loads of the ingest measurement; the base line is the first.
    #[arg(long, default_value_t = 12)]
    pub ingest_loads_max: usize,
    /// Connections of a storm.
    #[arg(long, default_value_t = 5_000)]
    pub storm_connections: usize,
    /// How many of them are in their handshake at once.
    #[arg(long, default_value_t = 256)]
    pub storm_at_once: usize,
    /// Connections of a storm over TLS.
    #[arg(long, default_value_t = 500)]
    pub tls_connections: usize,
    /// How many of them are in their handshake at once.
    #[arg(long, default_value_t = 64)]
    pub tls_at_once: usize,
    /// Live sessions that are revoked.
    #[arg(long, default_value_t = 200)]
    pub revoked_sessions: usize,
    /// Connections that come back at once.
    #[arg(long, default_value_t = 10_000)]
    pub reconnects: usize,
    /// Connections of the idle measurement.
    #[arg(long, default_value_t = 5_000)]
    pub idle_connections: usize,
    /// Callers of the HTTP measurements in a closed loop.
    #[arg(long, default_value_t = 32)]
    pub callers: usize,
    /// Records of the history measurement, over ten twins.
    #[arg(long, default_value_t = 100_000)]
    pub history_records: usize,
    /// Commands a second, over all devices.
    #[arg(long, value_delimiter = ',', default_value = "500,2000,5000")]
    pub command_rates: Vec<u32>,
    /// The largest fleet; it grows tenfold from 1,000.
    #[arg(long, default_value_t = 100_000)]
    pub fleet_twins: usize,
    /// Devices of each kind in the roll-up measurement: without parent, in rooms of ten, in one room.
    #[arg(long, default_value_t = 1_000)]
    pub rollup_devices: usize,
    /// Twins of the dashboard measurement, rooms and site among them.
    #[arg(long, default_value_t = 10_000)]
    pub dashboard_twins: usize,
    /// Counts system calls and syncs of the server. That slows it, so nothing else of such a run is shown.
    #[arg(long)]
    pub trace: bool,
    /// Where the report goes, without the ending: `.md` and `.json` are written.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

impl Options {
    pub fn from_command_line() -> Self {
        let this = Self::parse();
        if this.quick { this.shortened() } else { this }
    }

    /// Length of each load.
    pub fn length(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    pub fn chosen(&self) -> Vec<Scenario> {
        if self.scenarios.is_empty() { Scenario::value_variants().to_vec() } else { self.scenarios.clone() }
    }

    fn shortened(self) -> Self {
        Self {
            rounds: 1,
            seconds: self.seconds.min(1.0),
            many_connections: self.many_connections.min(200),
            storm_connections: self.storm_connections.min(500),
            tls_connections: self.tls_connections.min(100),
            revoked_sessions: self.revoked_sessions.min(50),
            reconnects: self.reconnects.min(500),
            idle_connections: self.idle_connections.min(500),
            history_records: self.history_records.min(10_000),
            fleet_twins: self.fleet_twins.min(1_000),
            rollup_devices: self.rollup_devices.min(200),
            dashboard_twins: self.dashboard_twins.min(1_000),
            ..self
        }
    }
}
