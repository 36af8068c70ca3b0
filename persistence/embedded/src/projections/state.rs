//! Rows of `state.db` that belong to one twin: chunks, snapshots, commands.

use std::path::Path;

use bytes::Bytes;
use hierarchy_models::{Command, Timestamp, TwinId};
use persistence::{Error, Snapshot, codec};
use rusqlite::{Connection, Row, params};

use super::{
    chunk::{self, Chunk, Extent, JOIN_BYTES_MAX, Packer},
    one, run, twin_id,
};
use crate::{
    registry::postings,
    sqlite::{self, Migrations, doing},
};

const MIGRATIONS: Migrations =
    &[include_str!("../../schema/state_1.sql"), include_str!("../../schema/state_2.sql"), include_str!("../../schema/state_3.sql")];

pub fn open(path: &Path, pages_max: Option<u32>) -> Result<Connection, Error> {
    let mut conn = sqlite::open(path, MIGRATIONS)?;
    postings::make_missing(&mut conn)?;
    if let Some(pages) = pages_max {
        conn.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).map_err(doing("bounding the projections"))?;
    }
    Ok(conn)
}

pub fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_millis_clamped)
}

/// A stored chunk still packed.
pub struct Packed {
    pub id: i64,
    format: u32,
    crc: u32,
    data: Vec<u8>,
}

impl Packed {
    pub fn unpack(&self) -> Result<Vec<u8>, Error> {
        chunk::unpack(self.id, self.format, self.crc, &self.data)
    }
}

/// A row of `id, format, crc, data` and further columns.
fn packed(row: &Row<'_>) -> rusqlite::Result<Packed> {
    Ok(Packed { id: row.get(0)?, format: row.get(1)?, crc: row.get(2)?, data: row.get(3)? })
}

pub fn chunk(conn: &Connection, id: i64) -> Result<Packed, Error> {
    let found = one(conn, "reading history", "SELECT id, format, crc, data FROM chunk WHERE id = ?1", [id], packed)?;
    found.ok_or_else(|| Error::Damaged { doing: "reading history", detail: format!("chunk {id} of state.db is gone") })
}

/// The newest chunk of this stream, when it is small enough to be joined.
pub fn small_newest(conn: &Connection, twin: &str, stream: i64) -> Result<Option<(i64, Chunk)>, Error> {
    const SELECT: &str = "SELECT id, format, crc, data, min_at, max_at, min_received, max_received, first_seq, last_seq, count \
        FROM chunk WHERE id = (SELECT id FROM chunk WHERE twin = ?1 AND stream = ?2 ORDER BY max_received DESC, id DESC LIMIT 1) \
        AND length(data) < ?3";
    let found = one(conn, "reading the newest history", SELECT, params![twin, stream, JOIN_BYTES_MAX as i64], |row| {
        let extent = Extent {
            at: (time(row, 4)?, time(row, 5)?),
            received: (time(row, 6)?, time(row, 7)?),
            seq: (row.get::<_, i64>(8)? as u64, row.get::<_, i64>(9)? as u64),
            count: row.get::<_, i64>(10)? as u64,
        };
        Ok((packed(row)?, extent))
    })?;
    found.map(|(packed, extent)| Ok((packed.id, Chunk { extent, events: packed.unpack()? }))).transpose()
}

pub fn insert_chunk(conn: &Connection, twin: &str, stream: i64, chunk: &Chunk, packer: &mut Packer) -> Result<(), Error> {
    const INSERT: &str = "INSERT INTO chunk (twin, stream, min_at, max_at, min_received, max_received, first_seq, last_seq, count, \
        format, crc, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    let (data, e) = (packer.pack(&chunk.events)?, &chunk.extent);
    let row = params![
        twin,
        stream,
        e.at.0.as_millis(),
        e.at.1.as_millis(),
        e.received.0.as_millis(),
        e.received.1.as_millis(),
        e.seq.0 as i64,
        e.seq.1 as i64,
        e.count as i64,
        codec::FORMAT,
        crc32fast::hash(data),
        data
    ];
    run(conn, "storing history", INSERT, row).map(drop)
}

