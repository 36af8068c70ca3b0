//! When snapshots want to be woken: rows by the hour, each hour in parts.
//!
//! A row is written once and deleted once, so an hour that is over is full of tombstones. It is dropped as a whole then, and a read
//! begins with the oldest hour that is left: one partition that is deleted at its front would in the end be more than a server
//! reads. A row may be stale; the snapshot says what holds.

use std::{collections::HashSet, sync::Arc};

use parking_lot::Mutex;
use persistence::Error;

use super::shelves::bucket;
use crate::cql::{Cql, Statement, Use, for_each};

/// Parts that an hour is cut into.
const PARTS: i16 = 8;
const HOUR_MS: i64 = 3_600_000;
const WRITING: &str = "writing what wants to be woken";
const READING: &str = "reading what wants to be woken";

pub struct Wakes {
    cql: Arc<Cql>,
    put_hour: Statement,
    put: Statement,
    delete: Statement,
    hours: Statement,
    of_part: Statement,
    drop_part: Statement,
    drop_hour: Statement,
    /// Hours that are known to be listed.
    listed: Mutex<HashSet<i64>>,
}

/// When, in milliseconds, and who.
pub type Wake = (i64, String);

pub fn hour_of(at: i64) -> i64 {
    at.div_euclid(HOUR_MS)
}

impl Wakes {
    pub async fn prepare(cql: Arc<Cql>) -> Result<Self, Error> {
        let of_part = "SELECT at, twin FROM wake WHERE hour = ? AND part = ? AND (at, twin) > (?, ?) LIMIT ?";
        Ok(Self {
            put_hour: cql.prepare(Use::Write, "INSERT INTO wake_hour (part, hour) VALUES (0, ?)").await?,
            put: cql.prepare(Use::Write, "INSERT INTO wake (hour, part, at, twin) VALUES (?, ?, ?, ?)").await?,
            delete: cql.prepare(Use::Write, "DELETE FROM wake WHERE hour = ? AND part = ? AND at = ? AND twin = ?").await?,
            hours: cql.prepare(Use::Read, "SELECT hour FROM wake_hour WHERE part = 0 AND hour >= ? AND hour <= ?").await?,
            of_part: cql.prepare(Use::Read, of_part).await?,
            drop_part: cql.prepare(Use::Write, "DELETE FROM wake WHERE hour = ? AND part = ?").await?,
            drop_hour: cql.prepare(Use::Write, "DELETE FROM wake_hour WHERE part = 0 AND hour = ?").await?,
            cql,
            listed: Mutex::default(),
        })
    }

    pub async fn put(&self, at: i64, twin: &str) -> Result<(), Error> {
        let hour = hour_of(at);
        if !self.listed.lock().contains(&hour) {
            self.cql.write(WRITING, &self.put_hour, (hour,)).await?;
            self.listed.lock().insert(hour);
        }
        self.cql.write(WRITING, &self.put, (hour, bucket(twin, PARTS), at, twin)).await
    }

    pub async fn delete(&self, at: i64, twin: &str) -> Result<(), Error> {
        self.cql.write(WRITING, &self.delete, (hour_of(at), bucket(twin, PARTS), at, twin)).await
    }

    /// Hours that have rows, or had, ascending.
    pub async fn hours(&self, from: i64, to: i64) -> Result<Vec<i64>, Error> {
        let rows = self.cql.rows::<(i64,)>(READING, &self.hours, (from, to)).await?;
        Ok(rows.into_iter().map(|(hour,)| hour).collect())
    }

    /// Rows of an hour after `after` as they stand, soonest first.
    pub async fn of_hour(&self, hour: i64, (at, twin): &Wake, limit: usize) -> Result<Vec<Wake>, Error> {
        let rows_max = i32::try_from(limit).unwrap_or(i32::MAX);
        let of_part = |part: i16| self.cql.rows::<Wake>(READING, &self.of_part, (hour, part, *at, twin, rows_max));
        let mut rows: Vec<_> = for_each(0..PARTS, PARTS as usize, of_part).await?.into_iter().flatten().collect();
        rows.sort();
        rows.truncate(limit);
        Ok(rows)
    }

    /// Nobody wants any row of this hour. Whoever calls it sees to it that none is being written.
    pub async fn drop_hour(&self, hour: i64) -> Result<(), Error> {
        self.listed.lock().remove(&hour);
        for_each(0..PARTS, PARTS as usize, |part| self.cql.write(WRITING, &self.drop_part, (hour, part))).await?;
        self.cql.write(WRITING, &self.drop_hour, (hour,)).await
    }
}
