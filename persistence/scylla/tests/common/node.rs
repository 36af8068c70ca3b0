//! Nodes that a test starts for itself, beside the one that all tests use.

use std::{path::Path, process::Command};

/// Little, for several beside each other.
const HEAP: &str = "512m";

/// Tells a node that tests/cql/cassandra runs.
pub fn cassandra(verb: &str, node: &str, environment: &[(&str, &str)]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cql/cassandra");
    let mut command = Command::new(script);
    command.args([verb, node]).env("CASSANDRA_HEAP", HEAP).envs(environment.iter().copied());
    assert!(command.status().unwrap().success(), "{verb} {node}");
}

/// Ends it whatever happens.
pub struct Node(&'static str);

impl Node {
    pub fn start(node: &'static str) -> Self {
        Self::start_with(node, &[])
    }

    pub fn start_with(node: &'static str, environment: &[(&str, &str)]) -> Self {
        let this = Self(node);
        cassandra("start", node, environment);
        this
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        cassandra("kill9", self.0, &[]);
    }
}
