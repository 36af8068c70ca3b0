//! Every other topic of the native dialect, up and down.

use crate::support::{Server, json, until};

#[test]
fn reported_properties_are_merged_and_null_removes() {
    let server = Server::start();
    let mut device = server.connected("t");
    device.say("devices/t/reported", r#"{"firmware": "1.0", "network": {"ssid": "a", "rssi": -40}, "old": 1}"#);
    device.say("devices/t/reported", r#"{"network": {"rssi": -50}, "old": null}"#);
    let reported = server.api().twin("t")["reported"].clone();
    assert_eq!(reported["firmware"]["value"], "1.0");
    assert_eq!(reported["network"]["value"], json!({"ssid": "a", "rssi": -50}));
    assert_eq!(reported.get("old"), None);
}

#[test]
fn a_full_report_replaces_all_reported_properties() {
    let server = Server::start();
    let mut device = server.connected("t");
    device.say("devices/t/reported", r#"{"a": 1, "b": 2}"#);
    device.say("devices/t/reported/full", r#"{"b": 3, "c": 4}"#);
    let reported = server.api().twin("t")["reported"].clone();
    assert_eq!(reported.as_object().unwrap().keys().collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!(reported["b"]["value"], 3);
}

#[test]
fn a_reported_number_has_a_history() {
    let server = Server::start();
    let mut device = server.connected("t");
    device.say("devices/t/reported", r#"{"setpoint": 20}"#);
    device.say("devices/t/reported", r#"{"setpoint": 22}"#);
    let history = server.api().all("/twins/t/history?name=setpoint");
    assert_eq!(history.iter().map(|i| i["value"].as_i64().unwrap()).collect::<Vec<_>>(), [20, 22]);
    assert_eq!(history[0]["stream"], "reported");
}

#[test]
fn a_special_event_has_a_stream_of_its_own_and_leaves_the_values() {
    let server = Server::start();
    let mut device = server.connected("t");
    device.say("devices/t/events/smoke", r#"{"level": "high", "parts": [1, 2]}"#);
    let events = server.api().all("/twins/t/events?stream=events");
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["data"]["name"], "smoke", "{}", events[0]);
    assert_eq!(events[0]["data"]["payload"], json!({"level": "high", "parts": [1, 2]}), "{}", events[0]);
    assert_eq!(server.api().twin("t")["telemetry"], json!({}));
}

#[test]
fn an_event_may_be_any_json() {
    let server = Server::start();
    let mut device = server.connected("t");
    for payload in ["17", "\"bell\"", "null", "[1]", "{}"] {
        device.say("devices/t/events/notice", payload);
    }
    assert_eq!(server.api().all("/twins/t/events?stream=events").len(), 5);
}

#[test]
fn diagnostics_have_a_stream_of_their_own() {
    let server = Server::start();
    let mut device = server.connected("t");
    device.say("devices/t/diagnostics", r#"{"uptime": 17, "heap": 20480}"#);
    assert_eq!(server.api().all("/twins/t/events?stream=diagnostics").len(), 1);
    let twin = server.api().twin("t");
    assert_eq!(twin["diagnostics"]["last"]["value"]["uptime"], 17);
    assert_eq!(twin["telemetry"], json!({}));
}

#[test]
fn a_device_proposes_metadata_and_may_not_write_every_key() {
    let server = Server::start();
    let mut device = server.connected("t");
    server.api().patch("/twins/t", json!({"metadata": {"serial": "A-1", "room": "7"}})).expect(200);
    device.say("devices/t/metadata", r#"{"firmware": "2.1", "room": null}"#);
    assert_eq!(server.api().twin("t")["metadata"], json!({"serial": "A-1", "firmware": "2.1"}));
    let (reason, text) = device.publish("devices/t/metadata", r#"{"$owner": "me", "firmware": "3"}"#);
    assert_eq!(reason, 0x99, "{text}");
    assert!(text.contains("$owner"), "a refusal says what for: {text}");
    assert_eq!(server.api().twin("t")["metadata"]["firmware"], "2.1");
}

#[test]
fn a_device_reads_its_own_twin() {
    let server = Server::start();
    let mut device = server.connected("t");
    device.say("devices/t/telemetry", r#"{"a": 1}"#);
    assert_eq!(device.subscribe(&[("devices/t/twin", 1)]), [1]);
    device.say("devices/t/get", "");
    let answer = device.message();
    assert_eq!(answer.topic, "devices/t/twin");
    assert_eq!(answer.json()["id"], "t");
    assert_eq!(answer.json()["telemetry"]["a"]["value"], 1);
}

#[test]
fn desired_state_arrives_whole_at_subscription_and_then_as_patches() {
    let server = Server::start();
    let mut device = server.connected("t");
    server.api().patch("/twins/t", json!({"desired": {"setpoint": 21, "fan": {"level": 1}}})).expect(200);
    device.subscribe(&[("devices/t/desired", 1)]);
    let full = device.message();
    assert_eq!(full.topic, "devices/t/desired");
    assert_eq!((&full.json()["setpoint"], &full.json()["fan"]), (&json!(21), &json!({"level": 1})));
    let first = full.json()["$version"].as_u64().expect("the full state has a $version");

    server.api().patch("/twins/t", json!({"desired": {"fan": {"level": 2}, "setpoint": null}})).expect(200);
    let patch = device.message();
    assert_eq!(patch.json()["fan"], json!({"level": 2}));
    assert!(patch.json().get("setpoint").is_some_and(serde_json::Value::is_null), "a removal is a null in the patch: {}", patch.json());
    assert!(patch.json()["$version"].as_u64().unwrap() > first);
    assert_eq!(server.api().twin("t")["desired"]["$version"], patch.json()["$version"]);
}

#[test]
fn a_subscription_that_ends_ends_delivery() {
    let server = Server::start();
    let mut device = server.connected("t");
    device.subscribe(&[("devices/t/desired", 1)]);
    device.message();
    assert_eq!(device.unsubscribe(&["devices/t/desired"]), [0]);
    server.api().patch("/twins/t", json!({"desired": {"a": 1}})).expect(200);
    device.expect_nothing_but_a_pong();
    assert_eq!(device.unsubscribe(&["devices/t/desired"]), [0x11], "no subscription existed");
}

#[test]
fn the_event_log_keeps_payloads_as_they_came() {
    let server = Server::start();
    let mut device = server.connected("t");
    let raw = "{ \"a\" :  1.50 }";
    device.say("devices/t/telemetry", raw);
    let events = server.api().all("/twins/t/events?stream=telemetry");
    assert_eq!(events[0]["raw"]["payload"], raw, "spaces and all");
    device.say("devices/t/telemetry;cbor", [0xA1, 0x61, b'a', 0x01]);
    let events = server.api().all("/twins/t/events?stream=telemetry");
    assert_eq!((&events[1]["raw"]["encoding"], &events[1]["raw"]["payload_base64"]), (&json!("cbor"), &json!("oWFhAQ==")));
}

#[test]
fn connecting_and_leaving_are_events_of_the_twin() {
    let server = Server::start();
    let key = server.device("t");
    assert_eq!(server.api().twin("t")["connection"]["state"], "never");
    let device = crate::support::Connect::v5("t", &key).open(server.mqtt);
    until("the twin shows as connected", || server.api().twin("t")["connection"]["state"] == "connected");
    let connection = server.api().twin("t")["connection"].clone();
    assert!(connection["protocol"].as_str().unwrap().contains('5'), "{connection}");
    device.goodbye();
    until("the twin shows as disconnected", || server.api().twin("t")["connection"]["state"] == "disconnected");
    assert_eq!(server.api().twin("t")["connection"]["reason"], "goodbye");
    assert!(server.api().all("/twins/t/events?stream=connection").len() >= 2);
}
