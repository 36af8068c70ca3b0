//! `/rules` and `/alerts`: a rule written by an operator, the alert it raises, and what people do with that.

use crate::support::{Api, Server, Value, eventually, json, live::Live, until};

fn hot(more: Value) -> Value {
    let mut rule = json!({
        "id": "hot", "when": "temperature > 30", "clear": "temperature < 28",
        "actions": [{"alert": {"severity": "critical", "text": "{temperature} degrees in {metadata.room}"}}],
    });
    rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    rule
}

fn key(server: &Server, role: &str, scope: Option<&str>) -> Api {
    let body = match scope {
        Some(scope) => json!({"name": role, "role": role, "scope": scope}),
        None => json!({"name": role, "role": role}),
    };
    let key = server.api().post("/principals", body).expect(201)["key"].as_str().unwrap().to_owned();
    Api::new(server.http, &key)
}

#[test]
fn an_operator_writes_a_rule_and_answers_its_alert() {
    let server = Server::start();
    let operator = key(&server, "operator", None);
    server.place("room", "Room", None);
    let secret = server.twin(json!({"id": "t", "model": "Device", "parent": "room", "metadata": {"room": "B 7"}}));
    let mut device = crate::support::Connect::v5("t", &secret).open(server.mqtt);
    let mut live = Live::open(server.http, &server.admin_key(), "under=room&kinds=alert", None);
    let made = operator.post("/rules", hot(json!({"under": "room", "model": "Device"})));
    assert_eq!(made.header("location"), Some("/api/v1/rules/hot"));
    assert_eq!(made.expect(201)["enabled"], true);
    device.say("devices/t/telemetry", r#"{"temperature": 31.25}"#);
    let alert = operator.get("/alerts?under=room&state=raised&severity=critical").expect(200)["items"][0].clone();
    assert_eq!((&alert["name"], &alert["text"], &alert["twin"]), (&json!("hot"), &json!("31.25 degrees in B 7"), &json!("t")));
    assert_eq!(alert["cause"]["source"], "rule:hot");
    let id = alert["id"].as_str().unwrap();
    let cause = alert["cause"]["seq"].as_u64().unwrap();
    let event = server.api().all("/twins/t/events").into_iter().find(|e| e["seq"] == cause).unwrap();
    assert_eq!(event["kind"], "telemetry", "the record that did it");
    assert_eq!(operator.get(&format!("/alerts/{id}")).expect(200), alert);
    until("the room counts it", || server.api().twin("room")["rollups"]["alerts"]["worst"] == "critical");
    let seen = operator.post(&format!("/alerts/{id}/acknowledge"), json!({})).expect(200);
    assert_eq!((&seen["state"], &seen["acknowledged_by"]), (&json!("acknowledged"), &json!("operator")));
    device.say("devices/t/telemetry", r#"{"temperature": 29}"#);
    assert_eq!(operator.get(&format!("/alerts/{id}")).expect(200)["state"], "acknowledged", "not below its clear condition yet");
    device.say("devices/t/telemetry", r#"{"temperature": 27}"#);
    let over = operator.get(&format!("/alerts/{id}")).expect(200);
    assert_eq!((&over["state"], &over["cleared_by"]), (&json!("cleared"), &json!("rule:hot")));
    let states: Vec<Value> = (0..3).map(|_| live.find(|e| e.event == "alert").data["data"]["state"].clone()).collect();
    assert_eq!(states, ["raised", "acknowledged", "cleared"]);
    let server = server.restart_after_kill_9();
    let found = server.api().get("/alerts?state=cleared").expect(200);
    assert_eq!(found["items"][0]["id"], id);
    assert_eq!(server.api().get("/rules/hot").expect(200)["when"], "temperature > 30");
}

#[test]
fn a_bad_rule_is_told_the_place_in_its_text() {
    let server = Server::start();
    let api = server.api();
    let cases = [
        (json!({"when": "temperature >"}), "/when", 1, 14),
        (json!({"when": "a > 1 &&\n avg(a, 10) > 2"}), "/when", 2, 11),
        (json!({"when": "a > 1", "clear": "foo(a)"}), "/clear", 1, 1),
        (json!({"when": "a > 1", "actions": [{"alert": {"text": "is {a >}"}}]}), "/actions/0/alert/text", 1, 8),
    ];
    for (rule, pointer, line, column) in cases {
        let problem = api.post("/rules", rule.clone()).problem(400);
        assert_eq!(problem["type"], "urn:twinfold:problem:invalid-expression", "{problem}");
        assert_eq!(
            (&problem["pointer"], &problem["line"], &problem["column"]),
            (&json!(pointer), &json!(line), &json!(column)),
            "{rule}: {problem}"
        );
        let test = api.post("/rules/test", json!({"rule": rule, "twin": "t"}));
        assert!(matches!(test.status, 400 | 404), "{}", test.text);
    }
    assert_eq!(api.post("/rules", json!({"when": "a", "id": "x y"})).problem(400)["pointer"], "/id");
    api.post("/rules", hot(json!({}))).expect(201);
    api.post("/rules", hot(json!({}))).problem(409);
    api.get("/rules/none").problem(404);
    api.patch("/rules/none", json!({"enabled": false})).problem(404);
    api.post("/alerts/none/clear", json!({})).problem(404);
    api.get("/alerts?state=open").problem(400);
}

#[test]
fn a_rule_is_changed_listed_and_removed() {
    let server = Server::start();
    let api = server.api();
    for id in ["c", "a", "b"] {
        api.post("/rules", hot(json!({"id": id, "enabled": false}))).expect(201);
    }
    let unnamed = api.post("/rules", json!({"when": "t > 1"})).expect(201);
    assert!(!unnamed["id"].as_str().unwrap().is_empty());
    assert_eq!(unnamed["actions"][0]["alert"], json!({"severity": "warning", "text": "t > 1"}));
    api.delete(&format!("/rules/{}", unnamed["id"].as_str().unwrap())).expect(204);
    let ids: Vec<Value> = api.all("/rules?limit=2").iter().map(|r| r["id"].clone()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    let changed = api.patch("/rules/b", json!({"enabled": true, "clear": null, "when": "t > 2"})).expect(200);
    assert_eq!((&changed["enabled"], changed.get("clear"), &changed["when"]), (&json!(true), None, &json!("t > 2")));
    assert_eq!(api.patch("/rules/b", json!({"when": "t >"})).problem(400)["pointer"], "/when");
    assert_eq!(api.get("/rules/b").expect(200), changed, "all of a patch or nothing");
    api.delete("/rules/b").expect(204);
    api.get("/rules/b").problem(404);
    api.delete("/rules/b").problem(404);
}

#[test]
fn a_rule_is_written_at_the_version_that_is_named() {
    let server = Server::start();
    let api = server.api();
    let made = api.post("/rules", hot(json!({})));
    assert_eq!((made.header("etag"), &made.expect(201)["version"]), (Some("\"1\""), &json!(1)));
    let change = |tag: &str, clear: &str| {
        api.call(
            "PATCH",
            "/rules/hot",
            &[("If-Match", tag), ("Content-Type", "application/json")],
            Some(json!({"clear": clear}).to_string()),
        )
    };
    let changed = change("\"1\"", "temperature < 27");
    assert_eq!((changed.status, changed.header("etag")), (200, Some("\"2\"")));
    let late = change("\"1\"", "temperature < 26").problem(412);
    assert_eq!((&late["type"], &late["version"]), (&json!("urn:twinfold:problem:version-mismatch"), &json!(2)));
    assert_eq!(api.get("/rules/hot").header("etag"), Some("\"2\""));
    assert_eq!(api.get("/rules/hot").expect(200)["clear"], "temperature < 27");
    api.patch("/rules/hot", json!({"enabled": false})).expect(200);
    let delete = |tag: &str| api.call("DELETE", "/rules/hot", &[("If-Match", tag)], None);
    delete("\"2\"").problem(412);
    delete("nonsense").problem(400);
    assert_eq!(delete("\"7\", \"3\"").status, 204);
}

#[test]
fn a_confined_key_writes_rules_and_sees_alerts_of_its_own_part() {
    let server = Server::start();
    for site in ["north", "south"] {
        server.place(site, "Site", None);
        let secret = server.device_in(&format!("{site}-t"), site);
        let api = server.api();
        api.post("/rules", hot(json!({"id": site, "under": site}))).expect(201);
        let mut device = crate::support::Connect::v5(&format!("{site}-t"), &secret).open(server.mqtt);
        device.say(&format!("devices/{site}-t/telemetry"), r#"{"temperature": 40}"#);
    }
    let north = key(&server, "operator", Some("north"));
    // A client that goes without a goodbye leaves a warning behind.
    let twins = |api: &Api| api.all("/alerts?severity=critical").iter().map(|a| a["twin"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(twins(&north), ["north-t"]);
    assert_eq!(twins(&server.api()).len(), 2);
    north.get("/alerts?under=south").problem(404);
    let theirs = server.api().get("/alerts?under=south").expect(200)["items"][0]["id"].as_str().unwrap().to_owned();
    north.get(&format!("/alerts/{theirs}")).problem(404);
    north.post(&format!("/alerts/{theirs}/clear"), json!({})).problem(404);
    assert_eq!(north.all("/rules").len(), 1);
    north.get("/rules/south").problem(404);
    north.post("/rules", hot(json!({"id": "x"}))).problem(403);
    north.post("/rules", hot(json!({"id": "x", "under": "south"}))).problem(400);
    north.post("/rules", hot(json!({"id": "x", "under": "north-t"}))).expect(201);
    let webhook = json!([{"webhook": {"url": "https://example.com/"}}]);
    north.post("/rules", hot(json!({"id": "y", "under": "north", "actions": webhook}))).problem(403);
    let viewer = key(&server, "viewer", None);
    viewer.post("/rules", hot(json!({"id": "z"}))).problem(403);
    let ours = viewer.get("/alerts?under=north").expect(200)["items"][0]["id"].as_str().unwrap().to_owned();
    viewer.post(&format!("/alerts/{ours}/clear"), json!({})).problem(403);
}

#[test]
fn a_secret_is_never_read_back() {
    let server = Server::start();
    let webhook = json!([{"webhook": {"url": "https://example.com/", "secret": "0123456789abcdef"}}]);
    let made = server.api().post("/rules", hot(json!({"actions": webhook})));
    assert_eq!(made.expect(201)["actions"][0], json!({"webhook": {"url": "https://example.com/", "signed": true}}));
    assert!(!made.text.contains("0123456789abcdef") && !server.api().get("/rules").text.contains("0123456789abcdef"));
}

#[test]
fn a_rule_that_is_switched_off_takes_its_alert_along() {
    let server = Server::start();
    let mut device = server.connected("t");
    server.api().post("/rules", hot(json!({}))).expect(201);
    device.say("devices/t/telemetry", r#"{"temperature": 31}"#);
    server.api().patch("/rules/hot", json!({"enabled": false})).expect(200);
    let over = eventually("the alert goes", || server.api().get("/alerts?state=cleared").expect(200)["items"].get(0).cloned());
    assert_eq!(over["cleared_by"], "rule:hot");
    assert_eq!(server.api().twin("t")["alerts"], json!([]));
}
