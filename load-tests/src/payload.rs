//! What a device says, in three encodings, built once and then moved on in place: a few bytes are patched for each message,
//! so that no two are alike and none costs the generator an encoder.

use std::ops::Range;

/// Added to a stamp so that it always has [`STAMP_DIGITS`] digits.
pub const STAMP_BASE: u64 = 1_000_000_000_000;
const STAMP_DIGITS: usize = 13;
/// The name of the value that carries a stamp: when the message should have left, or its number.
pub const STAMP: &str = "stamp";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Json,
    Cbor,
    Protobuf,
}

impl Encoding {
    /// What the last level of a topic ends with.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Json => "",
            Self::Cbor => ";cbor",
            Self::Protobuf => ";proto",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Cbor => "CBOR",
            Self::Protobuf => "Protobuf",
        }
    }
}

/// A payload and the places in it that move.
#[derive(Debug, Clone)]
pub struct Payload {
    pub bytes: Vec<u8>,
    moving: Vec<(usize, Form)>,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    /// So many decimal digits of the message's number.
    Digits(usize),
    /// A temperature as a 64-bit float, in network order or the other way round.
    Float { big_endian: bool },
}

impl Payload {
    /// Telemetry of `records` records, each as long as `bytes` in JSON. The other encodings say the same values.
    pub fn telemetry(encoding: Encoding, bytes: usize, records: usize) -> Self {
        let padding = "x".repeat(bytes.saturating_sub(JSON.replace("{padding}", "").len()));
        match encoding {
            Encoding::Json => json(&padding, records),
            Encoding::Cbor => cbor(&padding, records),
            Encoding::Protobuf => protobuf(&padding, records),
        }
    }

    /// A record of ten values, the last of them a stamp.
    pub fn ten_values() -> Self {
        let values: String = (0..9).map(|n| format!("\"value{n}\":{}.50,", n + 20)).collect();
        let mut this = Self::stamped(&format!("{{{values}"), "}");
        this.moving.extend((0..9).map(|n| ("{\"value0\":20.".len() + n * "\"value0\":20.50,".len(), Form::Digits(2))));
        this
    }

    /// The base line's record with a stamp in front: 108 bytes too.
    pub fn stamped_telemetry() -> Self {
        let rest = r#","temperature":21.53,"humidity":44.1,"co2":612,"battery":3.71,"state":"xxxxxxxxxxxxx"}"#;
        Self::stamped("{", rest)
    }

    fn stamped(front: &str, rest: &str) -> Self {
        let front = format!("{front}\"{STAMP}\":");
        let moving = vec![(front.len(), Form::Digits(STAMP_DIGITS))];
        Self { bytes: format!("{front}{}{rest}", "0".repeat(STAMP_DIGITS)).into_bytes(), moving }
    }

    /// Moves a copy of the bytes on to message `number`.
    pub fn fill(&self, copy: &mut [u8], number: u64) {
        for (at, form) in &self.moving {
            match form {
                Form::Digits(count) => digits(&mut copy[*at..at + count], number),
                Form::Float { big_endian } => {
                    let value = 21.0 + (number % 100) as f64 / 100.0;
                    copy[*at..at + 8].copy_from_slice(&if *big_endian { value.to_be_bytes() } else { value.to_le_bytes() });
                }
            }
        }
    }
}

