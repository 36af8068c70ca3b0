//! The registry: every twin's row, by id, by model, by parent, and by what it stands under.

pub mod rows;
pub mod tree;

use async_trait::async_trait;
use bytes::Bytes;
use hierarchy_models::TwinId;
use persistence::{
    Child, Error, Page, Registry, RegistryEntry, RegistryQuery, RegistryRow,
    paging::{self, TwinCursor},
};
use rusqlite::{Connection, OptionalExtension};

pub use crate::projections::twin_id;
use crate::{EmbeddedStore, metrics, sqlite::doing};

const READING: &str = "reading the registry";

pub fn entry(conn: &Connection, id: &TwinId) -> Result<Option<RegistryEntry>, Error> {
    let select = format!("SELECT {} FROM twin WHERE id = ?1", rows::COLUMNS);
    let row = conn.prepare_cached(&select).and_then(|mut s| s.query_row([id.as_str()], rows::stored).optional());
    row.map_err(doing(READING))?.map(rows::Stored::entry).transpose()
}

/// Twins looked at one by one, in the order of their ids, for each that is wanted of those below another.
const LOOKED_AT_FOR_EACH: usize = 8;

/// Rows by id that meet all conditions of `q`, at most `limit`.
///
/// All that is below a twin lies together by path and not by id, and to gather and sort it costs as much as there is, for every page. Where
/// it is a good part of all twins, the next page is found sooner by looking at the next ids.
fn list(conn: &Connection, q: &RegistryQuery, after: &str, limit: usize) -> Result<Vec<RegistryEntry>, Error> {
    if q.under.is_none() {
        return select(conn, q, Among::After(after), limit);
    }
    let last = nth_after(conn, after, limit * LOOKED_AT_FOR_EACH)?;
    let near = select(conn, q, Among::Between(after, last.as_deref()), limit)?;
    if near.len() == limit || last.is_none() { Ok(near) } else { select(conn, q, Among::After(after), limit) }
}

/// The id that stands so many places behind `after`; `None` when there are fewer.
fn nth_after(conn: &Connection, after: &str, places: usize) -> Result<Option<String>, Error> {
    let select = "SELECT id FROM twin WHERE id > ?1 ORDER BY id LIMIT 1 OFFSET ?2";
    let found =
        conn.prepare_cached(select).and_then(|mut s| s.query_row(rusqlite::params![after, places as i64], |row| row.get(0)).optional());
    found.map_err(doing(READING))
}

/// Which ids are looked at, and by which way.
enum Among<'a> {
    /// All behind this one, by whatever index serves best.
    After(&'a str),
    /// One by one, up to this one included; without it to the end.
    Between(&'a str, Option<&'a str>),
}

fn select(conn: &Connection, q: &RegistryQuery, among: Among<'_>, limit: usize) -> Result<Vec<RegistryEntry>, Error> {
    let doing = doing(READING);
    let mut wanted = vec!["id > ?".to_owned()];
    // A column behind a plus is looked up in no index.
    let (after, last, path) = match among {
        Among::After(after) => (after, None, "path"),
        Among::Between(after, last) => (after, last, "+path"),
    };
    let mut params = vec![after.to_owned()];
    if let Some(last) = last {
        wanted.push("id <= ?".into());
        params.push(last.to_owned());
    }
    if let Some(model) = &q.model {
        wanted.push("model = ?".into());
        params.push(model.to_string());
    }
    if let Some(parent) = &q.parent {
        wanted.push("parent = ?".into());
        params.push(parent.to_string());
    }
    if let Some(top) = &q.under {
        let Some(top) = tree::path_of(conn, top.as_str())? else { return Ok(Vec::new()) };
        let (from, to) = tree::below(&top);
        wanted.push(format!("{path} >= ? AND {path} < ?"));
        params.extend([from, to]);
    }
    let select = format!("SELECT {} FROM twin WHERE {} ORDER BY id LIMIT {limit}", rows::COLUMNS, wanted.join(" AND "));
    let mut select = conn.prepare_cached(&select).map_err(&doing)?;
    let found = select.query_map(rusqlite::params_from_iter(params), rows::stored).map_err(&doing)?;
    found.map(|row| row.map_err(&doing)?.entry()).collect()
}

