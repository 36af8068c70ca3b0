//! `/live`: a snapshot's sign, then every durable change once, resumable.

use crate::{
    campus,
    support::{Server, json, live::Live},
};

fn live(server: &Server, query: &str, resume: Option<&str>) -> Live {
    Live::open(server.http, &server.admin_key(), query, resume)
}

/// A reader that has its snapshot and sees only changes from here on.
fn following(server: &Server, query: &str) -> Live {
    let mut reader = live(server, query, None);
    reader.find(|e| e.event == "live");
    reader
}

#[test]
fn a_new_reader_is_told_to_start_from_a_snapshot_and_then_sees_every_change() {
    let server = Server::start();
    let mut device = server.connected("t");
    device.say("devices/t/telemetry", r#"{"n": 77}"#);
    let mut reader = live(&server, "under=t&kinds=state", None);
    assert_eq!(reader.next().event, "reset");
    let snapshot = reader.next();
    assert_eq!((snapshot.event.as_str(), &snapshot.data["id"]), ("snapshot", &json!("t")));
    assert_eq!(snapshot.data["telemetry"]["n"]["value"], 77, "a snapshot is the whole twin");
    assert_eq!(reader.next().event, "live");
    for n in 0..5 {
        device.say("devices/t/telemetry", format!(r#"{{"n": {n}}}"#));
    }
    let seen: Vec<_> = (0..5).map(|_| reader.find(|e| !e.data["data"]["telemetry"].is_null())).collect();
    for (n, event) in seen.iter().enumerate() {
        assert_eq!((&event.data["twin"], &event.data["data"]["telemetry"]["n"]["value"]), (&json!("t"), &json!(n)));
        assert!(!event.id.is_empty());
    }
}

#[test]
fn a_reader_sees_only_what_is_under_its_twin() {
    let server = Server::start();
    campus::build(&server);
    for (id, room) in [("d1", "room-1"), ("d2", "room-2")] {
        server.device_in(id, room);
    }
    let mut reader = following(&server, "under=room-1");
    server.api().patch("/twins/d2", json!({"desired": {"a": 1}})).expect(200);
    server.api().patch("/twins/d1", json!({"desired": {"a": 2}})).expect(200);
    let event = reader.find(|e| !e.data["data"]["desired"].is_null());
    assert_eq!(event.data["twin"], "d1");
}

#[test]
fn kinds_are_chosen() {
    let server = Server::start();
    let mut device = server.connected("t");
    let mut reader = following(&server, "under=t&kinds=event,command");
    device.say("devices/t/telemetry", r#"{"a": 1}"#);
    device.say("devices/t/events/bell", r#"{"rung": 1}"#);
    server.api().post("/twins/t/commands", json!({"name": "open", "ttl": 60})).expect(202);
    let kinds: Vec<_> = (0..2).map(|_| reader.next().data["kind"].clone()).collect();
    assert_eq!(kinds, ["event", "command"]);
}

#[test]
fn a_reader_that_comes_back_misses_nothing_and_sees_nothing_twice() {
    let server = Server::start();
    let mut device = server.connected("t");
    let mut reader = following(&server, "under=t&kinds=state");
    device.say("devices/t/telemetry", r#"{"n": 0}"#);
    let last = reader.find(|e| e.data["data"]["telemetry"]["n"]["value"] == 0).id;
    drop(reader);
    for n in 1..=5 {
        device.say("devices/t/telemetry", format!(r#"{{"n": {n}}}"#));
    }
    let mut reader = live(&server, "under=t&kinds=state", Some(&last));
    for n in 1..=5 {
        let event = reader.next();
        assert_ne!(event.event, "reset");
        assert_eq!(event.data["data"]["telemetry"]["n"]["value"], n);
    }
}

#[test]
fn a_reader_that_cannot_resume_is_told_to_start_over() {
    let server = Server::start();
    let mut device = server.connected("t");
    let mut reader = following(&server, "under=t");
    device.say("devices/t/telemetry", r#"{"n": 0}"#);
    let last = reader.find(|e| !e.data["data"]["telemetry"].is_null()).id;
    let server = server.restart();
    for resume in [last.as_str(), "nonsense"] {
        assert_eq!(live(&server, "under=t", Some(resume)).next().event, "reset", "{resume}");
    }
}

#[test]
fn what_was_refused_is_not_shown() {
    let server = Server::start();
    let mut device = server.connected("t");
    let mut reader = following(&server, "under=t&kinds=state");
    device.publish("devices/t/telemetry", r#"[{"n": 1}, {"at": "never", "values": {"n": 2}}]"#);
    device.say("devices/t/telemetry", r#"{"n": 3}"#);
    let event = reader.find(|e| !e.data["data"]["telemetry"].is_null());
    assert_eq!(event.data["data"]["telemetry"]["n"]["value"], 3);
}

#[test]
fn roll_ups_are_part_of_the_live_state() {
    let server = Server::start();
    campus::build(&server);
    let key = server.device_in("t", "room-1");
    let mut reader = following(&server, "under=site&kinds=state");
    let mut device = crate::support::Connect::v5("t", &key).open(server.mqtt);
    device.say("devices/t/telemetry", r#"{"temperature": 21}"#);
    let event = reader.find(|e| e.data["twin"] == "site" && e.data["data"]["rollups"]["values"]["temperature"]["last"] == 21.0);
    assert_eq!(event.data["seq"], 0, "a roll-up is no event of the site");
}

#[test]
fn bad_questions_of_the_live_stream_are_refused() {
    let server = Server::start();
    server.api().get("/live?under=nobody").problem(404);
    server.api().get("/live?kinds=gossip").problem(400);
    server.api().get("/live?colour=red").problem(400);
}
