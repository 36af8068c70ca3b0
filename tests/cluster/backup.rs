//! A backup of a keyspace, and what it takes to have the server again on a cluster that knows nothing: as docs/OPERATIONS.md says it.

use std::{fs, path::Path};

use super::{
    support::{
        Server,
        cql::{self, Keyspace, Node, cassandra, nodetool},
        until,
    },
    trial::Trial,
};

/// Its own, for it is emptied.
const NODE: &str = "71";
const ADDRESS: &str = "127.0.0.71:9042";
const TAG: &str = "backup";
/// What a snapshot says of the table it is of.
const SCHEMA: &str = "schema.cql";

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap().map(Result::unwrap).filter(|file| file.file_type().unwrap().is_file()) {
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[test]
fn a_cluster_that_lost_everything_is_restored_from_a_backup() {
    if !cql::own_nodes("cluster backup") {
        return;
    }
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("target/cql/node{NODE}"));
    let _node = Node::start(NODE);
    let (folder, keyspace) = (tempfile::tempdir().unwrap(), Keyspace::on(ADDRESS, "1"));
    let server = Server::on_cql(folder.path(), &keyspace, &[("JOURNAL__FLUSH_INTERVAL", "200ms")]);
    let mut trial = Trial::begin(folder.path(), &server);
    let load = trial.load();
    until("the load is on", || trial.acknowledged() > 200);
    trial.judge(load, &server, "before the backup");
    let (status, server) = server.stop();
    assert!(status.success(), "{status}");
    nodetool(NODE, &["snapshot", "--tag", TAG, &keyspace.name]);
    let backup = folder.path().join("backup");
    for table in fs::read_dir(home.join("data").join(&keyspace.name)).unwrap().map(Result::unwrap) {
        copy_files(&table.path().join("snapshots").join(TAG), &backup.join(table.file_name()));
    }

    cassandra("kill9", NODE);
    fs::remove_dir_all(&home).unwrap();
    cassandra("start", NODE);
    let copies = "{'class': 'NetworkTopologyStrategy', 'replication_factor': 1}";
    cql::run(ADDRESS, &format!("CREATE KEYSPACE {} WITH replication = {copies}", keyspace.name)).unwrap();
    let tables: Vec<_> = fs::read_dir(&backup).unwrap().map(Result::unwrap).collect();
    for table in &tables {
        let statements = fs::read_to_string(table.path().join(SCHEMA)).unwrap();
        for statement in statements.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()) {
            cql::run(ADDRESS, statement).unwrap();
        }
    }
    cassandra("stop", NODE);
    for table in &tables {
        copy_files(&table.path(), &home.join("data").join(&keyspace.name).join(table.file_name()));
    }
    cassandra("start", NODE);

    let server = server.start();
    trial.at.moved(server.http, server.mqtt);
    let load = trial.load();
    let before = trial.acknowledged();
    until("the load goes on", || trial.acknowledged() > before + 200);
    trial.judge(load, &server, "restored from a backup");
}
