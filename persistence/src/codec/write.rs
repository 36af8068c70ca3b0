//! Protobuf written by hand, straight into the journal's buffer: what every acknowledgement waits for.
//!
//! A nested message's length is patched in after its content, which costs a short move for what is longer than 127 bytes.
//! Lost: measuring first (walks a nested value once for each level above it).

use hierarchy_models::{Event, EventBody, Name, Raw, Record, Value};
use prost::Message;

use super::{body, wire};

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH: u32 = 2;

fn varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn key(out: &mut Vec<u8>, tag: u32, kind: u32) {
    varint(out, u64::from(tag << 3 | kind));
}

pub(super) fn uint(out: &mut Vec<u8>, tag: u32, n: u64) {
    key(out, tag, VARINT);
    varint(out, n);
}

fn sint(out: &mut Vec<u8>, tag: u32, n: i64) {
    uint(out, tag, ((n << 1) ^ (n >> 63)) as u64);
}

pub(super) fn bytes(out: &mut Vec<u8>, tag: u32, bytes: &[u8]) {
    key(out, tag, LENGTH);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A nested message, written by `content`.
pub(super) fn nested(out: &mut Vec<u8>, tag: u32, content: impl FnOnce(&mut Vec<u8>)) {
    key(out, tag, LENGTH);
    let at = out.len();
    out.push(0);
    content(out);
    let length = out.len() - at - 1;
    if length < 0x80 {
        out[at] = length as u8;
        return;
    }
    let end = out.len();
    let head = (64 - (length as u64).leading_zeros()).div_ceil(7) as usize;
    out.resize(end + head - 1, 0);
    out.copy_within(at + 1..end, at + head);
    for (i, byte) in out[at..at + head].iter_mut().enumerate() {
        let more = if i + 1 < head { 0x80 } else { 0 };
        *byte = (length >> (7 * i)) as u8 & 0x7f | more;
    }
}

pub(super) fn event(event: &Event, out: &mut Vec<u8>) {
    match &event.body {
        EventBody::Telemetry { stream, records, raw } => {
            uint(out, 1, event.seq);
            sint(out, 2, event.received_at.as_millis());
            nested(out, body::TELEMETRY, |out| telemetry(stream.as_ref(), records, raw, out));
        }
        _ => body::Event::from(event).encode_raw(out),
    }
}

fn telemetry(stream: Option<&Name>, records: &[Record], raw: &Raw, out: &mut Vec<u8>) {
    if let Some(stream) = stream {
        bytes(out, 1, stream.as_bytes());
    }
    for r in records {
        nested(out, 2, |out| record(r, out));
    }
    nested(out, 3, |out| {
        uint(out, 1, u64::from(wire::encoding_code(raw.encoding)));
        bytes(out, 2, &raw.bytes);
    });
}

fn record(record: &Record, out: &mut Vec<u8>) {
    sint(out, 1, record.at.as_millis());
    if let Some(id) = &record.id {
        bytes(out, 2, id.as_bytes());
    }
    for (name, v) in &record.values {
        nested(out, 3, |out| {
            bytes(out, 1, name.as_bytes());
            nested(out, 2, |out| value(v, out));
        });
    }
}

pub(super) fn value(v: &Value, out: &mut Vec<u8>) {
    match v {
        Value::Null => uint(out, 1, 1),
        Value::Bool(b) => uint(out, 2, u64::from(*b)),
        Value::Int(i) => sint(out, 3, *i),
        Value::Float(f) => {
            key(out, 4, FIXED64);
            out.extend_from_slice(&f.to_le_bytes());
        }
        Value::Text(t) => bytes(out, 5, t.as_bytes()),
        Value::List(list) => {
            uint(out, 6, 1);
            list.iter().for_each(|item| nested(out, 8, |out| value(item, out)));
        }
        Value::Map(map) => {
            uint(out, 7, 1);
            map.values().for_each(|item| nested(out, 8, |out| value(item, out)));
            map.keys().for_each(|name| bytes(out, 9, name.as_bytes()));
        }
    }
}
