//! What has served its purpose goes away: segments of the journal, hours of wakes, lists of twins by day, whoever died before.

#![allow(clippy::unwrap_used)]

mod common;

use std::{collections::BTreeMap, time::Duration};

use common::{KeyspacePlace, batch, id, options, session, there};
use hierarchy_models::{Command, CommandId, CommandState, Timestamp, Value};
use persistence::{Journal, Projection, Projections, Snapshot, Store};
use persistence_scylla::{Options, ScyllaStore};
use scylla::client::session::Session;

/// How many rows a table has.
async fn rows(session: &Session, table: &str) -> usize {
    let answer = session.query_unpaged(format!("SELECT * FROM {table}"), ()).await.unwrap();
    answer.into_rows_result().unwrap().rows_num()
}

/// The segments of each log that has any.
async fn segments(session: &Session) -> BTreeMap<i16, Vec<i64>> {
    let answer = session.query_unpaged("SELECT DISTINCT log, seg FROM journal", ()).await.unwrap().into_rows_result().unwrap();
    let mut logs = BTreeMap::<i16, Vec<i64>>::new();
    for (log, seg) in answer.rows::<(i16, i64)>().unwrap().map(Result::unwrap) {
        logs.entry(log).or_default().push(seg);
    }
    logs.values_mut().for_each(|segments| segments.sort());
    logs
}

async fn project(store: &ScyllaStore, projection: Projection) {
    store.project(projection).await.unwrap();
}

#[tokio::test]
async fn segments_go_when_they_are_projected_and_those_that_somebody_left_with_the_next_start() {
    if !there() {
        return;
    }
    let place = KeyspacePlace::new(Options { segment_frames_max: 2, ..options() });
    let store = place.open_here().await.store;
    let session = session(&place.options).await;
    for seq in 1..=7 {
        store.append(batch(&id("a"), seq)).await.unwrap();
    }
    let (log, all) = segments(&session).await.into_iter().max_by_key(|(_, all)| all.len()).unwrap();
    assert!(all.len() >= 4, "{all:?}");
    store.close().await.unwrap();
    // As one leaves it that dies when it has moved the checkpoint and trimmed nothing.
    let last = *all.last().unwrap();
    let next = session.query_unpaged("SELECT next FROM journal WHERE log = ? AND seg = ? LIMIT 1", (log, last)).await.unwrap();
    let (next,) = next.into_rows_result().unwrap().single_row::<(i64,)>().unwrap();
    let moved = "INSERT INTO checkpoint (log, seg, frame) VALUES (?, ?, ?) USING TIMESTAMP ?";
    session.query_unpaged(moved, (log, last, next - 1, next - 1)).await.unwrap();

    let store = place.open_here().await.store;
    let left = segments(&session).await.remove(&log).unwrap();
    assert!(left.iter().all(|seg| *seg >= last), "{left:?} of {all:?}, and the checkpoint is in {last}");
    for seq in 8..=12 {
        store.append(batch(&id("a"), seq)).await.unwrap();
    }
    project(&store, Projection { through: Some(store.mark()), ..Projection::default() }).await;
    assert_eq!(segments(&session).await[&log].len(), 1, "the open one");
}

#[tokio::test]
async fn a_log_that_holds_nothing_has_one_segment_however_often_it_is_taken_over() {
    if !there() {
        return;
    }
    let place = KeyspacePlace::default();
    let session = session(&place.options).await;
    for _ in 0..4 {
        place.open_here().await.store.close().await.unwrap();
    }
    let segments = segments(&session).await;
    assert!(segments.len() == usize::from(place.options.logs) && segments.values().all(|all| all.len() == 1), "{segments:?}");
    let store = place.open_here().await.store;
    store.append(batch(&id("a"), 1)).await.unwrap();
    drop(store);
    assert_eq!(common::seqs(&*place.open_here().await.store, &id("a")).await, [1]);
}

