//! `load-tests`: how dear a message, an idle connection and a resident twin are, beside a peer, in one run.
//!
//! It shares no code with the server and uses no broker client: a generator that costs as much as the server would
//! measure itself. What counts is the CPU time of the server's process, the one stable figure on a shared machine.

mod connection;
mod frame;
mod http;
mod machine;
mod peer;
mod process;
mod report;
mod scenarios;

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::{peer::Kind, report::Row};

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// CPU time a message, at QoS 0 and 1, windows 1 and 16.
    Ingest,
    /// Latency at a fixed rate, from the intended time of sending.
    Latency,
    /// Memory of an idle connection.
    Idle,
    /// Memory of a twin with ten values and no connection.
    Fleet,
}

/// Measures a server beside Mosquitto, in turn, on this machine.
#[derive(Debug, Parser)]
pub struct Options {
    /// The server's binary.
    #[arg(long, default_value = "target/release/twinfold")]
    pub server: PathBuf,
    /// Which measurements to make.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "ingest,latency,idle,fleet")]
    pub scenarios: Vec<Scenario>,
    /// Who takes part.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "twinfold,mosquitto")]
    pub peers: Vec<Kind>,
    /// How often each peer has its turn.
    #[arg(long, default_value_t = 3)]
    pub rounds: u32,
    /// Length of each load.
    #[arg(long, default_value_t = 8)]
    pub seconds: u64,
    /// Devices that send.
    #[arg(long, default_value_t = 100)]
    pub connections: usize,
    /// Bytes of each message's JSON.
    #[arg(long, default_value_t = 108)]
    pub payload_bytes: usize,
    /// Messages a second of the latency measurement, over all devices.
    #[arg(long, value_delimiter = ',', default_value = "2000,20000")]
    pub rates: Vec<u64>,
    /// Connections of the idle measurement.
    #[arg(long, default_value_t = 5_000)]
    pub idle_connections: usize,
    /// Twins of the fleet measurement.
    #[arg(long, default_value_t = 20_000)]
    pub fleet_twins: usize,
    /// Where the report goes, without the ending: `.md` and `.json` are written.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let options = Options::parse();
    let mut rows: Vec<Row> = Vec::new();
    for round in 1..=options.rounds {
        for scenario in &options.scenarios {
            for peer in &options.peers {
                eprintln!("round {round} of {}: {scenario:?} of {peer:?}", options.rounds);
                let measured = match scenario {
                    Scenario::Ingest => scenarios::ingest::run(*peer, &options).await,
                    Scenario::Latency => scenarios::latency::run(*peer, &options).await,
                    Scenario::Idle => scenarios::idle::run(*peer, &options).await,
                    Scenario::Fleet => scenarios::fleet::run(*peer, &options).await,
                }?;
                rows.extend(measured.into_iter().map(|row| Row { round, ..row }));
            }
        }
    }
    report::write(&options, &rows)
}
