//! `/twins`: register, read, list, change, remove, and every way it goes wrong.

use crate::{
    campus,
    support::{Connect, Server, Value, json},
};

#[test]
fn a_registration_answers_with_keys_once_and_with_its_place() {
    let server = Server::start();
    campus::build(&server);
    let body = json!({"id": "t", "model": "Device", "parent": "room-1", "metadata": {"serial": "A-1"}});
    let answer = server.api().post("/twins", body);
    let twin = answer.expect(201);
    assert_eq!(answer.header("location"), Some("/api/v1/twins/t"));
    for slot in ["primary", "secondary"] {
        assert!(twin["keys"][slot].as_str().is_some_and(|key| key.len() >= 32), "{twin}");
    }
    let read = server.api().twin("t");
    assert_eq!(read.get("keys"), None, "keys are shown once");
    assert_eq!((&read["id"], &read["parent"], &read["path"]), (&json!("t"), &json!("room-1"), &json!("site/floor/room-1/t")));
    assert_eq!((&read["model"], &read["metadata"]), (&json!("dtmi:twinfold:Device;1"), &json!({"serial": "A-1"})));
    assert_eq!((&read["status"], &read["connection"]["state"]), (&json!("active"), &json!("never")));
}

#[test]
fn a_twin_has_every_part_the_contract_names() {
    let server = Server::start();
    server.device("t");
    let twin = server.api().twin("t");
    let parts = [
        "id",
        "model",
        "parent",
        "path",
        "status",
        "version",
        "connection",
        "reported",
        "telemetry",
        "desired",
        "metadata",
        "rollups",
        "alerts",
        "supervision",
    ];
    for part in parts {
        assert!(twin.get(part).is_some(), "{part} is missing: {twin}");
    }
}

#[test]
fn an_id_is_given_when_none_is() {
    let server = Server::start();
    let ids: Vec<Value> = (0..2).map(|_| server.api().post("/twins", json!({"model": "Device"})).expect(201)["id"].clone()).collect();
    assert!(ids[0].as_str().is_some_and(|id| !id.is_empty()) && ids[0] != ids[1], "{ids:?}");
}

#[test]
fn a_model_may_be_any_dtmi() {
    let server = Server::start();
    let twin = server.api().post("/twins", json!({"id": "t", "model": "dtmi:example:Thermostat;1"})).expect(201);
    assert_eq!(twin["model"], "dtmi:example:Thermostat;1");
}

#[test]
fn a_bad_registration_is_told_where_it_is_bad() {
    let server = Server::start();
    let cases = [
        (json!({}), "/model"),
        (json!({"id": "a b", "model": "Device"}), "/id"),
        (json!({"id": "x".repeat(129), "model": "Device"}), "/id"),
        (json!({"id": 7, "model": "Device"}), "/id"),
        (json!({"id": "t", "model": "Nothing"}), "/model"),
        (json!({"id": "t", "model": "dtmi:bad id;1"}), "/model"),
        (json!({"id": "t", "model": "Device", "metadata": []}), "/metadata"),
        (json!({"id": "t", "model": "Device", "keys": 1}), "/keys"),
        (json!({"id": "t", "model": "Device", "keys": {"primary": 1}}), "/keys/primary"),
        (json!({"id": "t", "model": "Device", "colour": "red"}), "/colour"),
    ];
    for (body, pointer) in cases {
        let problem = server.api().post("/twins", body.clone()).problem(400);
        assert_eq!(problem["pointer"], pointer, "{body}: {problem}");
    }
    server.api().call("POST", "/twins", &[], Some("{".into())).problem(400);
    server.api().call("POST", "/twins", &[], Some("[]".into())).problem(400);
    server.api().call("POST", "/twins", &[("content-type", "text/plain")], Some("{}".into())).problem(415);
    server.api().post("/twins", json!({"id": "t", "model": "Device", "parent": "nowhere"})).problem(422);
    server.api().post("/twins", json!({"id": "t", "model": "Device", "gateway": "nobody"})).problem(422);
    server.api().get("/twins/t").problem(404);
}

#[test]
fn an_id_is_taken_once() {
    let server = Server::start();
    let key = server.device("t");
    let problem = server.api().post("/twins", json!({"id": "t", "model": "Room"})).problem(409);
    assert!(problem["detail"].as_str().unwrap().contains('t'));
    Connect::v5("t", &key).open(server.mqtt).goodbye();
}

