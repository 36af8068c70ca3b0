//! A bad payload never kills a session: it is refused with a reason, counted, and kept for whoever mends the device.

use crate::support::{Connect, Server, json};

const BAD: [(&str, &str); 14] = [
    ("telemetry", ""),
    ("telemetry", "{"),
    ("telemetry", "21.5"),
    ("telemetry", "{}"),
    ("telemetry", "[]"),
    ("telemetry", r#"{"at": "not a time", "values": {"a": 1}}"#),
    ("telemetry", r#"{"at": "2026-01-01T00:00:00Z", "values": {}}"#),
    ("telemetry", r#"{"at": 1e99, "values": {"a": 1}}"#),
    ("telemetry", r#"{"at": "2199-01-01T00:00:00Z", "values": {"a": 1}}"#),
    ("reported", "[1]"),
    ("reported", "nonsense"),
    ("reported/full", "7"),
    ("events/alarm", "{broken"),
    ("diagnostics", "\u{0}"),
];

#[test]
fn every_bad_payload_gets_its_reason_and_the_session_lives() {
    let server = Server::start();
    let mut device = server.connected("t");
    for (topic, payload) in BAD {
        let (reason, text) = device.publish(&format!("devices/t/{topic}"), payload);
        assert_eq!(reason, 0x99, "{topic} {payload:?}: {text}");
        assert!(!text.is_empty(), "{topic} {payload:?} has no reason string");
    }
    device.say("devices/t/telemetry", r#"{"a": 1}"#);
    let twin = server.api().twin("t");
    assert_eq!(twin["telemetry"]["a"]["value"], 1);
    assert_eq!(twin["diagnostics"]["rejected_total"], BAD.len());
}

#[test]
fn under_3_1_1_a_bad_payload_is_acknowledged_and_kept() {
    let server = Server::start();
    let key = server.device("t");
    let mut device = Connect::v311("t", &key).open(server.mqtt);
    device.say("devices/t/telemetry", "{broken");
    device.say("devices/t/telemetry", r#"{"a": 1}"#);
    let twin = server.api().twin("t");
    assert_eq!(twin["diagnostics"]["rejected_total"], 1);
    assert_eq!(twin["telemetry"]["a"]["value"], 1);
}

#[test]
fn the_last_sixteen_rejected_messages_are_kept_with_payload_and_reason() {
    let server = Server::start();
    let mut device = server.connected("t");
    for n in 0..20 {
        device.publish("devices/t/telemetry", format!("bad {n}"));
    }
    let diagnostics = server.api().twin("t")["diagnostics"].clone();
    let rejected = diagnostics["rejected"].as_array().unwrap();
    assert_eq!(rejected.len(), 16);
    assert_eq!(diagnostics["rejected_total"], 20);
    assert_eq!(rejected[15]["payload"], "bad 19");
    assert_eq!(rejected[0]["payload"], "bad 4");
    assert!(rejected.iter().all(|r| r["reason"].as_str().is_some_and(|why| !why.is_empty())));
}

#[test]
fn a_rejected_payload_at_qos_0_leaves_the_session_alone() {
    let server = Server::start();
    let mut device = server.connected("t");
    device.send(crate::support::mqtt::Publish::new("devices/t/telemetry", 0, "{broken"));
    device.say("devices/t/telemetry", r#"{"a": 1}"#);
    assert_eq!(server.api().twin("t")["diagnostics"]["rejected_total"], 1);
}

#[test]
fn too_much_in_one_message_is_refused_by_name() {
    let server = Server::start();
    let mut device = server.connected("t");
    let records = json!((0..1001).map(|n| json!({"n": n})).collect::<Vec<_>>()).to_string();
    let values = json!((0..257).map(|n| (format!("v{n}"), n)).collect::<std::collections::BTreeMap<_, _>>()).to_string();
    let name = json!({"x".repeat(129): 1}).to_string();
    let deep = format!(r#"{{"a": {}1{}}}"#, "[".repeat(100), "]".repeat(100));
    for payload in [records, values, name, deep] {
        let (reason, text) = device.publish("devices/t/telemetry", &payload);
        assert_eq!(reason, 0x99, "{}", &payload[..60]);
        assert!(text.chars().any(|c| c.is_ascii_digit()), "the reason names the bound: {text}");
    }
    assert_eq!(server.api().twin("t")["telemetry"], json!({}));
}

#[test]
fn rejections_are_counted_and_logged_with_the_device() {
    let server = Server::start();
    let mut device = server.connected("faulty-device");
    device.publish("devices/faulty-device/telemetry", "{broken");
    assert!(server.log().contains("faulty-device"), "{}", server.log());
    let metrics = server.api().get("//metrics");
    assert_eq!(metrics.status, 200);
    let counted = metrics.text.lines().any(|l| l.contains("reject") && !l.starts_with('#') && !l.ends_with(" 0"));
    assert!(counted, "no metric counts the rejection");
}
