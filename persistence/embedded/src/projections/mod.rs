//! Projections: snapshots, history, commands and the checkpoint that says how far they reach.
//!
//! All of one projection is one transaction, the checkpoint included, so that a crash leaves all of it or nothing and nothing is
//! projected twice. It runs on the writer thread of `state.db`; the journal goes on committing meanwhile.

pub mod chunk;
mod retention;
pub mod state;

use std::time::Instant;

use async_trait::async_trait;
use hierarchy_models::{Timestamp, TwinId};
use persistence::{Error, Mark, Projection, Projections, Snapshot, backlog::Backlog, fold::Fold};
use rusqlite::{Connection, OptionalExtension};

use self::chunk::{Chunk, Packer};
use crate::{EmbeddedStore, journal::shelf::Shelf, metrics, registry::tree, sqlite::doing};

/// Bytes of frames that are held at once while they are projected.
const STEP_BYTES: usize = 16 * 1024 * 1024;

/// The twin's name as a stored text, checked.
pub fn twin_id(text: String) -> Result<TwinId, Error> {
    TwinId::new(&text).map_err(|e| Error::Damaged { doing: "reading state.db", detail: e.to_string() })
}

/// What was moved from the journal into history.
#[derive(Clone, Copy)]
struct Moved {
    through: u64,
    bytes: u64,
}

/// Frames of the journal, from memory or from disk.
struct Frames<'a> {
    backlog: &'a Backlog,
    journal: &'a Shelf,
}

impl Frames<'_> {
    /// Calls `each` for every frame of the checkpoint `after` up to `through`.
    fn each(&self, after: u64, through: u64, mut each: impl FnMut(&bytes::Bytes) -> Result<(), Error>) -> Result<(), Error> {
        let mut done = after;
        while done < through {
            let part = self.backlog.frames_after(done, STEP_BYTES);
            if part.needs_journal() {
                let before = part.resident_from.min(through + 1);
                self.journal.view()?.read_all(done, before, |data| each(&data))?;
                done = before - 1;
            } else {
                for (id, data) in part.found.iter().filter(|(id, _)| *id <= through) {
                    each(data)?;
                    done = *id;
                }
            }
        }
        Ok(())
    }
}

fn checkpoint(conn: &Connection) -> Result<u64, Error> {
    let frame =
        conn.prepare_cached("SELECT frame FROM checkpoint WHERE id = 1").and_then(|mut s| s.query_row([], |row| row.get::<_, i64>(0)));
    frame.map(|frame| frame as u64).map_err(doing("reading the checkpoint"))
}

/// Moves history up to `mark` into chunks, and the checkpoint with it.
fn advance(conn: &Connection, frames: &Frames<'_>, mark: &Mark) -> Result<Moved, Error> {
    let through = mark.0.first().copied().unwrap_or(0);
    let committed = frames.backlog.committed();
    if through > committed {
        return Err(Error::Refused(format!("mark {through} lies beyond the journal's end {committed}")));
    }
    let from = checkpoint(conn)?;
    if through <= from {
        return Ok(Moved { through: from, bytes: 0 });
    }
    let (mut fold, mut bytes) = (Fold::default(), 0);
    frames.each(from, through, |frame| {
        bytes += frame.len() as u64;
        // A chunk of this store does not say which frames it is of.
        fold.add_frame(0, frame)?;
        if fold.bytes() >= STEP_BYTES { store_chunks(conn, std::mem::take(&mut fold)) } else { Ok(()) }
    })?;
    store_chunks(conn, fold)?;
    conn.execute("UPDATE checkpoint SET frame = ?1 WHERE id = 1", [through as i64]).map_err(doing("moving the checkpoint"))?;
    Ok(Moved { through, bytes })
}

fn store_chunks(conn: &Connection, fold: Fold<Chunk>) -> Result<(), Error> {
    let mut packer = Packer::default();
    for ((twin, stream), chunks) in fold.into_chunks() {
        let mut chunks = chunks.into_iter();
        if let Some(first) = chunks.next() {
            store_first(conn, &twin, stream, first, &mut packer)?;
        }
        chunks.try_for_each(|chunk| state::insert_chunk(conn, &twin, stream, &chunk, &mut packer))?;
    }
    Ok(())
}

