//! The audit log, in a file of its own: records go to its end, in transactions that nothing else waits for.

use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use hierarchy_models::Timestamp;
use persistence::{Audit, AuditHash, AuditQuery, AuditRecord, Error, audit::follows};
use rusqlite::{Connection, Row, params};

use crate::{
    EmbeddedStore, metrics,
    sqlite::{self, Migrations, doing},
};

const MIGRATIONS: Migrations = &[include_str!("../schema/audit_1.sql")];
const READING: &str = "reading the audit log";
const WRITING: &str = "writing the audit log";
const COLUMNS: &str = "number, at, hash, body";

pub fn open(path: &Path) -> Result<Connection, Error> {
    sqlite::open(path, MIGRATIONS)
}

fn append(conn: &Connection, records: &[AuditRecord]) -> Result<(), Error> {
    let last =
        conn.prepare_cached("SELECT coalesce(max(number), 0) FROM record").and_then(|mut s| s.query_row([], |row| row.get::<_, i64>(0)));
    follows(last.map_err(doing(WRITING))? as u64, records)?;
    let mut insert = conn.prepare_cached("INSERT INTO record (number, at, hash, body) VALUES (?1, ?2, ?3, ?4)").map_err(doing(WRITING))?;
    for record in records {
        let values = params![record.number as i64, record.at.as_millis(), record.hash, &record.body[..]];
        insert.execute(values).map_err(doing(WRITING))?;
    }
    Ok(())
}

fn stored(row: &Row<'_>) -> rusqlite::Result<(i64, i64, AuditHash, Vec<u8>)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

fn record((number, at, hash, body): (i64, i64, AuditHash, Vec<u8>)) -> AuditRecord {
    AuditRecord { number: number as u64, at: Timestamp::from_millis_clamped(at), hash, body: Bytes::from(body) }
}

fn select(conn: &Connection, condition: &str, params: impl rusqlite::Params) -> Result<Vec<AuditRecord>, Error> {
    let doing = doing(READING);
    let mut select = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM record {condition}")).map_err(&doing)?;
    let rows = select.query_map(params, stored).map_err(&doing)?;
    rows.map(|row| row.map(record).map_err(&doing)).collect()
}

fn newest(conn: &Connection, query: &AuditQuery) -> Result<Vec<AuditRecord>, Error> {
    let before = query.before.map_or(i64::MAX, |before| i64::try_from(before).unwrap_or(i64::MAX));
    let from = query.from.map_or(i64::MIN, Timestamp::as_millis);
    let to = query.to.map_or(i64::MAX, Timestamp::as_millis);
    let condition = "WHERE number < ?1 AND at >= ?2 AND at < ?3 ORDER BY number DESC LIMIT ?4";
    select(conn, condition, params![before, from, to, query.limit as i64])
}

#[async_trait]
impl Audit for EmbeddedStore {
    async fn append_audit(&self, records: Vec<AuditRecord>) -> Result<(), Error> {
        let result = self.core.audit.write(WRITING, move |conn| append(conn, &records)).await;
        result.inspect_err(|error| metrics::failed("append_audit", error))
    }

    async fn audit_head(&self) -> Result<Option<AuditRecord>, Error> {
        self.core.audit_readers.run(|conn| Ok(select(conn, "ORDER BY number DESC LIMIT 1", [])?.pop())).await
    }

    async fn audit(&self, query: AuditQuery) -> Result<Vec<AuditRecord>, Error> {
        self.core.audit_readers.run(move |conn| newest(conn, &query)).await
    }

    async fn audit_after(&self, number: u64, limit: usize) -> Result<Vec<AuditRecord>, Error> {
        let condition = "WHERE number > ?1 ORDER BY number LIMIT ?2";
        let read = move |conn: &Connection| select(conn, condition, params![i64::try_from(number).unwrap_or(i64::MAX), limit as i64]);
        self.core.audit_readers.run(read).await
    }
}
