//! Who is measured: starts one in a folder of its own and on free ports, asks what it uses, and stops it again.

mod certificates;
mod floor;
mod launch;
mod mosquitto;
mod nats;
mod rumqttd;
mod twinfold;
mod version;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::{
    Options, Result,
    process::{self, Usage, calls::Calls},
};

pub use version::versions;

const STOPS_WITHIN: Duration = Duration::from_secs(15);
/// Where a peer that does not speak a protocol is found: nowhere.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Twinfold,
    /// The same server with its data in memory, where a sync costs nothing: our own rate without durability.
    TwinfoldTmpfs,
    /// The same server with its twins in a CQL cluster that runs, 127.0.0.1:9042 or where `TWINFOLD_TEST_CQL` says.
    TwinfoldCql,
    /// As it is installed: what it writes while an earlier answer is not acknowledged by the peer's TCP waits and goes together.
    Mosquitto,
    /// With `set_tcp_nodelay`: it answers at once, as we do, and pays for it.
    MosquittoNodelay,
    Rumqttd,
    /// With JetStream, which its MQTT needs.
    Nats,
    /// Answers every publish and does nothing else: the floor of MQTT.
    NtexMqtt,
    /// Answers every GET with the same twin: the floor of reads.
    ActixWeb,
    /// A full handshake, then CONNACK: the floor of TLS.
    Rustls,
}

impl Kind {
    pub fn label(self) -> &'static str {
        match self {
            Self::Twinfold => "Twinfold",
            Self::TwinfoldTmpfs => "Twinfold, data in memory",
            Self::TwinfoldCql => "Twinfold on CQL",
            Self::Mosquitto => "Mosquitto",
            Self::MosquittoNodelay => "Mosquitto, nodelay",
            Self::Rumqttd => "rumqttd",
            Self::Nats => "NATS with JetStream",
            Self::NtexMqtt => "bare ntex-mqtt",
            Self::ActixWeb => "bare actix-web",
            Self::Rustls => "bare rustls",
        }
    }

    pub fn speaks_mqtt(self) -> bool {
        !matches!(self, Self::ActixWeb | Self::Rustls)
    }

    pub fn speaks_http(self) -> bool {
        self.has_twins() || self == Self::ActixWeb
    }

    pub fn speaks_tls(self) -> bool {
        self.has_twins() || matches!(self, Self::Mosquitto | Self::MosquittoNodelay | Self::Rustls)
    }

    pub fn has_twins(self) -> bool {
        matches!(self, Self::Twinfold | Self::TwinfoldTmpfs | Self::TwinfoldCql)
    }
}

/// A server that takes traffic; it ends when this is dropped.
pub struct Running {
    pub kind: Kind,
    pub mqtt: SocketAddr,
    pub mqtts: Option<SocketAddr>,
    /// The authority, as PEM, that `mqtts` shows a certificate of, for localhost and 127.0.0.1.
    pub ca: Option<PathBuf>,
    pub http: Option<SocketAddr>,
    /// The administrator's key.
    pub admin: Option<String>,
    /// From the start of the process to its ready line, or to the open port of one that says nothing.
    pub ready_in: Duration,
    child: Child,
    /// None while a successor holds it.
    home: Option<Home>,
    calls: Option<Calls>,
}

/// What outlives a restart.
struct Home {
    folder: TempDir,
    server: PathBuf,
    settings: Vec<(String, String)>,
    trace: bool,
}

impl Running {
    pub fn start(kind: Kind, options: &Options) -> Result<Self> {
        Self::start_with(kind, options, &[])
    }

    /// With settings of Twinfold as in its environment, `("TWINFOLD_MQTT__RECEIVE_MAX", "256")`; the others have none.
    pub fn start_with(kind: Kind, options: &Options, settings: &[(&str, &str)]) -> Result<Self> {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let folder = launch::folder(kind == Kind::TwinfoldTmpfs)?;
        // Whole, because the server starts in a folder of its own.
        Self::open(kind, Home { folder, server: std::path::absolute(&options.server)?, settings, trace: options.trace })
    }

    /// The same server again on the same data: its memory then holds nothing of what came before.
    pub fn restart(mut self) -> Result<Self> {
        // SIGTERM, so that what is written behind is written; there is no safe call for it in std.
        Command::new("kill").arg(self.pid().to_string()).status()?;
        if !launch::ends_within(&mut self.child, STOPS_WITHIN)? {
            return Err(format!("the server did not stop within {STOPS_WITHIN:?}").into());
        }
        self.start_again()
    }

    /// As after a power cut of the process: SIGKILL, then the same data.
    pub fn kill_and_start(mut self) -> Result<Self> {
        self.child.kill()?;
        self.child.wait()?;
        self.start_again()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn usage(&self) -> Result<Usage> {
        let mut usage = process::usage(self.pid())?;
        if let Some(calls) = &self.calls {
            calls.add_to(&mut usage)?;
        }
        Ok(usage)
    }

    pub fn reset_peak(&self) -> Result<()> {
        process::reset_peak(self.pid())
    }

    /// Disk that its folder takes, sparse files counted by their blocks.
    pub fn data_bytes(&self) -> Result<u64> {
        self.home.as_ref().map_or(Ok(0), |home| on_disk(home.folder.path()))
    }

    fn start_again(mut self) -> Result<Self> {
        let home = self.home.take().ok_or("the server has no folder any more")?;
        Self::open(self.kind, home)
    }

    fn open(kind: Kind, home: Home) -> Result<Self> {
        let folder = home.folder.path();
        let (started, doors) = match kind {
            Kind::Twinfold | Kind::TwinfoldTmpfs => twinfold::start(folder, &home.server, &home.settings),
            Kind::TwinfoldCql => twinfold::start_on_cql(folder, &home.server, &home.settings),
            Kind::Mosquitto => mosquitto::start(folder, false),
            Kind::MosquittoNodelay => mosquitto::start(folder, true),
            Kind::Rumqttd => rumqttd::start(folder),
            Kind::Nats => nats::start(folder),
            Kind::NtexMqtt => floor::mqtt(folder),
            Kind::ActixWeb => floor::http(folder),
            Kind::Rustls => floor::tls(folder),
        }?;
        let mut running = Self {
            kind,
            mqtt: doors.mqtt.unwrap_or(NOWHERE),
            mqtts: doors.mqtts,
            ca: doors.ca,
            http: doors.http,
            admin: doors.admin,
            ready_in: started.ready_in,
            child: started.child,
            home: None,
            calls: None,
        };
        if home.trace {
            running.calls = Some(Calls::of(running.pid())?);
        }
        running.home = Some(home);
        Ok(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn on_disk(folder: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    /// The unit of `st_blocks`, whatever the file system's own block is.
    const BLOCK_BYTES: u64 = 512;
    let mut bytes = 0;
    for entry in fs::read_dir(folder)?.flatten() {
        // A file that goes while one looks takes nothing.
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += if metadata.is_dir() { on_disk(&entry.path())? } else { metadata.blocks() * BLOCK_BYTES };
    }
    Ok(bytes)
}
