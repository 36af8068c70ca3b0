//! `devices/{id}/telemetry`: what a device measures, recorded, dated and shown.

use crate::support::{
    Connect, Server, json,
    mqtt::{BOTH, Publish, id},
};

#[test]
fn a_flat_record_becomes_last_known_values_and_history() {
    for version in BOTH {
        let server = Server::start();
        let key = server.device("t");
        let mut device = Connect::new(version, "t", &key).open(server.mqtt);
        device.say("devices/t/telemetry", r#"{"temperature": 21.5, "open": false, "mode": "eco", "count": 3}"#);
        let telemetry = server.api().twin("t")["telemetry"].clone();
        assert_eq!(telemetry["temperature"]["value"], 21.5);
        assert_eq!(telemetry["open"]["value"], false);
        assert_eq!(telemetry["mode"]["value"], "eco");
        assert_eq!(telemetry["count"]["value"], 3);
        let [at, received_at] = ["at", "received_at"].map(|time| telemetry["count"][time].as_str().unwrap());
        assert!(at <= received_at && at[..16] == received_at[..16], "without `at`, a record is of the time it came: {at} {received_at}");
        let history = server.api().all("/twins/t/history?name=temperature");
        assert_eq!(history.len(), 1);
        assert_eq!(history[0]["value"], 21.5);
        assert_eq!(history[0]["stream"], "telemetry");
    }
}

#[test]
fn a_read_after_the_acknowledgement_includes_what_was_acknowledged() {
    let server = Server::start();
    let mut device = server.connected("t");
    for n in 0..50 {
        device.say("devices/t/telemetry", format!(r#"{{"n": {n}}}"#));
        assert_eq!(server.api().twin("t")["telemetry"]["n"]["value"], n);
        assert_eq!(server.api().all("/twins/t/history?name=n").len(), n + 1);
    }
}

#[test]
fn a_record_carries_its_own_time_as_text_or_milliseconds() {
    let server = Server::start();
    let mut device = server.connected("t");
    device.say("devices/t/telemetry", r#"{"at": "2026-01-02T03:04:05.678Z", "values": {"a": 1}}"#);
    device.say("devices/t/telemetry", r#"{"at": 1767322800000, "values": {"b": 1}}"#);
    device.say("devices/t/telemetry", r#"{"at": "2026-01-02T05:04:05.678+02:00", "values": {"c": 1}}"#);
    let telemetry = server.api().twin("t")["telemetry"].clone();
    assert_eq!(telemetry["a"]["at"], "2026-01-02T03:04:05.678Z");
    assert_eq!(telemetry["b"]["at"], "2026-01-02T03:00:00.000Z");
    assert_eq!(telemetry["c"]["at"], "2026-01-02T03:04:05.678Z");
    assert_ne!(telemetry["a"]["received_at"], telemetry["a"]["at"]);
}

#[test]
fn an_older_record_fills_history_and_leaves_the_last_known_value() {
    let server = Server::start();
    let mut device = server.connected("t");
    device.say("devices/t/telemetry", r#"{"at": "2026-01-02T00:00:00Z", "values": {"a": 2}}"#);
    device.say("devices/t/telemetry", r#"{"at": "2026-01-01T00:00:00Z", "values": {"a": 1}}"#);
    assert_eq!(server.api().twin("t")["telemetry"]["a"]["value"], 2);
    let values: Vec<_> = server.api().all("/twins/t/history?name=a").iter().map(|i| i["value"].clone()).collect();
    assert_eq!(values, [json!(1), json!(2)], "history is in the order of time");
}

#[test]
fn an_array_is_a_batch_taken_whole() {
    let server = Server::start();
    let mut device = server.connected("t");
    let batch: Vec<_> = (0..1000).map(|n| json!({"at": 1_700_000_000_000u64 + n, "values": {"n": n}})).collect();
    device.say("devices/t/telemetry", json!(batch).to_string());
    let history = server.api().all("/twins/t/history?name=n&limit=1000");
    assert_eq!(history.len(), 1000);
    assert!(history.iter().enumerate().all(|(n, item)| item["value"] == n));
}

#[test]
fn a_batch_with_one_bad_record_changes_nothing() {
    let server = Server::start();
    let mut device = server.connected("t");
    let (reason, text) = device.publish("devices/t/telemetry", r#"[{"a": 1}, {"at": "yesterday", "values": {"a": 2}}]"#);
    assert_eq!(reason, 0x99, "{text}");
    assert_eq!(server.api().all("/twins/t/history?name=a").len(), 0);
    assert_eq!(server.api().twin("t")["telemetry"], json!({}));
}

#[test]
fn a_stream_has_a_name_of_its_own_in_history() {
    let server = Server::start();
    let mut device = server.connected("t");
    device.say("devices/t/telemetry/vibration", r#"{"rms": 0.3}"#);
    let history = server.api().all("/twins/t/history?name=rms");
    assert_eq!(history[0]["stream"], "telemetry/vibration");
}

#[test]
fn the_same_record_id_counts_once() {
    let server = Server::start();
    let mut device = server.connected("t");
    for _ in 0..3 {
        device.say("devices/t/telemetry", r#"{"id": "r-1", "at": "2026-01-01T00:00:00Z", "values": {"a": 1}}"#);
    }
    device.say("devices/t/telemetry", r#"{"id": "r-2", "at": "2026-01-01T00:00:00Z", "values": {"a": 1}}"#);
    assert_eq!(server.api().all("/twins/t/history?name=a").len(), 2);
}

#[test]
fn a_record_id_of_one_device_says_nothing_about_another() {
    let server = Server::start();
    for id in ["t", "u"] {
        let mut device = server.connected(id);
        device.say(&format!("devices/{id}/telemetry"), r#"{"id": "r-1", "values": {"a": 1}}"#);
        assert_eq!(server.api().all(&format!("/twins/{id}/history?name=a")).len(), 1);
    }
}

#[test]
fn numbers_come_back_exactly() {
    let server = Server::start();
    let mut device = server.connected("t");
    let numbers = ["0.1", "69.88083514", "-1e-300", "1.7976931348623157e308", "9007199254740993", "-9223372036854775808", "1.0", "5e-324"];
    for (n, number) in numbers.iter().enumerate() {
        device.say("devices/t/telemetry", format!(r#"{{"at": {}, "values": {{"x": {number}}}}}"#, 1_700_000_000_000u64 + n as u64));
    }
    let history = server.api().all("/twins/t/history?name=x");
    for (item, number) in history.iter().zip(numbers) {
        let expected: serde_json::Value = number.parse().unwrap();
        assert_eq!(item["value"], expected, "{number}");
    }
    assert_eq!(history.len(), numbers.len());
}

#[test]
fn records_of_one_device_keep_the_order_they_were_sent_in() {
    let server = Server::start();
    let mut device = server.connected("t");
    let most = device.properties.number(id::RECEIVE_MAXIMUM).unwrap_or(65_535) as usize;
    let mut on_the_way = std::collections::VecDeque::new();
    for n in 0..200 {
        if on_the_way.len() == most {
            assert_eq!(on_the_way.pop_front().map(|id| device.puback(id).0), Some(0));
        }
        on_the_way.push_back(device.send(Publish::new("devices/t/telemetry", 1, format!(r#"{{"n": {n}}}"#))));
    }
    on_the_way.into_iter().for_each(|id| assert_eq!(device.puback(id).0, 0));
    let events = server.api().all("/twins/t/events?stream=telemetry&limit=1000");
    let sequence: Vec<u64> = events.iter().map(|e| e["seq"].as_u64().unwrap()).collect();
    assert_eq!(events.len(), 200);
    assert!(sequence.is_sorted(), "{sequence:?}");
    assert_eq!(server.api().twin("t")["telemetry"]["n"]["value"], 199);
}
