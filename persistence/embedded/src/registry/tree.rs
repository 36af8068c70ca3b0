//! Where a twin stands: parents, paths, and what may not be. A path is stored so that "everything below" is one range of an
//! index; moving a twin rewrites the paths below it.
//!
//! A parent that is not there (it was deleted, or its row comes later in the same recovery) makes its child the top of a tree
//! of its own until it comes.

use hierarchy_models::{TwinId, limits::TREE_DEPTH_MAX, tree::TreeError};
use persistence::{Error, RegistryRow};
use rusqlite::{Connection, OptionalExtension};

use super::{postings, rows};
use crate::sqlite::doing;

const PLACING: &str = "placing a twin in the tree";

/// What keeps a row from its place.
enum Refusal {
    Tree(TreeError),
    Store(Error),
}

impl From<Error> for Refusal {
    fn from(e: Error) -> Self {
        Self::Store(e)
    }
}

fn text(conn: &Connection, sql: &str, id: &str) -> Result<Option<String>, Error> {
    let found = conn.prepare_cached(sql).and_then(|mut s| s.query_row([id], |row| row.get::<_, Option<String>>(0)).optional());
    found.map(Option::flatten).map_err(doing(PLACING))
}

pub fn path_of(conn: &Connection, id: &str) -> Result<Option<String>, Error> {
    text(conn, "SELECT path FROM twin WHERE id = ?1", id)
}

/// The bounds of all paths below this one: `/` comes right before `0`, and no id holds either's neighbour in between.
pub fn below(path: &str) -> (String, String) {
    (format!("{path}/"), format!("{path}0"))
}

fn depth(path: &str) -> usize {
    path.split('/').count()
}

/// Levels of the tree under and including the twin at `path`.
fn height(conn: &Connection, path: &str) -> Result<usize, Error> {
    let (from, to) = below(path);
    let select = "SELECT max(length(path) - length(replace(path, '/', ''))) FROM twin WHERE path >= ?1 AND path < ?2";
    let deepest = conn.prepare_cached(select).and_then(|mut s| s.query_row([from, to], |row| row.get::<_, Option<i64>>(0)));
    let deepest = deepest.map_err(doing(PLACING))?;
    Ok(deepest.map_or(1, |slashes| slashes as usize + 2 - depth(path)))
}

/// Moves all that stands below `from` to below `to`.
fn rewrite_below(conn: &Connection, from: &str, to: &str) -> Result<(), Error> {
    let (first, end) = below(from);
    let doing = doing(PLACING);
    let mut select = conn.prepare_cached("SELECT id, path FROM twin WHERE path >= ?1 AND path < ?2").map_err(&doing)?;
    let moved = select.query_map([first, end], |row| Ok((row.get(0)?, row.get(1)?))).map_err(&doing)?;
    let moved: Vec<(String, String)> = moved.collect::<Result<_, _>>().map_err(&doing)?;
    for (id, path) in moved {
        let there = format!("{to}{}", &path[from.len()..]);
        set_path(conn, &id, &path, &there)?;
    }
    Ok(())
}

fn set_path(conn: &Connection, id: &str, from: &str, to: &str) -> Result<(), Error> {
    postings::moved(conn, id, from, to)?;
    let mut update = conn.prepare_cached("UPDATE twin SET path = ?2 WHERE id = ?1").map_err(doing(PLACING))?;
    update.execute([id, to]).map(drop).map_err(doing(PLACING))
}

/// Ids that name `parent` as their parent.
fn children_of(conn: &Connection, parent: &TwinId) -> Result<Vec<String>, Error> {
    let doing = doing(PLACING);
    let mut select = conn.prepare_cached("SELECT id FROM twin WHERE parent = ?1").map_err(&doing)?;
    let ids = select.query_map([parent.as_str()], |row| row.get(0)).map_err(&doing)?;
    ids.collect::<Result<_, _>>().map_err(&doing)
}

