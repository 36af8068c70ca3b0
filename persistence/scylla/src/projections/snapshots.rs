//! Snapshots, and when they want to be woken.
//!
//! A row is written with a timestamp made of the twin's life, its last event and a count, so that the newest one wins
//! whenever it arrives: what a former owner sends late cannot overwrite it. A life ends with a mark and not with a deletion,
//! whose shadow would fall on the next life; the mark stays. What was written lately is remembered, so that most snapshots are written
//! without reading first.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use hierarchy_models::{Timestamp, TwinId};
use parking_lot::Mutex;
use persistence::{Error, Snapshot};

use super::shelves::{AT_ONCE, bucket};
use crate::cql::{Cql, Statement, Use, damaged, for_each};

/// Twins whose last written snapshot is remembered.
const REMEMBERED_MAX: usize = 1 << 18;
/// Parts that the list of wakes is cut into.
const WAKE_BUCKETS: i16 = 8;
/// Stands for "never".
const NO_WAKE: i64 = i64::MIN;
const WRITING: &str = "writing a snapshot";
const READING: &str = "reading a snapshot";
const WAKES: &str = "reading what wants to be woken";

/// Timestamps must lie before today, as ScyllaDB demands of those that are given: 50 bits.
const LIFE_BITS: u32 = 10;
const SEQ_BITS: u32 = 34;
const COUNT_BITS: u32 = 6;
const _: () = assert!(LIFE_BITS + SEQ_BITS + COUNT_BITS == 50);

/// When, in the order of a twin's own writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Stamp {
    life: u64,
    seq: u64,
    count: u64,
}

impl Stamp {
    fn of(timestamp: i64) -> Self {
        let bits = timestamp as u64;
        let part = |shift: u32, bits_wide: u32| (bits >> shift) & ((1 << bits_wide) - 1);
        Self { life: part(SEQ_BITS + COUNT_BITS, LIFE_BITS), seq: part(COUNT_BITS, SEQ_BITS), count: part(0, COUNT_BITS) }
    }

    fn timestamp(self, twin: &TwinId) -> Result<i64, Error> {
        if self.life >> LIFE_BITS != 0 || self.seq >> SEQ_BITS != 0 {
            return Err(Error::Refused(format!("{twin} has lived {} times and seen {} events: more cannot be kept", self.life, self.seq)));
        }
        // A snapshot of the same event again and again differs in nothing that matters.
        let count = self.count.min((1 << COUNT_BITS) - 1);
        Ok((self.life << (SEQ_BITS + COUNT_BITS) | self.seq << COUNT_BITS | count) as i64)
    }
}

/// What the table holds of a twin.
#[derive(Debug, Clone, Copy)]
struct Written {
    stamp: Stamp,
    wake_at: i64,
    gone: bool,
}

pub struct Snapshots {
    cql: Arc<Cql>,
    put: Statement,
    get: Statement,
    stamp: Statement,
    contribution: Statement,
    put_wake: Statement,
    delete_wake: Statement,
    wakes: Statement,
    written: Mutex<HashMap<TwinId, Written>>,
}

impl Snapshots {
    pub async fn prepare(cql: Arc<Cql>) -> Result<Self, Error> {
        let put = "INSERT INTO snapshot (twin, gone, seq, wake_at, contribution, state) VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ?";
        let wakes = "SELECT at, twin FROM wake WHERE bucket = ? AND (at, twin) > (?, ?) LIMIT ?";
        Ok(Self {
            put: cql.prepare(Use::Write, put).await?,
            get: cql.prepare(Use::Read, "SELECT gone, seq, wake_at, contribution, state FROM snapshot WHERE twin = ?").await?,
            stamp: cql.prepare(Use::Read, "SELECT gone, wake_at, WRITETIME(seq) FROM snapshot WHERE twin = ?").await?,
            contribution: cql.prepare(Use::Read, "SELECT gone, contribution FROM snapshot WHERE twin = ?").await?,
            put_wake: cql.prepare(Use::Write, "INSERT INTO wake (bucket, at, twin) VALUES (?, ?, ?)").await?,
            delete_wake: cql.prepare(Use::Write, "DELETE FROM wake WHERE bucket = ? AND at = ? AND twin = ?").await?,
            wakes: cql.prepare(Use::Read, wakes).await?,
            cql,
            written: Mutex::default(),
        })
    }

