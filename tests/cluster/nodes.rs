//! Nodes of a cluster of three, with three copies of each row, killed and stopped for a while under load.
//!
//! `TWINFOLD_FAULT_ROUNDS=12 cargo test --test cluster nodes` runs the long one. The nodes are its own, 127.0.0.31 to 33.

use std::{thread, time::Duration};

use super::{
    support::{
        Server,
        cql::{self, Keyspace, Node, cassandra},
        until_within,
    },
    trial::{Dice, Trial, setting},
};

const NODES: [&str; 3] = ["31", "32", "33"];
/// One of each kind.
const ROUNDS_DEFAULT: u64 = 2;
/// On a busy machine a node takes a minute to start, and the driver some more to find it again.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn one_node_after_another_may_be_killed_or_stopped() {
    if !cql::own_nodes("cluster nodes") {
        return;
    }
    let rounds = setting("TWINFOLD_FAULT_ROUNDS", ROUNDS_DEFAULT);
    let mut dice = Dice::new();
    let _cluster = NODES.map(Node::start);
    let addresses: Vec<String> = NODES.iter().map(|node| format!("127.0.0.{node}:9042")).collect();
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
}
