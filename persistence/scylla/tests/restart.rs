//! A server that is killed and started again: what was acknowledged is there, and the store goes on by itself.
//!
//! Alone in its binary: it kills the server that other tests would run against.

#![allow(clippy::unwrap_used)]

mod common;

use std::{path::Path, process::Command, time::Duration};

use common::{KeyspacePlace, batch, id, options, seqs, there};
use persistence::{Journal, Store};
use persistence_scylla::Options;

/// On a busy machine the server takes a minute to start, and the driver some more to find it again.
const PATIENCE: Duration = Duration::from_secs(240);

fn cassandra(verb: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cql/cassandra");
    assert!(Command::new(script).arg(verb).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_and_started_again_has_what_was_acknowledged() {
    if !there() || std::env::var_os("TWINFOLD_TEST_CQL").is_some() {
        return;
    }
    let (a, place) = (id("a"), KeyspacePlace::new(Options { append_patience: PATIENCE, ..options() }));
    let store = place.open_here().await.store;
    for seq in 1..=20 {
        store.append(batch(&a, seq)).await.unwrap();
    }
    cassandra("kill9");
    let waiting = {
        let (store, a) = (store.clone(), a.clone());
        tokio::spawn(async move { store.append(batch(&a, 21)).await })
    };
    assert!(store.ready().await.is_err());
    tokio::task::spawn_blocking(|| cassandra("start")).await.unwrap();
    waiting.await.unwrap().unwrap();
    store.ready().await.unwrap();
    drop(store);
    let again = place.open_here().await.store;
    assert_eq!(seqs(&*again, &a).await, (1..=21).collect::<Vec<_>>());
}
