//! What was acknowledged is there after a crash and after a clean stop, and the same.

use crate::{
    campus,
    support::{Connect, Server, Value, json, until},
};

fn everything(server: &Server) -> Vec<Value> {
    let mut twin = server.api().twin("t");
    // Times of connection and figures of the process differ by nature.
    for volatile in ["connection", "rollups", "seq"] {
        twin.as_object_mut().unwrap().remove(volatile);
    }
    let lists = ["/twins/t/history?name=a", "/twins/t/history?name=setpoint", "/twins/t/events?stream=telemetry", "/twins/t/commands"];
    std::iter::once(twin).chain(lists.iter().map(|path| json!(server.api().all(path)))).collect()
}

fn lived() -> Server {
    let server = Server::start();
    campus::build(&server);
    let key = server.twin(json!({"id": "t", "model": "Device", "parent": "room-1", "metadata": {"serial": "A-1"}}));
    let mut device = Connect::v5("t", &key).open(server.mqtt);
    for n in 0..20 {
        device.say("devices/t/telemetry", json!({"id": format!("r-{n}"), "values": {"a": n}}).to_string());
    }
    device.say("devices/t/reported", r#"{"setpoint": 20}"#);
    device.say("devices/t/events/bell", r#"{"rung": 1}"#);
    device.say("devices/t/diagnostics", r#"{"uptime": 1}"#);
    device.publish("devices/t/telemetry", "{broken");
    server.api().patch("/twins/t", json!({"desired": {"setpoint": 21}, "tags": ["x"]})).expect(200);
    device.lose();
    until("that it was lost is known", || server.api().twin("t")["connection"]["state"] == "disconnected");
    server.api().post("/twins/t/commands", json!({"name": "open", "ttl": 3600})).expect(202);
    server
}

#[test]
fn a_crash_loses_nothing_that_was_acknowledged() {
    let server = lived();
    let before = everything(&server);
    let server = server.restart_after_kill_9();
    assert_eq!(everything(&server), before);
}

#[test]
fn a_clean_stop_loses_nothing_and_ends_well() {
    let server = lived();
    let before = everything(&server);
    let asked = std::time::Instant::now();
    let (status, stopped) = server.stop();
    assert!(status.success(), "{status}");
    assert!(asked.elapsed().as_secs() < 10, "{:?}", asked.elapsed());
    assert_eq!(everything(&stopped.start()), before);
}

#[test]
fn many_crashes_in_a_row_change_nothing() {
    let mut server = lived();
    let before = everything(&server);
    for _ in 0..3 {
        server = server.restart_after_kill_9();
    }
    assert_eq!(everything(&server), before);
}

#[test]
fn a_record_sent_again_after_a_crash_counts_once() {
    let server = lived();
    let server = server.restart_after_kill_9();
    let keys = server.api().post("/twins/t/credentials/reset", json!({})).expect(200);
    let mut device = Connect::v5("t", keys["keys"]["primary"].as_str().unwrap()).open(server.mqtt);
    device.say("devices/t/telemetry", r#"{"id": "r-19", "values": {"a": 19}}"#);
    device.say("devices/t/telemetry", r#"{"id": "r-20", "values": {"a": 20}}"#);
    assert_eq!(server.api().all("/twins/t/history?name=a").len(), 21);
}

#[test]
fn roll_ups_are_the_same_after_a_crash() {
    let server = lived();
    let value = |server: &Server| server.api().twin("site")["rollups"]["values"]["a"]["last"].clone();
    until("the site sees the last value", || value(&server) == 19.0);
    let server = server.restart_after_kill_9();
    until("the site sees it again without a new reading", || value(&server) == 19.0);
}

#[test]
fn a_device_key_outlives_a_restart() {
    let server = Server::start();
    let key = server.device("t");
    let server = server.restart_after_kill_9();
    Connect::v5("t", &key).open(server.mqtt).goodbye();
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    // In a keyspace the second one takes over instead: tests/cluster/taking_over.rs.
    let server = Server::with(&[("STORE", "embedded")]);
    let data = server.data_dir();
    let output = crate::support::server::twinfold(
        &["serve", "--http-bind", "127.0.0.1:0", "--mqtt-bind", "127.0.0.1:0", "--data-dir", data.to_str().unwrap()],
        &[],
    );
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(data.to_str().unwrap()), "{said}");
    server.api().get("/twins").expect(200);
}

#[test]
fn a_registration_that_was_answered_outlives_a_crash() {
    let mut server = Server::start();
    for n in 0..5 {
        server.device(&format!("d{n}"));
        server = server.restart_after_kill_9();
        assert_eq!(server.api().all("/twins").len(), n + 1);
    }
}

#[test]
fn a_twin_that_left_memory_comes_back_whole() {
    let server = Server::with(&[("TWINS__IDLE_AFTER", "200ms"), ("JOURNAL__FLUSH_INTERVAL", "100ms")]);
    let key = server.device("t");
    let mut device = Connect::v5("t", &key).open(server.mqtt);
    device.say("devices/t/telemetry", r#"{"id": "r-1", "values": {"a": 1}}"#);
    device.goodbye();
    until("no twin is resident", || {
        let metrics = server.api().get("//metrics").text;
        metrics.lines().any(|l| l.contains("resident") && !l.starts_with('#') && l.ends_with(" 0"))
    });
    let mut device = Connect::v5("t", &key).open(server.mqtt);
    device.say("devices/t/telemetry", r#"{"id": "r-1", "values": {"a": 1}}"#);
    assert_eq!(server.api().all("/twins/t/history?name=a").len(), 1, "it remembers the record id");
    assert_eq!(server.api().twin("t")["telemetry"]["a"]["value"], 1);
}
