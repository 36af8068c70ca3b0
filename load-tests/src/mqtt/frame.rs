//! The few MQTT 3.1.1 frames a load needs, written and counted by hand: a general codec would cost more than the server.

use std::ops::Range;

use crate::payload::{Payload, digits};

/// Kinds of frames: the high half of their first byte.
pub const CONNACK: u8 = 2;
pub const PUBLISH: u8 = 3;
pub const PUBACK: u8 = 4;
pub const PUBREC: u8 = 5;
pub const PUBREL: u8 = 6;
pub const PUBCOMP: u8 = 7;
pub const SUBACK: u8 = 9;
pub const PINGRESP: u8 = 13;

/// A whole frame as it came.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    first: u8,
    pub body: &'a [u8],
}

impl<'a> Frame<'a> {
    pub fn kind(self) -> u8 {
        self.first >> 4
    }

    /// The packet id of an acknowledgement.
    pub fn packet_id(self) -> u16 {
        self.body.first_chunk().map_or(0, |id| u16::from_be_bytes(*id))
    }

    /// Topic, packet id (0 at QoS 0) and payload of a PUBLISH.
    pub fn publish(self) -> Option<(&'a [u8], u16, &'a [u8])> {
        let length = usize::from(u16::from_be_bytes(*self.body.first_chunk()?));
        let (topic, rest) = self.body[2..].split_at_checked(length)?;
        if self.first & 0b0110 == 0 {
            return Some((topic, 0, rest));
        }
        Some((topic, u16::from_be_bytes(*rest.first_chunk()?), &rest[2..]))
    }
}

pub fn connect(client_id: &str, key: Option<&str>, keep_alive_seconds: u16) -> Vec<u8> {
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, if key.is_some() { 0b1100_0010 } else { 0b0000_0010 }];
    body.extend(keep_alive_seconds.to_be_bytes());
    text(&mut body, client_id);
    if let Some(key) = key {
        text(&mut body, client_id);
        text(&mut body, key);
    }
    frame(0x10, &body)
}

pub fn subscribe(filter: &str, qos: u8) -> Vec<u8> {
    let mut body = vec![0, 1];
    text(&mut body, filter);
    body.push(qos);
    frame(0x82, &body)
}

pub fn publish(topic: &str, qos: u8, packet_id: u16, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, topic);
    if qos > 0 {
        body.extend(packet_id.to_be_bytes());
    }
    body.extend(payload);
    frame(0x30 | qos << 1, &body)
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
pub fn acknowledgement(kind: u8, packet_id: u16) -> [u8; 4] {
    let [high, low] = packet_id.to_be_bytes();
    // PUBREL alone has a flag set, by the standard.
    [kind << 4 | if kind == PUBREL { 2 } else { 0 }, 2, high, low]
}

pub fn ping() -> [u8; 2] {
    [0xC0, 0]
}

/// A PUBLISH whose packet id and moving bytes are filled in after copying, so that a message costs one copy.
#[derive(Clone)]
pub struct Template {
    bytes: Vec<u8>,
    topic_at: usize,
    id_at: Option<usize>,
    payload_at: usize,
    payload: Payload,
}

impl Template {
    pub fn new(topic: &str, qos: u8, payload: Payload) -> Self {
        let bytes = publish(topic, qos, 0, &payload.bytes);
        let payload_at = bytes.len() - payload.bytes.len();
        let id_at = (qos > 0).then_some(payload_at - 2);
        Self { bytes, topic_at: id_at.unwrap_or(payload_at) - topic.len(), id_at, payload_at, payload }
    }

    /// Appends message `number` and says where it begins.
    pub fn append(&self, out: &mut Vec<u8>, packet_id: u16, number: u64) -> usize {
        let start = out.len();
        out.extend(&self.bytes);
        let copy = &mut out[start..];
        if let Some(at) = self.id_at {
            copy[at..at + 2].copy_from_slice(&packet_id.to_be_bytes());
        }
        self.payload.fill(&mut copy[self.payload_at..], number);
        start
    }

    /// The same, with the digits that stand at `place` in the topic replaced by those of `child`.
    pub fn append_for(&self, out: &mut Vec<u8>, packet_id: u16, number: u64, place: Range<usize>, child: u64) {
        let topic = self.append(out, packet_id, number) + self.topic_at;
        digits(&mut out[topic + place.start..topic + place.end], child);
    }
}

/// Takes whole frames off the front of `bytes`, calls `each`, and says how many bytes they were.
pub fn take(bytes: &[u8], mut each: impl FnMut(Frame<'_>)) -> usize {
    let mut at = 0;
    while let Some((length, head)) = remaining_length(&bytes[at..]) {
        let Some(body) = bytes.get(at + head..at + head + length) else { break };
        each(Frame { first: bytes[at], body });
        at += head + length;
    }
    at
}

/// The remaining length of the frame at the front, and the bytes before its body.
fn remaining_length(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut length = 0usize;
    for (n, byte) in bytes.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7F) << (7 * n);
        if byte & 0x80 == 0 {
            return Some((length, n + 2));
        }
    }
    None
}

fn frame(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    let mut rest = body.len();
    loop {
        let low = (rest & 0x7F) as u8;
        rest >>= 7;
        out.push(if rest > 0 { low | 0x80 } else { low });
        if rest == 0 {
            break;
        }
    }
    out.extend(body);
    out
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u16).to_be_bytes());
    out.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Encoding;

    fn read(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut seen = Vec::new();
        assert_eq!(take(bytes, |frame| seen.push((frame.kind(), frame.body.to_vec()))), bytes.len());
        seen
    }

    #[test]
    fn a_long_frame_is_read_back_whole() {
        let template = Template::new("a/b", 1, Payload::telemetry(Encoding::Json, 300, 1));
        let mut out = Vec::new();
        template.append(&mut out, 0x1234, 0);
        assert_eq!(take(&out[..out.len() - 1], |_| panic!("not whole yet")), 0);
        let seen = read(&out);
        assert_eq!((seen[0].0, &seen[0].1[..7]), (PUBLISH, &[0, 3, b'a', b'/', b'b', 0x12, 0x34][..]));
    }

    #[test]
    fn a_gateway_says_whose_message_it_is() {
        for bytes in [100, 300] {
            let template = Template::new("devices/d-0000000/telemetry", 1, Payload::telemetry(Encoding::Json, bytes, 1));
            let mut out = Vec::new();
            template.append_for(&mut out, 1, 0, 10..17, 1234);
            take(&out, |frame| assert_eq!(frame.publish().unwrap().0, b"devices/d-0001234/telemetry"));
        }
    }

    #[test]
    fn acknowledgements_in_one_read_are_counted_one_by_one() {
        let bytes = [acknowledgement(PUBACK, 1), acknowledgement(PUBACK, 2)].concat();
        assert_eq!(read(&bytes).len(), 2);
        assert_eq!(take(&bytes[..6], |frame| assert_eq!(frame.packet_id(), 1)), 4);
        assert_eq!(acknowledgement(PUBREL, 0x102), [0x62, 2, 1, 2]);
    }
}
