//! Small documents that do not belong to a twin, in `state.db`.

use async_trait::async_trait;
use bytes::Bytes;
use persistence::{Document, Documents, Error};
use rusqlite::{Connection, OptionalExtension, params};

use crate::{EmbeddedStore, sqlite::doing};

fn put(conn: &Connection, kind: &str, id: &str, body: &[u8]) -> Result<(), Error> {
    let put = conn.prepare_cached("INSERT OR REPLACE INTO document (kind, id, body) VALUES (?1, ?2, ?3)");
    put.and_then(|mut s| s.execute(params![kind, id, body])).map(drop).map_err(doing("writing a document"))
}

fn get(conn: &Connection, kind: &str, id: &str) -> Result<Option<Bytes>, Error> {
    let body = conn
        .prepare_cached("SELECT body FROM document WHERE kind = ?1 AND id = ?2")
        .and_then(|mut s| s.query_row([kind, id], |row| row.get::<_, Vec<u8>>(0)).optional());
    body.map(|body| body.map(Bytes::from)).map_err(doing("reading a document"))
}

fn delete(conn: &Connection, kind: &str, id: &str) -> Result<bool, Error> {
    let delete = conn.prepare_cached("DELETE FROM document WHERE kind = ?1 AND id = ?2");
    delete.and_then(|mut s| s.execute([kind, id])).map(|rows| rows > 0).map_err(doing("deleting a document"))
}

fn list(conn: &Connection, kind: &str, after: Option<&str>, limit: usize) -> Result<Vec<Document>, Error> {
    let doing = doing("listing documents");
    let select = "SELECT id, body FROM document WHERE kind = ?1 AND (?2 IS NULL OR id > ?2) ORDER BY id LIMIT ?3";
    let mut select = conn.prepare_cached(select).map_err(&doing)?;
    let rows = select.query_map(params![kind, after, limit as i64], |row| {
        Ok(Document { id: row.get(0)?, body: Bytes::from(row.get::<_, Vec<u8>>(1)?) })
    });
    rows.map_err(&doing)?.collect::<Result<_, _>>().map_err(&doing)
}

#[async_trait]
impl Documents for EmbeddedStore {
    async fn put_document(&self, kind: &'static str, id: &str, body: Bytes) -> Result<(), Error> {
        let id = id.to_owned();
        self.core.state.write("writing a document", move |conn| put(conn, kind, &id, &body)).await
    }

    async fn document(&self, kind: &'static str, id: &str) -> Result<Option<Bytes>, Error> {
        let id = id.to_owned();
        self.core.state_readers.run(move |conn| get(conn, kind, &id)).await
    }

    async fn delete_document(&self, kind: &'static str, id: &str) -> Result<bool, Error> {
        let id = id.to_owned();
        self.core.state.write("deleting a document", move |conn| delete(conn, kind, &id)).await
    }

    async fn documents(&self, kind: &'static str, after: Option<String>, limit: usize) -> Result<Vec<Document>, Error> {
        self.core.state_readers.run(move |conn| list(conn, kind, after.as_deref(), limit)).await
    }
}
