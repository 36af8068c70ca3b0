//! Models in the language of digital twins: put, read, held against what is said, and what RealEstateCore is as a campus.

use std::{fs, path::PathBuf};

use crate::support::{Api, Client, Connect, Server, Value, json, server::twinfold, skip, until};

const FAN: &str = "/models/dtmi:example:Fan;1";

fn fan(version: u32) -> Value {
    json!({
        "@context": "dtmi:dtdl:context;3", "@id": format!("dtmi:example:Fan;{version}"), "@type": "Interface",
        "extends": "dtmi:twinfold:Device;1",
        "contents": [
            {"@type": "Telemetry", "name": "speed", "schema": "integer"},
            {"@type": "Property", "name": "target", "schema": "integer", "writable": true},
            {"@type": "Property", "name": "serial", "schema": "string"},
            {"@type": "Command", "name": "spin", "request": {"name": "rounds", "schema": "integer"},
             "response": {"name": "done", "schema": "integer"}},
        ],
    })
}

fn put(api: &Api, path: &str, body: &Value) -> crate::support::api::Answer {
    api.call("PUT", path, &[], Some(body.to_string()))
}

#[test]
fn a_model_is_put_once_listed_read_and_deleted() {
    let server = Server::start();
    let api = server.api();
    let made = put(&api, FAN, &fan(1));
    assert_eq!(made.expect(201), json!({"new": 1, "known": 0}));
    assert_eq!(made.header("location"), Some("/api/v1/models/dtmi:example:Fan;1"));
    assert_eq!(put(&api, FAN, &fan(1)).expect(200), json!({"new": 0, "known": 1}));
    put(&api, "/models/dtmi:example:Fan;2", &fan(2)).expect(201);
    let mut other = fan(1);
    other["displayName"] = "Another fan".into();
    assert_eq!(put(&api, FAN, &other).problem(409)["type"], "urn:twinfold:problem:model-differs");

    let server = server.restart();
    let api = server.api();
    assert_eq!(api.get(FAN).expect(200), fan(1));
    let listed = api.all("/models?limit=3");
    let fans: Vec<&Value> = listed.iter().filter(|m| m["id"].as_str().unwrap().starts_with("dtmi:example:Fan;")).collect();
    assert_eq!(fans.len(), 2, "versions stand side by side: {listed:?}");
    assert_eq!((&fans[0]["extends"], &fans[0]["is_built_in"]), (&json!(["dtmi:twinfold:Device;1"]), &json!(false)));
    assert!(listed.iter().any(|m| m["id"] == "dtmi:twinfold:Room;1" && m["is_place"] == true && m["is_built_in"] == true));
    assert_eq!(api.get("/models/Thermostat").expect(200)["@id"], "dtmi:twinfold:Thermostat;1");
    assert_eq!(api.delete(FAN).status, 204);
    api.get(FAN).problem(404);
    api.delete(FAN).problem(404);
}

#[test]
fn a_model_that_something_needs_stays() {
    let server = Server::start();
    let api = server.api();
    put(&api, FAN, &fan(1)).expect(201);
    let special =
        json!({"@context": "dtmi:dtdl:context;3", "@id": "dtmi:example:Special;1", "@type": "Interface", "extends": "dtmi:example:Fan;1"});
    put(&api, "/models/dtmi:example:Special;1", &special).expect(201);
    let problem = api.delete(FAN).problem(409);
    assert!(problem["by"].as_str().unwrap().contains("dtmi:example:Special;1"), "{problem}");
    assert_eq!(api.delete("/models/dtmi:example:Special;1").status, 204);
    server.twin(json!({"id": "f", "model": "dtmi:example:Fan;1"}));
    let problem = api.delete(FAN).problem(409);
    assert!(problem["by"].as_str().unwrap().contains('f'), "{problem}");
    assert_eq!(api.delete("/models/Device").problem(409)["type"], "urn:twinfold:problem:model-in-use");
    api.delete("/twins/f");
    assert_eq!(api.delete(FAN).status, 204);
}

