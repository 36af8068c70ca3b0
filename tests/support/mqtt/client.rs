//! A connection: packets out, packets in, in the order of the wire.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use super::{
    Packet, Properties, Publish, Version,
    packet::{frame, put_text},
};
use crate::support::{PATIENCE, websocket::WebSocket};

pub trait Transport: Read + Write + Send {
    fn socket(&self) -> &TcpStream;
}

impl Transport for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Transport for WebSocket {
    fn socket(&self) -> &TcpStream {
        WebSocket::socket(self)
    }
}

pub struct Client {
    transport: Box<dyn Transport>,
    version: Version,
    bytes: Vec<u8>,
    /// Packets that came while another was waited for.
    passed: VecDeque<Packet>,
    next_id: u16,
    pub session_present: bool,
    /// Of the CONNACK.
    pub properties: Properties,
}

impl Client {
    /// A connection that has said nothing yet.
    pub fn silent(to: SocketAddr, version: Version) -> Self {
        Self::over(Box::new(TcpStream::connect(to).unwrap()), version)
    }

    pub(super) fn over(transport: Box<dyn Transport>, version: Version) -> Self {
        let _ = transport.socket().set_nodelay(true);
        let (bytes, passed, properties) = (Vec::new(), VecDeque::new(), Properties::default());
        Self { transport, version, bytes, passed, next_id: 0, session_present: false, properties }
    }

    pub(super) fn accepted(self, session_present: bool, properties: Properties) -> Self {
        Self { session_present, properties, ..self }
    }

    pub fn send_raw(&mut self, bytes: &[u8]) {
        // A server that has closed already is found out by the next read.
        let _ = self.transport.write_all(bytes);
    }

    /// The next packet; `None` when the server has closed. Panics when neither comes in time.
    #[track_caller]
    pub fn read(&mut self) -> Option<Packet> {
        if let Some(packet) = self.passed.pop_front() {
            return Some(packet);
        }
        self.read_within(PATIENCE).unwrap_or_else(|| panic!("neither a packet nor a close within {PATIENCE:?}"))
    }

    /// As [`Self::read`]; the outer `None` when nothing happens for so long.
    pub fn read_for(&mut self, patience: Duration) -> Option<Option<Packet>> {
        match self.passed.pop_front() {
            Some(packet) => Some(Some(packet)),
            None => self.read_within(patience),
        }
    }

    /// As [`Self::read_for`], past the packets that were put aside.
    fn read_within(&mut self, patience: Duration) -> Option<Option<Packet>> {
        let until = Instant::now() + patience;
        let mut chunk = [0; 64 * 1024];
        loop {
            if let Some((packet, length)) = Packet::decode(&self.bytes, self.version) {
                self.bytes.drain(..length);
                return Some(Some(packet));
            }
            let left = until.checked_duration_since(Instant::now()).filter(|left| *left > Duration::ZERO)?;
            self.transport.socket().set_read_timeout(Some(left)).unwrap();
            match self.transport.read(&mut chunk) {
                Ok(0) => return Some(None),
                Ok(count) => self.bytes.extend(&chunk[..count]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return None,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Some(None),
            }
        }
    }

    /// The first packet for which `pick` has an answer; others wait for their turn.
    #[track_caller]
    pub fn wait<T>(&mut self, what: &str, mut pick: impl FnMut(&Packet) -> Option<T>) -> T {
        if let Some(at) = self.passed.iter().position(|p| pick(p).is_some()) {
            return self.passed.remove(at).and_then(|p| pick(&p)).unwrap();
        }
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.read_within(left) {
                None => panic!("waited in vain for {what}; passed: {:?}", self.passed),
                Some(None) => panic!("closed while waiting for {what}; passed: {:?}", self.passed),
                Some(Some(packet)) => match pick(&packet) {
                    Some(answer) => return answer,
                    None => self.passed.push_back(packet),
                },
            }
        }
    }

    /// Reads to the close and returns the reason of the DISCONNECT before it, if there was one.
    #[track_caller]
    pub fn closed(&mut self) -> Option<u8> {
        let mut reason = None;
        while let Some(packet) = self.read() {
            if let Packet::Disconnect { reason: r, .. } = packet {
                reason = Some(r);
            }
        }
        reason
    }

