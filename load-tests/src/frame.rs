//! The few MQTT 3.1.1 frames a load needs, written and counted by hand: a general codec would cost more than the server.

/// Frames that come back, told apart by the high half of their first byte.
pub const CONNACK: u8 = 2;
pub const PUBACK: u8 = 4;
pub const PINGRESP: u8 = 13;

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

/// A PUBLISH with room for a packet id that [`set_packet_id`] fills in, so that a message costs one copy.
pub struct Template {
    pub bytes: Vec<u8>,
    id_at: Option<usize>,
}

impl Template {
    pub fn publish(topic: &str, qos: u8, payload: &[u8]) -> Self {
        let mut body = Vec::new();
        text(&mut body, topic);
        let id_in_body = (qos > 0).then_some(body.len());
        if qos > 0 {
            body.extend([0, 0]);
        }
        body.extend(payload);
        let bytes = frame(0x30 | qos << 1, &body);
        let head = bytes.len() - body.len();
        Self { bytes, id_at: id_in_body.map(|at| head + at) }
    }

    pub fn append(&self, out: &mut Vec<u8>, packet_id: u16) {
        let start = out.len();
        out.extend(&self.bytes);
        if let Some(at) = self.id_at {
            out[start + at..start + at + 2].copy_from_slice(&packet_id.to_be_bytes());
        }
    }
}

pub fn ping() -> [u8; 2] {
    [0xC0, 0]
}

/// Takes whole frames off the front of `bytes`, calls `each` with kind and body, and says how many bytes they were.
pub fn take(bytes: &[u8], mut each: impl FnMut(u8, &[u8])) -> usize {
    let mut at = 0;
    while let Some((length, head)) = remaining_length(&bytes[at..]) {
        let Some(body) = bytes.get(at + head..at + head + length) else { break };
        each(bytes[at] >> 4, body);
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

    #[test]
    fn a_long_frame_is_read_back_whole() {
        let template = Template::publish("a/b", 1, &[7; 300]);
        let mut out = Vec::new();
        template.append(&mut out, 0x1234);
        let mut seen = Vec::new();
        assert_eq!(take(&out[..out.len() - 1], |_, _| panic!("not whole yet")), 0);
        assert_eq!(take(&out, |kind, body| seen.push((kind, body.to_vec()))), out.len());
        assert_eq!(seen[0].0, 3);
        assert_eq!(&seen[0].1[..7], [0, 3, b'a', b'/', b'b', 0x12, 0x34]);
    }

    #[test]
    fn acks_in_one_read_are_counted_one_by_one() {
        let bytes = [0x40, 2, 0, 1, 0x40, 2, 0, 2, 0x40, 2];
        let mut acks = 0;
        assert_eq!(take(&bytes, |kind, _| acks += usize::from(kind == PUBACK)), 8);
        assert_eq!(acks, 2);
    }
}
