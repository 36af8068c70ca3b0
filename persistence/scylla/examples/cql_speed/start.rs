//! A start with many twins: registered with a snapshot each, and the store opened again.

use std::time::Instant;

use hierarchy_models::{Timestamp, event::Status, id::ModelId};
use persistence::{Projection, Projections, Registry, RegistryRow, Store};
use persistence_scylla::{Options, ScyllaStore};

use crate::{Failure, snapshot, twin, usage};

/// Twins registered at once.
const STEP: u64 = 5_000;
/// Devices of one room.
const ROOM: u64 = 1_000;

fn row(n: u64) -> Result<RegistryRow, Failure> {
    let is_room = n.is_multiple_of(ROOM);
    Ok(RegistryRow {
        id: twin(n)?,
        model: ModelId::new(if is_room { "dtmi:twinfold:Room;1" } else { "dtmi:twinfold:Device;1" })?,
        parent: if is_room { None } else { Some(twin(n - n % ROOM)?) },
        gateway: None,
        status: Status::Active,
        metadata: Default::default(),
        tags: Vec::new(),
        created_at: Timestamp::EPOCH,
        seq: 1,
    })
}

pub async fn run(options: &Options, twins: u64) -> Result<(), Failure> {
    let store = ScyllaStore::open(options.clone()).await?.store;
    let since = Instant::now();
    for first in (0..twins).step_by(STEP as usize) {
        let some = first..twins.min(first + STEP);
        store.put_rows(some.clone().map(row).collect::<Result<_, _>>()?).await?;
        let snapshots = some.map(|n| snapshot(n, 1)).collect::<Result<_, _>>()?;
        store.project(Projection { snapshots, ..Projection::default() }).await?;
    }
    println!("{twins} twins and their snapshots written in {:.1?}", since.elapsed());
    store.close().await?;
    drop(store);
    let (since, before) = (Instant::now(), usage::resident_bytes()?);
    let store = ScyllaStore::open(options.clone()).await?.store;
    let (took, count) = (since.elapsed(), store.count().await?);
    let grown = usage::resident_bytes()?.saturating_sub(before);
    println!("a start with {count} twins: {took:.1?}; {} bytes of memory each (of what the process had to ask for)", grown / count.max(1));
    println!("the whole server on them: twinfold serve --store scylla --scylla-keyspace {}", options.keyspace);
    store.close().await?;
    Ok(())
}
