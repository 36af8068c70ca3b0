//! Clients that nobody here made: mosquitto_pub and mosquitto_sub from Debian, paho from PyPI.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
};

use serde_json::Value;

use super::{PATIENCE, Server};

/// `mosquitto_pub` or `mosquitto_sub`, signed in as a device, without a password when `key` is empty. `None` where it is
/// not installed.
pub fn mosquitto(tool: &str, server: &Server, id: &str, key: &str, more: &[&str]) -> Option<Command> {
    Command::new(tool).arg("--help").output().ok()?;
    let mut command = Command::new(tool);
    command.args(["-h", "127.0.0.1", "-p", &server.mqtt.port().to_string(), "-i", id, "-u", id]);
    if !key.is_empty() {
        command.args(["-P", key]);
    }
    command.args(more);
    Some(command)
}

/// Publishes each line as one message.
pub fn publish_lines(mut command: Command, lines: impl Iterator<Item = String>) -> Output {
    let mut child = command.arg("-l").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for line in lines {
        writeln!(stdin, "{line}").unwrap();
    }
    drop(stdin);
    child.wait_with_output().unwrap()
}

/// A Python with paho, when ./test has made one.
pub fn paho_python() -> Option<String> {
    let own = format!("{}/target/test-venv/bin/python", env!("CARGO_MANIFEST_DIR"));
    let python = env::var("PAHO_PYTHON").ok().or(Path::new(&own).exists().then_some(own))?;
    let found = Command::new(&python).args(["-c", "import paho.mqtt"]).output().ok()?;
    found.status.success().then_some(python)
}

/// A device played by paho: it takes orders line by line and tells what it sees, line by line.
pub struct PahoDevice {
    child: Child,
    orders: ChildStdin,
    seen: Receiver<Value>,
}

impl PahoDevice {
    /// `version` is `3.1.1` or `5`.
    pub fn start(server: &Server, id: &str, key: &str, version: &str) -> Option<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/paho_device.py");
        let port = server.mqtt.port().to_string();
        let mut command = Command::new(paho_python()?);
        command.args([script, &port, id, key, version]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (out, orders) = (BufReader::new(child.stdout.take().unwrap()), child.stdin.take().unwrap());
        let (tell, seen) = channel();
        thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = tell.send(serde_json::from_str(&line).unwrap_or(Value::String(line)));
            }
        });
        Some(Self { child, orders, seen })
    }

    pub fn order(&mut self, order: Value) {
        writeln!(self.orders, "{order}").unwrap();
    }

    /// The next thing of this kind that the device tells.
    pub fn hear(&self, kind: &str) -> Value {
        loop {
            let told = self.seen.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("paho did not tell of {kind}"));
            if told["seen"] == kind {
                return told;
            }
        }
    }
}

impl Drop for PahoDevice {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
