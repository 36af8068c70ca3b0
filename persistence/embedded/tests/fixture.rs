//! A store folder of every form is kept, and opens: `v1` with its journal in SQLite, `v2` with segments, `v3` with postings.
//!
//! `WRITE_FIXTURES=1 cargo test -p persistence-embedded --test fixture` writes the newest: once for a new version, then never
//! again for it.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use common::id;
use hierarchy_models::{
    Command, CommandId, CommandState, Event, EventBody, Raw, Record, Timestamp, Value,
    event::{Encoding, Status},
    filter::Filter,
    id::ModelId,
};
use persistence::{
    Batch, CommandQuery, Documents, EventQuery, History, Identities, Identity, Journal, OwnCertificate, Projection, Projections, Registry,
    RegistryQuery, RegistryRow, SealedKey, Snapshot, Store,
};
use persistence_embedded::{EmbeddedStore, Opened, Options};

const NEWEST: &str = "v3";
const SEGMENT: &str = "journal/0000000000000001.log";

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.join("journal")).unwrap();
    for file in ["state.db", "identities.db", "journal.db", SEGMENT] {
        if from.join(file).exists() {
            fs::copy(from.join(file), to.join(file)).unwrap();
        }
    }
    // Only a folder with segments has one.
    let _ = fs::remove_dir(to.join("journal"));
}

/// The room made ahead is not worth keeping.
fn cut_zeros(path: &Path) {
    let file = fs::read(path).unwrap();
    let end = file.iter().rposition(|byte| *byte != 0).unwrap() + 16;
    fs::write(path, &file[..end]).unwrap();
}

/// As the kept folders hold it: not to be changed.
fn event(seq: u64) -> Event {
    let at = Timestamp::from_millis(1_372_896_000_000 + seq as i64).unwrap();
    let raw = Raw { encoding: Encoding::Json, bytes: Bytes::from(format!("{{\"t\":{seq}.5}}")) };
    let record = Record { at, id: None, values: vec![("t".into(), Value::Float(seq as f64 + 0.5))] };
    Event { seq, received_at: at, body: EventBody::Telemetry { stream: None, records: vec![record], raw } }
}

fn batch(seq: u64) -> Batch {
    let mut batch = Batch::default();
    batch.push(&id("room"), &[event(seq)]);
    batch
}

fn command() -> Command {
    let at = |ms| Timestamp::from_millis(ms).unwrap();
    Command {
        id: CommandId::new("c-1").unwrap(),
        name: "reboot".into(),
        payload: Value::Int(1),
        state: CommandState::Queued,
        expires_at: at(9),
        queued_at: at(3),
        delivered_at: None,
        ended_at: None,
        deliveries: 0,
        result: None,
        idempotency_key: Some("key".into()),
        sender: "operator".into(),
    }
}

fn row(twin: &str, parent: Option<&str>) -> RegistryRow {
    RegistryRow {
        id: id(twin),
        model: ModelId::new("dtmi:twinfold:Room;1").unwrap(),
        parent: parent.map(id),
        gateway: None,
        status: Status::Active,
        metadata: [("floor".into(), Value::Int(3))].into(),
        tags: vec!["tag".into()],
        created_at: Timestamp::EPOCH,
        seq: 1,
    }
}

fn snapshot() -> Snapshot {
    Snapshot { twin: id("room"), seq: 4, state: Bytes::from("state"), contribution: Bytes::from("part"), wake_at: Some(Timestamp::EPOCH) }
}

fn identity() -> Identity {
    let sealed = vec![SealedKey { slot: "own".into(), nonce: vec![1], sealed: vec![2, 3] }];
    Identity { slots: vec!["primary".into()], sealed, ..Identity::new(id("room"), 3, 1) }
}

/// Four events in history, two in the journal only, one row or more in every table.
async fn write(folder: &Path) {
    let Opened { store, identities } = EmbeddedStore::open(folder, Options::default()).unwrap();
    store.put_rows(vec![row("site", None), row("room", Some("site"))]).await.unwrap();
    for seq in 1..=6 {
        store.append(batch(seq)).await.unwrap();
        if seq == 4 {
            let through = Some(store.mark());
            let commands = vec![(id("room"), command())];
            store.project(Projection { through, commands, snapshots: vec![snapshot()], ..Projection::default() }).await.unwrap();
        }
    }
    store.put_document("rule", "r-1", Bytes::from("body")).await.unwrap();
    identities.put_identities(vec![identity()]).await.unwrap();
    store.close().await.unwrap();
}

fn kept(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(version)
}