#[test]
fn a_model_that_breaks_a_rule_is_refused_with_element_and_rule() {
    let server = Server::start();
    let api = server.api();
    let mut wrong = fan(1);
    wrong["contents"][0]["schema"] = "number".into();
    let problem = put(&api, FAN, &wrong).problem(422);
    assert_eq!(problem["type"], "urn:twinfold:problem:invalid-model");
    assert_eq!(problem["element"], "dtmi:example:Fan;1/contents/speed/schema");
    assert!(problem["rule"].as_str().unwrap().contains("number"), "{problem}");
    let problem = put(&api, "/models/dtmi:example:Other;1", &fan(1)).problem(400);
    assert!(problem["detail"].as_str().unwrap().contains("dtmi:example:Other;1"), "{problem}");
    put(&api, FAN, &json!([fan(1), fan(1)])).problem(422);
    let viewer =
        Api::new(server.http, api.post("/principals", json!({"name": "v", "role": "viewer"})).expect(201)["key"].as_str().unwrap());
    put(&viewer, FAN, &fan(1)).problem(403);
    viewer.get("/models/Room").expect(200);
    server.place("site", "Site", None);
    let key = api.post("/principals", json!({"name": "a", "role": "admin", "scope": "site"})).expect(201)["key"].clone();
    put(&Api::new(server.http, key.as_str().unwrap()), FAN, &fan(1)).problem(403);
}

