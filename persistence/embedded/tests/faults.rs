//! What happens when the disk is full, the folder is taken, the data is damaged or newer than the program.

#![allow(clippy::unwrap_used)]

mod common;

use std::{path::Path, process::Command};

use common::{FolderPlace, batch, event, id};
use hierarchy_models::EventBody;
use persistence::{Error, EventQuery, History, Journal, Projection, Projections, Store};
use persistence_embedded::{EmbeddedStore, Opened, Options};

const PAYLOAD: usize = 8 * 1024;

/// Appends until there is no room; how many were acknowledged.
async fn fill(store: &EmbeddedStore, twin: &str, from: u64) -> u64 {
    for seq in from.. {
        match store.append(batch(&id(twin), seq, PAYLOAD)).await {
            Ok(()) => {}
            Err(Error::Full { .. }) => return seq - 1,
            Err(other) => panic!("{other}"),
        }
    }
    unreachable!()
}

/// Sequence numbers in the log of a twin; each event must be as it was written.
async fn logged(store: &EmbeddedStore, twin: &str) -> Vec<u64> {
    let query = EventQuery { after_seq: 0, twin: id(twin), stream: None, from: None, to: None, limit: 100_000, cursor: None };
    let events = store.events(query).await.unwrap().items;
    assert!(events.iter().all(|l| l.event == event(l.event.seq, PAYLOAD)), "an event came back torn");
    events.iter().map(|l| l.event.seq).collect()
}

fn flush(store: &EmbeddedStore) -> impl Future<Output = Result<(), Error>> {
    store.project(Projection { through: Some(store.mark()), ..Projection::default() })
}

#[tokio::test]
async fn a_full_journal_loses_nothing_and_takes_more_when_there_is_room() {
    let place = FolderPlace::new(Options { journal_bytes_max: Some(400 * 1024), ..Options::default() });
    let Opened { store, .. } = place.open_here();
    let acked = fill(&store, "a", 1).await;
    assert!(acked > 10);
    assert!(matches!(store.ready().await, Err(Error::Full { .. })));
    assert_eq!(logged(&store, "a").await, (1..=acked).collect::<Vec<_>>());
    flush(&store).await.unwrap();
    store.append(batch(&id("a"), acked + 1, PAYLOAD)).await.unwrap();
    store.ready().await.unwrap();
    let again = fill(&store, "a", acked + 2).await;
    assert!(again > acked + 10, "the room of trimmed frames is used again");
    store.close().await.unwrap();
    drop(store);
    assert_eq!(logged(&place.open_here().store, "a").await, (1..=again).collect::<Vec<_>>());
}

#[tokio::test]
async fn full_projections_hold_up_no_acknowledgement() {
    let place = FolderPlace::new(Options { state_pages_max: Some(120), ..Options::default() });
    let Opened { store, .. } = place.open_here();
    for seq in 1..=60 {
        store.append(batch(&id("a"), seq, PAYLOAD)).await.unwrap();
    }
    assert!(matches!(flush(&store).await, Err(Error::Full { .. })));
    store.append(batch(&id("a"), 61, PAYLOAD)).await.unwrap();
    assert_eq!(logged(&store, "a").await, (1..=61).collect::<Vec<_>>());
    store.close().await.unwrap();
    drop(store);
    let Opened { store, .. } = EmbeddedStore::open(place.folder.path(), Options::default()).unwrap();
    flush(&store).await.unwrap();
    assert_eq!(logged(&store, "a").await, (1..=61).collect::<Vec<_>>());
}

