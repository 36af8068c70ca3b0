//! Clients nobody here made: mosquitto's tools and paho.

use std::process::{Output, Stdio};

use crate::support::{
    Api, Server, Value, eventually, json,
    server::free_address,
    skip,
    stock::{PahoDevice, mosquitto, publish_lines},
    until,
};

/// The command, or a skip of this test.
macro_rules! or_skip {
    ($test:literal, $what:expr, $why:literal) => {
        match $what {
            Some(found) => found,
            None => return skip($test, $why),
        }
    };
}

fn succeeded(output: &Output) {
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn mosquitto_pub_is_understood_in_both_versions_and_at_every_qos() {
    let server = Server::start();
    let key = server.device("t");
    let mut sent = 0;
    for version in ["mqttv311", "mqttv5"] {
        for qos in ["0", "1", "2"] {
            sent += 1;
            let message = json!({"at": 1_700_000_000_000u64 + sent, "values": {"n": sent}}).to_string();
            let more = ["-V", version, "-q", qos, "-t", "devices/t/telemetry", "-m", &message];
            let mut command =
                or_skip!("mosquitto_pub_every_qos", mosquitto("mosquitto_pub", &server, "t", &key, &more), "mosquitto_pub is missing");
            succeeded(&command.output().unwrap());
            eventually("the record arrives", || (server.api().all("/twins/t/history?name=n").len() as u64 == sent).then_some(()));
        }
    }
}

#[test]
fn mosquitto_pub_sends_a_thousand_lines_in_order() {
    let server = Server::start();
    let key = server.device("t");
    let more = ["-V", "mqttv5", "-q", "1", "-t", "devices/t/telemetry"];
    let command = or_skip!("mosquitto_pub_lines", mosquitto("mosquitto_pub", &server, "t", &key, &more), "mosquitto_pub is missing");
    succeeded(&publish_lines(command, (0..1000).map(|n| json!({"at": 1_700_000_000_000u64 + n, "values": {"n": n}}).to_string())));
    let history = server.api().all("/twins/t/history?name=n&limit=1000");
    assert!(history.iter().enumerate().all(|(n, item)| item["value"] == n) && history.len() == 1000);
}

#[test]
fn mosquitto_sub_receives_a_command() {
    let server = Server::start();
    let key = server.device("t");
    let queued = server.api().post("/twins/t/commands", json!({"name": "open", "payload": {"by": 3}, "ttl": 60})).expect(202);
    for version in ["mqttv311", "mqttv5"] {
        let more = ["-V", version, "-q", "1", "-t", "devices/t/commands/#", "-C", "1", "-W", "20", "-v"];
        let mut command = or_skip!("mosquitto_sub", mosquitto("mosquitto_sub", &server, "t", &key, &more), "mosquitto_sub is missing");
        let output = command.stdout(Stdio::piped()).output().unwrap();
        succeeded(&output);
        let line = String::from_utf8(output.stdout).unwrap();
        assert_eq!(line.trim(), format!("devices/t/commands/open/{} {{\"by\":3}}", queued["id"].as_str().unwrap()));
    }
}

#[test]
fn mosquitto_is_told_why_it_may_not_come_in() {
    let server = Server::start();
    server.device("t");
    for version in ["mqttv311", "mqttv5"] {
        let more = ["-V", version, "-q", "1", "-t", "devices/t/telemetry", "-m", "{}"];
        let mut command =
            or_skip!("mosquitto_refused", mosquitto("mosquitto_pub", &server, "t", "wrong", &more), "mosquitto_pub is missing");
        let output = command.output().unwrap();
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr).to_lowercase();
        assert!(said.contains("not authori") || said.contains("bad user name"), "{said}");
    }
}

