//! A device that allocates nothing once it is connected: whatever is counted meanwhile was the server.
//!
//! Its packets (MQTT 3.1.1) are written once and moved on in place: packet ids, and digits of the values.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// The base line's message, as in `load-tests`: 108 bytes.
const RECORD: &[u8; 108] =
    br#"{"temperature":21.53,"humidity":44.1,"co2":612,"battery":3.71,"state":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}"#;
/// The hundredths of a degree in [`RECORD`]: they move, so that no two messages are alike.
const RECORD_DIGITS: usize = 18;
const TEN_VALUES: &[u8] = br#"{"v0":20.5,"v1":21.5,"v2":22.5,"v3":23.5,"v4":24.5,"v5":25.5,"v6":26.5,"v7":27.5,"v8":28.5,"v9":29.5}"#;

/// Longest that a server may be silent.
const PATIENCE: Duration = Duration::from_secs(20);
/// Messages on their way at once, at most.
const WINDOW_MAX: usize = 16;
const ACK_BYTES: usize = 4;
/// No keep-alive: an idle connection stays idle.
const KEEP_ALIVE: [u8; 2] = [0, 0];

pub struct Device {
    socket: TcpStream,
    topic: Vec<u8>,
    sent: usize,
}

/// Messages of one write, ready to be moved on.
pub struct Burst {
    bytes: Vec<u8>,
    message_bytes: usize,
    /// Where in a message the packet id stands; none at QoS 0.
    id_at: Option<usize>,
    digits_at: usize,
}

impl Device {
    pub fn connect(address: SocketAddr, id: &str, key: &str) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        // User name, password, clean session.
        let mut body = [&text("MQTT")[..], &[4, 0xC2], &KEEP_ALIVE].concat();
        [id, id, key].into_iter().for_each(|part| body.extend(text(part)));
        let mut device = Self { socket, topic: text(&format!("devices/{id}/telemetry")), sent: 0 };
        device.write(&packet(0x10, &body));
        device.expect(&[0x20, 2, 0, 0]);
        device
    }

    /// `window` messages (QoS 0 or 1) of the base line's record.
    pub fn burst(&self, qos: u8, window: usize) -> Burst {
        assert!(window <= WINDOW_MAX, "a burst is at most {WINDOW_MAX} messages");
        let message = self.publish(qos, RECORD);
        let record_at = message.len() - RECORD.len();
        Burst {
            bytes: message.repeat(window),
            message_bytes: message.len(),
            id_at: (qos > 0).then_some(record_at - 2),
            digits_at: record_at + RECORD_DIGITS,
        }
    }

    /// Sends a burst, each message unlike those before, and waits for its acknowledgements.
    pub fn send(&mut self, burst: &mut Burst) {
        let mut acknowledgements = [0; ACK_BYTES * WINDOW_MAX];
        let mut awaited = 0;
        for (n, message) in burst.bytes.chunks_exact_mut(burst.message_bytes).enumerate() {
            self.sent += 1;
            let digits = (self.sent % 100) as u8;
            message[burst.digits_at..burst.digits_at + 2].copy_from_slice(&[b'0' + digits / 10, b'0' + digits % 10]);
            if let Some(at) = burst.id_at {
                let id = [0, 1 + n as u8];
                message[at..at + 2].copy_from_slice(&id);
                acknowledgements[awaited..awaited + ACK_BYTES].copy_from_slice(&[0x40, 2, id[0], id[1]]);
                awaited += ACK_BYTES;
            }
        }
        self.write(&burst.bytes);
        self.expect(&acknowledgements[..awaited]);
    }

    /// Returns when all that was sent before is durable.
    pub fn ten_values(&mut self) {
        let message = self.publish(1, TEN_VALUES);
        self.write(&message);
        self.expect(&[0x40, 2, 0, 1]);
    }

    /// Says goodbye and waits for the server to hang up.
    pub fn disconnect(mut self) {
        self.write(&[0xE0, 0]);
        assert_eq!(self.socket.read(&mut [0]).unwrap(), 0, "the server says something after a goodbye");
    }

    fn publish(&self, qos: u8, payload: &[u8]) -> Vec<u8> {
        let id: &[u8] = if qos > 0 { &[0, 1] } else { &[] };
        packet(0x30 | qos << 1, &[&self.topic, id, payload].concat())
    }

    fn write(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).unwrap();
    }

    /// Reads just these bytes.
    fn expect(&mut self, wanted: &[u8]) {
        let mut came = [0; ACK_BYTES * WINDOW_MAX];
        let came = &mut came[..wanted.len()];
        self.socket.read_exact(came).unwrap();
        assert_eq!(came, wanted, "not the answers, or not in order");
    }
}

/// A packet of at most 16,383 bytes after its header.
fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let length: &[u8] = match body.len() {
        short @ ..128 => &[short as u8],
        long => &[(long % 128) as u8 | 0x80, (long / 128) as u8],
    };
    [&[first], length, body].concat()
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}
