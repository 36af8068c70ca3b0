//! The registry: every twin's row, by id, by model, by parent, and by what it stands under.

pub mod postings;
pub mod rows;
pub mod tree;

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use async_trait::async_trait;
use bytes::Bytes;
use hierarchy_models::TwinId;
use persistence::{Child, Error, Page, Registry, RegistryEntry, RegistryQuery, RegistryRow};
use rusqlite::{Connection, OptionalExtension};

pub use crate::projections::twin_id;
use crate::{EmbeddedStore, metrics, sqlite::doing};

const READING: &str = "reading the registry";

pub fn entry(conn: &Connection, id: &TwinId) -> Result<Option<RegistryEntry>, Error> {
    let select = format!("SELECT {} FROM twin WHERE id = ?1", rows::COLUMNS);
    let row = conn.prepare_cached(&select).and_then(|mut s| s.query_row([id.as_str()], rows::stored).optional());
    row.map_err(doing(READING))?.map(rows::Stored::entry).transpose()
}

/// A search whose lists are all here is over at once.
fn search(conn: &Connection, query: &RegistryQuery) -> Result<Page<RegistryEntry>, Error> {
    let searched = postings::Searched(conn);
    let mut search = pin!(persistence::search::search(&searched, query));
    match search.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(found) => found,
        Poll::Pending => Err(Error::Unavailable { doing: READING, detail: "the search waits for something".into() }),
    }
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
        self.core.state_readers.run(move |conn| search(conn, &q)).await
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