#[tokio::test]
async fn an_hour_of_wakes_goes_when_it_is_over_and_nobody_wants_it() {
    if !there() {
        return;
    }
    let place = KeyspacePlace::default();
    let session = session(&place.options).await;
    let wants = |seq, at: Option<i64>| {
        let wake_at = at.map(|ms| Timestamp::from_millis(ms).unwrap());
        let snapshot = Snapshot { twin: id("a"), seq, state: "s".into(), contribution: "c".into(), wake_at };
        Projection { snapshots: vec![snapshot], ..Projection::default() }
    };
    // Hours are looked through by the first flush of a process, and then once an hour.
    project(&place.open_here().await.store, wants(1, Some(5))).await;
    let store = place.open_here().await.store;
    project(&store, Projection::default()).await;
    assert_eq!((rows(&session, "wake_hour").await, rows(&session, "wake").await), (1, 1), "somebody wants it");
    let far = i64::from(i32::MAX) * 3_600;
    project(&store, wants(2, Some(far))).await;
    assert_eq!((rows(&session, "wake_hour").await, rows(&session, "wake").await), (2, 2), "what is stale goes with its hour");
    project(&place.open_here().await.store, Projection::default()).await;
    assert_eq!((rows(&session, "wake_hour").await, rows(&session, "wake").await), (1, 1));
    // An hour that was dropped is listed again when somebody wants it.
    let store = place.open_here().await.store;
    project(&store, wants(3, Some(7))).await;
    let wakes = store.wakes(None, 10).await.unwrap();
    assert_eq!(wakes.iter().map(|(at, _)| at.as_millis()).collect::<Vec<_>>(), [7]);
    // A rule that watches for silence moves the wake with every record.
    for seq in 4..54 {
        project(&store, wants(seq, Some(seq as i64))).await;
    }
    assert_eq!(rows(&session, "wake").await, 1 + 1, "one row a twin and hour");
    let wakes = store.wakes(None, 10).await.unwrap();
    assert_eq!(wakes.iter().map(|(at, _)| at.as_millis()).collect::<Vec<_>>(), [53]);
}

#[tokio::test]
async fn a_day_is_looked_through_once_and_again_for_what_could_not_go_yet() {
    if !there() {
        return;
    }
    let day = Duration::from_secs(24 * 3_600);
    let place = KeyspacePlace::new(Options { history_ttl: Some(day), ..options() });
    let store = place.open_here().await.store;
    let session = session(&place.options).await;
    let now = Timestamp::from_millis((day * 3).as_millis() as i64).unwrap();
    // All of day 0.
    for twin in 0..100 {
        store.append(batch(&id(&format!("twin-{twin}")), 1)).await.unwrap();
    }
    let command = |state| Command {
        id: CommandId::new("c").unwrap(),
        name: "reboot".into(),
        payload: Value::Null,
        state,
        expires_at: now,
        queued_at: Timestamp::from_millis(1).unwrap(),
        delivered_at: None,
        ended_at: None,
        deliveries: 0,
        result: None,
        idempotency_key: None,
        sender: "operator".into(),
    };
    let commands = vec![(id("waiting"), command(CommandState::Queued))];
    project(&store, Projection { through: Some(store.mark()), commands, ..Projection::default() }).await;
    assert_eq!(rows(&session, "by_day").await, 101);
    let mut steps = 0;
    while store.forget_history(now, 10).await.unwrap() > 0 {
        steps += 1;
    }
    assert!((10..=100).contains(&steps), "{steps} steps for 100 twins, ten rows each");
    assert_eq!(rows(&session, "by_day").await, 1, "a command waits");
    assert_eq!(store.forget_history(now, 10).await.unwrap(), 0, "and keeps no step going");
    let commands = vec![(id("waiting"), command(CommandState::Completed))];
    project(&store, Projection { commands, ..Projection::default() }).await;
    assert_eq!(store.forget_history(now, 10).await.unwrap(), 1);
    store.forget_history(now, 10).await.unwrap();
    assert_eq!((rows(&session, "by_day").await, rows(&session, "day").await), (0, 0));
}
