//! CBOR and Protobuf beside JSON, by content type or by topic suffix.

use crate::support::{
    Server, json,
    mqtt::{Properties, Property, Publish, id},
};

/// `{"at": 1700000000000, "id": "r-1", "values": {"temperature": 21.5, "n": 7, "on": true}}`
fn cbor() -> Vec<u8> {
    let mut out = vec![0xA3, 0x62, b'a', b't', 0x1B];
    out.extend(1_700_000_000_000u64.to_be_bytes());
    out.extend([0x62, b'i', b'd', 0x63, b'r', b'-', b'1', 0x66]);
    out.extend(b"values");
    out.extend([0xA3, 0x6B]);
    out.extend(b"temperature");
    out.push(0xFB);
    out.extend(21.5f64.to_be_bytes());
    out.extend([0x61, b'n', 0x07, 0x62, b'o', b'n', 0xF5]);
    out
}

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, bytes.len() as u8], bytes].concat()
}

fn varint(mut n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while n > 0x7F {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out
}

/// The same record as a `twinfold.v1.TelemetryBatch`.
fn protobuf() -> Vec<u8> {
    let number = [field(1, b"temperature"), [&[2 << 3 | 1][..], &21.5f64.to_le_bytes()].concat()].concat();
    let integer = [field(1, b"n"), vec![3 << 3, 7]].concat();
    let boolean = [field(1, b"on"), vec![4 << 3, 1]].concat();
    let at = [vec![1 << 3], varint(1_700_000_000_000)].concat();
    field(1, &[at, field(2, b"r-1"), field(3, &number), field(3, &integer), field(3, &boolean)].concat())
}

#[track_caller]
fn shows_the_record(server: &Server) {
    let telemetry = server.api().twin("t")["telemetry"].clone();
    assert_eq!(telemetry["temperature"]["value"], 21.5, "{telemetry}");
    assert_eq!(telemetry["n"]["value"], 7);
    assert_eq!(telemetry["on"]["value"], true);
    assert_eq!(telemetry["n"]["at"], "2023-11-14T22:13:20.000Z");
}

fn typed(content_type: &str, payload: Vec<u8>) -> Publish {
    let properties = Properties(vec![(id::CONTENT_TYPE, Property::Text(content_type.into()))]);
    Publish { properties, ..Publish::new("devices/t/telemetry", 1, payload) }
}

#[test]
fn a_content_type_names_the_encoding() {
    for (content_type, payload) in [
        ("application/cbor", cbor()),
        ("application/x-protobuf", protobuf()),
        ("application/json", br#"{"at": 1700000000000, "id": "r-1", "values": {"temperature": 21.5, "n": 7, "on": true}}"#.to_vec()),
    ] {
        let server = Server::start();
        let mut device = server.connected("t");
        let sent = device.send(typed(content_type, payload));
        assert_eq!(device.puback(sent), (0, String::new()), "{content_type}");
        shows_the_record(&server);
    }
}

#[test]
fn a_topic_suffix_names_the_encoding() {
    for (suffix, payload) in [(";cbor", cbor()), (";proto", protobuf())] {
        let server = Server::start();
        let key = server.device("t");
        let mut device = crate::support::Connect::v311("t", &key).open(server.mqtt);
        device.say(&format!("devices/t/telemetry{suffix}"), &payload);
        shows_the_record(&server);
        device.say(&format!("devices/t/telemetry/fast{suffix}"), &payload);
    }
}

#[test]
fn a_record_counts_once_whatever_it_is_encoded_in() {
    let server = Server::start();
    let mut device = server.connected("t");
    device.say("devices/t/telemetry;cbor", cbor());
    device.say("devices/t/telemetry;proto", protobuf());
    assert_eq!(server.api().all("/twins/t/history?name=n").len(), 1);
}

#[test]
fn bytes_that_are_not_what_they_claim_are_refused_with_a_reason() {
    let server = Server::start();
    let mut device = server.connected("t");
    for topic in ["devices/t/telemetry;cbor", "devices/t/telemetry;proto", "devices/t/telemetry"] {
        let (reason, text) = device.publish(topic, [0xFF, 0xFF, 0x00, 0x01]);
        assert_eq!(reason, 0x99, "{topic}");
        assert!(!text.is_empty(), "{topic}");
    }
    assert_eq!(server.api().twin("t")["diagnostics"]["rejected_total"], 3);
    device.say("devices/t/telemetry", json!({"a": 1}).to_string());
}

#[test]
fn an_unknown_content_type_is_refused_with_a_reason() {
    let server = Server::start();
    let mut device = server.connected("t");
    let sent = device.send(typed("image/png", vec![1, 2, 3]));
    let (reason, text) = device.puback(sent);
    assert_eq!(reason, 0x99, "{text}");
    assert!(text.contains("image/png"), "{text}");
}