    async fn written(&self, twin: &TwinId) -> Result<Option<Written>, Error> {
        if let Some(known) = self.written.lock().get(twin) {
            return Ok(Some(*known));
        }
        let row: Option<(bool, i64, i64)> = self.cql.row(READING, &self.stamp, (twin.as_str(),)).await?;
        Ok(row.map(|(gone, wake_at, timestamp)| Written { stamp: Stamp::of(timestamp), wake_at, gone }))
    }

    fn remember(&self, twin: &TwinId, now: Written) {
        let mut written = self.written.lock();
        if written.len() >= REMEMBERED_MAX {
            written.clear();
        }
        written.insert(twin.clone(), now);
    }

    /// Writes those that are not older than what is there. Of one twin there is at most one.
    pub async fn put_all(&self, snapshots: Vec<Snapshot>) -> Result<(), Error> {
        let newest = newest(snapshots);
        for_each(newest, AT_ONCE, |snapshot| async move { self.put(&snapshot).await }).await.map(drop)
    }

    async fn put(&self, snapshot: &Snapshot) -> Result<(), Error> {
        let was = self.written(&snapshot.twin).await?;
        let stamp = match was.map(|was| was.stamp) {
            Some(was) if snapshot.seq < was.seq => return Ok(()),
            Some(was) if snapshot.seq == was.seq => Stamp { count: was.count + 1, ..was },
            Some(was) => Stamp { life: was.life, seq: snapshot.seq, count: 0 },
            None => Stamp { life: 0, seq: snapshot.seq, count: 0 },
        };
        let wake_at = snapshot.wake_at.map_or(NO_WAKE, Timestamp::as_millis);
        let now = Written { stamp, wake_at, gone: false };
        self.replace(&snapshot.twin, was, now, &snapshot.contribution, &snapshot.state).await
    }

    /// Ends the life of a twin.
    pub async fn delete(&self, twin: &TwinId) -> Result<(), Error> {
        let Some(was) = self.written(twin).await? else { return Ok(()) };
        if was.gone {
            return Ok(());
        }
        let stamp = Stamp { life: was.stamp.life + 1, seq: 0, count: 0 };
        self.replace(twin, Some(was), Written { stamp, wake_at: NO_WAKE, gone: true }, &[], &[]).await
    }

    /// The wake that is wanted is there before the snapshot that wants it, the old one goes after: a crash leaves one too many.
    async fn replace(&self, twin: &TwinId, was: Option<Written>, now: Written, contribution: &[u8], state: &[u8]) -> Result<(), Error> {
        let (id, part) = (twin.as_str(), bucket(twin.as_str(), WAKE_BUCKETS));
        let old_wake = was.map_or(NO_WAKE, |was| was.wake_at);
        if now.wake_at != NO_WAKE && now.wake_at != old_wake {
            self.cql.write(WRITING, &self.put_wake, (part, now.wake_at, id)).await?;
        }
        let timestamp = now.stamp.timestamp(twin)?;
        self.cql.write(WRITING, &self.put, (id, now.gone, now.stamp.seq as i64, now.wake_at, contribution, state, timestamp)).await?;
        if old_wake != NO_WAKE && now.wake_at != old_wake {
            self.cql.write(WRITING, &self.delete_wake, (part, old_wake, id)).await?;
        }
        self.remember(twin, now);
        Ok(())
    }

    pub async fn get(&self, twin: &TwinId) -> Result<Option<Snapshot>, Error> {
        type Row = (bool, i64, i64, Vec<u8>, Vec<u8>);
        let row: Option<Row> = self.cql.row(READING, &self.get, (twin.as_str(),)).await?;
        Ok(row.filter(|(gone, ..)| !gone).map(|(_, seq, wake_at, contribution, state)| Snapshot {
            twin: twin.clone(),
            seq: seq as u64,
            state: state.into(),
            contribution: contribution.into(),
            wake_at: (wake_at != NO_WAKE).then(|| Timestamp::from_millis_clamped(wake_at)),
        }))
    }

