//! History as rows: chunks by twin, day and stream, and the indexes that say which days there are.
//!
//! The indexes are written first, so that every chunk can be found. They are rows that only say "there is", so writing one
//! again changes nothing, and what was written lately is remembered and left out.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use persistence::{Error, codec, fold::Fold};

use super::chunk::{Chunk, Shelf, day_of};
use crate::cql::{Cql, Statement, Use, damaged, for_each};

/// Rows of the indexes that are remembered as written.
const REMEMBERED_MAX: usize = 1 << 20;
/// Writes of one projection under way at once.
pub const AT_ONCE: usize = 64;
/// Parts that a day's list of twins is cut into.
pub const BUCKETS: i16 = 16;
const WRITING: &str = "writing history";
const READING: &str = "reading history";

pub struct Shelves {
    cql: Arc<Cql>,
    put: Statement,
    put_day: Statement,
    put_by_day: Statement,
    put_known_day: Statement,
    days: Statement,
    heads: Statement,
    data: Statement,
    ttl: i32,
    hasher: RandomState,
    written: Mutex<HashSet<u64>>,
}

/// A day of a twin and stream, and the days on which its events say that they happened.
#[derive(Debug, Clone, Copy)]
pub struct DayRow {
    pub shelf: Shelf,
    pub at: (i32, i32),
}

/// A chunk without its data.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    pub frame: u64,
    pub last_frame: u64,
    /// Milliseconds.
    pub at: (i64, i64),
    pub received: (i64, i64),
    pub events: u32,
    pub size: usize,
}

fn seconds(ttl: Option<Duration>) -> i32 {
    ttl.map_or(0, |ttl| i32::try_from(ttl.as_secs()).unwrap_or(i32::MAX).clamp(1, 20 * 365 * 24 * 3_600))
}

/// A stable hash of a name, below `buckets`.
pub fn bucket(name: &str, buckets: i16) -> i16 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    ((hash ^ (hash >> 29)) % buckets as u64) as i16
}

impl Shelves {
    pub async fn prepare(cql: Arc<Cql>, ttl: Option<Duration>) -> Result<Self, Error> {
        let put = "INSERT INTO history (twin, day, stream, frame, last_frame, min_at, max_at, min_received, max_received, events, size, format, \
                   data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TTL ?";
        let heads = "SELECT frame, last_frame, min_at, max_at, min_received, max_received, events, size FROM history \
                     WHERE twin = ? AND day = ? AND stream = ?";
        let data =
            "SELECT frame, last_frame, format, data FROM history WHERE twin = ? AND day = ? AND stream = ? AND frame >= ? AND frame <= ?";
        Ok(Self {
            put: cql.prepare(Use::Write, put).await?,
            put_day: cql
                .prepare(Use::Write, "INSERT INTO history_day (twin, day, stream, at_day, at_last_day) VALUES (?, ?, ?, ?, ?)")
                .await?,
            put_by_day: cql.prepare(Use::Write, "INSERT INTO by_day (day, bucket, twin) VALUES (?, ?, ?)").await?,
            put_known_day: cql.prepare(Use::Write, "INSERT INTO day (bucket, day) VALUES (0, ?)").await?,
            days: cql.prepare(Use::Read, "SELECT day, stream, at_day, at_last_day FROM history_day WHERE twin = ?").await?,
            heads: cql.prepare(Use::Read, heads).await?,
            data: cql.prepare(Use::Read, data).await?,
            ttl: seconds(ttl),
            cql,
            hasher: RandomState::new(),
            written: Mutex::default(),
        })
    }

    pub async fn write(&self, fold: Fold<Chunk>) -> Result<(), Error> {
        let rows = fold.into_chunks().flat_map(|((twin, shelf), chunks)| chunks.into_iter().map(move |chunk| (twin.clone(), shelf, chunk)));
        for_each(rows, AT_ONCE, |(twin, shelf, chunk)| async move {
            self.write_index(&twin, shelf, &chunk).await?;
            self.put(&twin, shelf, &chunk).await
        })
        .await
        .map(drop)
    }

