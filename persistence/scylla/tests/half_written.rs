//! A call of several rows of which the server takes some: reads say what is there, and the next call mixes nothing with it.

#![allow(clippy::unwrap_used)]

mod common;

use bytes::Bytes;
use common::{KeyspacePlace, id, ours, row};
use hierarchy_models::{Name, TwinId, Value};
use persistence::{Projection, Projections, Registry, RegistryQuery, RegistryRow, Snapshot};

/// More than the server of tests/cql takes in one row (half of its `commitlog_segment_size`), and less than it takes in one frame (16 MiB).
const TOO_MUCH: usize = 13 * 1024 * 1024;

fn under(twin: &str, parent: &str) -> RegistryRow {
    RegistryRow { parent: Some(id(parent)), ..row(twin, 1) }
}

#[tokio::test]
async fn rows_that_landed_are_there_and_the_others_are_not() {
    if !ours() {
        return;
    }
    let place = KeyspacePlace::default();
    let store = place.open_here().await.store;
    let big = RegistryRow { metadata: [(Name::from("note"), Value::from(&*"x".repeat(TOO_MUCH)))].into(), ..row("big", 1) };
    assert!(store.put_rows(vec![row("site", 1), big]).await.is_err());
    assert_eq!(store.entry(&id("big")).await.unwrap(), None);
    let site = store.entry(&id("site")).await.unwrap().unwrap();
    assert_eq!((site.path.as_str(), site.row), ("site", row("site", 1)));
    // What can be seen can have children, and what cannot has none.
    store.put_rows(vec![under("room", "site")]).await.unwrap();
    assert!(store.put_rows(vec![under("lamp", "big")]).await.is_err());
    let listed = store.list(RegistryQuery { limit: 10, ..RegistryQuery::default() }).await.unwrap();
    assert_eq!(listed.items.iter().map(|entry| entry.path.to_string()).collect::<Vec<_>>(), ["site/room", "site"]);
    drop(store);
    let again = place.open_here().await.store;
    assert_eq!(again.count().await.unwrap(), 2);
}

#[tokio::test]
async fn a_snapshot_that_was_given_up_is_mixed_into_no_later_one() {
    if !ours() {
        return;
    }
    let place = KeyspacePlace::default();
    let store = place.open_here().await.store;
    let of = |twin: &TwinId, seq, state: Bytes| Snapshot { twin: twin.clone(), seq, state, contribution: Bytes::new(), wake_at: None };
    for round in 0..4 {
        // As many as are on their way at once, so that some are when the server has refused the big one.
        let twins: Vec<TwinId> = (0..63).map(|n| id(&format!("twin-{round}-{n}"))).collect();
        let mut snapshots: Vec<_> = twins.iter().map(|twin| of(twin, 10, "z, the larger of the two".into())).collect();
        snapshots.push(of(&id("big"), 10, vec![0; TOO_MUCH].into()));
        assert!(store.project(Projection { snapshots, ..Projection::default() }).await.is_err());
        let snapshots = twins.iter().map(|twin| of(twin, 12, "a".into())).collect();
        store.project(Projection { snapshots, ..Projection::default() }).await.unwrap();
        for twin in &twins {
            assert_eq!(store.snapshot(twin).await.unwrap(), Some(of(twin, 12, "a".into())));
        }
    }
}