/// A file system of its own in memory, gone when this is dropped.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(at: &'a Path) -> Option<Self> {
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"]).arg(at).output().ok()?;
        if !mount.status.success() {
            eprintln!("skipped: no small disk to be had here: {}", String::from_utf8_lossy(&mount.stderr));
            return None;
        }
        Some(Self(at))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_the_same_store_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_disk) = SmallDisk::mount(folder.path()) else { return };
    let ballast = folder.path().join("ballast");
    std::fs::write(&ballast, vec![1; 2 << 20]).unwrap();
    let dir = folder.path().join("store");
    let Opened { store, .. } = EmbeddedStore::open(&dir, Options::default()).unwrap();

    let acked = fill(&store, "a", 1).await;
    assert!(acked > 10);
    assert!(matches!(store.ready().await, Err(Error::Full { .. })));
    assert_eq!(logged(&store, "a").await, (1..=acked).collect::<Vec<_>>());

    std::fs::remove_file(&ballast).unwrap();
    store.ready().await.unwrap();
    for seq in acked + 1..=acked + 20 {
        store.append(batch(&id("a"), seq, PAYLOAD)).await.unwrap();
    }
    assert_eq!(logged(&store, "a").await, (1..=acked + 20).collect::<Vec<_>>());
    store.close().await.unwrap();
    drop(store);
    let Opened { store, .. } = EmbeddedStore::open(&dir, Options::default()).unwrap();
    assert_eq!(logged(&store, "a").await, (1..=acked + 20).collect::<Vec<_>>());
    store.close().await.unwrap();
}

#[test]
fn a_folder_belongs_to_one_store_at_a_time() {
    let place = FolderPlace::default();
    let first = place.open_here();
    let second = EmbeddedStore::open(place.folder.path(), Options::default());
    assert!(matches!(&second, Err(Error::InUse { .. })), "{second:?}");
    drop(first);
    place.open_here();
}

#[test]
fn a_newer_schema_is_left_alone() {
    for file in ["journal.db", "state.db", "identities.db"] {
        let place = FolderPlace::default();
        drop(place.open_here());
        // `journal.db` is what an older program left; it is looked at before it goes.
        let conn = rusqlite::Connection::open(place.folder.path().join(file)).unwrap();
        conn.pragma_update(None, "user_version", 99).unwrap();
        drop(conn);
        let opened = EmbeddedStore::open(place.folder.path(), Options::default());
        assert!(matches!(&opened, Err(Error::TooNew { found: 99, .. })), "{file}: {opened:?}");
    }
}

/// Changes one byte in the second of three frames on disk.
fn damage(place: &FolderPlace) {
    let path = place.folder.path().join("journal/0000000000000001.log");
    let mut file = std::fs::read(&path).unwrap();
    let payload = match event(2, 100).body {
        EventBody::Telemetry { raw, .. } => raw.bytes,
        _ => unreachable!(),
    };
    let at = file.windows(payload.len()).position(|window| window == payload).unwrap();
    file[at] ^= 1;
    std::fs::write(&path, file).unwrap();
}

async fn three_frames(store: &EmbeddedStore) {
    for seq in 1..=3 {
        store.append(batch(&id("a"), seq, 100)).await.unwrap();
    }
}

#[tokio::test]
async fn a_damaged_frame_is_named_and_nothing_starts_without_it() {
    let place = FolderPlace::default();
    let Opened { store, .. } = place.open_here();
    three_frames(&store).await;
    store.close().await.unwrap();
    drop(store);
    damage(&place);
    let opened = EmbeddedStore::open(place.folder.path(), Options::default());
    assert!(matches!(&opened, Err(Error::Damaged { detail, .. }) if detail.contains("frame 2 in 0000000000000001.log")), "{opened:?}");
}

#[tokio::test]
async fn a_frame_damaged_while_the_store_is_open_is_named_and_never_skipped() {
    let place = FolderPlace::new(Options { backlog_memory_bytes_max: 0, ..Options::default() });
    let Opened { store, .. } = place.open_here();
    three_frames(&store).await;
    damage(&place);
    let error = store.unprojected(usize::MAX).await.unwrap_err();
    assert!(matches!(&error, Error::Damaged { detail, .. } if detail.contains("frame 2 in")), "{error}");
    assert!(store.tail(&id("a")).await.is_err());
    assert!(flush(&store).await.is_err(), "damage is not flushed into history");
}
