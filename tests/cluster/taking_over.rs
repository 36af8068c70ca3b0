//! Two servers on one keyspace: the second takes over; the first stands aside, says so, and acknowledges nothing more.

use std::{path::Path, time::Duration};

use super::{
    support::{
        Connect, Server,
        cql::{self, Keyspace},
        json,
        live::Live,
        mqtt::Packet,
        server::{signal, twinfold},
        until,
    },
    trial::Trial,
};

#[test]
fn a_server_that_was_taken_over_stands_aside_and_says_so() {
    if !cql::there("cluster taking_over") {
        return;
    }
    let (folder, keyspace) = (tempfile::tempdir().unwrap(), Keyspace::new());
    let first = Server::on_cql(folder.path(), &keyspace, &[]);
    let key = first.device("t");
    let mut device = Connect::v5("t", &key).open(first.mqtt);
    device.say("devices/t/telemetry", r#"{"a": 1}"#);

    let second = Server::on_cql(folder.path(), &keyspace, &[]);
    // It has nothing to commit, and finds out all the same.
    until("the first one is not ready", || first.api().get("//readyz").status == 503);
    let told = device.read_for(Duration::from_secs(10)).expect("the device is told");
    assert!(matches!(told, None | Some(Packet::Disconnect { reason: 0x8B, .. })), "{told:?}");
    let ready = first.api().get("//readyz").problem(503);
    assert!(ready["type"].as_str().unwrap().ends_with("taken-over"), "{ready}");
    for path in ["/twins/t", "/twins", "/twins/t/history?name=a", "//openapi.json"] {
        let refused = first.api().get(path).problem(503);
        assert!(refused["type"].as_str().unwrap().ends_with("taken-over"), "{path}: {refused}");
    }
    first.api().get("//livez").expect(200);
    let metrics = first.api().get("//metrics").text;
    assert!(metrics.lines().any(|line| line == "twinfold_store_owned 0"), "{metrics}");
    assert!(Connect::v5("t", &key).attempt(first.mqtt).is_none(), "no device is let in");

    let mut device = Connect::v5("t", &key).open(second.mqtt);
    device.say("devices/t/telemetry", r#"{"a": 2}"#);
    assert_eq!(second.api().all("/twins/t/history?name=a").len(), 2);
    second.api().get("//readyz").expect(200);
    let (status, _) = first.stop();
    assert!(status.success(), "{status}");
    second.api().post("/twins/t/commands", json!({"name": "open", "ttl": 60})).expect(202);
}

/// A start that cannot come to anything leaves the keyspace with whoever has it.
#[test]
fn a_start_that_fails_takes_nothing_over() {
    if !cql::there("cluster taking_over fails") {
        return;
    }
    let (folder, keyspace) = (tempfile::tempdir().unwrap(), Keyspace::new());
    let first = Server::on_cql(folder.path(), &keyspace, &[]);
    let key = first.device("t");
    let start = |data: &Path, http: &str| {
        let mut settings = keyspace.environment();
        settings.push(("TWINFOLD_DATA_DIR".into(), data.to_str().unwrap().into()));
        let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let output = twinfold(&["serve", "--http-bind", http, "--mqtt-bind", "127.0.0.1:0"], &settings);
        assert!(!output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let told = start(&first.data_dir(), &first.http.to_string());
    assert!(told.contains("another program listens"), "{told}");
    let elsewhere = tempfile::tempdir().unwrap();
    let told = start(&elsewhere.path().join("data"), "127.0.0.1:0");
    assert!(told.contains("master-key is missing") && told.contains("Nothing was taken over"), "{told}");
    // One that is there and cannot be read.
    let folder_of_another = elsewhere.path().join("another");
    std::fs::create_dir_all(&folder_of_another).unwrap();
    std::fs::write(folder_of_another.join("master-key"), "half a key").unwrap();
    let told = start(&folder_of_another, "127.0.0.1:0");
    assert!(told.contains("master-key"), "{told}");
    Connect::v5("t", &key).open(first.mqtt).say("devices/t/telemetry", r#"{"a": 1}"#);
    first.api().get("//readyz").expect(200);
}

#[test]
fn live_readers_of_a_server_that_was_taken_over_are_let_go() {
    if !cql::there("cluster taking_over live") {
        return;
    }
    let (folder, keyspace) = (tempfile::tempdir().unwrap(), Keyspace::new());
    let first = Server::on_cql(folder.path(), &keyspace, &[]);
    first.device("t");
    let reader = Live::open(first.http, &first.admin_key(), "kinds=state", None);
    let _second = Server::on_cql(folder.path(), &keyspace, &[]);
    reader.until_it_ends();
}

/// The worst case of an unlucky machine: a server that stood still wakes up and finds its devices still connected.
#[test]
fn a_server_that_stood_still_while_it_was_taken_over_acknowledges_nothing() {
    if !cql::there("cluster taking_over still") {
        return;
    }
    let (folder, keyspace) = (tempfile::tempdir().unwrap(), Keyspace::new());
    let first = Server::on_cql(folder.path(), &keyspace, &[("JOURNAL__FLUSH_INTERVAL", "200ms")]);
    let mut trial = Trial::begin(folder.path(), &first);
    let load = trial.load();
    until("the load is on", || trial.acknowledged() > 200);
    signal(first.pid(), "STOP");
    let second = Server::on_cql(folder.path(), &keyspace, &[("JOURNAL__FLUSH_INTERVAL", "200ms")]);
    trial.at.moved(second.http, second.mqtt);
    // Its devices are still there, with records on their way.
    signal(first.pid(), "CONT");
    until("it stands aside", || first.api().get("//readyz").status == 503);
    let before = trial.acknowledged();
    until("the load goes on elsewhere", || trial.acknowledged() > before + 200);
    trial.judge(load, &second, "a server stopped, taken over and resumed");
    drop(first);
}