pub fn children(conn: &Connection, parent: &TwinId) -> Result<Vec<Child>, Error> {
    let doing = doing(READING);
    let select = "SELECT t.id, t.model, EXISTS (SELECT 1 FROM twin c WHERE c.parent = t.id), s.contribution \
        FROM twin t LEFT JOIN snapshot s ON s.twin = t.id WHERE t.parent = ?1 ORDER BY t.id";
    let mut select = conn.prepare_cached(select).map_err(&doing)?;
    let mut found = select.query([parent.as_str()]).map_err(&doing)?;
    let mut children = Vec::new();
    while let Some(row) = found.next().map_err(&doing)? {
        let (id, model): (String, String) = (row.get(0).map_err(&doing)?, row.get(1).map_err(&doing)?);
        let contribution: Option<Vec<u8>> = row.get(3).map_err(&doing)?;
        children.push(Child {
            id: twin_id(id)?,
            model: rows::model_id(&model)?,
            has_children: row.get(2).map_err(&doing)?,
            contribution: contribution.map(Bytes::from).unwrap_or_default(),
        });
    }
    Ok(children)
}

/// Ids below a twin, deepest first.
fn below(conn: &Connection, top: &TwinId) -> Result<Vec<TwinId>, Error> {
    let doing = doing(READING);
    let Some(path) = tree::path_of(conn, top.as_str())? else { return Ok(Vec::new()) };
    let (from, to) = tree::below(&path);
    let select = "SELECT id FROM twin WHERE path >= ?1 AND path < ?2 ORDER BY length(path) - length(replace(path, '/', '')) DESC, id";
    let mut select = conn.prepare_cached(select).map_err(&doing)?;
    let ids = select.query_map([from, to], |row| row.get(0)).map_err(&doing)?;
    ids.map(|id| id.map_err(&doing).and_then(twin_id)).collect()
}

#[async_trait]
impl Registry for EmbeddedStore {
    async fn put_rows(&self, rows: Vec<RegistryRow>) -> Result<(), Error> {
        let result = self.core.state.write("writing the registry", move |conn| tree::put_rows(conn, rows)).await;
        result.inspect_err(|error| metrics::failed("put_rows", error))
    }

    async fn entry(&self, twin: &TwinId) -> Result<Option<RegistryEntry>, Error> {
        let twin = twin.clone();
        self.core.state_readers.run(move |conn| entry(conn, &twin)).await
    }

    async fn list(&self, q: RegistryQuery) -> Result<Page<RegistryEntry>, Error> {
        let after = paging::cursor::<TwinCursor>(&q.cursor)?.map_or(String::new(), |TwinCursor(last)| last.to_string());
        let limit = q.limit.max(1);
        let mut items = self.core.state_readers.run(move |conn| list(conn, &q, &after, limit + 1)).await?;
        let more = items.len() > limit;
        items.truncate(limit);
        let cursor = items.last().filter(|_| more).map(|last| TwinCursor(last.row.id.clone()).to_string());
        Ok(Page { items, cursor })
    }

    async fn children(&self, parent: &TwinId) -> Result<Vec<Child>, Error> {
        let parent = parent.clone();
        self.core.state_readers.run(move |conn| children(conn, &parent)).await
    }

    async fn children_of(&self, parents: &[TwinId]) -> Result<Vec<Vec<Child>>, Error> {
        let parents = parents.to_vec();
        self.core.state_readers.run(move |conn| parents.iter().map(|parent| children(conn, parent)).collect()).await
    }

    async fn below(&self, top: &TwinId) -> Result<Vec<TwinId>, Error> {
        let top = top.clone();
        self.core.state_readers.run(move |conn| below(conn, &top)).await
    }

    async fn count(&self) -> Result<u64, Error> {
        let count = |conn: &Connection| conn.query_row("SELECT count(*) FROM twin", [], |row| row.get::<_, i64>(0)).map_err(doing(READING));
        Ok(self.core.state_readers.run(count).await? as u64)
    }
}
