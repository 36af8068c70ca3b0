//! Clients nobody here made: mosquitto's tools and paho.

use std::process::{Output, Stdio};

use crate::support::{
    Server, Value, eventually, json, skip,
    stock::{PahoDevice, mosquitto, publish_lines},
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
        let desired = device.hear("message");
        assert_eq!(desired["topic"], "devices/t/desired");

        for qos in [0, 1, 2] {
            device.order(json!({"do": "publish", "topic": "devices/t/telemetry", "qos": qos, "payload": format!("{{\"q{qos}\": 1}}")}));
            device.hear("acknowledged");
        }
        device.order(json!({"do": "publish", "topic": "devices/t/reported", "payload": r#"{"firmware": "2"}"#}));
        device.hear("acknowledged");
        device.order(json!({"do": "publish", "topic": "devices/t/get", "payload": ""}));
        let twin: Value = serde_json::from_str(device.hear("message")["payload"].as_str().unwrap()).unwrap();
        assert_eq!((&twin["reported"]["firmware"]["value"], &twin["telemetry"]["q1"]["value"]), (&json!("2"), &json!(1)));

        device.order(json!({"do": "answer", "with": {"status": 200, "payload": "done"}}));
        let answer = server.api().post("/twins/t/commands", json!({"name": "open", "ttl": 30, "wait": 20})).expect(200);
        assert_eq!(answer["result"]["payload"], "done");
        device.order(json!({"do": "leave"}));
        device.hear("disconnected");
        eventually("it left", || (server.api().twin("t")["connection"]["reason"] == "goodbye").then_some(()));
    }
}
