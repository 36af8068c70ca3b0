//! The keyspace and its tables: made once however many start together, brought up to date with what is in them, refused when they are newer.

#![allow(clippy::unwrap_used)]

mod common;

use common::{KeyspacePlace, batch, id, row, seqs, session, there};
use persistence::{Error, Identities, Identity, Journal, Registry, Store};
use persistence_scylla::{Options, SCHEMA_VERSION, ScyllaStore};
use scylla::client::session::Session;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keyspace_is_made_once_however_many_start_together() {
    if !there() {
        return;
    }
    let place = KeyspacePlace::default();
    let starts: Vec<_> = (0..4).map(|_| tokio::spawn(ScyllaStore::open(place.options.clone()))).collect();
    let mut opened = 0;
    for start in starts {
        match start.await.unwrap() {
            Ok(_) => opened += 1,
            Err(Error::InUse { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert!(opened >= 1);
    let store = place.open_here().await.store;
    store.append(batch(&id("a"), 1)).await.unwrap();
    // The number of logs is that of the keyspace, whatever is asked for later.
    let other = ScyllaStore::open(Options { logs: 7, ..place.options.clone() }).await.unwrap().store;
    assert_eq!((other.mark().0.len(), seqs(&*other, &id("a")).await), (usize::from(place.options.logs), vec![1]));
}

#[tokio::test]
async fn a_start_goes_on_when_the_lock_of_one_that_died_is_gone() {
    if !there() {
        return;
    }
    let place = KeyspacePlace::default();
    let session = session(&place.options).await;
    session.query_unpaged("CREATE TABLE meta (k text PRIMARY KEY, v text)", ()).await.unwrap();
    session.query_unpaged("INSERT INTO meta (k, v) VALUES ('lock', 'another') IF NOT EXISTS USING TTL 2", ()).await.unwrap();
    place.open_here().await.store.ready().await.unwrap();
    let answer = session.query_unpaged("SELECT k FROM meta", ()).await.unwrap().into_rows_result().unwrap();
    let mut keys: Vec<String> = answer.rows::<(String,)>().unwrap().map(|row| row.unwrap().0).collect();
    keys.sort();
    assert_eq!(keys, ["logs", "schema"], "and leaves no lock itself");
}

#[tokio::test]
async fn a_keyspace_of_a_newer_program_is_refused() {
    if !there() {
        return;
    }
    let place = KeyspacePlace::default();
    place.open_here().await.store.close().await.unwrap();
    let session = session(&place.options).await;
    session.query_unpaged("UPDATE meta SET v = '99' WHERE k = 'schema' IF EXISTS", ()).await.unwrap();
    let refused = ScyllaStore::open(place.options.clone()).await.err();
    assert!(matches!(refused, Some(Error::TooNew { found: 99, known: SCHEMA_VERSION })), "{refused:?}");
}

/// The keyspace as a program of schema 1 left it.
async fn back_to_the_first_schema(session: &Session) {
    for table in ["credential", "behind_gateway"] {
        session.query_unpaged(format!("DROP TABLE {table}"), ()).await.unwrap();
    }
    session.query_unpaged("UPDATE meta SET v = '1' WHERE k = 'schema' IF EXISTS", ()).await.unwrap();
}

#[tokio::test]
async fn what_an_older_program_left_is_there_after_the_migration() {
    if !there() {
        return;
    }
    let place = KeyspacePlace::default();
    let opened = place.open_here().await;
    let a = id("a");
    opened.store.put_rows(vec![row("a", 1)]).await.unwrap();
    opened.store.append(batch(&a, 1)).await.unwrap();
    let identity = Identity { slots: vec!["primary".into()], ..Identity::new(a.clone(), 3, 1) };
    opened.identities.put_identities(vec![identity.clone()]).await.unwrap();
    opened.store.close().await.unwrap();
    back_to_the_first_schema(&session(&place.options).await).await;

    let opened = place.open_here().await;
    assert_eq!(opened.identities.identity(&a).await.unwrap(), Some(identity.clone()));
    assert_eq!(opened.store.entry(&a).await.unwrap().map(|entry| entry.row), Some(row("a", 1)));
    assert_eq!(seqs(&*opened.store, &a).await, [1]);
    // And the new tables take what the new program knows.
    let with_gateway = Identity { generation: 4, gateway: Some(id("g")), ..identity };
    opened.identities.put_identities(vec![with_gateway.clone()]).await.unwrap();
    assert_eq!(opened.identities.identity(&a).await.unwrap(), Some(with_gateway));
}
