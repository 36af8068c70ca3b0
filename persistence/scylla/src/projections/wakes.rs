//! When snapshots want to be woken: who, by the hour, each hour in parts. The snapshot says when.
//!
//! A row is written when a wake comes into an hour and never deleted by itself: a twin whose wake moves with every message would make
//! the table a queue of tombstones, which in the end is more than a server reads. An hour that is over is dropped as a whole, and a read
//! begins with the oldest hour that is left.

use std::{collections::HashSet, sync::Arc};

use parking_lot::Mutex;
use persistence::Error;

use super::shelves::bucket;
use crate::cql::{Cql, Statement, Use, for_each};

/// Parts that an hour is cut into.
pub const PARTS: i16 = 8;
const HOUR_MS: i64 = 3_600_000;
const WRITING: &str = "writing what wants to be woken";
const READING: &str = "reading what wants to be woken";

pub struct Wakes {
    cql: Arc<Cql>,
    put_hour: Statement,
    put: Statement,
    hours: Statement,
    of_part: Statement,
    drop_part: Statement,
    drop_hour: Statement,
    /// Hours that are known to be listed.
    listed: Mutex<HashSet<i64>>,
}

pub fn hour_of(at: i64) -> i64 {
    at.div_euclid(HOUR_MS)
}

impl Wakes {
    pub async fn prepare(cql: Arc<Cql>) -> Result<Self, Error> {
        Ok(Self {
            put_hour: cql.prepare(Use::Write, "INSERT INTO wake_hour (part, hour) VALUES (0, ?)").await?,
            put: cql.prepare(Use::Write, "INSERT INTO wake (hour, part, twin) VALUES (?, ?, ?)").await?,
            hours: cql.prepare(Use::Read, "SELECT hour FROM wake_hour WHERE part = 0 AND hour >= ? AND hour <= ?").await?,
            of_part: cql.prepare(Use::Read, "SELECT twin FROM wake WHERE hour = ? AND part = ? AND twin > ? LIMIT ?").await?,
            drop_part: cql.prepare(Use::Write, "DELETE FROM wake WHERE hour = ? AND part = ?").await?,
            drop_hour: cql.prepare(Use::Write, "DELETE FROM wake_hour WHERE part = 0 AND hour = ?").await?,
            cql,
            listed: Mutex::default(),
        })
    }

    pub async fn put(&self, hour: i64, twin: &str) -> Result<(), Error> {
        if !self.listed.lock().contains(&hour) {
            self.cql.write(WRITING, &self.put_hour, (hour,)).await?;
            self.listed.lock().insert(hour);
        }
        self.cql.write(WRITING, &self.put, (hour, bucket(twin, PARTS), twin)).await
    }

    /// Hours that have rows, or had, ascending.
    pub async fn hours(&self, from: i64, to: i64) -> Result<Vec<i64>, Error> {
        let rows = self.cql.rows::<(i64,)>(READING, &self.hours, (from, to)).await?;
        Ok(rows.into_iter().map(|(hour,)| hour).collect())
    }

    /// Twins of one part of an hour behind `after`, in the order of their ids.
    pub async fn of_part(&self, hour: i64, part: i16, after: &str, limit: usize) -> Result<Vec<String>, Error> {
        let rows_max = i32::try_from(limit).unwrap_or(i32::MAX);
        let rows = self.cql.rows::<(String,)>(READING, &self.of_part, (hour, part, after, rows_max)).await?;
        Ok(rows.into_iter().map(|(twin,)| twin).collect())
    }

    /// Nobody wants any row of this hour. Whoever calls it sees to it that none is being written.
    pub async fn drop_hour(&self, hour: i64) -> Result<(), Error> {
        self.listed.lock().remove(&hour);
        for_each(0..PARTS, PARTS as usize, |part| self.cql.write(WRITING, &self.drop_part, (hour, part))).await?;
        self.cql.write(WRITING, &self.drop_hour, (hour,)).await
    }
}