    /// Empty when the twin has no snapshot.
    pub async fn contribution(&self, twin: &TwinId) -> Result<Bytes, Error> {
        let row: Option<(bool, Vec<u8>)> = self.cql.row(READING, &self.contribution, (twin.as_str(),)).await?;
        Ok(row.filter(|(gone, _)| !gone).map(|(_, contribution)| Bytes::from(contribution)).unwrap_or_default())
    }

    pub async fn wakes(&self, after: Option<(Timestamp, TwinId)>, limit: usize) -> Result<Vec<(Timestamp, TwinId)>, Error> {
        let mut after = after.map_or((i64::MIN, String::new()), |(at, twin)| (at.as_millis(), twin.to_string()));
        let mut found = Vec::new();
        loop {
            let want = limit - found.len();
            let some = self.some_wakes(&after, want).await?;
            let all = some.len() < want;
            let Some(last) = some.last().cloned() else { return Ok(found) };
            let held = for_each(some, AT_ONCE, |(at, twin)| async move { self.is_wanted(at, twin).await }).await?;
            found.extend(held.into_iter().flatten());
            if all || found.len() >= limit {
                return Ok(found);
            }
            after = last;
        }
    }

    /// Rows as they stand, some of them stale.
    async fn some_wakes(&self, (at, twin): &(i64, String), limit: usize) -> Result<Vec<(i64, String)>, Error> {
        let rows_max = i32::try_from(limit).unwrap_or(i32::MAX);
        let of_bucket = |bucket: i16| self.cql.rows::<(i64, String)>(WAKES, &self.wakes, (bucket, *at, twin, rows_max));
        let mut rows: Vec<_> = for_each(0..WAKE_BUCKETS, WAKE_BUCKETS as usize, of_bucket).await?.into_iter().flatten().collect();
        rows.sort();
        rows.truncate(limit);
        Ok(rows)
    }

    async fn is_wanted(&self, at: i64, twin: String) -> Result<Option<(Timestamp, TwinId)>, Error> {
        let twin = TwinId::new(&twin).map_err(|e| damaged(WAKES, e))?;
        let wanted = self.written(&twin).await?.is_some_and(|written| !written.gone && written.wake_at == at);
        Ok(wanted.then(|| (Timestamp::from_millis_clamped(at), twin)))
    }
}

/// The last of those with the highest event, for each twin.
fn newest(snapshots: Vec<Snapshot>) -> Vec<Snapshot> {
    let mut newest: HashMap<TwinId, Snapshot> = HashMap::with_capacity(snapshots.len());
    for snapshot in snapshots {
        match newest.get(&snapshot.twin) {
            Some(known) if known.seq > snapshot.seq => {}
            _ => drop(newest.insert(snapshot.twin.clone(), snapshot)),
        }
    }
    newest.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_rise_with_life_event_and_count_and_lie_before_today() {
        let twin = TwinId::new("a").unwrap();
        let stamp = |life, seq, count| Stamp { life, seq, count };
        let rising =
            [stamp(0, 0, 0), stamp(0, 0, 63), stamp(0, 1, 0), stamp(0, (1 << 34) - 1, 0), stamp(1, 0, 0), stamp(1023, (1 << 34) - 1, 63)];
        let times: Vec<i64> = rising.iter().map(|s| s.timestamp(&twin).unwrap()).collect();
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
        assert!(rising.iter().zip(&times).all(|(s, t)| Stamp::of(*t) == *s));
        let begin_of_2006 = 1_136_073_600_000_000;
        assert!(times.iter().all(|t| *t < begin_of_2006));
        assert!(stamp(1024, 0, 0).timestamp(&twin).is_err() && stamp(0, 1 << 34, 0).timestamp(&twin).is_err());
    }
}
