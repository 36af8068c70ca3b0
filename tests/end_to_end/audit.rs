//! The audit log of the real program: what reaches it, and whether it can be verified and falsified.

use std::fs;

use crate::support::{Connect, Server, Value, json, server::twinfold};

fn records(server: &Server, query: &str) -> Vec<Value> {
    server.api().all(&format!("/audit?{query}"))
}

fn verify(folder: &std::path::Path, expect: Option<&str>) -> (bool, String) {
    let dir = folder.to_str().unwrap();
    let arguments: Vec<&str> = ["audit", "verify", "--data-dir", dir].into_iter().chain(expect.map(|_| "--expect")).chain(expect).collect();
    let output = twinfold(&arguments, &[]);
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn what_was_done_outlives_kill_9_and_a_device_that_was_refused_is_among_it() {
    let server = Server::start();
    server.device("t");
    Connect::v5("t", "wrong").refusal(server.mqtt);
    // Recorded behind the refusal.
    crate::support::until("the refusal is recorded", || !records(&server, "outcome=denied").is_empty());
    server.api().post("/twins/t/commands", json!({"name": "open"})).expect(202);
    let server = server.restart_after_kill_9();
    let denied = records(&server, "outcome=denied").remove(0);
    assert_eq!((&denied["action"], &denied["reason"], &denied["from"]), (&json!("CONNECT"), &json!("wrong_key"), &json!("127.0.0.1")));
    assert_eq!(denied["target"], json!({"kind": "device", "id": "t"}));
    let done: Vec<Value> = records(&server, "outcome=done").iter().map(|r| r["action"].clone()).collect();
    assert_eq!(done, ["POST /twins/{id}/commands", "POST /twins"]);
}

#[test]
fn topics_that_were_refused_and_twins_that_were_hidden_are_among_it() {
    let server = Server::start();
    server.place("hall", "Room", None);
    server.device_in("t", "hall");
    let mut device = server.connected("u");
    assert_eq!(device.publish("devices/t/telemetry", "{}").0, 0x87);
    assert_eq!(device.subscribe(&[("devices/t/commands/#", 1)]), [0x87]);
    let scoped = json!({"name": "ann", "roles": ["viewer"], "scope": "hall"});
    let made = server.api().post("/principals", scoped).expect(201);
    let ann = crate::support::Api::new(server.http, made["key"].as_str().unwrap());
    ann.get("/twins/t").expect(200);
    ann.get("/twins/u").problem(404);
    ann.get("/twins/nobody").problem(404);
    let denied = || records(&server, "outcome=denied");
    crate::support::until("the refusals are recorded", || denied().len() >= 3);
    let mut told: Vec<_> = denied().iter().map(|r| (r["action"].clone(), r["actor"]["name"].clone(), r["target"]["id"].clone())).collect();
    told.sort_by_key(|(action, ..)| action.to_string());
    let expected = [("GET /twins/{id}", "ann", "u"), ("PUBLISH", "device", "t"), ("SUBSCRIBE", "device", "devices/t/commands/#")];
    assert_eq!(told, expected.map(|(action, actor, target)| (json!(action), json!(actor), json!(target))));
    let of_device = records(&server, "actor=u&outcome=denied");
    assert_eq!((of_device.len(), &of_device[0]["from"]), (2, &json!("127.0.0.1")));
}

#[test]
fn a_log_that_somebody_changed_does_not_verify() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::in_folder(folder.path(), &[]);
    let data = server.data_dir();
    for name in ["alpha", "beta", "gamma"] {
        server.device(name);
    }
    let last = records(&server, "").remove(0);
    let written_down = format!("{}:{}", last["number"], last["hash"].as_str().unwrap());
    let (status, _) = server.stop();
    assert!(status.success());
    let (holds, told) = verify(&data, Some(&written_down));
    assert!(holds && told.contains("3 records, unbroken") && told.contains(&written_down), "{told}");
    let (holds, told) = verify(&data, Some(&format!("9:{}", "0".repeat(64))));
    assert!(!holds && told.contains("its end was cut off"), "{told}");
    // Another name of the same length, in the file itself.
    let file = data.join("audit.db");
    let bytes = fs::read(&file).unwrap();
    let at = bytes.windows(13).position(|part| part == b"\"path\":\"beta\"").expect("the record is in the file");
    let mut changed = bytes.clone();
    changed[at + 8..at + 12].copy_from_slice(b"zeta");
    fs::write(&file, changed).unwrap();
    let (holds, told) = verify(&data, None);
    assert!(!holds && told.contains("breaks at record 2"), "{told}");
    fs::write(&file, bytes).unwrap();
    assert!(verify(&data, None).0);
}
