//! A cluster of three nodes with three copies of each row: one may go, with two gone everything waits, and goes on by itself.
//!
//! The nodes are its own, 127.0.0.11 to 13, so that other tests keep theirs.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use common::{
    KeyspacePlace, batch, id,
    node::{Node, cassandra},
    options, ours, seqs,
};
use persistence::{Error, Journal, Projection, Projections, Snapshot, Store};
use persistence_scylla::{Options, Replication, ScyllaStore};

const TRIES_MAX: usize = 10;
const NODES: [&str; 3] = ["11", "12", "13"];

fn projection(store: &dyn Store, seq: u64) -> Projection {
    let snapshot = Snapshot { twin: id("a"), seq, state: "s".into(), contribution: Default::default(), wake_at: None };
    Projection { through: Some(store.mark()), snapshots: vec![snapshot], ..Projection::default() }
}

/// As the server does it: a request that was under way to a node that died is made again.
async fn project_in_the_end(store: &dyn Store, seq: u64) {
    for _ in 0..TRIES_MAX {
        match store.project(projection(store, seq)).await {
            Err(Error::Unavailable { .. }) => {}
            done => return done.unwrap(),
        }
    }
    panic!("two of three nodes took no projection in {TRIES_MAX} tries");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_three_nodes_may_go_and_two_make_everything_wait() {
    if !ours() {
        return;
    }
    let _cluster = NODES.map(Node::start);
    let nodes = NODES.iter().map(|node| format!("127.0.0.{node}:9042")).collect();
    let place = KeyspacePlace::new(Options { nodes, replication: Replication::Everywhere(3), ..options() });
    let store = place.open_here().await.store;
    let a = id("a");
    store.append(batch(&a, 1)).await.unwrap();

    cassandra("kill9", "13", &[]);
    for seq in 2..=20 {
        store.append(batch(&a, seq)).await.unwrap();
    }
    project_in_the_end(&*store, 20).await;
    assert_eq!(store.snapshot(&a).await.unwrap().unwrap().seq, 20);

    cassandra("kill9", "12", &[]);
    let waiting = {
        let (store, a) = (store.clone(), a.clone());
        tokio::spawn(async move { store.append(batch(&a, 21)).await })
    };
    assert!(matches!(store.ready().await, Err(Error::Unavailable { .. })), "one of three is no quorum");
    assert!(matches!(store.project(projection(&*store, 20)).await, Err(Error::Unavailable { .. })), "nor is anything projected");
    assert!(!waiting.is_finished(), "nothing is acknowledged");
    assert_eq!(seqs(&*store, &a).await, [0u64; 0], "what is committed and projected is known without the cluster");

    tokio::task::spawn_blocking(|| cassandra("start", "12", &[])).await.unwrap();
    waiting.await.unwrap().unwrap();
    store.append(batch(&a, 22)).await.unwrap();
    drop(store);
    let again = place.open_here().await.store;
    assert_eq!(seqs(&*again, &a).await, [21, 22]);
    assert_eq!(again.snapshot(&a).await.unwrap().unwrap().seq, 20);
    schema_that_is_not_agreed_on(&place.options).await;
}

/// A node that is there and does not answer may have another schema: a start does not go on without it, and leaves nothing in its way.
async fn schema_that_is_not_agreed_on(cluster: &Options) {
    let fresh = Options { keyspace: format!("{}_fresh", cluster.keyspace), schema_patience: Duration::from_secs(3), ..cluster.clone() };
    tokio::task::spawn_blocking(|| cassandra("pause", "12", &[])).await.unwrap();
    let begun = Instant::now();
    let refused = ScyllaStore::open(fresh.clone()).await.err();
    tokio::task::spawn_blocking(|| cassandra("resume", "12", &[])).await.unwrap();
    assert!(matches!(refused, Some(Error::Unavailable { .. })), "{refused:?}");
    assert!(begun.elapsed() < Duration::from_secs(60), "a start gives up: {:?}", begun.elapsed());
    let patient = KeyspacePlace::new(Options { schema_patience: Duration::from_secs(60), ..fresh });
    let store = patient.open_here().await.store;
    store.append(batch(&id("a"), 1)).await.unwrap();
}
