//! Facts about moving house, on a memory store and a folder: what is true of two kinds is true of any.

use std::{ops::RangeInclusive, sync::Arc};

use bytes::Bytes;
use hierarchy_models::{
    CommandId, CommandState, Event, EventBody, Raw, Record, Timestamp, Value, event::Encoding, event::Status, id::ModelId,
};
use persistence::{AUDIT_TOGETHER_MAX, AuditRecord, MemoryStore};
use persistence_embedded::{EmbeddedStore, Options};

use super::*;

fn id(text: &str) -> TwinId {
    TwinId::new(text).unwrap()
}

fn memory() -> (MemoryStore, Opened) {
    let store = MemoryStore::new();
    (store.clone(), Opened { store: Arc::new(store.clone()), identities: Arc::new(store) })
}

fn folder(path: &std::path::Path) -> Opened {
    let opened = EmbeddedStore::open(path, Options::default()).unwrap();
    Opened { store: opened.store, identities: opened.identities }
}

fn event(seq: u64) -> Event {
    let at = Timestamp::from_millis(seq as i64 / 3).unwrap();
    let record = Record { at, id: None, values: vec![("t".into(), Value::Int(seq as i64))] };
    let raw = Raw { encoding: Encoding::Json, bytes: Bytes::from(format!("{{\"t\":{seq}}}")) };
    Event { seq, received_at: at, body: EventBody::Telemetry { stream: None, records: vec![record], raw } }
}

fn command(n: i64) -> Command {
    let at = Timestamp::from_millis(n).unwrap();
    Command {
        id: CommandId::new(format!("c-{n}")).unwrap(),
        name: "reboot".into(),
        payload: Value::Null,
        state: CommandState::Completed,
        expires_at: at,
        queued_at: at,
        delivered_at: None,
        ended_at: Some(at),
        deliveries: 1,
        result: None,
        idempotency_key: Some(format!("key-{n}").into()),
        sender: "operator".into(),
    }
}

fn identity(device: &str, generation: u64) -> Identity {
    Identity { slots: vec!["primary".into()], ..Identity::new(id(device), generation, 1) }
}

/// A child before its parent in the order of ids, events, commands, an identity that is gone.
async fn furnish(side: &Opened) {
    for (twin, parent) in [("a", Some("site")), ("site", None)] {
        let mut batch = Batch::default();
        (1..=2_500).for_each(|seq| batch.push(&id(twin), &[event(seq)]));
        side.store.append(batch).await.unwrap();
        let row = RegistryRow {
            id: id(twin),
            model: ModelId::new("dtmi:twinfold:Device;1").unwrap(),
            parent: parent.map(id),
            gateway: None,
            status: Status::Active,
            metadata: Default::default(),
            tags: Vec::new(),
            created_at: Timestamp::EPOCH,
            seq: 1,
        };
        let snapshot =
            Snapshot { twin: id(twin), seq: 2_500, state: "s".into(), contribution: "c".into(), wake_at: Some(Timestamp::EPOCH) };
        let commands = (0..3).map(|n| (id(twin), command(n))).collect();
        let through = Some(side.store.mark());
        let rows = Projection { through, registry: vec![row], snapshots: vec![snapshot], commands, deleted: Vec::new() };
        side.store.project(rows).await.unwrap();
    }
    side.identities.put_identities(vec![identity("a", 3), identity("gone", 7)]).await.unwrap();
    side.identities.delete_identity(&id("gone")).await.unwrap();
    for kind in actors::documents::KINDS {
        side.store.put_document(kind, "p", "body".into()).await.unwrap();
    }
    audit(side, 1..=300).await;
}

async fn audit(side: &Opened, numbers: RangeInclusive<u64>) {
    let records: Vec<AuditRecord> = numbers.map(|number| audited(number, b'a')).collect();
    for some in records.chunks(AUDIT_TOGETHER_MAX) {
        side.store.append_audit(some.to_vec()).await.unwrap();
    }
}

/// What hangs on what is the runtime's: to a store it is bytes.
fn audited(number: u64, body: u8) -> AuditRecord {
    let at = Timestamp::from_millis(number as i64).unwrap();
    AuditRecord { number, at, hash: [number as u8 ^ body; 32], body: Bytes::copy_from_slice(&[body]) }
}

