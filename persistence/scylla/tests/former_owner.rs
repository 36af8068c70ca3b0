//! A former owner that has not noticed yet, and what it sent that comes late: neither overwrites what the present owner has written.

#![allow(clippy::unwrap_used)]

mod common;

use bytes::Bytes;
use common::{KeyspacePlace, batch, id, row, session, there};
use futures_util::future::BoxFuture;
use persistence::{Documents, Error, EventQuery, History, Identities, Identity, Journal, Projection, Projections, Registry, Snapshot};
use persistence_scylla::{Opened, ScyllaStore};
use scylla::client::session::Session;

fn snapshot(seq: u64) -> Projection {
    let state = Bytes::from(format!("state {seq}"));
    let snapshot = Snapshot { twin: id("a"), seq, state, contribution: Bytes::new(), wake_at: None };
    Projection { snapshots: vec![snapshot], ..Projection::default() }
}

fn identity(generation: u64) -> Identity {
    Identity::new(id("a"), generation, 1)
}

fn is_in_use<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(matches!(&result, Err(Error::InUse { detail }) if detail.contains("taken the journal over")), "{result:?}");
}

/// Everything that is written behind the journal, of the twin `a`.
async fn write_all(opened: &Opened, seq: u64) -> Result<(), Error> {
    let Opened { store, identities } = opened;
    store.put_rows(vec![row("a", seq)]).await?;
    store.put_document("principal", "key", Bytes::from(seq.to_string())).await?;
    identities.put_identities(vec![identity(seq)]).await?;
    store.project(snapshot(seq)).await
}

#[tokio::test]
async fn a_former_owner_finds_out_before_it_writes_or_deletes_anything() {
    if !there() {
        return;
    }
    let place = KeyspacePlace::default();
    type Late = fn(&Opened) -> BoxFuture<'_, Result<(), Error>>;
    let writes: [Late; 7] = [
        |first| first.store.project(Projection { deleted: vec![id("a")], ..Projection::default() }),
        |first| first.store.project(snapshot(7)),
        |first| first.store.put_rows(vec![row("a", 7)]),
        |first| first.store.put_document("principal", "key", "late".into()),
        |first| Box::pin(async { first.store.delete_document("principal", "key").await.map(drop) }),
        |first| first.identities.put_identities(vec![identity(7)]),
        |first| Box::pin(async { first.identities.delete_identity(&id("a")).await }),
    ];
    for late in writes {
        // Every one of them is the first thing that it does since.
        let first = place.open_here().await;
        let second = place.open_here().await;
        write_all(&second, 9).await.unwrap();
        is_in_use(late(&first).await);
        is_in_use(first.store.forget_history(hierarchy_models::Timestamp::MAX, 10).await);
        assert_eq!(second.store.entry(&id("a")).await.unwrap().unwrap().row.seq, 9);
        assert_eq!(second.store.snapshot(&id("a")).await.unwrap().unwrap().seq, 9);
        assert_eq!(second.store.document("principal", "key").await.unwrap().unwrap(), "9");
        assert_eq!(second.identities.identity(&id("a")).await.unwrap(), Some(identity(9)));
    }
}

/// When a row was written, in the words of the server.
async fn written(session: &Session, what: &str) -> i64 {
    let answer = session.query_unpaged(format!("SELECT WRITETIME{what}"), ()).await.unwrap();
    answer.into_rows_result().unwrap().single_row::<(i64,)>().unwrap().0
}

#[tokio::test]
async fn what_was_sent_by_a_former_owner_is_older_than_what_the_present_one_wrote() {
    if !there() {
        return;
    }
    let place = KeyspacePlace::default();
    let session = session(&place.options).await;
    let rows = [
        "(seq) FROM twin WHERE id = 'a'",
        "(body) FROM document WHERE kind = 'principal' AND id = 'key' ALLOW FILTERING",
        "(generation) FROM identity WHERE device = 'a'",
        "(state) FROM snapshot WHERE twin = 'a'",
    ];
    let first = place.open_here().await;
    write_all(&first, 1).await.unwrap();
    let mut times = Vec::new();
    for what in rows {
        times.push(written(&session, what).await);
    }
    let second = place.open_here().await;
    write_all(&second, 2).await.unwrap();
    for (what, former) in rows.into_iter().zip(times) {
        let now = written(&session, what).await;
        assert!(former < now && now < 1 << 50, "{what}: {former} and {now}: of an epoch, and not of a clock");
    }
    // A deletion that the first one sent before it was stopped arrives now, in a process whose clock runs ahead.
    let late = written(&session, rows[0]).await - (1 << 20);
    session.query_unpaged(format!("DELETE FROM twin USING TIMESTAMP {late} WHERE id = 'a'"), ()).await.unwrap();
    let third = place.open_here().await;
    assert_eq!(third.store.entry(&id("a")).await.unwrap().unwrap().row.seq, 2);
}

async fn events(store: &ScyllaStore) -> Vec<u64> {
    let log = EventQuery { after_seq: 0, twin: id("a"), stream: None, from: None, to: None, limit: 100, cursor: None };
    store.events(log).await.unwrap().items.iter().map(|logged| logged.event.seq).collect()
}

#[tokio::test]
async fn a_shorter_chunk_that_comes_late_hides_nothing_and_doubles_nothing() {
    if !there() {
        return;
    }
    let place = KeyspacePlace::default();
    drop(place.open_here().await);
    let store = place.open_here().await.store;
    for seq in 1..=3 {
        store.append(batch(&id("a"), seq)).await.unwrap();
    }
    store.project(Projection { through: Some(store.mark()), ..Projection::default() }).await.unwrap();
    let session = session(&place.options).await;
    let select = "SELECT day, stream, frame, format, data FROM history WHERE twin = 'a' AND day = 0";
    let chunk = session.query_unpaged(select, ()).await.unwrap().into_rows_result().unwrap();
    let (day, stream, frame, format, mut data) = chunk.single_row::<(i32, i16, i64, i32, Vec<u8>)>().unwrap();
    // What the former owner had of it when it was stopped: the first event. A frame in one byte, a length in one, the event.
    data.truncate(2 + usize::from(data[1]));
    let insert = "INSERT INTO history (twin, day, stream, frame, owner, last_frame, min_at, max_at, min_received, max_received, events, size, \
                  format, data) VALUES ('a', ?, ?, ?, 1, ?, 1, 1, 1, 1, 1, ?, ?, ?)";
    let values = (day, stream, frame, frame, data.len() as i32, format, data);
    session.query_unpaged(insert, values).await.unwrap();
    assert_eq!(events(&store).await, [1, 2, 3]);
}
