//! History with a retention: chunks go away by themselves, and what the time to live does not reach goes by whole days.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use common::{KeyspacePlace, batch, id, options, there};
use hierarchy_models::{Event, EventBody, Raw, Record, Timestamp, TwinId, Value, event::Encoding};
use persistence::{Batch, HistoryQuery, Journal, Projection, Projections, Store};
use persistence_scylla::Options;

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// For what the server does by its own clock, in whole seconds.
const PATIENCE: Duration = Duration::from_secs(30);

fn keeping(ttl: Option<Duration>) -> KeyspacePlace {
    KeyspacePlace::new(Options { history_ttl: ttl, ..options() })
}

async fn values(store: &dyn Store, twin: &TwinId) -> usize {
    let query = HistoryQuery { after_seq: 0, twin: twin.clone(), name: "t".into(), from: None, to: None, limit: 100, cursor: None };
    store.history(query).await.unwrap().items.len()
}

async fn flush(store: &dyn Store) {
    store.project(Projection { through: Some(store.mark()), ..Projection::default() }).await.unwrap();
}

/// An event received on this day since 1970.
fn of_day(twin: &TwinId, seq: u64, day: u32) -> Batch {
    let at = Timestamp::from_millis((DAY * day).as_millis() as i64).unwrap();
    let record = Record { at, id: None, values: vec![("t".into(), Value::Int(1))] };
    let raw = Raw { encoding: Encoding::Unknown, bytes: Default::default() };
    let mut batch = Batch::default();
    batch.push(twin, &[Event { seq, received_at: at, body: EventBody::Telemetry { stream: None, records: vec![record], raw } }]);
    batch
}

#[tokio::test]
async fn a_chunk_goes_away_by_itself_and_its_events_are_there_until_then() {
    if !there() {
        return;
    }
    let place = keeping(Some(Duration::from_secs(3)));
    let store = place.open_here().await.store;
    let a = id("a");
    store.append(batch(&a, 1)).await.unwrap();
    assert_eq!(values(&*store, &a).await, 1, "what is not flushed has no time to live");
    flush(&*store).await;
    assert_eq!(values(&*store, &a).await, 1);
    let since = Instant::now();
    while values(&*store, &a).await > 0 {
        assert!(since.elapsed() < PATIENCE, "the chunk stays");
        tokio::task::yield_now().await;
    }
    // A flush that comes after writes chunks of its own.
    store.append(batch(&a, 2)).await.unwrap();
    flush(&*store).await;
    assert_eq!(values(&*store, &a).await, 1);
}

#[tokio::test]
async fn with_a_time_to_live_only_whole_days_are_looked_through() {
    if !there() {
        return;
    }
    let place = keeping(Some(DAY));
    let store = place.open_here().await.store;
    let a = id("a");
    for (seq, day) in [(1, 100), (2, 101), (3, 102)] {
        store.append(of_day(&a, seq, day)).await.unwrap();
    }
    flush(&*store).await;
    let noon = Timestamp::from_millis((DAY * 102 - DAY / 2).as_millis() as i64).unwrap();
    assert!(store.forget_history(noon, 1_000).await.unwrap() > 0);
    assert_eq!(values(&*store, &a).await, 2, "day 100 is gone, day 101 is not over yet");
    assert_eq!(store.forget_history(noon, 1_000).await.unwrap(), 0, "no day is looked at twice");
    // The same keyspace without a time to live: by the instant.
    drop(store);
    let place = KeyspacePlace::new(Options { history_ttl: None, ..place.options.clone() });
    let store = place.open_here().await.store;
    assert_eq!(store.forget_history(noon, 1_000).await.unwrap(), 1);
    assert_eq!(values(&*store, &a).await, 1);
}
