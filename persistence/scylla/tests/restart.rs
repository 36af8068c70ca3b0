//! A server that is killed and started again: what was acknowledged is there, and the store goes on by itself.
//!
//! The node is its own, 127.0.0.21: the one of all other tests is told not to sync its schema, and is never killed.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{
    KeyspacePlace, batch, id,
    node::{Node, cassandra},
    options, ours, seqs,
};
use persistence::{Journal, Store};
use persistence_scylla::Options;

/// On a busy machine the server takes a minute to start, and the driver some more to find it again.
const PATIENCE: Duration = Duration::from_secs(240);

const NODE: &str = "21";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_and_started_again_has_what_was_acknowledged() {
    if !ours() {
        return;
    }
    let _node = Node::start(NODE);
    let nodes = vec![format!("127.0.0.{NODE}:9042")];
    let (a, place) = (id("a"), KeyspacePlace::new(Options { nodes, append_patience: PATIENCE, ..options() }));
    let store = place.open_here().await.store;
    for seq in 1..=20 {
        store.append(batch(&a, seq)).await.unwrap();
    }
    cassandra("kill9", NODE, &[]);
    let waiting = {
        let (store, a) = (store.clone(), a.clone());
        tokio::spawn(async move { store.append(batch(&a, 21)).await })
    };
    assert!(store.ready().await.is_err());
    tokio::task::spawn_blocking(|| cassandra("start", NODE, &[])).await.unwrap();
    waiting.await.unwrap().unwrap();
    store.ready().await.unwrap();
    drop(store);
    let again = place.open_here().await.store;
    assert_eq!(seqs(&*again, &a).await, (1..=21).collect::<Vec<_>>());
}