#[test]
fn a_repeated_registration_with_an_idempotency_key_answers_the_same() {
    let server = Server::start();
    let body = json!({"model": "Device"}).to_string();
    let post = || server.api().call("POST", "/twins", &[("idempotency-key", "abc")], Some(body.clone())).expect(201);
    let (first, second) = (post(), post());
    assert_eq!(first["id"], second["id"]);
    assert_eq!(server.api().all("/twins").len(), 1);
}

#[test]
fn lists_narrow_by_model_parent_and_subtree() {
    let server = Server::start();
    campus::build(&server);
    server.device_in("d1", "room-1");
    server.device_in("d2", "room-2");
    let ids = |query: &str| {
        let items = server.api().all(&format!("/twins{query}"));
        let mut ids: Vec<String> = items.iter().map(|t| t["id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(""), ["d1", "d2", "floor", "room-1", "room-2", "site"]);
    assert_eq!(ids("?model=Room"), ["room-1", "room-2"]);
    assert_eq!(ids("?model=dtmi:twinfold:Device;1"), ["d1", "d2"]);
    assert_eq!(ids("?parent=floor"), ["room-1", "room-2"]);
    assert_eq!(ids("?under=floor"), ["d1", "d2", "room-1", "room-2"]);
    assert_eq!(ids("?under=site&model=Device"), ["d1", "d2"]);
    assert!(ids("?under=room-1&model=Room").is_empty());
}

#[test]
fn lists_are_paged_by_a_cursor() {
    let server = Server::start();
    for n in 0..25 {
        server.device(&format!("d-{n:02}"));
    }
    let first = server.api().get("/twins?limit=10").expect(200);
    assert_eq!(first["items"].as_array().unwrap().len(), 10);
    assert!(first["cursor"].is_string());
    let all = server.api().all("/twins?limit=10");
    let ids: std::collections::BTreeSet<&str> = all.iter().map(|t| t["id"].as_str().unwrap()).collect();
    assert_eq!((all.len(), ids.len()), (25, 25));
    assert_eq!(server.api().get("/twins?limit=1000").expect(200).get("cursor"), None, "no cursor on the last page");
    for query in ["limit=0", "limit=1001", "limit=x", "cursor=nonsense", "colour=red"] {
        server.api().get(&format!("/twins?{query}")).problem(400);
    }
}

#[test]
fn a_patch_merges_metadata_and_desired_and_replaces_tags() {
    let server = Server::start();
    server.twin(json!({"id": "t", "model": "Device", "metadata": {"a": 1, "b": {"c": 1, "d": 2}}}));
    let patch = json!({"metadata": {"a": null, "b": {"d": 3}}, "desired": {"setpoint": 21}, "tags": ["roof", "old"]});
    let twin = server.api().patch("/twins/t", patch).expect(200);
    assert_eq!(twin["metadata"], json!({"b": {"c": 1, "d": 3}}));
    assert_eq!(twin["desired"]["setpoint"], 21);
    assert_eq!(twin["tags"], json!(["roof", "old"]));
    assert_eq!(server.api().twin("t")["metadata"], twin["metadata"]);
}

#[test]
fn a_patch_that_is_bad_in_one_part_changes_nothing() {
    let server = Server::start();
    server.device("t");
    let before = server.api().twin("t");
    for patch in
        [json!({"metadata": {"a": 1}, "desired": 7}), json!({"metadata": {"a": 1}, "id": "u"}), json!({"metadata": {"a": 1}, "parent": 5})]
    {
        server.api().patch("/twins/t", patch.clone()).problem(400);
        assert_eq!(server.api().twin("t"), before, "{patch}");
    }
    server.api().patch("/twins/t", json!({"metadata": {"a": 1}, "parent": "nowhere"})).problem(422);
    assert_eq!(server.api().twin("t"), before);
}

#[test]
fn a_write_with_an_old_tag_is_refused() {
    let server = Server::start();
    server.device("t");
    let tag = |answer: crate::support::api::Answer| answer.header("etag").expect("an ETag").to_owned();
    let old = tag(server.api().get("/twins/t"));
    let patch =
        |tag: &str, n: i32| server.api().call("PATCH", "/twins/t", &[("if-match", tag)], Some(json!({"metadata": {"n": n}}).to_string()));
    patch(&old, 1).expect(200);
    patch(&old, 2).problem(412);
    assert_eq!(server.api().twin("t")["metadata"]["n"], 1);
    patch(&tag(server.api().get("/twins/t")), 3).expect(200);
    patch("*", 4).expect(200);
    patch("nonsense", 5).problem(400);
    server.api().call("DELETE", "/twins/t", &[("if-match", &old)], None).problem(412);
}

#[test]
fn telemetry_does_not_spoil_a_writers_tag() {
    let server = Server::start();
    let mut device = server.connected("t");
    let tag = server.api().get("/twins/t").header("etag").unwrap().to_owned();
    device.say("devices/t/telemetry", r#"{"a": 1}"#);
    server.api().call("PATCH", "/twins/t", &[("if-match", &tag)], Some(r#"{"metadata": {"n": 1}}"#.into())).expect(200);
}

#[test]
fn a_reader_that_knows_the_newest_state_is_told_so() {
    let server = Server::start();
    let mut device = server.connected("t");
    let tag = server.api().get("/twins/t").header("etag").unwrap().to_owned();
    assert_eq!(server.api().call("GET", "/twins/t", &[("if-none-match", &tag)], None).status, 304);
    device.say("devices/t/telemetry", r#"{"a": 1}"#);
    assert_eq!(server.api().call("GET", "/twins/t", &[("if-none-match", &tag)], None).status, 200);
}

#[test]
fn a_twin_moves_with_everything_below_it() {
    let server = Server::start();
    campus::build(&server);
    server.device_in("t", "room-1");
    server.place("other-floor", "Floor", Some("site"));
    server.api().patch("/twins/room-1", json!({"parent": "other-floor"})).expect(200);
    assert_eq!(server.api().twin("t")["path"], "site/other-floor/room-1/t");
    server.api().patch("/twins/other-floor", json!({"parent": "t"})).problem(409);
    server.api().patch("/twins/room-1", json!({"parent": null})).expect(200);
    assert_eq!(server.api().twin("t")["path"], "room-1/t");
}

#[test]
fn a_tree_has_a_deepest_level() {
    let server = Server::start();
    server.place("l0", "Site", None);
    for n in 1..16 {
        server.place(&format!("l{n}"), "Floor", Some(&format!("l{}", n - 1)));
    }
    server.api().post("/twins", json!({"id": "l16", "model": "Floor", "parent": "l15"})).problem(409);
}

#[test]
fn a_twin_with_children_is_removed_only_on_request() {
    let server = Server::start();
    campus::build(&server);
    server.device_in("t", "room-1");
    server.api().delete("/twins/floor").problem(409);
    assert_eq!(server.api().delete("/twins/floor?recursive=true").status, 204);
    for id in ["floor", "room-1", "t"] {
        server.api().get(&format!("/twins/{id}")).problem(404);
    }
    assert_eq!(server.api().all("/twins").len(), 1);
    server.api().delete("/twins/floor").problem(404);
}

#[test]
fn an_id_that_was_removed_starts_anew() {
    let server = Server::start();
    let mut device = server.connected("t");
    device.say("devices/t/telemetry", r#"{"a": 1}"#);
    server.api().delete("/twins/t");
    let key = server.device("t");
    assert_eq!(server.api().twin("t")["telemetry"], json!({}));
    assert_eq!(server.api().all("/twins/t/history?name=a").len(), 0);
    let mut device = Connect::v5("t", &key).open(server.mqtt);
    device.say("devices/t/telemetry", r#"{"a": 2}"#);
    let server = server.restart_after_kill_9();
    assert_eq!(server.api().twin("t")["telemetry"]["a"]["value"], 2);
    assert_eq!(server.api().all("/twins/t/history?name=a").len(), 1);
}

#[test]
fn old_keys_of_a_removed_device_open_nothing() {
    let server = Server::start();
    let key = server.device("t");
    server.api().delete("/twins/t");
    let new = server.device("t");
    assert_ne!(key, new);
    assert!(matches!(Connect::v5("t", &key).refusal(server.mqtt), 0x86 | 0x87));
}

#[test]
fn a_tree_shows_what_is_below_to_a_depth() {
    let server = Server::start();
    campus::build(&server);
    server.device_in("t", "room-1");
    let tree = server.api().get("/twins/site/tree").expect(200).to_string();
    for id in ["site", "floor", "room-1", "room-2", "\"t\""] {
        assert!(tree.contains(id), "{id}");
    }
    let shallow = server.api().get("/twins/site/tree?depth=1").expect(200).to_string();
    assert!(shallow.contains("floor") && !shallow.contains("room-2"), "{shallow}");
    assert!(shallow.contains("rollups"));
    server.api().get("/twins/nowhere/tree").problem(404);
    server.api().get("/twins/site/tree?depth=x").problem(400);
}