/// The path of the row's place, when it may have it.
fn path_for(conn: &Connection, row: &RegistryRow, tall: usize) -> Result<String, Refusal> {
    let Some(parent) = &row.parent else { return Ok(row.id.to_string()) };
    let above = path_of(conn, parent.as_str())?;
    let looped = || Refusal::Tree(TreeError::Loop { twin: row.id.clone(), parent: parent.clone() });
    let Some(above) = above else {
        return if *parent == row.id { Err(looped()) } else { Ok(row.id.to_string()) };
    };
    // The top of that tree may itself wait for this very twin.
    let top = above.split('/').next().unwrap_or(&above);
    let waits_for = text(conn, "SELECT parent FROM twin WHERE id = ?1", top)?;
    if above.split('/').any(|step| step == row.id.as_str()) || waits_for.as_deref() == Some(row.id.as_str()) {
        return Err(looped());
    }
    let depth = depth(&above) + tall;
    if depth > TREE_DEPTH_MAX {
        return Err(Refusal::Tree(TreeError::TooDeep { twin: row.id.clone(), depth }));
    }
    Ok(format!("{above}/{}", row.id))
}

/// Writes the row and moves what stands below it.
fn place(conn: &Connection, row: &RegistryRow) -> Result<(), Refusal> {
    if rows::seq_of(conn, &row.id)?.is_some_and(|seq| seq > row.seq) {
        return Ok(());
    }
    match path_of(conn, row.id.as_str())? {
        Some(old) => {
            let path = path_for(conn, row, height(conn, &old)?)?;
            rows::put(conn, row, &path)?;
            if path != old {
                rewrite_below(conn, &old, &path)?;
            }
        }
        None => {
            // Children of a former life, or that came first.
            let orphans = children_of(conn, &row.id)?;
            let tall = orphans.iter().try_fold(0, |tall, orphan| height(conn, orphan).map(|h| h.max(tall)))?;
            let path = path_for(conn, row, 1 + tall)?;
            rows::put(conn, row, &path)?;
            for orphan in orphans {
                let to = format!("{path}/{orphan}");
                rewrite_below(conn, &orphan, &to)?;
                set_path(conn, &orphan, &orphan, &to)?;
            }
        }
    }
    Ok(())
}

/// Places rows in whatever order works; returns those that no order could place, each with why.
fn place_all(conn: &Connection, mut waiting: Vec<RegistryRow>) -> Result<Vec<(RegistryRow, TreeError)>, Error> {
    loop {
        let count = waiting.len();
        let mut refused = Vec::new();
        for row in waiting {
            match place(conn, &row) {
                Ok(()) => {}
                Err(Refusal::Tree(why)) => refused.push((row, why)),
                Err(Refusal::Store(error)) => return Err(error),
            }
        }
        if refused.len() == count {
            return Ok(refused);
        }
        waiting = refused.into_iter().map(|(row, _)| row).collect();
    }
}

/// Rows that somebody asks for: all of them or, when the tree cannot hold one, none.
pub fn put_rows(conn: &Connection, rows: Vec<RegistryRow>) -> Result<(), Error> {
    let ids: Vec<_> = rows.iter().map(|row| row.id.clone()).collect();
    if let Some((_, why)) = place_all(conn, rows)?.into_iter().next() {
        return Err(Error::Refused(why.to_string()));
    }
    for id in ids {
        let parent = text(conn, "SELECT parent FROM twin WHERE id = ?1", id.as_str())?;
        if let Some(parent) = parent
            && path_of(conn, &parent)?.is_none()
        {
            return Err(Error::Refused(format!("{id} names the parent {parent}, which is not registered")));
        }
    }
    Ok(())
}

/// Rows that are already facts of the journal: what the tree cannot hold keeps its former place.
pub fn place_known(conn: &Connection, rows: Vec<RegistryRow>) -> Result<(), Error> {
    for (row, why) in place_all(conn, rows)? {
        tracing::warn!(twin = %row.id, %why, "a recorded move cannot be shown; the twin is listed where it was");
        let path = path_of(conn, row.id.as_str())?;
        let parent = text(conn, "SELECT parent FROM twin WHERE id = ?1", row.id.as_str())?;
        let parent = parent.map(super::twin_id).transpose()?;
        let path = path.unwrap_or_else(|| row.id.to_string());
        rows::put(conn, &RegistryRow { parent, ..row }, &path)?;
    }
    Ok(())
}

/// Takes a twin out; what stood below it stands on its own then.
pub fn remove(conn: &Connection, twin: &TwinId) -> Result<(), Error> {
    let Some(path) = path_of(conn, twin.as_str())? else { return Ok(()) };
    for child in children_of(conn, twin)? {
        let from = format!("{path}/{child}");
        rewrite_below(conn, &from, &child)?;
        set_path(conn, &child, &from, &child)?;
    }
    rows::delete(conn, twin)
}