pub fn replace_chunk(conn: &Connection, id: i64, chunk: &Chunk, packer: &mut Packer) -> Result<(), Error> {
    const UPDATE: &str = "UPDATE chunk SET min_at = ?2, max_at = ?3, min_received = ?4, max_received = ?5, first_seq = ?6, \
        last_seq = ?7, count = ?8, format = ?9, crc = ?10, data = ?11 WHERE id = ?1";
    let (data, e) = (packer.pack(&chunk.events)?, &chunk.extent);
    let row = params![
        id,
        e.at.0.as_millis(),
        e.at.1.as_millis(),
        e.received.0.as_millis(),
        e.received.1.as_millis(),
        e.seq.0 as i64,
        e.seq.1 as i64,
        e.count as i64,
        codec::FORMAT,
        crc32fast::hash(data),
        data
    ];
    run(conn, "storing history", UPDATE, row).map(drop)
}

pub fn put_snapshot(conn: &Connection, s: &Snapshot) -> Result<(), Error> {
    const UPSERT: &str = "INSERT INTO snapshot (twin, seq, wake_at, contribution, state) VALUES (?1, ?2, ?3, ?4, ?5) \
        ON CONFLICT (twin) DO UPDATE SET seq = excluded.seq, wake_at = excluded.wake_at, contribution = excluded.contribution, \
        state = excluded.state WHERE excluded.seq >= snapshot.seq";
    let wake_at = s.wake_at.map(Timestamp::as_millis);
    run(conn, "storing a snapshot", UPSERT, params![s.twin.as_str(), s.seq as i64, wake_at, &*s.contribution, &*s.state]).map(drop)
}

pub fn snapshot(conn: &Connection, twin: TwinId) -> Result<Option<Snapshot>, Error> {
    const SELECT: &str = "SELECT seq, wake_at, contribution, state FROM snapshot WHERE twin = ?1";
    one(conn, "reading a snapshot", SELECT, [twin.as_str()], |row| {
        Ok(Snapshot {
            seq: row.get::<_, i64>(0)? as u64,
            wake_at: row.get::<_, Option<i64>>(1)?.map(Timestamp::from_millis_clamped),
            contribution: Bytes::from(row.get::<_, Vec<u8>>(2)?),
            state: Bytes::from(row.get::<_, Vec<u8>>(3)?),
            twin: twin.clone(),
        })
    })
}

pub fn wakes(conn: &Connection, after: Option<(Timestamp, TwinId)>, limit: usize) -> Result<Vec<(Timestamp, TwinId)>, Error> {
    let doing = doing("reading what wants to be woken");
    let (at, twin) = after.map_or((i64::MIN, String::new()), |(at, twin)| (at.as_millis(), twin.to_string()));
    let select =
        "SELECT wake_at, twin FROM snapshot WHERE wake_at IS NOT NULL AND (wake_at, twin) > (?1, ?2) ORDER BY wake_at, twin LIMIT ?3";
    let mut select = conn.prepare_cached(select).map_err(&doing)?;
    let rows = select.query_map(params![at, twin, limit as i64], |row| Ok((time(row, 0)?, row.get(1)?))).map_err(&doing)?;
    rows.map(|row| row.map_err(&doing).and_then(|(at, twin)| Ok((at, twin_id(twin)?)))).collect()
}

pub fn put_command(conn: &Connection, twin: &TwinId, c: &Command) -> Result<(), Error> {
    // Rows of one command may come out of order: what has ended stays so.
    const UPSERT: &str = "INSERT INTO command (twin, id, state, queued_at, idempotency_key, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT DO UPDATE SET state = excluded.state, queued_at = excluded.queued_at, idempotency_key = excluded.idempotency_key,
        data = excluded.data WHERE command.state IN ('queued', 'delivered') AND NOT (command.state = 'delivered' AND excluded.state = 'queued')";
    let (key, data) = (c.idempotency_key.as_deref(), codec::command_to_bytes(c));
    let row = params![twin.as_str(), c.id.as_str(), c.state.as_str(), c.queued_at.as_millis(), key, data];
    run(conn, "storing a command", UPSERT, row).map(drop)
}

/// Snapshot and commands of a twin go away.
pub fn delete_twin(conn: &Connection, twin: &TwinId) -> Result<(), Error> {
    run(conn, "deleting a snapshot", "DELETE FROM snapshot WHERE twin = ?1", [twin.as_str()])?;
    run(conn, "deleting commands", "DELETE FROM command WHERE twin = ?1", [twin.as_str()]).map(drop)
}
