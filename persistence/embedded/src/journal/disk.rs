//! Frames as they lie in `journal.db`. Every one that is read is checked against its checksum.

use std::path::Path;

use bytes::Bytes;
use persistence::Error;
use rusqlite::{Connection, params};

use crate::sqlite::{self, Migrations, doing};

const MIGRATIONS: Migrations = &[include_str!("../../schema/journal_1.sql")];

pub fn open(path: &Path, pages_max: Option<u32>) -> Result<Connection, Error> {
    let conn = sqlite::open(path, MIGRATIONS)?;
    if let Some(pages) = pages_max {
        conn.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).map_err(doing("bounding the journal"))?;
    }
    Ok(conn)
}

/// The last frame's id, 0 when there is none, and the bytes of frames after `checkpoint`.
pub fn extent(conn: &Connection, checkpoint: u64) -> Result<(u64, u64), Error> {
    let doing = doing("measuring the journal");
    let last = conn.query_row("SELECT coalesce(max(id), 0) FROM frame", [], |row| row.get::<_, i64>(0)).map_err(&doing)?;
    let bytes = "SELECT coalesce(sum(length(data)), 0) FROM frame WHERE id > ?1";
    let bytes = conn.query_row(bytes, [checkpoint as i64], |row| row.get::<_, i64>(0)).map_err(&doing)?;
    Ok((last as u64, bytes as u64))
}

/// One synced commit of a frame; the frames of `trim`, first to last, go away before it, so that it can have their room.
pub fn commit(conn: &Connection, id: u64, turns: usize, data: &[u8], trim: Option<(u64, u64)>) -> Result<(), Error> {
    const COMMITTING: &str = "committing a journal frame";
    sqlite::transaction(conn, COMMITTING, |conn| {
        if let Some((from, through)) = trim {
            delete(conn, from, through)?;
        }
        let insert = conn.prepare_cached("INSERT INTO frame (id, turns, crc, data) VALUES (?1, ?2, ?3, ?4)");
        let row = params![id as i64, turns as i64, crc32fast::hash(data), data];
        insert.and_then(|mut insert| insert.execute(row)).map(drop).map_err(doing(COMMITTING))
    })
}

/// Frames `from..=through` go away.
pub fn delete(conn: &Connection, from: u64, through: u64) -> Result<(), Error> {
    let doing = doing("trimming the journal");
    let mut delete = conn.prepare_cached("DELETE FROM frame WHERE id BETWEEN ?1 AND ?2").map_err(&doing)?;
    delete.execute([from as i64, through as i64]).map(drop).map_err(&doing)
}

/// The first frame's id, when there is any.
pub fn first(conn: &Connection) -> Result<Option<u64>, Error> {
    let first = conn.query_row("SELECT min(id) FROM frame", [], |row| row.get::<_, Option<i64>>(0));
    first.map(|id| id.map(|id| id as u64)).map_err(doing("measuring the journal"))
}

/// Calls `each` for frames with `after < id < before`, ascending, until it says to stop. No frame between the first and the
/// last one may be missing.
pub fn read(conn: &Connection, after: u64, before: u64, mut each: impl FnMut(u64, Bytes) -> Result<bool, Error>) -> Result<(), Error> {
    let doing = doing("reading journal frames");
    let select = "SELECT id, crc, data FROM frame WHERE id > ?1 AND id < ?2 ORDER BY id";
    let mut select = conn.prepare_cached(select).map_err(&doing)?;
    let mut rows = select.query([after as i64, before as i64]).map_err(&doing)?;
    let mut last = None;
    while let Some(row) = rows.next().map_err(&doing)? {
        let (id, crc): (i64, u32) = (row.get(0).map_err(&doing)?, row.get(1).map_err(&doing)?);
        let data = row.get_ref(2).and_then(|v| Ok(v.as_blob()?)).map_err(&doing)?;
        if last.is_some_and(|last| id != last + 1) {
            return Err(damaged(id as u64, "does not follow the one before it"));
        }
        if crc32fast::hash(data) != crc {
            return Err(damaged(id as u64, "does not match its checksum"));
        }
        last = Some(id);
        if !each(id as u64, Bytes::copy_from_slice(data))? {
            break;
        }
    }
    Ok(())
}

/// All of `after + 1 .. before`, of which none may be missing.
pub fn read_all(conn: &Connection, after: u64, before: u64, mut each: impl FnMut(Bytes) -> Result<(), Error>) -> Result<(), Error> {
    let mut next = after + 1;
    read(conn, after, before, |id, data| {
        if id != next {
            return Err(damaged(next, "is missing"));
        }
        next += 1;
        each(data).map(|()| true)
    })?;
    if next == before { Ok(()) } else { Err(damaged(next, "is missing")) }
}

fn damaged(id: u64, what: &str) -> Error {
    Error::Damaged { doing: "reading journal frames", detail: format!("frame {id} of journal.db {what}") }
}
