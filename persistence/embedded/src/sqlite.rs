//! How this store opens a SQLite file, brings it to the current schema, and names what went wrong.
//!
//! All files are in WAL mode and synced at every commit: what a method promises when it returns is then the same for all of
//! them, and a power cut loses nothing that the journal was already trimmed of. Lost: `synchronous=NORMAL` for projections,
//! which saves one sync a flush and would make the trim depend on when SQLite last checkpointed.

use std::{path::Path, time::Duration};

use persistence::Error;
use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig, ffi};

/// Pages in a WAL after which SQLite copies them into the main file; 16 MiB, so that this is rare beside the commits.
const WAL_PAGES: u32 = 4_000;
/// Bytes a WAL file keeps after such a copy.
const WAL_BYTES_KEPT: u32 = 64 * 1024 * 1024;
/// How long a connection waits for another one's lock, which is only ever held for moments.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
const STATEMENTS_KEPT: usize = 96;
/// KiB of pages a writer keeps, so that a flush that touches many twins does not write its pages before it ends, and read again
/// what the last one wrote.
const WRITER_CACHE_KIB: i64 = 32 * 1024;
/// KiB of pages each reader keeps.
const READER_CACHE_KIB: i64 = 1024;

/// The scripts that bring a file from one version to the next, the first from nothing to 1.
pub type Migrations = &'static [&'static str];

/// A connection that writes; creates the file or brings it to the current version.
pub fn open(path: &Path, migrations: Migrations) -> Result<Connection, Error> {
    let doing = "opening a database file";
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = Connection::open_with_flags(path, flags).map_err(|e| at(path, doing, e))?;
    prepare(&conn, WRITER_CACHE_KIB).map_err(|e| at(path, doing, e))?;
    migrate(&mut conn, migrations).map_err(|e| match e {
        Step::TooNew(found) => Error::TooNew { found, known: migrations.len() as u32 },
        Step::Sql(e) => at(path, "bringing a database file to the current schema", e),
    })?;
    Ok(conn)
}

/// A connection that only reads, of a file that is there.
pub fn open_reader(path: &Path) -> Result<Connection, Error> {
    let doing = "opening a database file for reading";
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(|e| at(path, doing, e))?;
    prepare(&conn, READER_CACHE_KIB).and_then(|()| conn.pragma_update(None, "query_only", true)).map_err(|e| at(path, doing, e))?;
    Ok(conn)
}

fn prepare(conn: &Connection, cache_kib: i64) -> rusqlite::Result<()> {
    conn.busy_timeout(LOCK_PATIENCE)?;
    // Else SQLite plans a statement anew whenever a bound value changes: a quarter of a flush's time.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "wal_autocheckpoint", WAL_PAGES)?;
    conn.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)?;
    // Negative: KiB, not pages.
    conn.pragma_update(None, "cache_size", -cache_kib)?;
    conn.pragma_update(None, "temp_store", "MEMORY")
}

enum Step {
    TooNew(u32),
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Step {
    fn from(e: rusqlite::Error) -> Self {
        Self::Sql(e)
    }
}

fn migrate(conn: &mut Connection, migrations: Migrations) -> Result<(), Step> {
    let version = |conn: &Connection| conn.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0));
    let found = version(conn)?;
    if found as usize > migrations.len() {
        return Err(Step::TooNew(found));
    }
    for (script, to) in migrations.iter().zip(1u32..).skip(found as usize) {
        let step = conn.transaction()?;
        step.execute_batch(script)?;
        step.pragma_update(None, "user_version", to)?;
        step.commit()?;
    }
    Ok(())
}

fn at(path: &Path, doing: &'static str, e: rusqlite::Error) -> Error {
    match error(doing, e) {
        Error::Full { doing, detail } => Error::Full { doing, detail: format!("{}: {detail}", path.display()) },
        Error::Damaged { doing, detail } => Error::Damaged { doing, detail: format!("{}: {detail}", path.display()) },
        Error::Unavailable { doing, detail } => Error::Unavailable { doing, detail: format!("{}: {detail}", path.display()) },
        other => other,
    }
}

/// For `map_err`: names what was being done.
pub fn doing(doing: &'static str) -> impl Fn(rusqlite::Error) -> Error {
    move |e| error(doing, e)
}

fn error(doing: &'static str, e: rusqlite::Error) -> Error {
    let detail = e.to_string();
    match e {
        rusqlite::Error::SqliteFailure(code, _) => match code.code {
            ErrorCode::DiskFull => Error::Full { doing, detail },
            ErrorCode::SystemIoFailure if is_about_room(code) => Error::Full { doing, detail },
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Error::Damaged { doing, detail },
            _ => Error::Unavailable { doing, detail },
        },
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..) => Error::Damaged { doing, detail },
        _ => Error::Unavailable { doing, detail },
    }
}

/// A write that the disk did not take, or a file that would not grow: a quota and a full disk look like this.
fn is_about_room(code: ffi::Error) -> bool {
    [ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_IOERR_SHMSIZE].contains(&code.extended_code)
}

/// Ends a transaction that failed; some errors have ended it already.
pub fn roll_back(conn: &Connection) {
    if !conn.is_autocommit()
        && let Err(error) = conn.execute_batch("ROLLBACK")
    {
        tracing::warn!(%error, "a transaction could not be rolled back");
    }
}

/// A consistent view of a database file, as long as it lives.
pub struct View<'c>(&'c Connection);

impl<'c> View<'c> {
    /// Begins at the first read, which the caller must do before it relies on the view.
    pub fn begin(conn: &'c Connection, what: &'static str) -> Result<Self, Error> {
        conn.execute_batch("BEGIN DEFERRED").map_err(doing(what))?;
        Ok(Self(conn))
    }
}

impl Drop for View<'_> {
    fn drop(&mut self) {
        roll_back(self.0);
    }
}

/// Copies the WAL into the main file and empties it, as the last thing before a file is let go.
pub fn settle(conn: &Connection) {
    if let Err(error) = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
        tracing::warn!(%error, "the write-ahead log could not be copied at the end; it will be at the next start");
    }
}

/// Makes room for nothing but to learn whether there is some: what [`persistence::Store::ready`] asks after a failure.
pub fn probe(conn: &Connection) -> Result<(), Error> {
    conn.execute("INSERT OR REPLACE INTO probe (id, data) VALUES (1, zeroblob(65536))", [])
        .map(drop)
        .map_err(doing("checking whether a write is taken"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1);";

    fn version(path: &Path) -> u32 {
        Connection::open(path).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    }

    #[test]
    fn an_older_file_is_brought_up_step_by_step_and_a_failing_step_leaves_it_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.db");
        drop(open(&path, &[FIRST]).unwrap());
        assert_eq!(version(&path), 1);
        assert!(open(&path, &[FIRST, "UPDATE t SET n = 2; THIS IS NO SQL;"]).is_err());
        assert_eq!(version(&path), 1);
        let conn = open(&path, &[FIRST, "UPDATE t SET n = n + 1;", "ALTER TABLE t ADD COLUMN m INTEGER;"]).unwrap();
        let n: i64 = conn.query_row("SELECT n FROM t WHERE m IS NULL", [], |row| row.get(0)).unwrap();
        assert_eq!((n, version(&path)), (2, 3), "each step ran once, and the failed one left nothing");
        drop(conn);
        assert!(matches!(open(&path, &[FIRST]), Err(Error::TooNew { found: 3, known: 1 })));
    }
}
