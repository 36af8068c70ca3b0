//! A call of several rows of which the server takes some: reads say what is there, and nothing that is not.

#![allow(clippy::unwrap_used)]

mod common;

use common::{KeyspacePlace, id, row, there};
use hierarchy_models::{Name, Value};
use persistence::{Registry, RegistryQuery, RegistryRow};

/// More than the server of tests/cql takes in one row.
const TOO_MUCH: usize = 5 * 1024 * 1024;

fn under(twin: &str, parent: &str) -> RegistryRow {
    RegistryRow { parent: Some(id(parent)), ..row(twin, 1) }
}

#[tokio::test]
async fn rows_that_landed_are_there_and_the_others_are_not() {
    if !there() || std::env::var_os("TWINFOLD_TEST_CQL").is_some() {
        return;
    }
    let place = KeyspacePlace::default();
    let store = place.open_here().await.store;
    let big = RegistryRow { metadata: [(Name::from("note"), Value::from("x".repeat(TOO_MUCH)))].into(), ..row("big", 1) };
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