const ALL: Copied = Copied {
    twins: 2,
    twins_found: 0,
    events: 5_000,
    identities: 2,
    documents: actors::documents::KINDS.len() as u64,
    audit_records: 300,
    removed: 0,
};

#[tokio::test]
async fn the_audit_log_goes_on_where_a_copy_left_it_and_another_one_is_left_alone() {
    let ((_, from), (_, to), (_, other)) = (memory(), memory(), memory());
    furnish(&from).await;
    copy(&from, &to, || {}).await.unwrap();
    audit(&from, 301..=301).await;
    assert_eq!(copy(&from, &to, || {}).await.unwrap().audit_records, 301);
    assert_eq!(to.store.audit_after(0, 400).await.unwrap(), from.store.audit_after(0, 400).await.unwrap());
    begin(&other).await.unwrap();
    other.store.append_audit(vec![audited(1, b'b')]).await.unwrap();
    audit(&other, 2..=302).await;
    assert!(matches!(copy(&from, &other, || {}).await, Err(Error::OtherAudit(302))), "it has one more");
}

#[tokio::test]
async fn a_copy_holds_what_the_original_holds_and_a_second_run_finds_it() {
    let dir = tempfile::tempdir().unwrap();
    let (_, from) = memory();
    let to = folder(dir.path());
    furnish(&from).await;
    let mut seen = 0;
    assert_eq!(copy(&from, &to, || seen += 1).await.unwrap(), ALL);
    assert_eq!(seen, 2);
    assert_eq!(to.store.entry(&id("a")).await.unwrap().unwrap().path.as_str(), "site/a");
    assert_eq!(to.store.wakes(None, 5).await.unwrap().len(), 2);
    assert_eq!(to.identities.identity(&id("a")).await.unwrap(), Some(identity("a", 3)));
    assert_eq!((to.identities.identity(&id("gone")).await.unwrap(), to.identities.next_generation(&id("gone")).await.unwrap()), (None, 8));
    assert_eq!(copy(&from, &to, || {}).await.unwrap(), Copied { twins_found: 2, ..ALL });
    // And back.
    let (_, back) = memory();
    assert_eq!(copy(&to, &back, || {}).await.unwrap(), ALL);
    assert_eq!(copy(&from, &back, || {}).await.unwrap(), Copied { twins_found: 2, ..ALL });
}

#[tokio::test]
async fn a_copy_that_was_stopped_goes_on_where_it_was() {
    let ((_, from), (store, to)) = (memory(), memory());
    furnish(&from).await;
    store.fail_projections(Some(StoreError::Unavailable { doing: "a test", detail: "stopped".into() }));
    assert!(matches!(copy(&from, &to, || {}).await, Err(Error::To(_))));
    assert!(to.store.backlog_bytes() > 0, "some events are there and no twin is");
    store.fail_projections(None);
    assert_eq!(copy(&from, &to, || {}).await.unwrap(), ALL);
    let events = read(&to, &id("a"), 0, u64::MAX).await.unwrap().events;
    assert_eq!(events, 2_500, "no event twice");
}

#[tokio::test]
async fn what_the_old_store_has_no_more_goes_from_the_new_one() {
    let ((_, from), dir) = (memory(), tempfile::tempdir().unwrap());
    let to = folder(dir.path());
    furnish(&from).await;
    copy(&from, &to, || {}).await.unwrap();
    // The old server ran on: a device was removed, a key was revoked, one that had ended was forgotten.
    let kind = actors::documents::KINDS[0];
    from.store.project(Projection { deleted: vec![id("a")], ..Projection::default() }).await.unwrap();
    from.identities.delete_identity(&id("a")).await.unwrap();
    from.store.delete_document(kind, "p").await.unwrap();
    to.identities.put_identities(vec![identity("never-there", 1)]).await.unwrap();

    let copied = copy(&from, &to, || {}).await.unwrap();
    assert_eq!((copied.twins, copied.removed), (1, 3), "the twin, an identity, the key");
    assert_eq!((to.store.entry(&id("a")).await.unwrap(), to.store.snapshot(&id("a")).await.unwrap()), (None, None));
    assert_eq!(to.store.document(kind, "p").await.unwrap(), None);
    for device in ["a", "never-there"] {
        assert_eq!(to.identities.identity(&id(device)).await.unwrap(), None, "{device}");
    }
    assert_eq!(copy(&from, &to, || {}).await.unwrap().removed, 0);
}

