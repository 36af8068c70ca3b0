//! Registry rows as they lie in `state.db`.

use hierarchy_models::{Name, Timestamp, TwinId, Value, event::Status, id::ModelId, tree::Path};
use persistence::{Error, RegistryEntry, RegistryRow, codec};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{postings, twin_id};
use crate::sqlite::doing;

pub const COLUMNS: &str = "id, model, parent, gateway, status, created_at, seq, path, tags, metadata";

pub fn seq_of(conn: &Connection, id: &TwinId) -> Result<Option<u64>, Error> {
    let seq = conn
        .prepare_cached("SELECT seq FROM twin WHERE id = ?1")
        .and_then(|mut s| s.query_row([id.as_str()], |row| row.get::<_, i64>(0)).optional());
    seq.map(|seq| seq.map(|seq| seq as u64)).map_err(doing("reading a registry row"))
}

/// Writes the row, and what it is found by.
pub fn put(conn: &Connection, row: &RegistryRow, path: &str) -> Result<(), Error> {
    let new = RegistryEntry { row: row.clone(), path: Path::from_stored(path) };
    postings::replace(conn, &row.id, super::entry(conn, &row.id)?.as_ref(), Some(&new))?;
    let doing = doing("writing a registry row");
    let insert = "INSERT OR REPLACE INTO twin (id, model, parent, gateway, status, created_at, seq, path, tags, metadata) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let tags = codec::value_to_bytes(&Value::from(row.tags.iter().map(|t| Value::Text(t.clone())).collect::<Vec<_>>()));
    let row = params![
        row.id.as_str(),
        row.model.as_str(),
        row.parent.as_ref().map(TwinId::as_str),
        row.gateway.as_ref().map(TwinId::as_str),
        codec::wire::status_code(row.status),
        row.created_at.as_millis(),
        row.seq as i64,
        path,
        tags,
        codec::map_to_bytes(&row.metadata)
    ];
    conn.prepare_cached(insert).and_then(|mut s| s.execute(row)).map(drop).map_err(&doing)
}

pub fn delete(conn: &Connection, id: &TwinId) -> Result<(), Error> {
    postings::replace(conn, id, super::entry(conn, id)?.as_ref(), None)?;
    let gone = conn.prepare_cached("DELETE FROM twin WHERE id = ?1").and_then(|mut s| s.execute([id.as_str()]));
    gone.map(drop).map_err(doing("deleting a registry row"))
}

/// A row of [`COLUMNS`] as SQLite gives it; reading it further can find damage, which is not SQLite's error.
pub struct Stored {
    texts: (String, String, Option<String>, Option<String>, String),
    numbers: (u32, i64, i64),
    blobs: (Vec<u8>, Vec<u8>),
}

pub fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        texts: (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(7)?),
        numbers: (row.get(4)?, row.get(5)?, row.get(6)?),
        blobs: (row.get(8)?, row.get(9)?),
    })
}

pub fn model_id(text: &str) -> Result<ModelId, Error> {
    ModelId::new(text).map_err(|e| Error::Damaged { doing: "reading state.db", detail: e.to_string() })
}

impl Stored {
    pub fn entry(self) -> Result<RegistryEntry, Error> {
        let (id, model, parent, gateway, path) = self.texts;
        let (status, created_at, seq) = self.numbers;
        let row = RegistryRow {
            id: twin_id(id)?,
            model: model_id(&model)?,
            parent: parent.map(twin_id).transpose()?,
            gateway: gateway.map(twin_id).transpose()?,
            status: status_of(status)?,
            metadata: codec::map_from_bytes(&self.blobs.1)?,
            tags: tags(codec::value_from_bytes(&self.blobs.0)?),
            created_at: Timestamp::from_millis_clamped(created_at),
            seq: seq as u64,
        };
        Ok(RegistryEntry { row, path: Path::from_stored(&path) })
    }
}

fn status_of(code: u32) -> Result<Status, Error> {
    codec::wire::status_from(code)
}

fn tags(list: Value) -> Vec<Name> {
    match list {
        Value::List(tags) => tags.iter().filter_map(|tag| tag.as_str().map(Name::from)).collect(),
        _ => Vec::new(),
    }
}
