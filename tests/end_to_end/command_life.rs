//! A command's way: into the inbox, down to the device, and to exactly one end.

use std::thread;

use crate::support::{Client, Connect, Server, Value, eventually, json, mqtt::Publish, until};

fn command(server: &Server, id: &str, name: &str, more: Value) -> Value {
    let mut body = json!({"name": name, "payload": {"level": 1}, "ttl": 60});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.api().post(&format!("/twins/{id}/commands"), body).expect(202)
}

fn state(server: &Server, id: &str, command: &Value) -> Value {
    server.api().get(&format!("/twins/{id}/commands/{}", command["id"].as_str().unwrap())).expect(200)["state"].clone()
}

fn listens(device: &mut Client, id: &str) {
    assert_eq!(device.subscribe(&[(&format!("devices/{id}/commands/#"), 1)]), [1]);
}

fn id_of(message: &Publish) -> String {
    message.topic.rsplit('/').next().unwrap().to_owned()
}

#[test]
fn a_command_reaches_the_device_and_its_result_completes_it() {
    let server = Server::start();
    let mut device = server.connected("t");
    listens(&mut device, "t");
    let queued = command(&server, "t", "open", json!({}));
    let message = device.message();
    assert_eq!(message.topic, format!("devices/t/commands/open/{}", queued["id"].as_str().unwrap()));
    assert_eq!(message.json(), json!({"level": 1}));
    until("delivered", || state(&server, "t", &queued) == "delivered");
    device.say(&format!("devices/t/results/{}", id_of(&message)), r#"{"status": 200, "payload": {"angle": 90}}"#);
    let ended = server.api().get(&format!("/twins/t/commands/{}", queued["id"].as_str().unwrap())).expect(200);
    assert_eq!(ended["state"], "completed");
    assert_eq!(ended["result"], json!({"status": 200, "payload": {"angle": 90}}));
    for time in ["queued_at", "delivered_at", "ended_at"] {
        assert!(ended[time].as_str().is_some_and(|t| t.ends_with('Z')), "{time}: {ended}");
    }
}

#[test]
fn a_result_that_is_no_success_fails_the_command() {
    let server = Server::start();
    let mut device = server.connected("t");
    listens(&mut device, "t");
    for status in [400, 500, 199, 300] {
        let queued = command(&server, "t", "open", json!({}));
        let message = device.message();
        device.say(&format!("devices/t/results/{}", id_of(&message)), format!(r#"{{"status": {status}}}"#));
        assert_eq!(state(&server, "t", &queued), "failed", "{status}");
    }
}

#[test]
fn a_command_waits_for_a_device_that_is_away() {
    let server = Server::start();
    let key = server.device("t");
    let queued: Vec<Value> = (0..5).map(|n| command(&server, "t", &format!("step-{n}"), json!({}))).collect();
    assert!(queued.iter().all(|c| c["state"] == "queued"));
    let mut device = Connect::v5("t", &key).open(server.mqtt);
    listens(&mut device, "t");
    for n in 0..5 {
        assert!(device.message().topic.starts_with(&format!("devices/t/commands/step-{n}/")), "in order");
    }
}

#[test]
fn a_command_outlives_a_crash_and_a_restart() {
    let server = Server::start();
    let key = server.device("t");
    let queued = command(&server, "t", "open", json!({}));
    let server = server.restart_after_kill_9();
    assert_eq!(state(&server, "t", &queued), "queued");
    let server = server.restart();
    let mut device = Connect::v5("t", &key).open(server.mqtt);
    listens(&mut device, "t");
    let message = device.message();
    device.say(&format!("devices/t/results/{}", id_of(&message)), r#"{"status": 200}"#);
    let server = server.restart_after_kill_9();
    assert_eq!(state(&server, "t", &queued), "completed");
}

#[test]
fn a_command_that_expired_is_never_delivered() {
    let server = Server::start();
    let key = server.device("t");
    let queued = command(&server, "t", "late", json!({"ttl": 1}));
    until("it expires", || state(&server, "t", &queued) == "expired");
    command(&server, "t", "fresh", json!({}));
    let mut device = Connect::v5("t", &key).open(server.mqtt);
    listens(&mut device, "t");
    assert!(device.message().topic.starts_with("devices/t/commands/fresh/"));
    device.expect_nothing_but_a_pong();
}

#[test]
fn a_delivered_command_without_an_answer_expires() {
    let server = Server::start();
    let mut device = server.connected("t");
    listens(&mut device, "t");
    let queued = command(&server, "t", "open", json!({"ttl": 2}));
    let message = device.message();
    until("it expires", || state(&server, "t", &queued) == "expired");
    let late = device.publish(&format!("devices/t/results/{}", id_of(&message)), r#"{"status": 200}"#);
    assert_eq!(state(&server, "t", &queued), "expired", "an end is an end; the late result got {late:?}");
}

#[test]
fn a_command_in_flight_is_sent_again_after_a_lost_session() {
    let server = Server::start();
    let key = server.device("t");
    let mut device = Connect::v5("t", &key).persistent().open(server.mqtt);
    listens(&mut device, "t");
    let queued = command(&server, "t", "open", json!({}));
    let first = device.unacknowledged_message();
    device.lose();
    let mut device = Connect::v5("t", &key).persistent().open(server.mqtt);
    assert!(device.session_present);
    let again = device.message();
    assert_eq!(id_of(&again), id_of(&first), "the same command, without a new subscription");
    device.say(&format!("devices/t/results/{}", id_of(&again)), r#"{"status": 200}"#);
    assert_eq!(state(&server, "t", &queued), "completed");
}

#[test]
fn an_answered_command_is_not_sent_again() {
    let server = Server::start();
    let key = server.device("t");
    let mut device = Connect::v5("t", &key).persistent().open(server.mqtt);
    listens(&mut device, "t");
    command(&server, "t", "open", json!({}));
    let message = device.message();
    device.say(&format!("devices/t/results/{}", id_of(&message)), r#"{"status": 200}"#);
    device.lose();
    let mut device = Connect::v5("t", &key).persistent().open(server.mqtt);
    listens(&mut device, "t");
    command(&server, "t", "next", json!({}));
    assert!(device.message().topic.contains("/next/"));
}

#[test]
fn a_bounded_number_is_on_its_way_to_a_device() {
    let server = Server::start();
    let mut device = server.connected("t");
    listens(&mut device, "t");
    for n in 0..10 {
        command(&server, "t", &format!("c{n}"), json!({}));
    }
    let sent: Vec<Publish> = (0..8).map(|_| device.message()).collect();
    device.expect_nothing_but_a_pong();
    device.say(&format!("devices/t/results/{}", id_of(&sent[0])), r#"{"status": 200}"#);
    assert!(device.message().topic.contains("/c8/"), "an answer makes room for the next");
    device.expect_nothing_but_a_pong();
}

#[test]
fn a_cancelled_command_is_not_delivered() {
    let server = Server::start();
    let key = server.device("t");
    let queued = command(&server, "t", "open", json!({}));
    let path = format!("/twins/t/commands/{}", queued["id"].as_str().unwrap());
    assert!(matches!(server.api().delete(&path).status, 200 | 204));
    assert_eq!(state(&server, "t", &queued), "cancelled");
    assert!(matches!(server.api().delete(&path).status, 200 | 204), "once more changes nothing");
    let mut device = Connect::v5("t", &key).open(server.mqtt);
    listens(&mut device, "t");
    device.expect_nothing_but_a_pong();
}

#[test]
fn a_command_that_has_ended_cannot_be_cancelled() {
    let server = Server::start();
    let mut device = server.connected("t");
    listens(&mut device, "t");
    let queued = command(&server, "t", "open", json!({}));
    let id = id_of(&device.message());
    device.say(&format!("devices/t/results/{id}"), r#"{"status": 200}"#);
    server.api().delete(&format!("/twins/t/commands/{id}")).problem(409);
    assert_eq!(state(&server, "t", &queued), "completed");
}

#[test]
fn wait_gives_the_devices_answer_in_the_same_call() {
    let server = Server::start();
    let mut device = server.connected("t");
    listens(&mut device, "t");
    let api = server.api();
    let caller = thread::spawn(move || api.post("/twins/t/commands", json!({"name": "read", "ttl": 30, "wait": 20})));
    let message = device.message();
    device.say(&format!("devices/t/results/{}", id_of(&message)), r#"{"status": 200, "payload": 17}"#);
    let answer = caller.join().unwrap().expect(200);
    assert_eq!((&answer["state"], &answer["result"]["payload"]), (&json!("completed"), &json!(17)));
}

#[test]
fn wait_ends_with_504_and_the_command_goes_on() {
    let server = Server::start();
    let key = server.device("t");
    let problem = server.api().post("/twins/t/commands", json!({"name": "open", "ttl": 60, "wait": 1})).problem(504);
    let listed = server.api().all("/twins/t/commands?state=queued");
    assert_eq!(listed.len(), 1, "{problem}");
    let mut device = Connect::v5("t", &key).open(server.mqtt);
    listens(&mut device, "t");
    assert!(device.message().topic.contains("/open/"));
}

#[test]
fn the_same_idempotency_key_makes_one_command() {
    let server = Server::start();
    server.device("t");
    let post = |body: Value| server.api().call("POST", "/twins/t/commands", &[("idempotency-key", "k-1")], Some(body.to_string()));
    let first = post(json!({"name": "open", "ttl": 60})).expect(202);
    let second = post(json!({"name": "open", "ttl": 60})).expect(202);
    assert_eq!(first["id"], second["id"]);
    post(json!({"name": "close", "ttl": 60})).problem(422);
    assert_eq!(server.api().all("/twins/t/commands").len(), 1);
}

#[test]
fn an_idempotency_key_outlives_a_restart() {
    let server = Server::start();
    server.device("t");
    let body = json!({"name": "open", "ttl": 600}).to_string();
    let post =
        |server: &Server| server.api().call("POST", "/twins/t/commands", &[("idempotency-key", "k-1")], Some(body.clone())).expect(202);
    let first = post(&server);
    let server = server.restart_after_kill_9();
    assert_eq!(post(&server)["id"], first["id"]);
    assert_eq!(server.api().all("/twins/t/commands").len(), 1);
}

#[test]
fn a_full_inbox_pushes_back_by_name() {
    let server = Server::start();
    server.device("t");
    for n in 0..64 {
        command(&server, "t", &format!("c{n}"), json!({}));
    }
    let refused = server.api().post("/twins/t/commands", json!({"name": "one-more", "ttl": 60}));
    refused.problem(429);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(server.api().all("/twins/t/commands?state=queued").len(), 64);
}

#[test]
fn a_result_for_no_command_is_refused() {
    let server = Server::start();
    let mut device = server.connected("t");
    let (reason, text) = device.publish("devices/t/results/no-such-command", r#"{"status": 200}"#);
    assert_eq!(reason, 0x99, "{text}");
    assert!(text.contains("no-such-command"), "{text}");
}

#[test]
fn a_result_that_cannot_be_read_leaves_the_command_open() {
    let server = Server::start();
    let mut device = server.connected("t");
    listens(&mut device, "t");
    let queued = command(&server, "t", "open", json!({}));
    let topic = format!("devices/t/results/{}", id_of(&device.message()));
    for payload in ["", "ok", "{}", r#"{"status": "fine"}"#, r#"{"status": 70000}"#] {
        assert_eq!(device.publish(&topic, payload).0, 0x99, "{payload:?}");
    }
    assert_eq!(state(&server, "t", &queued), "delivered");
    device.say(&topic, r#"{"status": 204}"#);
    assert_eq!(state(&server, "t", &queued), "completed");
}

#[test]
fn a_device_that_does_not_listen_yet_gets_its_commands_when_it_does() {
    let server = Server::start();
    let mut device = server.connected("t");
    command(&server, "t", "open", json!({}));
    device.expect_nothing_but_a_pong();
    listens(&mut device, "t");
    assert!(device.message().topic.contains("/open/"));
}

#[test]
fn commands_at_qos_0_are_delivered_too() {
    let server = Server::start();
    let mut device = server.connected("t");
    assert_eq!(device.subscribe(&[("devices/t/commands/#", 0)]), [0]);
    let queued = command(&server, "t", "open", json!({}));
    assert_eq!(device.message().qos, 0);
    eventually("delivered", || (state(&server, "t", &queued) == "delivered").then_some(()));
}
