//! Snapshots, and when they want to be woken.
//!
//! A row is written with a timestamp made of the owner's epoch and a count of the twin's writes in it, so that what a former owner
//! sends late cannot overwrite what the present one has written. A life ends with a mark and not with a deletion,
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
const EPOCH_BITS: u32 = 24;
const COUNT_BITS: u32 = 26;
const _: () = assert!(EPOCH_BITS + COUNT_BITS == 50);

/// When, in the order of a twin's writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Stamp {
    epoch: u64,
    count: u64,
}

impl Stamp {
    fn of(timestamp: i64) -> Self {
        let bits = timestamp as u64;
        Self { epoch: bits >> COUNT_BITS, count: bits & ((1 << COUNT_BITS) - 1) }
    }

    /// The one after `was`, in this epoch.
    fn after(was: Option<Self>, epoch: u64) -> Self {
        Self { epoch, count: was.filter(|was| was.epoch == epoch).map_or(0, |was| was.count + 1) }
    }

    fn timestamp(self) -> Result<i64, Error> {
        if self.epoch >> EPOCH_BITS != 0 || self.count >> COUNT_BITS != 0 {
            return Err(Error::Refused(format!(
                "a snapshot of epoch {} was written {} times: more cannot be told apart",
                self.epoch, self.count
            )));
        }
        Ok((self.epoch << COUNT_BITS | self.count) as i64)
    }
}

/// What the table holds of a twin.
#[derive(Debug, Clone, Copy)]
struct Written {
    stamp: Stamp,
    seq: u64,
    wake_at: i64,
    gone: bool,
}

pub struct Snapshots {
    cql: Arc<Cql>,
    epoch: u64,
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
    pub async fn prepare(cql: Arc<Cql>, epoch: u64) -> Result<Self, Error> {
        let put = "INSERT INTO snapshot (twin, gone, seq, wake_at, contribution, state) VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ?";
        let wakes = "SELECT at, twin FROM wake WHERE bucket = ? AND (at, twin) > (?, ?) LIMIT ?";
        Ok(Self {
            put: cql.prepare(Use::Write, put).await?,
            get: cql.prepare(Use::Read, "SELECT gone, seq, wake_at, contribution, state FROM snapshot WHERE twin = ?").await?,
            stamp: cql.prepare(Use::Read, "SELECT gone, seq, wake_at, WRITETIME(seq) FROM snapshot WHERE twin = ?").await?,
            contribution: cql.prepare(Use::Read, "SELECT gone, contribution FROM snapshot WHERE twin = ?").await?,
            put_wake: cql.prepare(Use::Write, "INSERT INTO wake (bucket, at, twin) VALUES (?, ?, ?)").await?,
            delete_wake: cql.prepare(Use::Write, "DELETE FROM wake WHERE bucket = ? AND at = ? AND twin = ?").await?,
            wakes: cql.prepare(Use::Read, wakes).await?,
            cql,
            epoch,
            written: Mutex::default(),
        })
    }

    async fn written(&self, twin: &TwinId) -> Result<Option<Written>, Error> {
        if let Some(known) = self.written.lock().get(twin) {
            return Ok(Some(*known));
        }
        let row: Option<(bool, i64, i64, i64)> = self.cql.row(READING, &self.stamp, (twin.as_str(),)).await?;
        Ok(row.map(|(gone, seq, wake_at, timestamp)| Written { stamp: Stamp::of(timestamp), seq: seq as u64, wake_at, gone }))
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
        if was.is_some_and(|was| !was.gone && snapshot.seq < was.seq) {
            return Ok(());
        }
        let wake_at = snapshot.wake_at.map_or(NO_WAKE, Timestamp::as_millis);
        let stamp = Stamp::after(was.map(|was| was.stamp), self.epoch);
        let now = Written { stamp, seq: snapshot.seq, wake_at, gone: false };
        self.replace(&snapshot.twin, was, now, &snapshot.contribution, &snapshot.state).await
    }

    /// Ends the life of a twin.
    pub async fn delete(&self, twin: &TwinId) -> Result<(), Error> {
        let Some(was) = self.written(twin).await? else { return Ok(()) };
        if was.gone {
            return Ok(());
        }
        let stamp = Stamp::after(Some(was.stamp), self.epoch);
        self.replace(twin, Some(was), Written { stamp, seq: 0, wake_at: NO_WAKE, gone: true }, &[], &[]).await
    }

    /// The wake that is wanted is there before the snapshot that wants it, the old one goes after: a crash leaves one too many.
    async fn replace(&self, twin: &TwinId, was: Option<Written>, now: Written, contribution: &[u8], state: &[u8]) -> Result<(), Error> {
        let (id, part) = (twin.as_str(), bucket(twin.as_str(), WAKE_BUCKETS));
        let old_wake = was.map_or(NO_WAKE, |was| was.wake_at);
        if now.wake_at != NO_WAKE && now.wake_at != old_wake {
            self.cql.write(WRITING, &self.put_wake, (part, now.wake_at, id)).await?;
        }
        let timestamp = now.stamp.timestamp()?;
        self.cql.write(WRITING, &self.put, (id, now.gone, now.seq as i64, now.wake_at, contribution, state, timestamp)).await?;
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
    fn timestamps_rise_with_epoch_and_count_and_lie_before_today() {
        let stamp = |epoch, count| Stamp { epoch, count };
        let rising = [stamp(0, 0), stamp(0, (1 << 26) - 1), stamp(1, 0), stamp((1 << 24) - 1, (1 << 26) - 1)];
        let times: Vec<i64> = rising.iter().map(|s| s.timestamp().unwrap()).collect();
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
        assert!(rising.iter().zip(&times).all(|(s, t)| Stamp::of(*t) == *s));
        let begin_of_2006 = 1_136_073_600_000_000;
        assert!(times.iter().all(|t| *t < begin_of_2006));
        assert!(stamp(1 << 24, 0).timestamp().is_err() && stamp(0, 1 << 26).timestamp().is_err());
    }

    #[test]
    fn what_a_former_owner_writes_is_older_whatever_it_believes() {
        let former = Stamp::after(Stamp::after(None, 4).into(), 4);
        let present = Stamp::after(Some(Stamp { epoch: 4, count: 0 }), 5);
        assert!(former < present && present == Stamp { epoch: 5, count: 0 });
    }
}
