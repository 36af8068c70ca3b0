//! Clients that nobody here made: mosquitto_pub and mosquitto_sub from Debian, paho from PyPI.

use std::{
    cell::RefCell,
    env,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdin, Command, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
};

use serde_json::{Value, json};

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
    passed_over: RefCell<Vec<Value>>,
}

impl PahoDevice {
    /// `version` is `3.1.1` or `5`.
    pub fn start(server: &Server, id: &str, key: &str, version: &str) -> Option<Self> {
        Self::at(server.mqtt, "tcp", id, key, version)
    }

    /// Over MQTT's WebSocket.
    pub fn over_web_socket(door: SocketAddr, id: &str, key: &str, version: &str) -> Option<Self> {
        Self::at(door, "websockets", id, key, version)
    }

    fn at(door: SocketAddr, transport: &str, id: &str, key: &str, version: &str) -> Option<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/paho_device.py");
        let port = door.port().to_string();
        let mut command = Command::new(paho_python()?);
        command.args([script, &port, id, key, version, transport]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (out, orders) = (BufReader::new(child.stdout.take().unwrap()), child.stdin.take().unwrap());
        let (tell, seen) = channel();
        thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = tell.send(serde_json::from_str(&line).unwrap_or(Value::String(line)));
            }
        });
        Some(Self { child, orders, seen, passed_over: RefCell::default() })
    }

    pub fn order(&mut self, order: Value) {
        writeln!(self.orders, "{order}").unwrap();
    }

    /// Publishes, at QoS 1 unless `what` says otherwise, and returns the reason code and the reason string of the answer.
    /// `what` holds the payload, as `payload`, `hex`, `json`, `cbor` or `proto`, and perhaps a `content_type`.
    pub fn publish(&mut self, topic: &str, what: &Value) -> (u64, String) {
        let mut order = what.clone();
        order["do"] = "publish".into();
        order["topic"] = topic.into();
        self.order(order);
        let told = self.hear("acknowledged");
        (told["code"].as_u64().unwrap(), told["reason"].as_str().unwrap().to_owned())
    }

    /// The granted QoS, or the reason code of the refusal.
    pub fn subscribe(&mut self, filter: &str) -> u64 {
        self.order(json!({"do": "subscribe", "topic": filter}));
        let codes = self.hear("subscribed")["codes"].clone();
        assert_eq!(codes.as_array().map(Vec::len), Some(1), "{codes}");
        codes[0].as_u64().unwrap()
    }

    /// The next message on this topic, its payload read as JSON.
    pub fn message(&self, topic: &str) -> Value {
        let told = self.await_told(topic, |told| told["seen"] == "message" && told["topic"] == topic);
        serde_json::from_str(told["payload"].as_str().unwrap()).unwrap()
    }

    /// The next thing of this kind that the device tells.
    pub fn hear(&self, kind: &str) -> Value {
        self.await_told(kind, |told| told["seen"] == kind)
    }

    /// Whether it told of this kind before what was last heard, and nobody asked.
    pub fn has_heard(&self, kind: &str) -> bool {
        self.passed_over.borrow().iter().any(|told| told["seen"] == kind)
    }

    /// The next thing that fits; what does not is kept for who asks for it.
    fn await_told(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let mut passed_over = self.passed_over.borrow_mut();
        if let Some(at) = passed_over.iter().position(&fits) {
            return passed_over.remove(at);
        }
        loop {
            let told = self.seen.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("paho did not tell of {what}, but {passed_over:?}"));
            if fits(&told) {
                return told;
            }
            passed_over.push(told);
        }
    }
}

impl Drop for PahoDevice {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