    /// Panics when a packet or a close comes before a ping is answered: what was sent before had no other effect.
    #[track_caller]
    pub fn expect_nothing_but_a_pong(&mut self) {
        self.send_raw(&[0xC0, 0]);
        assert_eq!(self.read(), Some(Packet::PingResp));
    }

    pub fn ping(&mut self) {
        self.send_raw(&[0xC0, 0]);
        self.wait("PINGRESP", |p| matches!(p, Packet::PingResp).then_some(()));
    }

    fn id(&mut self) -> u16 {
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        self.next_id
    }

    /// Sends a message; returns the packet id it went out with.
    pub fn send(&mut self, mut publish: Publish) -> u16 {
        if publish.qos > 0 && publish.id == 0 {
            publish.id = self.id();
        }
        self.send_raw(&publish.encode(self.version));
        publish.id
    }

    /// Publishes at QoS 1 and returns reason code and reason string of the PUBACK.
    #[track_caller]
    pub fn publish(&mut self, topic: &str, payload: impl AsRef<[u8]>) -> (u8, String) {
        let id = self.send(Publish::new(topic, 1, payload));
        self.puback(id)
    }

    /// Publishes at QoS 1; panics unless the server takes it.
    #[track_caller]
    pub fn say(&mut self, topic: &str, payload: impl AsRef<[u8]>) {
        let (reason, text) = self.publish(topic, payload);
        assert!(reason == 0 || reason == 0x10, "{topic} was refused: {reason:#04x} {text}");
    }

    #[track_caller]
    pub fn puback(&mut self, id: u16) -> (u8, String) {
        self.wait("PUBACK", |p| match p {
            Packet::PubAck { id: of, reason, properties } if *of == id => Some((*reason, properties.reason().to_owned())),
            _ => None,
        })
    }

    /// The next message from the server, acknowledged at QoS 1.
    #[track_caller]
    pub fn message(&mut self) -> Publish {
        let message = self.unacknowledged_message();
        if message.qos == 1 {
            self.ack(message.id);
        }
        message
    }

    #[track_caller]
    pub fn unacknowledged_message(&mut self) -> Publish {
        self.wait("PUBLISH", |p| match p {
            Packet::Publish(publish) => Some(publish.clone()),
            _ => None,
        })
    }

    pub fn ack(&mut self, id: u16) {
        self.send_raw(&frame(0x40, &id.to_be_bytes()));
    }

    /// Return codes of the SUBACK.
    #[track_caller]
    pub fn subscribe(&mut self, filters: &[(&str, u8)]) -> Vec<u8> {
        let id = self.id();
        let mut body = id.to_be_bytes().to_vec();
        if self.version == Version::V5 {
            body.push(0);
        }
        for (filter, qos) in filters {
            put_text(&mut body, filter.as_bytes());
            body.push(*qos);
        }
        self.send_raw(&frame(0x82, &body));
        self.wait("SUBACK", |p| match p {
            Packet::SubAck { id: of, codes, .. } if *of == id => Some(codes.clone()),
            _ => None,
        })
    }

    /// Codes of the UNSUBACK; 3.1.1 has none.
    #[track_caller]
    pub fn unsubscribe(&mut self, filters: &[&str]) -> Vec<u8> {
        let id = self.id();
        let mut body = id.to_be_bytes().to_vec();
        if self.version == Version::V5 {
            body.push(0);
        }
        filters.iter().for_each(|filter| put_text(&mut body, filter.as_bytes()));
        self.send_raw(&frame(0xA2, &body));
        self.wait("UNSUBACK", |p| match p {
            Packet::UnsubAck { id: of, codes } if *of == id => Some(codes.clone()),
            _ => None,
        })
    }

    /// Says goodbye and waits for the close.
    pub fn goodbye(mut self) {
        self.send_raw(&[0xE0, 0]);
        let _ = self.transport.socket().shutdown(std::net::Shutdown::Write);
        while self.read().is_some() {}
    }

    /// Hangs up without a word.
    pub fn lose(self) {
        let _ = self.transport.socket().shutdown(std::net::Shutdown::Both);
    }
}
