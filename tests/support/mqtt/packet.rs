//! Packets that a server sends, read strictly: a byte too many is a failure of the server.

use super::{Properties, Version};

#[derive(Debug, Clone, PartialEq)]
pub enum Packet {
    ConnAck { session_present: bool, code: u8, properties: Properties },
    Publish(Publish),
    PubAck { id: u16, reason: u8, properties: Properties },
    PubRec { id: u16, reason: u8, properties: Properties },
    PubRel { id: u16, reason: u8 },
    PubComp { id: u16, reason: u8 },
    SubAck { id: u16, codes: Vec<u8>, properties: Properties },
    UnsubAck { id: u16, codes: Vec<u8> },
    PingResp,
    Disconnect { reason: u8, properties: Properties },
    Auth { reason: u8 },
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Publish {
    pub dup: bool,
    pub qos: u8,
    pub retain: bool,
    pub topic: String,
    /// At QoS 0 there is none.
    pub id: u16,
    pub properties: Properties,
    pub payload: Vec<u8>,
}

impl Publish {
    pub fn new(topic: &str, qos: u8, payload: impl AsRef<[u8]>) -> Self {
        Self { topic: topic.into(), qos, payload: payload.as_ref().to_vec(), ..Self::default() }
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.payload).unwrap_or_else(|e| panic!("{e}: {:?}", String::from_utf8_lossy(&self.payload)))
    }

    pub fn encode(&self, version: Version) -> Vec<u8> {
        let mut body = Vec::new();
        put_text(&mut body, self.topic.as_bytes());
        if self.qos > 0 {
            body.extend(self.id.to_be_bytes());
        }
        if version == Version::V5 {
            self.properties.write(&mut body);
        }
        body.extend(&self.payload);
        frame(0x30 | u8::from(self.dup) << 3 | self.qos << 1 | u8::from(self.retain), &body)
    }
}

impl Packet {
    /// The packet at the front of `bytes` and its length, when it is there whole.
    pub fn decode(bytes: &[u8], version: Version) -> Option<(Self, usize)> {
        let mut length = 0;
        let mut head = 1;
        loop {
            let byte = *bytes.get(head)?;
            length |= usize::from(byte & 0x7F) << (7 * (head - 1));
            head += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let body = bytes.get(head..head + length)?;
        Some((Self::read(bytes[0], Reader::new(body), version), head + length))
    }

    fn read(first: u8, mut r: Reader, version: Version) -> Self {
        let v5 = version == Version::V5;
        let properties = |r: &mut Reader| if v5 && !r.is_empty() { Properties::read(r) } else { Properties::default() };
        let reason = |r: &mut Reader| if v5 && !r.is_empty() { r.byte() } else { 0 };
        let packet = match first >> 4 {
            2 => Self::ConnAck { session_present: r.byte() == 1, code: r.byte(), properties: properties(&mut r) },
            3 => {
                let qos = first >> 1 & 3;
                let (topic, id) = (r.text(), if qos > 0 { r.two() } else { 0 });
                let properties = if v5 { Properties::read(&mut r) } else { Properties::default() };
                Self::Publish(Publish { dup: first & 8 != 0, qos, retain: first & 1 != 0, topic, id, properties, payload: r.rest() })
            }
            4 => Self::PubAck { id: r.two(), reason: reason(&mut r), properties: properties(&mut r) },
            5 => Self::PubRec { id: r.two(), reason: reason(&mut r), properties: properties(&mut r) },
            6 => (Self::PubRel { id: r.two(), reason: reason(&mut r) }, drop(properties(&mut r))).0,
            7 => (Self::PubComp { id: r.two(), reason: reason(&mut r) }, drop(properties(&mut r))).0,
            9 => {
                let (id, properties) = (r.two(), properties(&mut r));
                Self::SubAck { id, properties, codes: r.rest() }
            }
            11 => {
                let id = r.two();
                properties(&mut r);
                Self::UnsubAck { id, codes: r.rest() }
            }
            13 => Self::PingResp,
            14 => Self::Disconnect { reason: reason(&mut r), properties: properties(&mut r) },
            15 => (Self::Auth { reason: reason(&mut r) }, drop(properties(&mut r))).0,
            other => panic!("a server does not send packets of kind {other}"),
        };
        assert!(r.is_empty(), "bytes left behind {packet:?}");
        packet
    }
}

/// A packet from its first byte and body.
pub fn frame(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    put_varint(&mut out, body.len());
    out.extend(body);
    out
}

pub fn put_varint(out: &mut Vec<u8>, mut n: usize) {
    loop {
        let low = (n & 0x7F) as u8;
        n >>= 7;
        out.push(if n > 0 { low | 0x80 } else { low });
        if n == 0 {
            return;
        }
    }
}

pub fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend((text.len() as u16).to_be_bytes());
    out.extend(text);
}

pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (front, rest) = self.0.split_at(count);
        self.0 = rest;
        front
    }

    pub fn rest(&mut self) -> Vec<u8> {
        self.take(self.0.len()).to_vec()
    }

    pub fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    pub fn two(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    pub fn four(&mut self) -> u32 {
        u32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    pub fn varint(&mut self) -> usize {
        let (mut n, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            n |= usize::from(byte & 0x7F) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return n;
            }
        }
    }

    pub fn binary(&mut self) -> &'a [u8] {
        let length = self.two();
        self.take(length.into())
    }

    pub fn text(&mut self) -> String {
        String::from_utf8(self.binary().to_vec()).unwrap()
    }
}
