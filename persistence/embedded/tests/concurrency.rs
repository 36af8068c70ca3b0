//! Readers, appends and flushes at the same time.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use common::{FolderPlace, batch, event, id};
use persistence::{Batch, EventQuery, History, Journal, Projection, Projections, Store};
use persistence_embedded::{EmbeddedStore, Options};

async fn logged(store: &EmbeddedStore) -> Vec<u64> {
    let query = EventQuery { after_seq: 0, twin: id("a"), stream: None, from: None, to: None, limit: 1_000_000, cursor: None };
    store.events(query).await.unwrap().items.iter().map(|l| l.event.seq).collect()
}

/// While one task appends and one flushes, every read must see each event once, and all that were acknowledged before it began.
async fn reads_see_each_event_once(options: Options) {
    const LAST: u64 = 250;
    let place = FolderPlace::new(options);
    let store = place.open_here().store;
    let acked = Arc::new(AtomicU64::new(0));
    let appender = tokio::spawn({
        let (store, acked) = (store.clone(), acked.clone());
        async move {
            for seq in 1..=LAST {
                store.append(batch(&id("a"), seq, 20)).await.unwrap();
                acked.store(seq, Ordering::Release);
            }
        }
    });
    let flusher = tokio::spawn({
        let (store, acked) = (store.clone(), acked.clone());
        async move {
            while acked.load(Ordering::Acquire) < LAST {
                store.project(Projection { through: Some(store.mark()), ..Projection::default() }).await.unwrap();
            }
        }
    });
    let mut reads = 0;
    while acked.load(Ordering::Acquire) < LAST {
        let before = acked.load(Ordering::Acquire);
        let found = logged(&store).await;
        assert_eq!(found, (1..=found.len() as u64).collect::<Vec<_>>());
        assert!(found.len() as u64 >= before, "{} events seen, {before} acknowledged before", found.len());
        reads += 1;
    }
    appender.await.unwrap();
    flusher.await.unwrap();
    assert!(reads > 10, "{reads} reads");
    assert_eq!(logged(&store).await.len() as u64, LAST);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn reads_see_each_event_once_while_it_is_flushed() {
    reads_see_each_event_once(Options::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn reads_see_each_event_once_while_the_journal_is_trimmed_under_them() {
    reads_see_each_event_once(Options { backlog_memory_bytes_max: 0, ..Options::default() }).await;
}

#[tokio::test]
async fn a_queue_without_room_makes_callers_wait_and_loses_none() {
    let place = FolderPlace::new(Options { queue_bytes_max: 1, ..Options::default() });
    let store = place.open_here().store;
    let one = |seq| {
        let store = store.clone();
        tokio::spawn(async move { store.append(batch(&id("a"), seq, 3_000)).await.unwrap() })
    };
    for caller in (1..=100).map(one).collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    assert_eq!(logged(&store).await, (1..=100).collect::<Vec<_>>());
}

#[tokio::test]
async fn many_callers_share_a_commit() {
    let place = FolderPlace::default();
    let store = place.open_here().store;
    let one = |n| {
        let store = store.clone();
        tokio::spawn(async move { store.append(batch(&id(&format!("twin-{n}")), 1, 20)).await.unwrap() })
    };
    for caller in (0..2_000).map(one).collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    let stats = store.stats();
    assert_eq!(stats.turns_committed, 2_000);
    assert!(stats.frames_committed < 200, "{} frames for 2,000 turns that queued together", stats.frames_committed);
}

#[tokio::test]
async fn commits_keep_their_distance_unless_the_store_was_idle_or_the_frame_is_full() {
    // Far longer than any test: what does not commit at once would hang.
    let place = FolderPlace::new(Options { commit_spacing: Duration::from_secs(3_600), ..Options::default() });
    let store = place.open_here().store;
    store.append(batch(&id("a"), 1, 20)).await.unwrap();
    let mut full = Batch::default();
    while !full.is_full() {
        full.push(&id("a"), &[event(full.turns() as u64 + 2, 20)]);
    }
    store.append(full).await.unwrap();
    store.close().await.unwrap();

    let spacing = Duration::from_millis(20);
    let place = FolderPlace::new(Options { commit_spacing: spacing, ..Options::default() });
    let store = place.open_here().store;
    let since = Instant::now();
    for seq in 1..=6 {
        store.append(batch(&id("a"), seq, 20)).await.unwrap();
    }
    assert!(since.elapsed() >= spacing * 5, "{:?} for six commits", since.elapsed());
    assert_eq!(logged(&store).await, (1..=6).collect::<Vec<_>>());
}