#[test]
fn a_paho_device_lives_its_whole_life() {
    for version in ["3.1.1", "5"] {
        let server = Server::start();
        let key = server.device("t");
        let mut device = or_skip!("paho", PahoDevice::start(&server, "t", &key, version), "paho-mqtt is missing; ./test installs it");
        assert_eq!(device.hear("connected")["code"], 0);
        for topic in ["commands/#", "desired", "twin"] {
            device.order(json!({"do": "subscribe", "topic": format!("devices/t/{topic}")}));
            assert_eq!(device.hear("subscribed")["codes"], json!([1]));
        }
        assert!(device.message("devices/t/desired")["$version"].is_u64());

        for qos in [0, 1, 2] {
            device.order(json!({"do": "publish", "topic": "devices/t/telemetry", "qos": qos, "payload": format!("{{\"q{qos}\": 1}}")}));
            device.hear("acknowledged");
        }
        device.order(json!({"do": "publish", "topic": "devices/t/reported", "payload": r#"{"firmware": "2"}"#}));
        device.hear("acknowledged");
        device.order(json!({"do": "publish", "topic": "devices/t/get", "payload": ""}));
        let twin = device.message("devices/t/twin");
        assert_eq!((&twin["reported"]["firmware"]["value"], &twin["telemetry"]["q1"]["value"]), (&json!("2"), &json!(1)));

        device.order(json!({"do": "answer", "with": {"status": 200, "payload": "done"}}));
        let answer = server.api().post("/twins/t/commands", json!({"name": "open", "ttl": 30, "wait": 20})).expect(200);
        assert_eq!(answer["result"]["payload"], "done");
        device.order(json!({"do": "leave"}));
        device.hear("disconnected");
        eventually("it left", || (server.api().twin("t")["connection"]["reason"] == "goodbye").then_some(()));
    }
}

const VERSIONS: [&str; 2] = ["3.1.1", "5"];

/// A gateway, signed in with paho, and `child`, which is reached through it.
fn paho_gateway(version: &str) -> Option<(Server, PahoDevice)> {
    let server = Server::start();
    let key = server.twin(json!({"id": "g", "model": "Gateway"}));
    server.twin(json!({"id": "child", "model": "Device", "gateway": "g"}));
    let device = PahoDevice::start(&server, "g", &key, version)?;
    assert_eq!(device.hear("connected")["code"], 0);
    Some((server, device))
}

#[track_caller]
fn shows(api: &Api, sent: &str, path: &str, pointer: &str, expected: &Value) {
    let document = api.get(path).expect(200);
    assert_eq!(document.pointer(pointer).unwrap_or(&Value::Null), expected, "{sent}: {pointer} in {document}");
}

/// A topic below `devices/`, what is published, and where HTTP then shows what.
type Row = (&'static str, Value, &'static str, &'static str, Value);

/// Every topic that goes up, in the order they are sent in.
fn rows_up() -> Vec<Row> {
    let text = |payload: &str| json!({"payload": payload});
    let record = |name: &str| json!({"at": 1_767_225_600_000u64, "id": name, "values": {name: 21.5, "n": -7, "on": true, "mode": "eco"}});
    let batch = |name: &str| json!((0..300).map(|n| json!({"at": 1_767_225_600_000u64 + n, "values": {name: n}})).collect::<Vec<_>>());
    vec![
        ("g/telemetry", text(r#"{"temperature": 21.5}"#), "/twins/g", "/telemetry/temperature/value", json!(21.5)),
        ("g/telemetry/air", text(r#"{"co2": 400}"#), "/twins/g/history?name=co2", "/items/0/stream", json!("telemetry/air")),
        ("g/telemetry", json!({"json": batch("j")}), "/twins/g/history?name=j&limit=1000", "/items/299/value", json!(299)),
        ("g/reported", text(r#"{"firmware": "1", "old": 1}"#), "/twins/g", "/reported/firmware/value", json!("1")),
        ("g/reported", text(r#"{"old": null}"#), "/twins/g", "/reported/old", Value::Null),
        ("g/reported/full", text(r#"{"serial": "s"}"#), "/twins/g", "/reported/serial/value", json!("s")),
        ("g/reported/full", text(r#"{"serial": "t"}"#), "/twins/g", "/reported/firmware", Value::Null),
        ("g/events/smoke", text(r#"{"level": "high"}"#), "/twins/g/events?stream=events", "/items/0/data/name", json!("smoke")),
        ("g/events/notice", text("17"), "/twins/g/events?stream=events", "/items/1/data/payload", json!(17)),
        ("g/diagnostics", text(r#"{"uptime": 17}"#), "/twins/g", "/diagnostics/last/value/uptime", json!(17)),
        ("g/metadata", text(r#"{"serial": "A-1"}"#), "/twins/g", "/metadata/serial", json!("A-1")),
        ("g/telemetry;json", json!({"json": record("s")}), "/twins/g", "/telemetry/s/value", json!(21.5)),
        ("g/telemetry;cbor", json!({"cbor": record("c")}), "/twins/g", "/telemetry/c/at", json!("2026-01-01T00:00:00.000Z")),
        ("g/telemetry/air;cbor", json!({"cbor": {"pm": 2.5}}), "/twins/g/history?name=pm", "/items/0/value", json!(2.5)),
        ("g/telemetry;cbor", json!({"cbor": batch("cb")}), "/twins/g/history?name=cb&limit=1000", "/items/299/value", json!(299)),
        ("g/reported;cbor", json!({"cbor": {"fan": {"level": -300}}}), "/twins/g", "/reported/fan/value/level", json!(-300)),
        ("g/telemetry;proto", json!({"proto": record("p")}), "/twins/g", "/telemetry/p/at", json!("2026-01-01T00:00:00.000Z")),
        ("g/telemetry/air;proto", json!({"proto": {"no2": 1.5}}), "/twins/g/history?name=no2", "/items/0/stream", json!("telemetry/air")),
        ("g/telemetry;proto", json!({"proto": batch("pb")}), "/twins/g/history?name=pb&limit=1000", "/items/299/value", json!(299)),
        ("child/telemetry", text(r#"{"temperature": 19}"#), "/twins/child", "/telemetry/temperature/value", json!(19)),
        ("child/telemetry;cbor", json!({"cbor": {"humidity": 40}}), "/twins/child", "/telemetry/humidity/value", json!(40)),
        ("child/reported", text(r#"{"firmware": "9"}"#), "/twins/child", "/reported/firmware/value", json!("9")),
    ]
}

/// What MQTT 5 alone can say: the encoding by content type.
fn rows_up_by_content_type() -> Vec<Row> {
    let typed = |content_type: &str, form: &str, item: Value| json!({"content_type": content_type, form: item});
    let (cbor, proto) = ("application/cbor", "application/x-protobuf");
    vec![
        ("g/telemetry", typed("application/json", "json", json!({"tj": 1})), "/twins/g", "/telemetry/tj/value", json!(1)),
        (
            "g/telemetry",
            typed(cbor, "cbor", json!({"tc": [1, {"deep": true}]})),
            "/twins/g",
            "/telemetry/tc/value",
            json!([1, {"deep": true}]),
        ),
        ("g/reported", typed(cbor, "cbor", json!({"tr": "x"})), "/twins/g", "/reported/tr/value", json!("x")),
        ("g/events/e", typed(cbor, "cbor", json!("y")), "/twins/g/events?stream=events", "/items/2/data/payload", json!("y")),
        ("g/telemetry", typed(proto, "proto", json!({"tp": -1})), "/twins/g", "/telemetry/tp/value", json!(-1)),
        ("child/telemetry", typed(proto, "proto", json!([{"a": 1}, {"b": 2}])), "/twins/child", "/telemetry/b/value", json!(2)),
    ]
}

#[test]
fn every_topic_up_is_understood_from_paho_in_every_encoding() {
    for version in VERSIONS {
        let (server, mut device) = or_skip!("paho_topics_up", paho_gateway(version), "paho-mqtt is missing");
        let api = server.api();
        for (topic, what, path, pointer, expected) in rows_up() {
            let sent = format!("{version} {topic}");
            assert_eq!(device.publish(&format!("devices/{topic}"), &what), (0, String::new()), "{sent}");
            shows(&api, &sent, path, pointer, &expected);
        }
        if version == "5" {
            for (topic, what, path, pointer, expected) in rows_up_by_content_type() {
                assert_eq!(device.publish(&format!("devices/{topic}"), &what), (0, String::new()), "{topic} {what}");
                shows(&api, &what.to_string(), path, pointer, &expected);
            }
        }
        for (name, form) in [("s", "json"), ("c", "cbor"), ("p", "proto")] {
            shows(&api, form, &format!("/twins/g/history?name={name}"), "/items/0/value", &json!(21.5));
            device.publish("devices/g/telemetry", &json!({"json": {"id": name, "values": {"again": 1}}}));
        }
        for (name, expected) in [("n", json!(-7)), ("on", json!(true)), ("mode", json!("eco")), ("again", Value::Null)] {
            shows(&api, "the records with an id", "/twins/g", &format!("/telemetry/{name}/value"), &expected);
        }
        for (topic, state) in [("attach", "connected"), ("detach", "disconnected")] {
            assert_eq!(device.publish(&format!("devices/g/{topic}/child"), &json!({"payload": ""})).0, 0);
            until("the child comes and goes", || api.twin("child")["connection"]["state"] == state);
        }
        assert_eq!(api.twin("g")["diagnostics"]["rejected_total"].as_u64().unwrap_or(0), 0, "{version}");
    }
}

#[test]
fn every_topic_down_is_understood_by_paho() {
    for version in VERSIONS {
        let (server, mut device) = or_skip!("paho_topics_down", paho_gateway(version), "paho-mqtt is missing");
        let api = server.api();
        for id in ["g", "child"] {
            let twin = format!("/twins/{id}");
            api.patch(&twin, json!({"desired": {"setpoint": 21, "fan": 1}})).expect(200);
            let desired = format!("devices/{id}/desired");
            assert_eq!(device.subscribe(&desired), 1);
            let full = device.message(&desired);
            assert_eq!((&full["setpoint"], &full["fan"]), (&json!(21), &json!(1)));
            api.patch(&twin, json!({"desired": {"setpoint": 22, "fan": null}})).expect(200);
            let version = &api.twin(id)["desired"]["$version"];
            assert_eq!(device.message(&desired), json!({"setpoint": 22, "fan": null, "$version": version}));

            assert_eq!(device.subscribe(&format!("devices/{id}/twin")), 1);
            assert_eq!(device.publish(&format!("devices/{id}/get"), &json!({"payload": ""})).0, 0);
            let own = device.message(&format!("devices/{id}/twin"));
            assert_eq!((&own["id"], &own["desired"]["setpoint"]), (&json!(id), &json!(22)));

            assert_eq!(device.subscribe(&format!("devices/{id}/commands/#")), 1);
            for (status, state) in [(200, "completed"), (500, "failed")] {
                let queued = api.post(&format!("{twin}/commands"), json!({"name": "open", "payload": {"by": 3}, "ttl": 60})).expect(202);
                let command = queued["id"].as_str().unwrap();
                assert_eq!(device.message(&format!("devices/{id}/commands/open/{command}")), json!({"by": 3}));
                let result = json!({"json": {"status": status, "payload": ["done"]}});
                assert_eq!(device.publish(&format!("devices/{id}/results/{command}"), &result).0, 0);
                let ended = api.get(&format!("{twin}/commands/{command}")).expect(200);
                assert_eq!((&ended["state"], &ended["result"]["payload"]), (&json!(state), &json!(["done"])));
            }
        }
    }
}

/// Nobody's topics, another device's, and those that go the other way.
const FOREIGN: [&str; 6] =
    ["devices/u/telemetry", "devices/g/nothing", "devices/g/desired", "devices/g/attach/u", "other/topic", "devices/g/telemetry;xml"];

#[test]
fn paho_is_refused_subscriptions_to_foreign_topics() {
    for (version, refused) in [("3.1.1", 0x80), ("5", 0x87)] {
        let (server, mut device) = or_skip!("paho_foreign_filters", paho_gateway(version), "paho-mqtt is missing");
        server.device("u");
        for filter in ["#", "devices/u/desired", "devices/+/commands/#", "devices/g/telemetry", "$SYS/#"] {
            assert_eq!(device.subscribe(filter), refused, "{version} {filter}");
        }
        assert_eq!(device.subscribe("devices/child/commands/#"), 1, "{version}: the session lives");
    }
}

#[test]
fn paho_is_refused_a_publish_to_a_foreign_topic() {
    let record = json!({"payload": r#"{"a": 1}"#});
    let (server, mut device) = or_skip!("paho_foreign_publish", paho_gateway("5"), "paho-mqtt is missing");
    server.device("u");
    for topic in FOREIGN {
        assert_eq!(device.publish(topic, &record).0, 0x87, "{topic}");
    }
    assert_eq!(device.publish("devices/g/telemetry", &record), (0, String::new()), "the session lives");
    assert_eq!(server.api().twin("u")["telemetry"], json!({}));

    let key = server.device("t");
    for topic in FOREIGN {
        let mut device = PahoDevice::start(&server, "t", &key, "3.1.1").unwrap();
        assert_eq!(device.hear("connected")["code"], 0);
        device.order(json!({"do": "publish", "topic": topic, "payload": r#"{"a": 1}"#}));
        let told = device.hear("disconnected");
        assert_eq!((&told["by_server"], device.has_heard("acknowledged")), (&json!(false), false), "3.1.1 can only close: {topic} {told}");
    }
    assert_eq!(server.api().twin("u")["telemetry"], json!({}));
}

/// A topic below `devices/g/` and what does not belong there.
fn rows_bad() -> Vec<(&'static str, Value)> {
    let text = |payload: &str| json!({"payload": payload});
    vec![
        ("telemetry", text("")),
        ("telemetry", text("{broken")),
        ("telemetry/air", text("21.5")),
        ("telemetry", text(r#"[{"a": 1}, {"at": "yesterday", "values": {"a": 2}}]"#)),
        ("telemetry;cbor", json!({"hex": "ff00"})),
        ("telemetry;cbor", json!({"cbor": [1, 2]})),
        ("telemetry;proto", json!({"hex": "ffff0001"})),
        ("reported", text("[1]")),
        ("reported/full", text("7")),
        ("events/smoke", text("{broken")),
        ("diagnostics", text("{broken")),
        ("metadata", text("[1]")),
        ("results/c-1", text("{broken")),
    ]
}

#[test]
fn a_bad_payload_from_paho_is_refused_with_a_reason_and_the_session_lives() {
    for version in VERSIONS {
        let (server, mut device) = or_skip!("paho_bad_payloads", paho_gateway(version), "paho-mqtt is missing");
        let mut bad = rows_bad();
        if version == "5" {
            bad.push(("telemetry", json!({"content_type": "application/cbor", "payload": "{\"a\": 1}"})));
            bad.push(("telemetry", json!({"content_type": "image/png", "payload": "{\"a\": 1}"})));
        }
        for (topic, what) in &bad {
            let (code, reason) = device.publish(&format!("devices/g/{topic}"), what);
            let expected = if version == "5" { 0x99 } else { 0 };
            assert_eq!((code, reason.is_empty()), (expected, version != "5"), "{version} {topic} {what}: {reason}");
        }
        assert_eq!(device.publish("devices/g/telemetry", &json!({"payload": "{\"a\": 1}"})), (0, String::new()));
        let twin = server.api().twin("g");
        assert_eq!((&twin["telemetry"]["a"]["value"], &twin["diagnostics"]["rejected_total"]), (&json!(1), &json!(bad.len())));
        let kinds: Vec<Value> = server.api().all("/twins/g/events?stream=connection").iter().map(|event| event["kind"].clone()).collect();
        assert!(!kinds.contains(&json!("disconnected")) && !device.has_heard("disconnected"), "it never left: {kinds:?}");
    }
}

#[test]
fn paho_with_a_wrong_key_stays_outside() {
    for version in VERSIONS {
        let server = Server::start();
        let (key, _) = (server.device("t"), server.device("u"));
        for (id, key) in [("t", "wrong"), ("t", ""), ("u", &key), ("nobody", &key)] {
            let device = or_skip!("paho_wrong_key", PahoDevice::start(&server, id, key, version), "paho-mqtt is missing");
            let code = device.hear("connected")["code"].clone();
            assert!(code == 0x86 || code == 0x87, "{version} {id}: {code}");
        }
        assert_eq!(server.api().twin("t")["connection"]["state"], "never");
    }
}

#[test]
fn paho_lives_over_a_web_socket_too() {
    for version in VERSIONS {
        let door = free_address();
        let server = Server::with(&[("MQTT__WEBSOCKET_BIND", &door.to_string())]);
        let key = server.device("t");
        let start = |key: &str| PahoDevice::over_web_socket(door, "t", key, version);
        let mut device = or_skip!("paho_web_socket", start(&key), "paho-mqtt is missing");
        assert_eq!(device.hear("connected")["code"], 0);
        for qos in [0, 1, 2] {
            let told = device.publish("devices/t/telemetry", &json!({"payload": format!("{{\"q{qos}\": 1}}"), "qos": qos}));
            assert_eq!(told, (0, String::new()));
        }
        let long = json!({"cbor": {"text": "x".repeat(70_000)}});
        assert_eq!(device.publish("devices/t/telemetry;cbor", &long).0, 0, "a frame whose length takes eight bytes");
        let twin = server.api().twin("t");
        assert!(["q0", "q1", "q2"].iter().all(|name| twin["telemetry"][name]["value"] == 1), "{}", twin["connection"]);
        assert_eq!(device.subscribe("devices/t/commands/#"), 1);
        device.order(json!({"do": "answer", "with": {"status": 200, "payload": "done"}}));
        let answer = server.api().post("/twins/t/commands", json!({"name": "open", "ttl": 30, "wait": 20})).expect(200);
        assert_eq!(answer["result"]["payload"], "done");
        device.order(json!({"do": "leave"}));
        device.hear("disconnected");
        let refused = start("wrong").unwrap().hear("connected")["code"].clone();
        assert!(refused == 0x86 || refused == 0x87, "{version}: {refused}");
    }
}