#[tokio::test]
async fn retention_may_take_from_the_old_store_between_two_copies() {
    let ((_, from), (_, to)) = (memory(), memory());
    furnish(&from).await;
    copy(&from, &to, || {}).await.unwrap();
    let third = Timestamp::from_millis(2_500 / 3 / 3).unwrap();
    while from.store.forget_history(third, 1_000).await.unwrap() > 0 {}
    let mut batch = Batch::default();
    batch.push(&id("a"), &[event(2_501)]);
    from.store.append(batch).await.unwrap();
    from.store.project(Projection { through: Some(from.store.mark()), ..Projection::default() }).await.unwrap();
    let copied = copy(&from, &to, || {}).await.unwrap();
    assert!(copied.events < 4_500, "{copied:?}");
    assert_eq!(read(&to, &id("a"), 2_400, u64::MAX).await.unwrap().events, 102, "the rest is there, once");
    // Of a twin that has been quiet for long, nothing is left.
    while from.store.forget_history(Timestamp::from_millis(1_000_000).unwrap(), 1_000).await.unwrap() > 0 {}
    assert_eq!(copy(&from, &to, || {}).await.unwrap().events, 0);
}

#[tokio::test]
async fn a_twin_that_no_copy_made_is_not_removed() {
    let ((_, from), (_, to)) = (memory(), memory());
    begin(&to).await.unwrap();
    furnish(&to).await;
    assert!(matches!(copy(&from, &to, || {}).await, Err(Error::NotACopy(_))));
    assert_eq!(to.store.count().await.unwrap(), 2);
    assert!(to.store.document(actors::documents::KINDS[0], "p").await.unwrap().is_some());
}

#[tokio::test]
async fn a_store_that_holds_anything_of_its_own_is_left_alone() {
    let (_, from) = memory();
    furnish(&from).await;
    let kind = actors::documents::KINDS[0];
    let fill = async |what: &str, side: &Opened| match what {
        "twins" => furnish(side).await,
        "identities" => side.identities.put_identities(vec![identity("theirs", 1)]).await.unwrap(),
        "an audit log" => side.store.append_audit(vec![audited(1, b'b')]).await.unwrap(),
        _ => side.store.put_document(kind, "theirs", Default::default()).await.unwrap(),
    };
    for what in ["twins", "identities", kind, "an audit log"] {
        let (_, to) = memory();
        fill(what, &to).await;
        assert!(matches!(copy(&from, &to, || {}).await, Err(Error::NotEmpty(found)) if found == what), "{what}");
        if what == kind {
            assert!(to.store.document(kind, "theirs").await.unwrap().is_some());
        }
    }
    // A server has run on what was a copy.
    let (_, used) = memory();
    copy(&from, &used, || {}).await.unwrap();
    used.store.delete_document(COPY_KIND, MARK).await.unwrap();
    assert!(matches!(copy(&from, &used, || {}).await, Err(Error::NotEmpty("twins"))));
}

#[tokio::test]
async fn what_is_no_copy_is_not_written_over() {
    let ((_, from), (_, to)) = (memory(), memory());
    furnish(&from).await;
    let mut batch = Batch::default();
    batch.push(&id("a"), &[event(7)]);
    to.store.append(batch).await.unwrap();
    assert!(matches!(copy(&from, &to, || {}).await, Err(Error::NotACopy(twin)) if twin == id("a")));
}

#[tokio::test]
async fn events_that_are_not_projected_are_not_left_behind() {
    let ((_, from), (_, to)) = (memory(), memory());
    let mut batch = Batch::default();
    batch.push(&id("a"), &[event(1)]);
    from.store.append(batch).await.unwrap();
    assert!(matches!(copy(&from, &to, || {}).await, Err(Error::Unprojected)));
}
