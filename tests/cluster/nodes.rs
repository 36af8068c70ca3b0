//! Nodes of a cluster of three, with three copies of each row, killed and stopped for a while under load: one, and then two.
//!
//! `TWINFOLD_FAULT_ROUNDS=12 cargo test --test cluster nodes` runs the long one. The nodes are its own, 127.0.0.31 to 33.

use std::{thread, time::Duration};

use super::{
    support::{
        Api, Connect, Server,
        cql::{self, Keyspace, Node, cassandra},
        json,
        mqtt::Publish,
        until_within,
    },
    trial::{Dice, Trial, setting},
};

const NODES: [&str; 3] = ["31", "32", "33"];
/// One of each kind.
const ROUNDS_DEFAULT: u64 = 2;
/// On a busy machine a node takes a minute to start, and the driver some more to find it again.
const PATIENCE: Duration = Duration::from_secs(120);
/// For a packet that is there already.
const A_BREATH: Duration = Duration::from_millis(10);

#[test]
fn one_node_after_another_may_be_killed_or_stopped_and_two_stop_what_is_acknowledged() {
    if !cql::own_nodes("cluster nodes") {
        return;
    }
    let rounds = setting("TWINFOLD_FAULT_ROUNDS", ROUNDS_DEFAULT);
    let mut dice = Dice::new();
    let _cluster = NODES.map(Node::start);
    let addresses: Vec<String> = NODES.iter().map(|node| format!("127.0.0.{node}:9042")).collect();
    let others = |node: &String| cql::count(node, "SELECT peer FROM system.peers_v2").is_ok_and(|others| others == 2);
    until_within(PATIENCE, "the nodes know each other", || addresses.iter().all(others));
    let (folder, keyspace) = (tempfile::tempdir().unwrap(), Keyspace::on(&addresses.join(","), "3"));
    let server = Server::on_cql(folder.path(), &keyspace, &[("JOURNAL__FLUSH_INTERVAL", "500ms")]);
    let mut trial = Trial::begin(folder.path(), &server);
    let load = trial.load();
    for round in 0..rounds {
        let node = NODES[dice.below(3) as usize];
        let before = trial.acknowledged();
        thread::park_timeout(Duration::from_millis(dice.below(1_000)));
        let (strike, mend) = if round % 2 == 0 { ("kill9", "start") } else { ("pause", "resume") };
        cassandra(strike, node);
        until_within(PATIENCE, "two of three nodes go on", || trial.acknowledged() > before + 200);
        cassandra(mend, node);
        until_within(PATIENCE, "the server is ready again", || server.api().get("//readyz").status == 200);
    }
    trial.judge(load, &server, &format!("{rounds} rounds of kill -9 and SIGSTOP of a node, in turn"));
    without_a_quorum_nothing_is_acknowledged_and_reads_go_on(&server);
}

/// Two of three nodes do not answer, and then do again.
fn without_a_quorum_nothing_is_acknowledged_and_reads_go_on(server: &Server) {
    server.place("hall", "Room", None);
    let key = server.device_in("lamp", "hall");
    let made = server.api().post("/principals", json!({"name": "ann", "roles": ["viewer"], "scope": "hall"})).expect(201);
    let confined = Api::new(server.http, made["key"].as_str().unwrap());
    let mut device = Connect::v5("lamp", &key).open(server.mqtt);
    device.say("devices/lamp/telemetry", r#"{"a": 1}"#);
    let value = |api: &Api| api.get("/twins/lamp").expect(200)["telemetry"]["a"]["value"].clone();
    assert_eq!((value(&server.api()), value(&confined)), (json!(1), json!(1)));

    let away = ["31", "33"];
    away.iter().for_each(|node| cassandra("pause", node));
    let waiting = device.send(Publish::new("devices/lamp/telemetry", 1, r#"{"a": 2}"#));
    until_within(PATIENCE, "the server says that it is not ready", || server.api().get("//readyz").status == 503);
    until_within(PATIENCE, "failures are counted", || server.api().get("//metrics").text.contains("twinfold_store_errors_total"));
    assert_eq!((value(&server.api()), value(&confined)), (json!(1), json!(1)), "what is durable is read from memory");
    server.api().get("//livez").expect(200);
    assert!(device.read_for(A_BREATH).is_none(), "nothing is acknowledged");
    away.iter().for_each(|node| cassandra("resume", node));

    until_within(PATIENCE, "the server is ready again", || server.api().get("//readyz").status == 200);
    assert_eq!(device.puback(waiting).0, 0, "the device had only to wait");
    assert_eq!((value(&server.api()), value(&confined)), (json!(2), json!(2)));
    assert_eq!(server.api().all("/twins/lamp/history?name=a").len(), 2);
}