    async fn write_index(&self, twin: &str, shelf: Shelf, chunk: &Chunk) -> Result<(), Error> {
        let (day, stream) = shelf;
        let at = (day_of(chunk.at.0), day_of(chunk.at.1));
        self.note_day(twin, day).await?;
        self.once(("events", twin, day, stream, at), &self.put_day, (twin, day, stream, at.0, at.1)).await
    }

    /// There is something of this twin to forget on this day.
    pub async fn note_day(&self, twin: &str, day: i32) -> Result<(), Error> {
        self.once(("day", day), &self.put_known_day, (day,)).await?;
        self.once(("by_day", twin, day), &self.put_by_day, (day, bucket(twin, BUCKETS), twin)).await
    }

    async fn once(
        &self,
        key: impl std::hash::Hash,
        statement: &Statement,
        values: impl scylla::serialize::row::SerializeRow,
    ) -> Result<(), Error> {
        let key = self.hasher.hash_one(key);
        if self.written.lock().contains(&key) {
            return Ok(());
        }
        self.cql.write(WRITING, statement, values).await?;
        let mut written = self.written.lock();
        if written.len() >= REMEMBERED_MAX {
            written.clear();
        }
        written.insert(key);
        Ok(())
    }

    /// Rows of the indexes were deleted.
    pub fn forget_written(&self) {
        self.written.lock().clear();
    }

    pub async fn put(&self, twin: &str, (day, stream): Shelf, chunk: &Chunk) -> Result<(), Error> {
        let ms = |time: hierarchy_models::Timestamp| time.as_millis();
        let values = (
            (twin, day, stream, chunk.frame as i64, chunk.last_frame as i64),
            (ms(chunk.at.0), ms(chunk.at.1), ms(chunk.received.0), ms(chunk.received.1)),
            (chunk.events as i32, chunk.data.len() as i32, codec::FORMAT as i32, &chunk.data[..], self.ttl),
        );
        let ((a, b, c, d, e), (f, g, h, i), (j, k, l, m, n)) = values;
        self.cql.write(WRITING, &self.put, (a, b, c, d, e, f, g, h, i, j, k, l, m, n)).await
    }

    pub async fn days(&self, twin: &str) -> Result<Vec<DayRow>, Error> {
        let rows = self.cql.rows::<(i32, i16, i32, i32)>(READING, &self.days, (twin,)).await?;
        Ok(rows.into_iter().map(|(day, stream, first, last)| DayRow { shelf: (day, stream), at: (first, last) }).collect())
    }

    /// In the order of their frames.
    pub async fn heads(&self, twin: &str, (day, stream): Shelf) -> Result<Vec<Head>, Error> {
        let rows = self.cql.rows::<(i64, i64, i64, i64, i64, i64, i32, i32)>(READING, &self.heads, (twin, day, stream)).await?;
        let head = |(frame, last_frame, a, b, c, d, events, size): (i64, i64, i64, i64, i64, i64, i32, i32)| Head {
            frame: frame as u64,
            last_frame: last_frame as u64,
            at: (a, b),
            received: (c, d),
            events: events as u32,
            size: size as usize,
        };
        Ok(rows.into_iter().map(head).collect())
    }

    /// Chunks from frame `first` to frame `last`: their frames and their data.
    pub async fn data(&self, twin: &str, (day, stream): Shelf, first: u64, last: u64) -> Result<Vec<(u64, u64, Vec<u8>)>, Error> {
        let values = (twin, day, stream, first as i64, last as i64);
        let rows = self.cql.rows::<(i64, i64, i32, Vec<u8>)>(READING, &self.data, values).await?;
        rows.into_iter()
            .map(|(frame, last, format, data)| match u32::try_from(format) {
                Ok(format) if format <= codec::FORMAT => Ok((frame as u64, last as u64, data)),
                Ok(found) => Err(Error::TooNew { found, known: codec::FORMAT }),
                Err(_) => Err(damaged(READING, format!("a chunk of format {format}"))),
            })
            .collect()
    }
}
