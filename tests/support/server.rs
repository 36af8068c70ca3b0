//! The real binary, `twinfold serve`, in a temporary folder and on free ports.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    Api, Connect,
    cql::{self, Keyspace},
    eventually,
};

/// A start on a cluster makes a keyspace of many tables.
const READY_WAIT_MAX: Duration = Duration::from_secs(60);

/// The binary under test: the one cargo built with the tests, or another, such as a release build, by `TWINFOLD_TEST_BINARY`.
pub fn binary() -> PathBuf {
    env::var_os("TWINFOLD_TEST_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_twinfold").into(), PathBuf::from)
}

/// A running server; killed when dropped, and its log shown when the test fails.
pub struct Server {
    child: Child,
    pub http: SocketAddr,
    pub mqtt: SocketAddr,
    /// The whole `ready` line.
    pub ready: String,
    folder: Folder,
    settings: Vec<(String, String)>,
}

enum Folder {
    /// With the keyspace that belongs to it, when the tests run on CQL.
    Own(TempDir, Option<Keyspace>),
    Given(PathBuf),
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Self::Own(folder, _) => folder.path(),
            Self::Given(path) => path,
        }
    }
}

impl Server {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With settings as in the environment, such as `("ROLLUP__STALE_AFTER", "2s")`.
    pub fn with(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keyspace = cql::is_chosen().then(Keyspace::new);
        let mut all = keyspace.as_ref().map(Keyspace::settings).unwrap_or_default();
        all.extend(owned(settings));
        Self::launch(Folder::Own(folder, keyspace), all)
    }

    /// In a keyspace of a CQL server, whatever store the tests run on.
    pub fn on_cql(folder: &Path, keyspace: &Keyspace, settings: &[(&str, &str)]) -> Self {
        let mut all = keyspace.settings();
        all.extend(owned(settings));
        Self::launch(Folder::Given(folder.to_owned()), all)
    }

    /// With its data in `folder`, which outlives it.
    pub fn in_folder(folder: &Path, settings: &[(&str, &str)]) -> Self {
        Self::launch(Folder::Given(folder.to_owned()), owned(settings))
    }

    fn launch(folder: Folder, settings: Vec<(String, String)>) -> Self {
        let log = fs::OpenOptions::new().create(true).append(true).open(log_path(folder.path())).unwrap();
        let mut command = Command::new(binary());
        command.arg("serve").current_dir(folder.path()).env_clear().stdout(Stdio::piped()).stderr(log);
        command.env("TWINFOLD_DATA_DIR", data_dir(folder.path()));
        command.env("TWINFOLD_HTTP__BIND", "127.0.0.1:0").env("TWINFOLD_MQTT__BIND", "127.0.0.1:0");
        command.envs(settings.iter().map(|(name, value)| (format!("TWINFOLD_{name}"), value)));
        let mut child = command.spawn().unwrap();
        let ready = ready_line(&mut child).unwrap_or_else(|| {
            let _ = child.kill();
            let status = child.wait();
            panic!("the server did not get ready ({status:?}):\n{}", tail(&log_path(folder.path())))
        });
        let http = field(&ready, "http").parse().unwrap();
        let mqtt = field(&ready, "mqtt").parse().unwrap();
        Self { child, http, mqtt, ready, folder, settings }
    }

    /// The administrator's view of the HTTP API.
    pub fn api(&self) -> Api {
        Api::new(self.http, &self.admin_key())
    }

    pub fn admin_key(&self) -> String {
        fs::read_to_string(self.data_dir().join("admin-token")).unwrap().trim().to_owned()
    }

    pub fn data_dir(&self) -> PathBuf {
        data_dir(self.folder.path())
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(log_path(self.folder.path())).unwrap_or_default()
    }

    /// Registers a device and returns its primary key.
    pub fn device(&self, id: &str) -> String {
        self.twin(json!({"id": id, "model": "Device"}))
    }

    /// Registers a device under a parent.
    pub fn device_in(&self, id: &str, parent: &str) -> String {
        self.twin(json!({"id": id, "model": "Device", "parent": parent}))
    }

    /// Registers a place.
    pub fn place(&self, id: &str, model: &str, parent: Option<&str>) {
        self.twin(match parent {
            Some(parent) => json!({"id": id, "model": model, "parent": parent}),
            None => json!({"id": id, "model": model}),
        });
    }

    pub fn twin(&self, registration: Value) -> String {
        let twin = self.api().post("/twins", registration).expect(201);
        twin["keys"]["primary"].as_str().unwrap_or_default().to_owned()
    }

    /// A v5 session of a device that is not registered yet.
    pub fn connected(&self, id: &str) -> super::Client {
        let key = self.device(id);
        Connect::v5(id, &key).open(self.mqtt)
    }

    /// No goodbye, no flush: what a power cut leaves.
    pub fn kill_9(mut self) -> Stopped {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.into_stopped()
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(self) -> (ExitStatus, Stopped) {
        self.stop_by("TERM")
    }

    pub fn stop_by(mut self, name: &str) -> (ExitStatus, Stopped) {
        signal(self.child.id(), name);
        let status = eventually("the server stops on its signal", || self.child.try_wait().unwrap());
        (status, self.into_stopped())
    }

    fn into_stopped(mut self) -> Stopped {
        let folder = std::mem::replace(&mut self.folder, Folder::Given(PathBuf::new()));
        Stopped { folder, settings: std::mem::take(&mut self.settings) }
    }

    pub fn restart_after_kill_9(self) -> Self {
        self.kill_9().start()
    }

    pub fn restart(self) -> Self {
        self.stop().1.start()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() && !self.folder.path().as_os_str().is_empty() {
            eprintln!("---- the server's log ----\n{}", tail(&log_path(self.folder.path())));
        }
    }
}

/// A server that was ended; its data is still there.
pub struct Stopped {
    folder: Folder,
    settings: Vec<(String, String)>,
}

impl Stopped {
    pub fn start(self) -> Server {
        Server::launch(self.folder, self.settings)
    }

    /// Changes a setting for the next start.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.retain(|(n, _)| n != name);
        self.settings.push((name.into(), value.into()));
        self
    }
}

pub fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status().unwrap().success());
}

/// Runs another call of the binary to its end.
pub fn twinfold(arguments: &[&str], environment: &[(&str, &str)]) -> std::process::Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary());
    command.args(arguments).current_dir(folder.path()).env_clear().envs(environment.iter().copied());
    command.output().unwrap()
}

/// An address that was free a moment ago, for doors that the `ready` line does not name.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn owned(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn data_dir(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn log_path(folder: &Path) -> PathBuf {
    folder.join("server.log")
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// The line the server prints when it takes traffic, or nothing when it ends or stays silent.
fn ready_line(child: &mut Child) -> Option<String> {
    let out = BufReader::new(child.stdout.take().unwrap());
    let (tell, hear) = mpsc::channel();
    // Reads on for as long as the server lives, so that its pipe never fills.
    thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            let _ = tell.send(line);
        }
    });
    std::iter::from_fn(|| hear.recv_timeout(READY_WAIT_MAX).ok()).find(|line| line.starts_with("ready "))
}

fn field<'a>(ready: &'a str, name: &str) -> &'a str {
    let value = ready.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("no {name} in {ready:?}"))
}