#[test]
fn strict_validation_refuses_what_does_not_fit_and_names_the_field() {
    let server = Server::with(&[("MODELS__VALIDATION", "strict")]);
    let api = server.api();
    put(&api, FAN, &fan(1)).expect(201);
    let key = server.twin(json!({"id": "f", "model": "dtmi:example:Fan;1"}));
    let mut device = Connect::v5("f", &key).open(server.mqtt);
    device.say("devices/f/telemetry", r#"{"speed": 900}"#);
    for (topic, payload, field) in [
        ("devices/f/telemetry", r#"{"speed": "fast"}"#, "/speed"),
        ("devices/f/telemetry", r#"{"sped": 900}"#, "/sped"),
        ("devices/f/reported", r#"{"serial": 7}"#, "/serial"),
    ] {
        let (code, reason) = device.publish(topic, payload);
        assert_eq!(code, 0x99, "{payload}");
        assert!(reason.contains(field), "{payload}: {reason}");
    }
    let twin = api.twin("f");
    assert_eq!(twin["telemetry"]["speed"]["value"], 900);
    let rejected = twin["diagnostics"]["rejected"].as_array().unwrap();
    assert_eq!(rejected.len(), 3);
    assert!(rejected[0]["reason"].as_str().unwrap().contains("/speed"), "{rejected:?}");

    assert_eq!(api.patch("/twins/f", json!({"desired": {"target": "fast"}})).problem(422)["pointer"], "/desired/target");
    assert_eq!(api.patch("/twins/f", json!({"desired": {"serial": "x"}})).problem(422)["pointer"], "/desired/serial");
    api.patch("/twins/f", json!({"desired": {"target": 900}})).expect(200);
    let send = |name: &str, payload: Value| api.post("/twins/f/commands", json!({"name": name, "payload": payload}));
    assert_eq!(send("spin", json!("often")).problem(422)["pointer"], "/payload");
    assert_eq!(send("fly", json!(1)).problem(422)["pointer"], "/name");
    send("spin", json!(3)).expect(202);
}

#[test]
fn strict_validation_holds_events_diagnostics_and_answers_against_the_model() {
    let server = Server::with(&[("MODELS__VALIDATION", "strict")]);
    let api = server.api();
    put(&api, FAN, &fan(1)).expect(201);
    let key = server.twin(json!({"id": "f", "model": "dtmi:example:Fan;1"}));
    let mut device = Connect::v5("f", &key).open(server.mqtt);
    for (topic, payload, field) in
        [("devices/f/events/speed", r#""fast""#, "must be"), ("devices/f/diagnostics", r#"{"uptime": 1, "speed": "fast"}"#, "/speed")]
    {
        let (code, reason) = device.publish(topic, payload);
        assert_eq!(code, 0x99, "{payload}");
        assert!(reason.contains(field), "{payload}: {reason}");
    }
    device.say("devices/f/events/alarm", r#"{"name": "hot"}"#);
    device.say("devices/f/diagnostics", r#"{"uptime": 1, "speed": 900}"#);

    let id = api.post("/twins/f/commands", json!({"name": "spin", "payload": 3})).expect(202)["id"].as_str().unwrap().to_owned();
    let answer = |device: &mut Client, payload: &str| device.publish(&format!("devices/f/results/{id}"), payload);
    let (code, reason) = answer(&mut device, r#"{"status": 200, "payload": "three"}"#);
    assert!((code, reason.contains("/payload")) == (0x99, true), "{code:#x} {reason}");
    let state = || api.get(&format!("/twins/f/commands/{id}")).expect(200)["state"].clone();
    assert!(state() == "queued" || state() == "delivered", "it has not ended by that");
    assert_eq!(answer(&mut device, r#"{"status": 200, "payload": 3}"#).0, 0);
    assert_eq!(state(), "completed");
    let rejected = api.twin("f")["diagnostics"]["rejected"].as_array().unwrap().clone();
    assert_eq!(rejected.len(), 3, "each is kept for whoever mends the device: {rejected:?}");
}

#[test]
fn without_strictness_what_does_not_fit_is_counted_and_taken() {
    let server = Server::start();
    let api = server.api();
    put(&api, FAN, &fan(1)).expect(201);
    let key = server.twin(json!({"id": "f", "model": "dtmi:example:Fan;1"}));
    let mut device = Connect::v5("f", &key).open(server.mqtt);
    device.say("devices/f/telemetry", r#"{"speed": "fast", "wobble": 1}"#);
    assert_eq!(api.twin("f")["telemetry"]["speed"]["value"], "fast");
    let metrics = api.get("//metrics").text;
    assert!(metrics.lines().any(|line| line == "twinfold_misfits_total 1"), "{metrics}");
}

#[test]
fn a_device_without_a_model_of_its_own_says_what_it_likes_even_strictly() {
    let server = Server::with(&[("MODELS__VALIDATION", "strict")]);
    let mut device = server.connected("d");
    device.say("devices/d/telemetry", r#"{"anything": [1, {"at": "all"}]}"#);
    let key = server.twin(json!({"id": "u", "model": "dtmi:nobody:knows;7"}));
    Connect::v5("u", &key).open(server.mqtt).say("devices/u/telemetry", r#"{"x": 1}"#);
    assert_eq!(server.api().twin("u")["telemetry"]["x"]["value"], 1);
}

#[test]
fn a_twin_moves_to_another_version_when_it_is_told_to() {
    let server = Server::with(&[("MODELS__VALIDATION", "strict")]);
    let api = server.api();
    put(&api, FAN, &fan(1)).expect(201);
    let mut newer = fan(2);
    newer["contents"].as_array_mut().unwrap().push(json!({"@type": "Telemetry", "name": "wobble", "schema": "double"}));
    put(&api, "/models/dtmi:example:Fan;2", &newer).expect(201);
    let key = server.twin(json!({"id": "f", "model": "dtmi:example:Fan;1"}));
    let mut device = Connect::v5("f", &key).open(server.mqtt);
    let wobble = |device: &mut Client| device.publish("devices/f/telemetry", r#"{"wobble": 0.5}"#).0;
    assert_eq!(wobble(&mut device), 0x99);
    assert_eq!(api.patch("/twins/f", json!({"model": "dtmi:example:Fan;3"})).problem(422)["type"], "urn:twinfold:problem:unknown-model");
    let before = api.twin("f")["version"].as_u64().unwrap();
    let moved = api.patch("/twins/f", json!({"model": "dtmi:example:Fan;2"})).expect(200);
    assert_eq!((moved["model"].as_str(), moved["version"].as_u64()), (Some("dtmi:example:Fan;2"), Some(before + 1)));
    assert_eq!(wobble(&mut device), 0);
    assert_eq!(api.all("/twins?model=dtmi:example:Fan;2").len(), 1);
    assert_eq!(api.delete(FAN).status, 204, "nobody is of the former version any more");
    let logged = api.all("/twins/f/events?stream=registry");
    assert!(logged.iter().any(|e| e["kind"] == "model_set" && e["data"]["model"] == "dtmi:example:Fan;2"), "{logged:?}");
    drop(device);

    let server = server.restart_after_kill_9();
    assert_eq!(server.api().twin("f")["model"], "dtmi:example:Fan;2");
    assert_eq!(wobble(&mut Connect::v5("f", &key).open(server.mqtt)), 0);
}

fn ontology() -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/rec.dtdlv2.jsonld");
    fs::read_to_string(path).ok()
}

#[test]
fn real_estate_core_is_a_campus_with_roll_ups() {
    let Some(text) = ontology() else {
        return skip("models", "../shared/data/rec.dtdlv2.jsonld is missing");
    };
    let server = Server::start();
    let api = server.api();
    let rec = |name: &str| format!("dtmi:org:w3id:rec:{name};1");
    let answer = api.call("PUT", &format!("/models/{}", rec("Site")), &[], Some(text));
    assert_eq!(answer.expect(201)["new"], 1_364);
    for (id, model, parent) in [
        ("campus", "Site", None),
        ("house", "Building", Some("campus")),
        ("first", "Level", Some("house")),
        ("r1", "Room", Some("first")),
        ("r2", "Room", Some("first")),
    ] {
        server.place(id, &rec(model), parent);
    }
    let sensor = "dtmi:org:brickschema:schema:Brick:Zone_Air_Temperature_Sensor;1";
    let keys = ["r1", "r2"].map(|room| server.twin(json!({"id": format!("t-{room}"), "model": sensor, "parent": room})));
    for (room, key, value) in [("r1", &keys[0], 20.0), ("r2", &keys[1], 24.0)] {
        let mut device = Connect::v5(&format!("t-{room}"), key).open(server.mqtt);
        device.say(&format!("devices/t-{room}/telemetry"), format!(r#"{{"temperature": {value}}}"#));
        device.say(&format!("devices/t-{room}/reported"), r#"{"hasQuantity": "Temperature"}"#);
    }
    let fold = |api: &Api, id: &str| api.twin(id)["rollups"].clone();
    for place in ["first", "house", "campus"] {
        until(&format!("{place} has both"), || fold(&api, place)["values"]["temperature"]["count"] == 2);
        assert_eq!(fold(&api, place)["values"]["temperature"]["avg"], 22.0, "{place}");
        assert_eq!(fold(&api, place)["count"], 2, "places of the ontology are no devices: {place}");
    }
    assert_eq!(api.all(&format!("/twins?model={}", rec("Room"))).len(), 2);

    let server = server.restart_after_kill_9();
    let api = server.api();
    until("the campus has both again", || fold(&api, "campus")["values"]["temperature"]["avg"] == 22.0);
    assert_eq!(fold(&api, "campus")["count"], 2);
    assert_eq!(api.get(&format!("/models/{}", rec("Room"))).expect(200)["displayName"]["en"], "Room");
}

#[test]
fn model_check_says_a_line_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = write("good.json", &format!("\u{feff}{}", fan(1)));
    let special =
        json!({"@context": "dtmi:dtdl:context;3", "@id": "dtmi:example:Special;1", "@type": "Interface", "extends": "dtmi:example:Fan;1"});
    let special = write("special.json", &special.to_string());
    let mut wrong = fan(2);
    wrong["contents"][1]["writable"] = 1.into();
    let wrong = write("wrong.json", &wrong.to_string());
    let broken = write("broken.json", "{");
    let shapes =
        json!({"@context": ["dtmi:dtdl:context;3", "dtmi:ours:shapes;1"], "@id": "dtmi:example:Round;1", "@type": ["Interface", "Round"]});
    let shapes = write("shapes.json", &shapes.to_string());

    let output = twinfold(&["model", "check", &good, &special], &[]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("valid {good}\nvalid {special}\n"));

    let output = twinfold(&["model", "check", &special, &wrong, &good, &broken, &shapes], &[]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!((lines.len(), lines[0], lines[2]), (5, &*format!("valid {special}"), &*format!("valid {good}")));
    assert!(lines[1].starts_with(&format!("invalid {wrong}: dtmi:example:Fan;2/contents/target/writable: ")), "{said}");
    assert!(lines[3].starts_with(&format!("invalid {broken}: ")) && lines[4].contains("dtmi:ours:shapes;1"), "{said}");
    assert!(output.stderr.is_empty());

    let output = twinfold(&["model", "check", "--undefined-extensions", "allow", &shapes], &[]);
    assert!(output.status.success());
    let output = twinfold(&["model", "check", &special], &[]);
    assert!(String::from_utf8(output.stdout).unwrap().contains("dtmi:example:Fan;1 is not defined"));
    assert_eq!(twinfold(&["model", "check"], &[]).status.code(), Some(2));
}
