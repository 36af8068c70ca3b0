//! `twinfold store copy` from a folder into a cluster and back: the same twins, history, commands and keys on the other side, also when
//! a copy was cut off in between.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use super::support::{
    Connect, Server, Value,
    cql::{self, Keyspace},
    json,
    server::{binary, twinfold},
    until,
};

const DEVICES: usize = 40;
const RECORDS: usize = 5;
/// The places above them.
const PLACES: usize = 2;

fn device(n: usize) -> String {
    format!("d{n}")
}

/// Devices in a room of a site, each with records, a state and a command; the key of the first.
fn furnished(server: &Server) -> String {
    server.place("site", "Site", None);
    server.place("room", "Room", Some("site"));
    let keys: Vec<String> = (0..DEVICES).map(|n| server.device_in(&device(n), "room")).collect();
    for (n, key) in keys.iter().enumerate() {
        let id = device(n);
        let mut client = Connect::v5(&id, key).open(server.mqtt);
        for r in 0..RECORDS {
            client.say(&format!("devices/{id}/telemetry"), json!({"id": format!("r{r}"), "values": {"n": r, "of": n}}).to_string());
        }
        client.say(&format!("devices/{id}/reported"), r#"{"setpoint": 20}"#);
        client.goodbye();
        server.api().post(&format!("/twins/{id}/commands"), json!({"name": "open", "ttl": 36_000})).expect(202);
    }
    keys[0].clone()
}

/// Everything about every twin that does not change by itself, once every device is gone.
fn everything(server: &Server) -> Vec<Value> {
    let api = server.api();
    until("no device is connected", || (0..DEVICES).all(|n| api.twin(&device(n))["connection"]["state"] == "disconnected"));
    let mut all = Vec::new();
    for id in api.all("/twins").iter().map(|twin| twin["id"].as_str().unwrap().to_owned()) {
        let mut twin = api.twin(&id);
        for volatile in ["connection", "rollups", "seq"] {
            twin.as_object_mut().unwrap().remove(volatile);
        }
        all.push(twin);
        all.extend(["history?name=n", "events?", "commands?"].map(|what| json!(api.all(&format!("/twins/{id}/{what}")))));
    }
    all
}

fn settings(data: &Path, keyspace: &Keyspace) -> Vec<(String, String)> {
    let mut settings = keyspace.environment();
    settings.push(("TWINFOLD_DATA_DIR".into(), data.to_str().unwrap().into()));
    settings
}

fn copy(from: &str, to: &str, data: &Path, keyspace: &Keyspace) -> Output {
    let settings = settings(data, keyspace);
    let environment: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    twinfold(&["store", "copy", "--from", from, "--to", to], &environment)
}

#[track_caller]
fn said(output: &Output, what: &str) {
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains(what), "{}: {out}\n{error}", output.status);
}

/// The same copy, killed as soon as it has written a twin.
fn copy_cut_off(data: &Path, keyspace: &Keyspace) {
    let mut command = Command::new(binary());
    command.args(["store", "copy", "--from", "embedded", "--to", "scylla"]).env_clear().envs(settings(data, keyspace));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let select = format!("SELECT id FROM {}.twin", keyspace.name);
    until("the first twin is there", || cql::count(&keyspace.nodes, &select).is_ok_and(|rows| rows > 0));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn twins_move_from_a_folder_into_a_cluster_and_back() {
    if !cql::there("cluster moving_house") {
        return;
    }
    let (folder, keyspace) = (tempfile::tempdir().unwrap(), Keyspace::new());
    let server = Server::in_folder(folder.path(), &[]);
    let key = furnished(&server);
    let before = everything(&server);
    let data = server.data_dir();
    assert!(server.stop().0.success());

    copy_cut_off(&data, &keyspace);
    let all = DEVICES + PLACES;
    said(&copy("embedded", "scylla", &data, &keyspace), &format!("{all} twins ("));
    said(&copy("embedded", "scylla", &data, &keyspace), &format!("{all} twins ({all} were there)"));
    let server = Server::on_cql(folder.path(), &keyspace, &[]);
    assert_eq!(everything(&server), before);
    Connect::v5("d0", &key).open(server.mqtt).say("devices/d0/telemetry", r#"{"n": 99}"#);
    until("the cluster's twins go on", || server.api().twin("d0")["telemetry"]["n"]["value"] == 99);
    let after = everything(&server);
    assert!(server.stop().0.success());
    // The old folder holds the beginning of that, and takes the rest.
    said(&copy("scylla", "embedded", &data, &keyspace), &format!("{all} twins ("));

    let elsewhere = tempfile::tempdir().unwrap();
    let fresh = elsewhere.path().join("data");
    fs::create_dir(&fresh).unwrap();
    for secret in ["master-key", "admin-token"] {
        fs::copy(data.join(secret), fresh.join(secret)).unwrap();
    }
    said(&copy("scylla", "embedded", &fresh, &keyspace), &format!("{all} twins (0 were there)"));
    let server = Server::in_folder(elsewhere.path(), &[]);
    assert_eq!(everything(&server), after);
    Connect::v5("d0", &key).open(server.mqtt).goodbye();
}
