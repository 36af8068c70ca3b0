//! Commands of a twin as their last projection left them: by id, by the caller's key, newest first.

use hierarchy_models::{Command, CommandId, TwinId};
use persistence::{
    CommandQuery, Error, Page, codec,
    paging::{self, CommandCursor},
};
use rusqlite::{Connection, ToSql};

use crate::sqlite::doing;

pub fn by_id(conn: &Connection, twin: &TwinId, id: &CommandId) -> Result<Option<Command>, Error> {
    Ok(select(conn, "twin = ?1 AND id = ?2", &[&twin.as_str(), &id.as_str()], 1)?.pop())
}

/// The newest one, when a key was used again.
pub fn by_key(conn: &Connection, twin: &TwinId, key: &str) -> Result<Option<Command>, Error> {
    Ok(select(conn, "twin = ?1 AND idempotency_key = ?2", &[&twin.as_str(), &key], 1)?.pop())
}

pub fn list(conn: &Connection, q: CommandQuery) -> Result<Page<Command>, Error> {
    let after = paging::cursor::<CommandCursor>(&q.cursor)?;
    let after = after.map(|CommandCursor(at, id)| (at.as_millis(), id.to_string()));
    let state = q.state.map(|state| state.as_str());
    let (twin, limit) = (q.twin.as_str(), q.limit.max(1));
    let mut items = match (&state, &after) {
        (None, None) => select(conn, "twin = ?1", &[&twin], limit + 1),
        (Some(state), None) => select(conn, "twin = ?1 AND state = ?2", &[&twin, state], limit + 1),
        (None, Some((at, id))) => select(conn, "twin = ?1 AND (queued_at, id) < (?2, ?3)", &[&twin, at, id], limit + 1),
        (Some(state), Some((at, id))) => {
            select(conn, "twin = ?1 AND state = ?4 AND (queued_at, id) < (?2, ?3)", &[&twin, at, id, state], limit + 1)
        }
    }?;
    let more = items.len() > limit;
    items.truncate(limit);
    let cursor = items.last().filter(|_| more).map(|last| CommandCursor(last.queued_at, last.id.clone()).to_string());
    Ok(Page { items, cursor })
}

/// Newest first.
fn select(conn: &Connection, wanted: &str, params: &[&dyn ToSql], limit: usize) -> Result<Vec<Command>, Error> {
    let doing = doing("reading commands");
    let select = format!("SELECT data FROM command WHERE {wanted} ORDER BY queued_at DESC, id DESC LIMIT {limit}");
    let mut select = conn.prepare_cached(&select).map_err(&doing)?;
    let mut rows = select.query(params).map_err(&doing)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(&doing)? {
        found.push(codec::command_from_bytes(row.get_ref(0).and_then(|v| Ok(v.as_blob()?)).map_err(&doing)?)?);
    }
    Ok(found)
}