#[tokio::test]
async fn a_folder_of_version_1_opens_and_its_journal_moves() {
    let folder = tempfile::tempdir().unwrap();
    copy(&kept("v1"), folder.path());
    opens(folder.path()).await;
    assert!(folder.path().join("journal").exists() && !folder.path().join("journal.db").exists());
    let again = EmbeddedStore::open(folder.path(), Options::default()).unwrap().store;
    assert_eq!(again.tail(&id("room")).await.unwrap().len(), 3, "what was appended after the move is there too");
}

#[tokio::test]
async fn a_folder_of_version_2_opens_and_its_twins_are_found() {
    let folder = tempfile::tempdir().unwrap();
    copy(&kept("v2"), folder.path());
    opens(folder.path()).await;
}

#[tokio::test]
async fn a_folder_of_version_3_opens() {
    if env::var_os("WRITE_FIXTURES").is_some() {
        let fresh = tempfile::tempdir().unwrap();
        write(fresh.path()).await;
        cut_zeros(&fresh.path().join(SEGMENT));
        copy(fresh.path(), &kept(NEWEST));
    }
    let folder = tempfile::tempdir().unwrap();
    copy(&kept(NEWEST), folder.path());
    opens(folder.path()).await;
}

/// As the kept file of schema 2 holds it: not to be changed.
fn identity_of_2() -> Identity {
    let certificate = |slot: &str, byte| OwnCertificate { slot: slot.into(), sha256: [byte; 32] };
    Identity {
        certificates: vec![certificate("primary", 1), certificate("secondary", 2)],
        password: Some("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2Fs$aGFzaA".into()),
        gateway: Some(id("gateway")),
        ..identity()
    }
}

/// `identities.db` has versions of its own.
#[tokio::test]
async fn identities_of_schema_2_open() {
    let kept = kept("identities-2").join("identities.db");
    if env::var_os("WRITE_FIXTURES").is_some() {
        let fresh = tempfile::tempdir().unwrap();
        let Opened { store, identities } = EmbeddedStore::open(fresh.path(), Options::default()).unwrap();
        identities.put_identities(vec![identity_of_2()]).await.unwrap();
        store.close().await.unwrap();
        fs::create_dir_all(kept.parent().unwrap()).unwrap();
        fs::copy(fresh.path().join("identities.db"), &kept).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    fs::copy(&kept, folder.path().join("identities.db")).unwrap();
    let Opened { identities, .. } = EmbeddedStore::open(folder.path(), Options::default()).unwrap();
    assert_eq!(identities.identity(&id("room")).await.unwrap(), Some(identity_of_2()));
    assert_eq!(identities.behind_gateway(&id("gateway"), None, 10).await.unwrap(), [id("room")]);
}

async fn opens(folder: &Path) {
    let Opened { store, identities } = EmbeddedStore::open(folder, Options::default()).unwrap();
    let room = id("room");
    let query = EventQuery { after_seq: 0, twin: room.clone(), stream: None, from: None, to: None, limit: 100, cursor: None };
    let events: Vec<_> = store.events(query).await.unwrap().items.into_iter().map(|l| l.event).collect();
    assert_eq!(events, (1..=6).map(event).collect::<Vec<_>>());
    assert_eq!(store.tail(&room).await.unwrap().len(), 2);
    assert_eq!(store.snapshot(&room).await.unwrap(), Some(snapshot()));
    let entry = store.entry(&room).await.unwrap().unwrap();
    assert_eq!((entry.row, entry.path.as_str()), (row("room", Some("site")), "site/room"));
    for filter in
        ["tag(\"tag\") && metadata.floor == 3 && under(\"site\")", "model == \"Room\" && parent == \"site\" && created_at < \"1970-01-02\""]
    {
        let query = RegistryQuery { filter: Some(Filter::parse(filter).unwrap()), limit: 5, ..RegistryQuery::default() };
        let found = store.list(query).await.unwrap().items;
        assert_eq!(found.iter().map(|entry| &entry.row.id).collect::<Vec<_>>(), [&room], "{filter}");
    }
    let commands = CommandQuery { twin: room.clone(), state: Some(CommandState::Queued), limit: 5, cursor: None };
    assert_eq!(store.commands(commands).await.unwrap().items, [command()]);
    assert_eq!(store.document("rule", "r-1").await.unwrap(), Some(Bytes::from("body")));
    assert_eq!(identities.identity(&room).await.unwrap(), Some(identity()));
    store.append(batch(7)).await.unwrap();
    store.close().await.unwrap();
}
