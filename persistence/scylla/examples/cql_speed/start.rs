//! A start with many twins, and the store opened again.
//!
//! The first of them are registered with a snapshot each, as a server does it. Of the others there is the row alone that a start reads: with
//! what they are found by, and a snapshot, a million takes a node on two cores more than half an hour.

use std::{ops::Range, time::Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use hierarchy_models::{Timestamp, TwinId, Value, event::Status, id::ModelId};
use persistence::{Projection, Projections, Registry, RegistryRow, Store, codec};
use persistence_scylla::{Options, ScyllaStore};
use scylla::client::session_builder::SessionBuilder;

use crate::{Failure, snapshot, twin, usage};

/// Twins registered as a server does it, and how many of them at once.
const WHOLE_MAX: u64 = 20_000;
const STEP: u64 = 5_000;
/// Rows under way at the same time.
const AT_ONCE: usize = 256;
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

async fn put_rows(options: &Options, twins: Range<u64>) -> Result<(), Failure> {
    let session = SessionBuilder::new().known_nodes(&options.nodes).use_keyspace(&options.keyspace, true).build().await?;
    let put = "INSERT INTO twin (id, model, parent, gateway, status, created_at, seq, tags, metadata) VALUES (?, ?, ?, '', ?, ?, ?, ?, ?)";
    let put = session.prepare(put).await?;
    let (tags, metadata) = (codec::value_to_bytes(&Value::List(Box::default())), codec::map_to_bytes(&Default::default()));
    let write = async |n: u64| {
        let row = row(n)?;
        let parent = row.parent.as_ref().map_or("", TwinId::as_str);
        let status = codec::wire::status_code(row.status) as i16;
        let values = (row.id.as_str(), row.model.as_str(), parent, status, row.created_at.as_millis(), row.seq as i64, &tags, &metadata);
        session.execute_unpaged(&put, values).await?;
        Ok::<_, Failure>(())
    };
    stream::iter(twins).map(write).buffer_unordered(AT_ONCE).try_collect().await
}

pub async fn run(options: &Options, twins: u64) -> Result<(), Failure> {
    let store = ScyllaStore::open(options.clone()).await?.store;
    let (since, whole) = (Instant::now(), twins.min(WHOLE_MAX));
    for first in (0..whole).step_by(STEP as usize) {
        let some = first..whole.min(first + STEP);
        store.put_rows(some.clone().map(row).collect::<Result<_, _>>()?).await?;
        let snapshots = some.map(|n| snapshot(n, 1)).collect::<Result<_, _>>()?;
        store.project(Projection { snapshots, ..Projection::default() }).await?;
    }
    println!("{whole} twins registered, with a snapshot each, in {:.1?}", since.elapsed());
    store.close().await?;
    drop(store);
    put_rows(options, whole..twins).await?;
    let (since, before) = (Instant::now(), usage::resident_bytes()?);
    let store = ScyllaStore::open(options.clone()).await?.store;
    let (took, count) = (since.elapsed(), store.count().await?);
    let grown = usage::resident_bytes()?.saturating_sub(before);
    println!("a start with {count} twins: {took:.1?}; {} bytes of memory each (of what the process had to ask for)", grown / count.max(1));
    println!("the whole server on them: twinfold serve --store scylla --scylla-keyspace {}", options.keyspace);
    store.close().await?;
    Ok(())
}
