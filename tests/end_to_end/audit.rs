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