/// Joins the chunk with the newest one that is stored, when that is still small.
fn store_first(conn: &Connection, twin: &str, stream: i64, chunk: Chunk, packer: &mut Packer) -> Result<(), Error> {
    match state::small_newest(conn, twin, stream)? {
        Some((id, mut stored)) if stored.events.len() + chunk.events.len() <= chunk::CHUNK_BYTES_MAX => {
            stored.events.extend_from_slice(&chunk.events);
            stored.extent = stored.extent.join(chunk.extent);
            state::replace_chunk(conn, id, &stored, packer)
        }
        _ => state::insert_chunk(conn, twin, stream, &chunk, packer),
    }
}

/// Deletions come first: rows of the same twin in the same projection are those of its next life.
fn project(conn: &Connection, frames: &Frames<'_>, projection: Projection) -> Result<Option<Moved>, Error> {
    let moved = projection.through.as_ref().map(|mark| advance(conn, frames, mark)).transpose()?;
    for twin in &projection.deleted {
        state::delete_twin(conn, twin)?;
        tree::remove(conn, twin)?;
    }
    tree::place_known(conn, projection.registry)?;
    projection.snapshots.iter().try_for_each(|snapshot| state::put_snapshot(conn, snapshot))?;
    projection.commands.iter().try_for_each(|(twin, command)| state::put_command(conn, twin, command))?;
    Ok(moved)
}

#[async_trait]
impl Projections for EmbeddedStore {
    async fn project(&self, projection: Projection) -> Result<(), Error> {
        let since = Instant::now();
        let (backlog, shelf) = (self.core.journal.backlog.clone(), self.core.journal.shelf.clone());
        let then_backlog = backlog.clone();
        let work = move |conn: &Connection| project(conn, &Frames { backlog: &backlog, journal: &shelf }, projection);
        // Told by the writer's thread and not below: the caller may be gone by then, and memory must follow the disk.
        let then = move |moved: &Option<Moved>| {
            moved.iter().for_each(|m| then_backlog.projected(m.through, m.bytes));
            metrics::backlog(then_backlog.bytes());
        };
        let result = self.core.state.write_then("projecting", work, then).await;
        match &result {
            Ok(moved) => moved.iter().for_each(|m| self.core.journal.trim(m.through)),
            Err(error) => metrics::failed("project", error),
        }
        metrics::flushed(since);
        result.map(drop)
    }

    async fn snapshot(&self, twin: &TwinId) -> Result<Option<Snapshot>, Error> {
        let twin = twin.clone();
        self.core.state_readers.run(move |conn| state::snapshot(conn, twin)).await
    }

    async fn snapshots(&self, twins: &[TwinId]) -> Result<Vec<Option<Snapshot>>, Error> {
        let twins = twins.to_vec();
        self.core.state_readers.run(move |conn| twins.into_iter().map(|twin| state::snapshot(conn, twin)).collect()).await
    }

    async fn wakes(&self, after: Option<(Timestamp, TwinId)>, limit: usize) -> Result<Vec<(Timestamp, TwinId)>, Error> {
        self.core.state_readers.run(move |conn| state::wakes(conn, after, limit)).await
    }

    async fn forget_history(&self, before: Timestamp, rows_max: usize) -> Result<usize, Error> {
        self.core.state.write("forgetting history", move |conn| retention::forget(conn, before, rows_max)).await
    }
}

/// The checkpoint, for whoever reads history in a view of `state.db`.
pub fn checkpoint_of(conn: &Connection) -> Result<u64, Error> {
    checkpoint(conn)
}

/// A row or none.
fn one<T>(
    conn: &Connection,
    what: &'static str,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, Error> {
    let row = conn.prepare_cached(sql).and_then(|mut s| s.query_row(params, read).optional());
    row.map_err(doing(what))
}

/// Runs one statement.
fn run(conn: &Connection, what: &'static str, sql: &str, params: impl rusqlite::Params) -> Result<usize, Error> {
    conn.prepare_cached(sql).and_then(|mut s| s.execute(params)).map_err(doing(what))
}
