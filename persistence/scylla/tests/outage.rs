//! A server that does not answer for a while: nothing is acknowledged, nothing is lost, and it goes on by itself.
//!
//! Alone in its binary: it stops the server that other tests would run against.

#![allow(clippy::unwrap_used)]

mod common;

use std::{path::Path, process::Command, time::Duration};

use common::{KeyspacePlace, batch, id, options, ours, seqs};
use persistence::{Error, Journal, Store};
use persistence_scylla::{Options, Reached};

/// Tells the server that tests/cql/cassandra started; whether it is that one.
fn cassandra(verb: &str) -> bool {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cql/cassandra");
    Command::new(script).args([verb, "91"]).status().unwrap().success()
}

/// They share the server that they stop.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Resumes the server whatever happens.
struct Paused;

impl Paused {
    fn new() -> Self {
        assert!(cassandra("pause"));
        Self
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        cassandra("resume");
    }
}

/// A start that fails before it has anything to serve with leaves the keyspace with whoever serves; one that succeeds waits for the cluster.
#[tokio::test]
async fn a_start_beside_a_server_that_does_not_answer_takes_nothing_over() {
    if !ours() {
        return;
    }
    let _alone = ALONE.lock().await;
    let a = id("a");
    let place = KeyspacePlace::default();
    let first = place.open_here().await.store;
    first.append(batch(&a, 1)).await.unwrap();
    let second = Reached::reach(place.options.clone()).await.unwrap();
    let paused = Paused::new();
    let failed = second.take_over().await.err();
    drop(paused);
    assert!(matches!(failed, Some(Error::Unavailable { .. })), "{failed:?}");
    first.append(batch(&a, 2)).await.unwrap();
    first.ready().await.unwrap();
    let third = place.open_here().await.store;
    assert_eq!(seqs(&*third, &a).await, [1, 2]);
}

#[tokio::test]
async fn appends_wait_for_a_server_that_does_not_answer() {
    if !ours() {
        return;
    }
    let _alone = ALONE.lock().await;
    let a = id("a");
    let place = KeyspacePlace::default();
    let store = place.open_here().await.store;
    let hurried = KeyspacePlace::new(Options { append_patience: Duration::from_secs(1), ..options() });
    let hurried_store = hurried.open_here().await.store;
    for store in [&store, &hurried_store] {
        store.append(batch(&a, 1)).await.unwrap();
    }

    let paused = Paused::new();
    let waiting = {
        let (store, a) = (store.clone(), a.clone());
        tokio::spawn(async move { store.append(batch(&a, 2)).await })
    };
    let told = hurried_store.append(batch(&a, 2)).await;
    assert!(matches!(told, Err(Error::Unavailable { .. })), "{told:?}");
    let unknown = hurried_store.tail(&a).await;
    assert!(matches!(unknown, Err(Error::Unavailable { .. })), "what is not known is not said: {unknown:?}");
    assert!(store.ready().await.is_err(), "a cluster that does not answer is not ready");
    assert!(!waiting.is_finished(), "nothing is acknowledged");
    assert_eq!(seqs(&*store, &a).await, [1], "what is committed is read from memory");
    drop(paused);

    waiting.await.unwrap().unwrap();
    store.append(batch(&a, 3)).await.unwrap();
    assert_eq!(seqs(&*store, &a).await, [1, 2, 3]);
    store.ready().await.unwrap();
    // Whether the turn that was refused is there or not, it is there once, and the next one is behind it.
    let next = loop {
        match hurried_store.append(batch(&a, 3)).await {
            Ok(()) => break seqs(&*hurried_store, &a).await,
            Err(Error::Unavailable { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    };
    assert!(next == [1, 3] || next == [1, 2, 3], "{next:?}");
    store.close().await.unwrap();
    let again = place.open_here().await.store;
    assert_eq!(seqs(&*again, &a).await, [1, 2, 3]);
}
