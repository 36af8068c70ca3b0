//! A gateway speaks for the devices registered with it, and for nobody else.

use crate::support::{Client, Connect, Server, json, until};

/// A gateway, connected, with a child that is reached through it, and a device that is not its own.
fn gateway() -> (Server, Client) {
    let server = Server::start();
    let key = server.twin(json!({"id": "g", "model": "Gateway"}));
    server.twin(json!({"id": "child", "model": "Device", "gateway": "g"}));
    server.device("stranger");
    let client = Connect::v5("g", &key).open(server.mqtt);
    (server, client)
}

#[test]
fn a_gateway_publishes_for_its_child() {
    let (server, mut gateway) = gateway();
    gateway.say("devices/child/telemetry", r#"{"temperature": 21}"#);
    gateway.say("devices/child/reported", r#"{"firmware": "1"}"#);
    gateway.say("devices/g/telemetry", r#"{"children": 1}"#);
    assert_eq!(server.api().twin("child")["telemetry"]["temperature"]["value"], 21);
    assert_eq!(server.api().twin("child")["reported"]["firmware"]["value"], "1");
    assert_eq!(server.api().twin("g")["telemetry"].as_object().unwrap().len(), 1);
}

#[test]
fn a_gateway_may_not_speak_for_others() {
    let (server, mut gateway) = gateway();
    assert_eq!(gateway.publish("devices/stranger/telemetry", r#"{"a": 1}"#).0, 0x87);
    assert_eq!(gateway.publish("devices/nobody/telemetry", r#"{"a": 1}"#).0, 0x87);
    assert_eq!(gateway.subscribe(&[("devices/stranger/commands/#", 1)]), [0x87]);
    assert_eq!(gateway.publish("devices/g/attach/stranger", "").0, 0x87);
    assert_eq!(server.api().twin("stranger")["telemetry"], json!({}));
}

#[test]
fn a_command_reaches_a_child_through_its_gateway() {
    let (server, mut gateway) = gateway();
    assert_eq!(gateway.subscribe(&[("devices/child/commands/#", 1)]), [1]);
    let queued = server.api().post("/twins/child/commands", json!({"name": "open", "ttl": 60})).expect(202);
    let id = queued["id"].as_str().unwrap();
    assert_eq!(gateway.message().topic, format!("devices/child/commands/open/{id}"));
    gateway.say(&format!("devices/child/results/{id}"), r#"{"status": 200}"#);
    assert_eq!(server.api().get(&format!("/twins/child/commands/{id}")).expect(200)["state"], "completed");
}

#[test]
fn a_child_comes_and_goes_as_its_gateway_says() {
    let (server, mut gateway) = gateway();
    gateway.say("devices/g/attach/child", "");
    until("the child shows as connected", || server.api().twin("child")["connection"]["state"] == "connected");
    gateway.say("devices/g/detach/child", "");
    until("the child shows as disconnected", || server.api().twin("child")["connection"]["state"] == "disconnected");
}

#[test]
fn a_child_that_changes_hands_obeys_only_its_new_gateway() {
    let (server, mut gateway) = gateway();
    gateway.say("devices/child/telemetry", r#"{"a": 1}"#);
    server.twin(json!({"id": "h", "model": "Gateway"}));
    server.api().patch("/twins/child", json!({"gateway": "h"})).expect(200);
    until("the old gateway is refused", || gateway.publish("devices/child/telemetry", r#"{"a": 2}"#).0 == 0x87);
    assert_eq!(server.api().twin("child")["gateway"], "h");
}

#[test]
fn a_device_is_not_a_gateway_by_itself() {
    let (server, _gateway) = gateway();
    let mut device = server.connected("d");
    assert_eq!(device.publish("devices/child/telemetry", r#"{"a": 1}"#).0, 0x87);
    assert_eq!(device.publish("devices/d/attach/child", "").0, 0x87);
}
