//! History as rows: chunks by twin, day and stream, and the indexes that say which days there are.
//!
//! The indexes are written first, so that every chunk can be found. They are rows that only say "there is", so writing one
//! again changes nothing, and what was written lately is remembered and left out.
//!
//! Chunks carry the time of the clock, by which the compaction puts together what goes away together. So they carry who wrote them in
//! their key as well: a former owner that is late, with a chunk that begins where the present one's does and ends sooner, adds a row, and
//! readers see every frame once.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use persistence::{Error, codec, fold::Fold};

use super::{
    chunk::{Chunk, Shelf, day_of},
    heads::Heads,
};
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
    ttl: Option<Duration>,
    /// The epoch in which this process became the owner; 0 before.
    owner: AtomicU64,
    hasher: RandomState,
    written: Mutex<HashSet<u64>>,
    /// Days up to here are being forgotten: that a row of their indexes was written is not remembered.
    forgetting: AtomicI32,
    disturbed: AtomicBool,
    known: Heads,
}

/// A day of a twin and stream, and the days on which its events say that they happened.
#[derive(Debug, Clone, Copy)]
pub struct DayRow {
    pub shelf: Shelf,
    pub at: (i32, i32),
}

/// A chunk within its shelf: its first frame and who wrote it.
pub type Place = (u64, u64);

/// A chunk without its data.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    pub place: Place,
    /// Microseconds since 1970, by the clock of who wrote it.
    pub written: i64,
    pub last_frame: u64,
    /// Milliseconds.
    pub at: (i64, i64),
    pub received: (i64, i64),
    pub events: u32,
    pub size: usize,
}

/// Rows cannot be told to go away later than this, 2038-01-18, in seconds since 1970: Cassandra refuses the write.
const TTL_END_MAX: i64 = 2_147_385_600;

/// The time to live in seconds of a row written at `written` microseconds since 1970; 0, which is for ever, when it would end too late.
fn seconds(ttl: Option<Duration>, written: i64) -> i32 {
    let Some(ttl) = ttl else { return 0 };
    let ttl = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX).max(1);
    if (written / 1_000_000).saturating_add(ttl) > TTL_END_MAX { 0 } else { i32::try_from(ttl).unwrap_or(0) }
}

/// Whether chunks go away by themselves, now and for as long again as they live; where not, retention deletes them.
pub fn go_by_themselves(ttl: Option<Duration>, now: i64) -> bool {
    seconds(ttl.map(|ttl| ttl.saturating_mul(2)), now) > 0
}

/// The days of a chunk's events, so widened that a day of receipt has few different ones: by a power of two of days on either side.
/// A device says itself when something happened, and may say anything.
fn widened(day: i32, (first, last): (i32, i32)) -> (i32, i32) {
    let power =
        |days: i32| if days <= 0 { 0 } else { (days as u32).checked_next_power_of_two().map_or(i32::MAX, |p| p.min(1 << 30) as i32) };
    let (before, after) = (power(day.saturating_sub(first)), power(last.saturating_sub(day)));
    (day.saturating_sub(before).min(first), day.saturating_add(after).max(last))
}

/// A stable hash of a name, below `buckets`.
pub fn bucket(name: &str, buckets: i16) -> i16 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    ((hash ^ (hash >> 29)) % buckets as u64) as i16
}

