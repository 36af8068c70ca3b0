//! Forgets history and ended commands by their age. A chunk that holds both old and newer events is rewritten without the
//! old ones.

use hierarchy_models::Timestamp;
use persistence::Error;
use rusqlite::{Connection, params};

use super::{chunk, run, state};
use crate::sqlite::doing;

/// Chunks looked at in one step.
const STEP_CHUNKS: i64 = 64;

struct Old {
    id: i64,
    wholly: bool,
    count: usize,
}

/// How many events and commands went; stops after about `rows_max`.
pub fn forget(conn: &Connection, before: Timestamp, rows_max: usize) -> Result<usize, Error> {
    let mut gone = forget_commands(conn, before, rows_max)?;
    while gone < rows_max {
        let step = oldest(conn, before)?;
        if step.is_empty() {
            break;
        }
        for old in step {
            gone += if old.wholly { delete(conn, old.id).map(|()| old.count)? } else { thin(conn, old, before)? };
            if gone >= rows_max {
                break;
            }
        }
    }
    Ok(gone)
}

/// Commands that have ended. Those that have not are the twin's state, whatever their age.
fn forget_commands(conn: &Connection, before: Timestamp, rows_max: usize) -> Result<usize, Error> {
    const DELETE: &str = "DELETE FROM command WHERE rowid IN (SELECT rowid FROM command
        WHERE state IN ('completed', 'failed', 'expired', 'cancelled') AND queued_at < ?1 LIMIT ?2)";
    let limit = i64::try_from(rows_max).unwrap_or(i64::MAX);
    run(conn, "forgetting commands", DELETE, params![before.as_millis(), limit])
}

fn oldest(conn: &Connection, before: Timestamp) -> Result<Vec<Old>, Error> {
    let doing = doing("looking for old history");
    let select = "SELECT id, max_received < ?1, count FROM chunk WHERE min_received < ?1 ORDER BY min_received LIMIT ?2";
    let mut select = conn.prepare_cached(select).map_err(&doing)?;
    let rows = select.query_map(params![before.as_millis(), STEP_CHUNKS], |row| {
        Ok(Old { id: row.get(0)?, wholly: row.get(1)?, count: row.get::<_, i64>(2)? as usize })
    });
    rows.map_err(&doing)?.collect::<Result<_, _>>().map_err(&doing)
}

fn delete(conn: &Connection, id: i64) -> Result<(), Error> {
    run(conn, "forgetting history", "DELETE FROM chunk WHERE id = ?1", [id]).map(drop)
}

fn thin(conn: &Connection, old: Old, before: Timestamp) -> Result<usize, Error> {
    let kept = chunk::filtered(old.id, state::chunk(conn, old.id)?.unpack()?, |head| head.received_at >= before)?;
    let Some(kept) = kept else { return delete(conn, old.id).map(|()| old.count) };
    state::replace_chunk(conn, old.id, &kept, &mut chunk::Packer::default())?;
    Ok(old.count.saturating_sub(kept.extent.count as usize))
}
