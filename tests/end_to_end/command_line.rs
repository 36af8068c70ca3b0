//! `twinfold twin`, `command`, `watch`, `token`, `import`: everyday work from a terminal.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Output, Stdio},
};

use crate::support::{Server, Value, json, server::binary};

fn command(server: &Server, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).env_clear().env("TWINFOLD_URL", format!("http://{}", server.http)).env("TWINFOLD_DATA_DIR", server.data_dir());
    command
}

fn run(server: &Server, arguments: &[&str]) -> Output {
    command(server, arguments).output().unwrap()
}

#[track_caller]
fn ok(server: &Server, arguments: &[&str]) -> String {
    let output = run(server, arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn json_of(server: &Server, arguments: &[&str]) -> Value {
    serde_json::from_str(&ok(server, &[arguments, &["--json"]].concat())).unwrap()
}

#[test]
fn a_twin_is_made_looked_at_changed_and_removed() {
    let server = Server::start();
    let made = json_of(&server, &["twin", "create", "t", "--metadata", r#"{"a": 1}"#]);
    assert!(made["keys"]["primary"].is_string(), "{made}");
    assert_eq!(json_of(&server, &["twin", "get", "t"])["metadata"], json!({"a": 1}));
    ok(&server, &["twin", "update", "t", "--metadata", r#"{"b": 2}"#]);
    assert_eq!(server.api().twin("t")["metadata"], json!({"a": 1, "b": 2}));
    assert!(ok(&server, &["twin", "list"]).contains('t'));
    ok(&server, &["twin", "delete", "t"]);
    server.api().get("/twins/t").problem(404);
}

#[test]
fn a_refusal_is_one_line_in_the_servers_words_and_a_failure() {
    let server = Server::start();
    let output = run(&server, &["twin", "get", "nobody"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("nobody") && said.trim().lines().count() == 1, "{said}");
}

#[test]
fn a_server_that_is_not_there_is_said_so() {
    let output = Command::new(binary()).args(["twin", "list", "--url", "http://127.0.0.1:1", "--token", "x"]).env_clear().output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("127.0.0.1:1"));
}

#[test]
fn a_command_is_sent_listed_and_cancelled() {
    let server = Server::start();
    server.device("t");
    let sent = json_of(&server, &["command", "send", "t", "open", r#"{"level": 2}"#, "--ttl", "60"]);
    let id = sent["id"].as_str().unwrap();
    assert!(ok(&server, &["command", "list", "t"]).contains(id));
    ok(&server, &["command", "cancel", "t", id]);
    assert_eq!(json_of(&server, &["command", "get", "t", id])["state"], "cancelled");
}

#[test]
fn a_token_is_a_key_that_works() {
    let server = Server::start();
    let key = ok(&server, &["token", "create", "--role", "viewer"]);
    let viewer = crate::support::Api::new(server.http, key.trim());
    viewer.get("/twins").expect(200);
    viewer.post("/twins", json!({"model": "Device"})).problem(403);
    let output = run(&server, &["token", "create", "--role", "king"]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_file_is_imported_line_by_line_and_each_line_for_itself() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("twins.ndjson");
    let lines = [
        json!({"id": "a", "model": "Device"}).to_string(),
        "nonsense".into(),
        json!({"id": "b", "model": "Device"}).to_string(),
        json!({"id": "a", "model": "Device"}).to_string(),
    ];
    fs::write(&file, lines.join("\n")).unwrap();
    let output = run(&server, &["import", "--parallel", "1", file.to_str().unwrap()]);
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("line 2") && said.contains("line 4") && said.contains("2 registered, 2 failed"), "{said}");
    let keys: Vec<Value> = String::from_utf8(output.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(keys.iter().all(|k| k["keys"]["primary"].is_string()) && keys.len() == 2, "{keys:?}");
    assert_eq!(server.api().all("/twins").len(), 2);
}

#[test]
fn a_watch_shows_changes_as_they_happen() {
    let server = Server::start();
    let mut device = server.connected("t");
    let mut watch = command(&server, &["watch", "t", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let first = lines.next();
    device.say("devices/t/telemetry", r#"{"temperature": 21.5}"#);
    let seen = lines.map_while(Result::ok).find(|line| line.contains("21.5"));
    let _ = watch.kill();
    let _ = watch.wait();
    assert!(first.is_some() && seen.is_some());
}

#[test]
fn wrong_usage_is_told_and_exits_with_2() {
    for arguments in [&["serv"][..], &["twin"], &["command", "send", "t"], &["--nonsense"]] {
        let output = Command::new(binary()).args(arguments).env_clear().output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    let output = Command::new(binary()).arg("--version").env_clear().output().unwrap();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).starts_with("twinfold "));
}