impl Shelves {
    pub async fn prepare(cql: Arc<Cql>, ttl: Option<Duration>) -> Result<Self, Error> {
        let put = "INSERT INTO history (twin, day, stream, frame, owner, last_frame, min_at, max_at, min_received, max_received, events, size, \
                   format, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?";
        let heads = "SELECT frame, owner, last_frame, min_at, max_at, min_received, max_received, events, size, WRITETIME(size) FROM history \
                     WHERE twin = ? AND day = ? AND stream = ? AND frame > ?";
        let data = "SELECT frame, owner, last_frame, format, data FROM history \
                    WHERE twin = ? AND day = ? AND stream = ? AND frame >= ? AND frame <= ?";
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
            ttl: ttl.filter(|_| go_by_themselves(ttl, cql.clock())),
            owner: AtomicU64::default(),
            cql,
            hasher: RandomState::new(),
            written: Mutex::default(),
            forgetting: AtomicI32::new(i32::MIN),
            disturbed: AtomicBool::default(),
            known: Heads::default(),
        })
    }

    /// This process has become the owner.
    pub fn begin(&self, epoch: u64) {
        self.owner.store(epoch, Ordering::SeqCst);
    }

    pub async fn write(&self, fold: Fold<Chunk>) -> Result<(), Error> {
        let owner = self.owner.load(Ordering::SeqCst);
        let rows = fold.into_chunks().flat_map(|((twin, shelf), chunks)| chunks.into_iter().map(move |chunk| (twin.clone(), shelf, chunk)));
        for_each(rows, AT_ONCE, |(twin, shelf, chunk)| async move {
            self.write_index(&twin, shelf, &chunk).await?;
            self.put(&twin, shelf, owner, &chunk, self.cql.clock()).await
        })
        .await
        .map(drop)
    }

    async fn write_index(&self, twin: &str, shelf: Shelf, chunk: &Chunk) -> Result<(), Error> {
        let (day, stream) = shelf;
        let at = widened(day, (day_of(chunk.at.0), day_of(chunk.at.1)));
        self.note_day(twin, day).await?;
        self.once(day, ("events", twin, day, stream, at), &self.put_day, (twin, day, stream, at.0, at.1)).await
    }

    /// There is something of this twin to forget on this day.
    pub async fn note_day(&self, twin: &str, day: i32) -> Result<(), Error> {
        if day <= self.forgetting.load(Ordering::SeqCst) {
            self.disturbed.store(true, Ordering::SeqCst);
        }
        self.once(day, ("day", day), &self.put_known_day, (day,)).await?;
        self.once(day, ("by_day", twin, day), &self.put_by_day, (day, bucket(twin, BUCKETS), twin)).await
    }

    /// The indexes of days up to here lose rows from now on.
    pub fn begin_forgetting(&self, day: i32) {
        self.forgetting.fetch_max(day, Ordering::SeqCst);
        self.disturbed.store(false, Ordering::SeqCst);
    }

    /// Whether something was noted on a day that is being forgotten, since that was begun.
    pub fn was_disturbed(&self) -> bool {
        self.disturbed.load(Ordering::SeqCst)
    }

    async fn once(
        &self,
        day: i32,
        key: impl std::hash::Hash,
        statement: &Statement,
        values: impl scylla::serialize::row::SerializeRow,
    ) -> Result<(), Error> {
        if day <= self.forgetting.load(Ordering::SeqCst) {
            return self.cql.write(WRITING, statement, values).await;
        }
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

    /// `written` is later than that of every row of this place before.
    pub async fn put(&self, twin: &str, (day, stream): Shelf, owner: u64, chunk: &Chunk, written: i64) -> Result<(), Error> {
        let ms = |time: hierarchy_models::Timestamp| time.as_millis();
        let values = (
            (twin, day, stream, chunk.frame as i64, owner as i64, chunk.last_frame as i64),
            (ms(chunk.at.0), ms(chunk.at.1), ms(chunk.received.0), ms(chunk.received.1)),
            (chunk.events as i32, chunk.data.len() as i32, codec::FORMAT as i32, &chunk.data[..], seconds(self.ttl, written), written),
        );
        let ((a, b, c, d, e, f), (g, h, i, j), (k, l, m, n, o, p)) = values;
        self.cql.write(WRITING, &self.put, (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)).await
    }

    pub async fn days(&self, twin: &str) -> Result<Vec<DayRow>, Error> {
        let rows = self.cql.rows::<(i32, i16, i32, i32)>(READING, &self.days, (twin,)).await?;
        Ok(rows.into_iter().map(|(day, stream, first, last)| DayRow { shelf: (day, stream), at: (first, last) }).collect())
    }

    /// In the order of their frames.
    pub async fn heads(&self, twin: &str, shelf: Shelf) -> Result<Vec<Head>, Error> {
        self.heads_after(twin, shelf, 0).await
    }

    /// The same for a reader, who does not mind that some of them may be gone.
    pub async fn heads_lately(&self, twin: &str, shelf: Shelf, checkpoint: u64) -> Result<Vec<Head>, Error> {
        let mut heads = self.known.known(twin, shelf);
        let known = heads.len();
        heads.extend(self.heads_after(twin, shelf, heads.last().map_or(0, |last| last.place.0)).await?);
        if heads.len() > known {
            self.known.remember(twin, shelf, &heads, checkpoint);
        }
        Ok(heads)
    }

    async fn heads_after(&self, twin: &str, (day, stream): Shelf, frame: u64) -> Result<Vec<Head>, Error> {
        type Row = (i64, i64, i64, i64, i64, i64, i64, i32, i32, i64);
        let rows = self.cql.rows::<Row>(READING, &self.heads, (twin, day, stream, frame as i64)).await?;
        let head = |(frame, owner, last_frame, a, b, c, d, events, size, written): Row| Head {
            place: (frame as u64, owner as u64),
            written,
            last_frame: last_frame as u64,
            at: (a, b),
            received: (c, d),
            events: events as u32,
            size: size as usize,
        };
        Ok(rows.into_iter().map(head).collect())
    }

    /// Chunks from frame `first` to frame `last`: their places, their last frames and their data.
    pub async fn data(&self, twin: &str, (day, stream): Shelf, first: u64, last: u64) -> Result<Vec<(Place, u64, Vec<u8>)>, Error> {
        let values = (twin, day, stream, first as i64, last as i64);
        let rows = self.cql.rows::<(i64, i64, i64, i32, Vec<u8>)>(READING, &self.data, values).await?;
        rows.into_iter()
            .map(|(frame, owner, last, format, data)| match u32::try_from(format) {
                Ok(format) if format <= codec::FORMAT => Ok(((frame as u64, owner as u64), last as u64, data)),
                Ok(found) => Err(Error::TooNew { found, known: codec::FORMAT }),
                Err(_) => Err(damaged(READING, format!("a chunk of format {format}"))),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_is_told_to_go_away_later_than_a_server_can_say() {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);
        let in_2026 = 1_795_000_000_000_000;
        assert_eq!(seconds(None, in_2026), 0);
        assert_eq!(seconds(Some(YEAR), in_2026), YEAR.as_secs() as i32);
        assert_eq!(seconds(Some(YEAR * 12), in_2026), 0);
        assert_eq!(seconds(Some(Duration::MAX), in_2026), 0);
        assert!(go_by_themselves(Some(YEAR * 5), in_2026) && !go_by_themselves(Some(YEAR * 6), in_2026), "and it stays so while it runs");
        assert!(!go_by_themselves(None, in_2026));
    }

    #[test]
    fn a_day_has_few_rows_whatever_devices_say_about_when_it_happened() {
        let day = 20_000;
        let mut spans = HashSet::new();
        for first in (-40_000..=60_000).step_by(7) {
            for length in [0, 1, 5, 400, 30_000] {
                let at = (first, first + length);
                let wide = widened(day, at);
                assert!(wide.0 <= at.0 && wide.1 >= at.1, "{at:?} lies in {wide:?}");
                spans.insert(wide);
            }
        }
        assert!(spans.len() < 200, "{} of 71,000", spans.len());
        assert_eq!(widened(day, (day, day)), (day, day), "what happened today is looked for today");
        assert_eq!(widened(day, (day - 3, day)), (day - 4, day));
        assert_eq!(widened(0, (i32::MIN, i32::MAX)), (i32::MIN, i32::MAX));
    }
}