/// The last decimal digits of a number, as many as there is room for.
pub fn digits(room: &mut [u8], mut number: u64) {
    for digit in room.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// The stamp in a twin's document or in a live event: the value that follows its name.
pub fn stamp_in(json: &[u8]) -> Option<u64> {
    let name = memchr::memmem::find(json, b"\"stamp\":{")?;
    let slot = &json[name..];
    let slot = &slot[..memchr::memchr(b'}', slot)?];
    let value = memchr::memmem::find(slot, b"\"value\":")? + b"\"value\":".len();
    let number = slot[value..].iter().take_while(|b| b.is_ascii_digit()).fold(0u64, |n, b| n * 10 + u64::from(b - b'0'));
    number.checked_sub(STAMP_BASE)
}

const JSON: &str = r#"{"temperature":21.53,"humidity":44.1,"co2":612,"battery":3.71,"state":"{padding}"}"#;
/// Where in [`JSON`] the digits stand that move: hundredths of a degree, tenths of a per cent, the last of the CO₂.
const JSON_MOVING: [Range<usize>; 3] = [18..20, 35..36, 44..46];

fn json(padding: &str, records: usize) -> Payload {
    let record = JSON.replace("{padding}", padding);
    if records == 1 {
        let moving = JSON_MOVING.map(|r| (r.start, Form::Digits(r.len())));
        return Payload { bytes: record.into_bytes(), moving: moving.to_vec() };
    }
    let at = |n: usize| 1 + n * (record.len() + 1);
    let moving = (0..records).flat_map(|n| JSON_MOVING.map(|r| (at(n) + r.start, Form::Digits(r.len())))).collect();
    Payload { bytes: format!("[{}]", vec![record.as_str(); records].join(",")).into_bytes(), moving }
}

fn cbor(padding: &str, records: usize) -> Payload {
    let mut record = Vec::new();
    head(&mut record, 5, 5);
    cbor_text(&mut record, "temperature");
    record.push(0xFB);
    let float_at = record.len();
    record.extend(21.53f64.to_be_bytes());
    cbor_float(&mut record, "humidity", 44.1);
    cbor_text(&mut record, "co2");
    head(&mut record, 0, 612);
    cbor_float(&mut record, "battery", 3.71);
    cbor_text(&mut record, "state");
    cbor_text(&mut record, padding);
    let mut bytes = Vec::new();
    if records > 1 {
        head(&mut bytes, 4, records);
    }
    repeat(bytes, &record, records, float_at, Form::Float { big_endian: true })
}

fn repeat(mut bytes: Vec<u8>, record: &[u8], records: usize, float_at: usize, form: Form) -> Payload {
    let mut moving = Vec::new();
    for _ in 0..records {
        moving.push((bytes.len() + float_at, form));
        bytes.extend(record);
    }
    Payload { bytes, moving }
}

/// A CBOR data item's head: major type and argument.
fn head(out: &mut Vec<u8>, major: u8, argument: usize) {
    let major = major << 5;
    match argument {
        0..24 => out.push(major | argument as u8),
        24..0x100 => out.extend([major | 24, argument as u8]),
        _ => {
            out.push(major | 25);
            out.extend((argument as u16).to_be_bytes());
        }
    }
}

fn cbor_text(out: &mut Vec<u8>, text: &str) {
    head(out, 3, text.len());
    out.extend(text.as_bytes());
}

fn cbor_float(out: &mut Vec<u8>, name: &str, value: f64) {
    cbor_text(out, name);
    out.push(0xFB);
    out.extend(value.to_be_bytes());
}

/// `twinfold.v1.TelemetryBatch`, written by hand: field numbers are those of the published schema.
fn protobuf(padding: &str, records: usize) -> Payload {
    let double = |name: &str, value: f64| value_of(name, &[&[0x11][..], &value.to_le_bytes()].concat());
    let mut values = double("temperature", 21.53);
    let float_in_values = values.len() - 8;
    values.extend(double("humidity", 44.1));
    values.extend(value_of("co2", &[&[0x18][..], &varint(612)].concat()));
    values.extend(double("battery", 3.71));
    values.extend(value_of("state", &delimited(0x2A, padding.as_bytes())));
    let record = delimited(0x0A, &values);
    let float_at = record.len() - values.len() + float_in_values;
    repeat(Vec::new(), &record, records, float_at, Form::Float { big_endian: false })
}

/// One `Value` in a record's field 3.
fn value_of(name: &str, kind: &[u8]) -> Vec<u8> {
    delimited(0x1A, &[delimited(0x0A, name.as_bytes()).as_slice(), kind].concat())
}

fn delimited(tag: u8, bytes: &[u8]) -> Vec<u8> {
    [&[tag][..], &varint(bytes.len()), bytes].concat()
}

fn varint(mut number: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while number > 0x7F {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn filled(payload: &Payload, number: u64) -> Vec<u8> {
        let mut copy = payload.bytes.clone();
        payload.fill(&mut copy, number);
        copy
    }

    #[test]
    fn a_payload_is_as_long_as_asked_for_and_moves() {
        let payload = Payload::telemetry(Encoding::Json, 108, 1);
        assert_eq!(payload.bytes.len(), 108);
        let value: Value = serde_json::from_slice(&filled(&payload, 7)).unwrap();
        assert_eq!((&value["temperature"], &value["humidity"], &value["co2"]), (&21.07.into(), &44.7.into(), &607.into()));
    }

    #[test]
    fn a_batch_moves_in_every_record() {
        let batch: Value = serde_json::from_slice(&filled(&Payload::telemetry(Encoding::Json, 108, 10), 42)).unwrap();
        assert!(batch.as_array().unwrap().iter().all(|r| r["temperature"] == 21.42 && r["co2"] == 642));
        assert_eq!(batch.as_array().unwrap().len(), 10);
    }

    #[test]
    fn a_stamp_is_found_again_where_the_server_shows_it() {
        let json: Value = serde_json::from_slice(&filled(&Payload::stamped_telemetry(), STAMP_BASE + 77)).unwrap();
        assert_eq!(json[STAMP], STAMP_BASE + 77);
        assert_eq!(Payload::stamped_telemetry().bytes.len(), 108);
        let shown = r#"{"telemetry":{"a":{"value":1},"stamp":{"at":"x","received_at":"y","value":1000000000077}}}"#;
        assert_eq!(stamp_in(shown.as_bytes()), Some(77));
        assert_eq!(stamp_in(br#"{"values":{"stamp":{"avg":1000000000077.0}},"value":3}"#), None);
    }

    #[test]
    fn ten_values_are_ten() {
        let json: Value = serde_json::from_slice(&filled(&Payload::ten_values(), STAMP_BASE + 5)).unwrap();
        assert_eq!(json.as_object().unwrap().len(), 10);
        assert_eq!((&json["value0"], &json["value8"]), (&20.05.into(), &28.05.into()));
    }

    /// The bytes that a public encoder (Python's `cbor2`, `protoc`) makes of the same record begin like this.
    #[test]
    fn the_binary_forms_begin_as_their_standards_say() {
        assert_eq!(Payload::telemetry(Encoding::Cbor, 0, 1).bytes[..14], *b"\xa5\x6btemperature\xfb");
        assert_eq!(Payload::telemetry(Encoding::Protobuf, 0, 1).bytes[2..18], *b"\x1a\x16\x0a\x0btemperature\x11");
    }
}
