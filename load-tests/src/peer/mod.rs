//! Starts who is measured, each in a folder of its own and on free ports, and stops it again.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use clap::ValueEnum;
use serde::Serialize;
use tempfile::TempDir;

use crate::{Options, Result, http, process, process::Usage};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Twinfold,
    Mosquitto,
}

pub struct Device {
    pub id: String,
    pub key: Option<String>,
}

/// A server that takes traffic; it ends when this is dropped.
pub struct Running {
    kind: Kind,
    child: Child,
    folder: TempDir,
    binary: PathBuf,
    pub mqtt: SocketAddr,
    http: Option<SocketAddr>,
}

impl Running {
    pub fn start(kind: Kind, options: &Options) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        match kind {
            // Whole, because the server starts in a folder of its own.
            Kind::Twinfold => Self::twinfold(std::path::absolute(&options.server)?, folder),
            Kind::Mosquitto => Self::mosquitto(folder),
        }
    }

    /// The same server again on the same data: its memory then holds nothing of what came before.
    pub fn restart(mut self) -> Result<Self> {
        self.stop()?;
        let (kind, binary) = (self.kind, self.binary.clone());
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir()?);
        match kind {
            Kind::Twinfold => Self::twinfold(binary, folder),
            Kind::Mosquitto => Self::mosquitto(folder),
        }
    }

    fn twinfold(binary: PathBuf, folder: TempDir) -> Result<Self> {
        let log = fs::File::create(folder.path().join("server.log"))?;
        let mut child = Command::new(&binary)
            .arg("serve")
            .current_dir(folder.path())
            .env("TWINFOLD_DATA_DIR", folder.path().join("data"))
            .env("TWINFOLD_HTTP__BIND", "127.0.0.1:0")
            .env("TWINFOLD_MQTT__BIND", "127.0.0.1:0")
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|e| format!("cannot start {}: {e}; build it with `cargo build --release`", binary.display()))?;
        let mut out = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        let mut line = String::new();
        while !line.starts_with("ready ") {
            line.clear();
            if out.read_line(&mut line)? == 0 {
                let log = fs::read_to_string(folder.path().join("server.log")).unwrap_or_default();
                return Err(format!("the server ended before it was ready:\n{log}").into());
            }
        }
        let field = |name: &str| line.split_whitespace().find_map(|w| w.strip_prefix(name)).ok_or(format!("no {name} in {line}"));
        let (mqtt, http) = (field("mqtt=")?.parse()?, Some(field("http=")?.parse()?));
        // Whatever else it prints must not fill the pipe.
        std::thread::spawn(move || out.lines().for_each(drop));
        Ok(Self { kind: Kind::Twinfold, child, folder, binary, mqtt, http })
    }

    fn mosquitto(folder: TempDir) -> Result<Self> {
        let mqtt = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = folder.path().join("mosquitto.conf");
        fs::write(&config, format!("listener {} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_type error\n", mqtt.port()))?;
        let mut command = Command::new("mosquitto");
        // Debian keeps it in /usr/sbin, which is not on everybody's path.
        command.env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()));
        let child = command.arg("-c").arg(&config).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.map_err(|e| format!("cannot start mosquitto: {e}; `apt install mosquitto`"))?;
        let until = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(mqtt).is_err() {
            if Instant::now() > until {
                return Err("mosquitto does not listen after 10 s".into());
            }
            std::thread::yield_now();
        }
        Ok(Self { kind: Kind::Mosquitto, child, folder, binary: PathBuf::new(), mqtt, http: None })
    }

    /// Devices that may connect.
    pub fn devices(&self, prefix: &str, count: usize) -> Result<Vec<Device>> {
        match self.http {
            None => Ok((0..count).map(|n| Device { id: format!("{prefix}-{n:06}"), key: None }).collect()),
            Some(http) => {
                let admin = fs::read_to_string(self.folder.path().join("data/admin-token"))?;
                http::register(http, admin.trim(), prefix, count)
            }
        }
    }

    pub fn usage(&self) -> Result<Usage> {
        process::usage(self.child.id())
    }

    fn stop(&mut self) -> Result<()> {
        // SIGTERM, so that what is written behind is written; there is no safe call for it in std.
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        let until = Instant::now() + Duration::from_secs(15);
        while self.child.try_wait()?.is_none() {
            if Instant::now() > until {
                self.child.kill()?;
                self.child.wait()?;
                return Err("the server did not stop within 15 s".into());
            }
            std::thread::yield_now();
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
