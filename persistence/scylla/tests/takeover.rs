//! Two processes on one keyspace: the second takes over, the first is fenced, and nothing acknowledged is lost.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{KeyspacePlace, batch, id, options, seqs, there};
use persistence::{Error, Journal, Projection, Projections, Snapshot, Store};
use persistence_scylla::Options;

fn snapshot(seq: u64) -> Projection {
    let state = Bytes::from(format!("state {seq}"));
    let snapshot = Snapshot { twin: id("a"), seq, state, contribution: Bytes::new(), wake_at: None };
    Projection { snapshots: vec![snapshot], ..Projection::default() }
}

#[tokio::test]
async fn the_second_server_takes_over_and_the_first_is_fenced() {
    if !there() {
        return;
    }
    let place = KeyspacePlace::default();
    let first = place.open_here().await.store;
    let a = id("a");
    first.append(batch(&a, 1)).await.unwrap();
    let second = place.open_here().await.store;
    assert_eq!(seqs(&*second, &a).await, [1]);
    let refused = first.append(batch(&a, 2)).await;
    assert!(matches!(&refused, Err(Error::InUse { detail }) if detail.contains("taken the journal over")), "{refused:?}");
    assert!(matches!(first.ready().await, Err(Error::InUse { .. })));
    assert!(matches!(first.append(batch(&id("another"), 1)).await, Err(Error::InUse { .. })), "of any log");
    assert!(matches!(first.project(snapshot(2)).await, Err(Error::InUse { .. })));
    second.append(batch(&a, 2)).await.unwrap();
    assert_eq!(seqs(&*second, &a).await, [1, 2]);
    second.ready().await.unwrap();
}

#[tokio::test]
async fn a_server_with_nothing_to_append_finds_out_that_it_was_taken_over() {
    if !there() {
        return;
    }
    let place = KeyspacePlace::new(Options { watch_every: Duration::from_millis(50), ..options() });
    let first = place.open_here().await.store;
    assert!(tokio::time::timeout(Duration::from_millis(200), first.taken_over()).await.is_err(), "nobody has");
    first.ready().await.unwrap();
    let second = place.open_here().await.store;
    let why = tokio::time::timeout(Duration::from_secs(20), first.taken_over()).await.unwrap();
    assert!(why.contains("taken the journal over"), "{why}");
    assert!(matches!(first.ready().await, Err(Error::InUse { .. })));
    second.ready().await.unwrap();
}

#[tokio::test]
async fn who_asks_whether_a_server_is_ready_hears_that_it_was_taken_over() {
    if !there() {
        return;
    }
    let place = KeyspacePlace::default();
    let first = place.open_here().await.store;
    first.ready().await.unwrap();
    let _second = place.open_here().await.store;
    assert!(matches!(first.ready().await, Err(Error::InUse { .. })), "nothing was appended, and nobody looks by himself here");
}

/// Appends until it is fenced; what was acknowledged.
async fn append_until_fenced(store: &dyn Store, twin: &str) -> u64 {
    let twin = id(twin);
    for seq in 1.. {
        match store.append(batch(&twin, seq)).await {
            Ok(()) => {}
            Err(Error::InUse { .. }) => return seq - 1,
            Err(other) => panic!("{other}"),
        }
    }
    0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_takeover_under_load_loses_nothing_that_was_acknowledged() {
    if !there() {
        return;
    }
    let place = KeyspacePlace::default();
    let first = place.open_here().await.store;
    let devices: Vec<String> = (0..12).map(|n| format!("device-{n}")).collect();
    let running: Vec<_> = devices
        .iter()
        .map(|device| {
            let (store, device) = (first.clone(), device.clone());
            tokio::spawn(async move { append_until_fenced(&*store, &device).await })
        })
        .collect();
    while first.stats().turns_committed < 100 {
        tokio::task::yield_now().await;
    }
    let second = place.open_here().await.store;
    for (device, acknowledged) in devices.iter().zip(running) {
        let acknowledged = acknowledged.await.unwrap();
        let found = seqs(&*second, &id(device)).await;
        // One more may be there: it was in, and its sender heard only that it is not known.
        assert!(found.len() as u64 - acknowledged <= 1, "{device}: {acknowledged} acknowledged, {} found", found.len());
        assert!(found.iter().copied().eq(1..=found.len() as u64), "{device}: {found:?}");
    }
}
