//! Snapshots, and which of them want to be woken.
//!
//! A life ends with a mark and not with a deletion, so that one small row stays for every id that ever was. What was written lately is
//! remembered, so that most snapshots are written without reading first; what may have been written is not.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use bytes::Bytes;
use hierarchy_models::{Timestamp, TwinId};
use parking_lot::Mutex;
use persistence::{Error, Snapshot, metrics};

use super::{
    shelves::AT_ONCE,
    wakes::{PARTS, Wakes, hour_of},
};
use crate::cql::{Cql, Statement, Use, damaged, for_each};

/// Twins whose last written snapshot is remembered.
const REMEMBERED_MAX: usize = 1 << 18;
/// Stands for "never".
const NO_WAKE: i64 = i64::MIN;
/// An hour of wakes is looked at for what is left of it when it is over for this long.
const HOURS_KEPT: i64 = 2;
/// Rows of hours that are over that one flush looks at for whether they are wanted still.
const LEFT_ROWS_MAX: usize = 1_000;
/// Rows of an hour that are read at once.
const WAKES_AT_ONCE: usize = 10_000;
const WRITING: &str = "writing a snapshot";
const READING: &str = "reading a snapshot";

/// What the table holds of a twin.
#[derive(Debug, Clone, Copy)]
struct Written {
    seq: u64,
    wake_at: i64,
    gone: bool,
    /// By this process, its wake too.
    here: bool,
}

pub struct Snapshots {
    cql: Arc<Cql>,
    put: Statement,
    get: Statement,
    known: Statement,
    contribution: Statement,
    wakes: Wakes,
    written: Mutex<HashMap<TwinId, Written>>,
    /// The hour of wakes that was read last, for who reads it page by page.
    hour: tokio::sync::Mutex<Option<(i64, Vec<Wake>)>>,
    /// Hours of wakes up to here were looked at.
    tidied: AtomicI64,
    /// How far that has come with the hours behind it.
    tidying: Mutex<Tidying>,
}

/// When, and who.
type Wake = (Timestamp, TwinId);

/// The next row of an hour that is over to look at: no row before it is wanted.
#[derive(Debug, Clone)]
struct Tidying {
    hour: i64,
    part: i16,
    after: String,
}

impl Tidying {
    fn at(hour: i64) -> Self {
        Self { hour, part: 0, after: String::new() }
    }
}

impl Snapshots {
    pub async fn prepare(cql: Arc<Cql>) -> Result<Self, Error> {
        let put = "INSERT INTO snapshot (twin, gone, seq, wake_at, contribution, state) VALUES (?, ?, ?, ?, ?, ?)";
        Ok(Self {
            put: cql.prepare(Use::Write, put).await?,
            get: cql.prepare(Use::Read, "SELECT gone, seq, wake_at, contribution, state FROM snapshot WHERE twin = ?").await?,
            known: cql.prepare(Use::Read, "SELECT gone, seq, wake_at FROM snapshot WHERE twin = ?").await?,
            contribution: cql.prepare(Use::Read, "SELECT gone, contribution FROM snapshot WHERE twin = ?").await?,
            wakes: Wakes::prepare(cql.clone()).await?,
            cql,
            written: Mutex::default(),
            hour: tokio::sync::Mutex::default(),
            tidied: AtomicI64::new(i64::MIN),
            tidying: Mutex::new(Tidying::at(i64::MIN)),
        })
    }

    async fn written(&self, twin: &TwinId) -> Result<Option<Written>, Error> {
        if let Some(known) = self.written.lock().get(twin) {
            return Ok(Some(*known));
        }
        let row: Option<(bool, i64, i64)> = self.cql.row(READING, &self.known, (twin.as_str(),)).await?;
        Ok(row.map(|(gone, seq, wake_at)| Written { seq: seq as u64, wake_at, gone, here: false }))
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
        let now = Written { seq: snapshot.seq, wake_at, gone: false, here: true };
        self.replace(&snapshot.twin, was, now, &snapshot.contribution, &snapshot.state).await
    }

    /// Ends the life of a twin.
    pub async fn delete(&self, twin: &TwinId) -> Result<(), Error> {
        let Some(was) = self.written(twin).await? else { return Ok(()) };
        if was.gone {
            return Ok(());
        }
        self.replace(twin, Some(was), Written { seq: 0, wake_at: NO_WAKE, gone: true, here: true }, &[], &[]).await
    }

    /// The hour of the wake that is wanted is there before the snapshot that wants it.
    async fn replace(&self, twin: &TwinId, was: Option<Written>, now: Written, contribution: &[u8], state: &[u8]) -> Result<(), Error> {
        let id = twin.as_str();
        let is_listed = was.is_some_and(|was| was.here && was.wake_at != NO_WAKE && hour_of(was.wake_at) == hour_of(now.wake_at));
        // What becomes of the writes that now begin may remain unknown.
        self.written.lock().remove(twin);
        // An hour that a former owner wrote may be dropped by it late, unless it is written here again.
        if now.wake_at != NO_WAKE && !is_listed {
            let hour = hour_of(now.wake_at);
            self.wakes.put(hour, id).await?;
            let mut tidying = self.tidying.lock();
            if tidying.hour == hour {
                *tidying = Tidying::at(hour);
            }
        }
        self.cql.write(WRITING, &self.put, (id, now.gone, now.seq as i64, now.wake_at, contribution, state)).await?;
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

    pub async fn wakes(&self, after: Option<Wake>, limit: usize) -> Result<Vec<Wake>, Error> {
        let first = after.as_ref().map_or(i64::MIN, |(at, _)| hour_of(at.as_millis()));
        let mut kept = self.hour.lock().await;
        if after.is_none() {
            *kept = None;
        }
        let mut found = Vec::new();
        for hour in self.wakes.hours(first, i64::MAX).await? {
            if kept.as_ref().is_none_or(|(of, _)| *of != hour) {
                *kept = Some((hour, self.of_hour(hour).await?));
            }
            let all = kept.as_ref().map_or(&[][..], |(_, wakes)| wakes);
            let begin = after.as_ref().map_or(0, |after| all.partition_point(|wake| wake <= after));
            found.extend(all[begin..].iter().take(limit - found.len()).cloned());
            if found.len() >= limit {
                return Ok(found);
            }
        }
        *kept = None;
        Ok(found)
    }

    /// The wakes of an hour that are wanted, soonest first.
    async fn of_hour(&self, hour: i64) -> Result<Vec<Wake>, Error> {
        let mut wanted = Vec::new();
        for part in 0..PARTS {
            let mut after = String::new();
            loop {
                let twins = self.wakes.of_part(hour, part, &after, WAKES_AT_ONCE).await?;
                let Some(last) = twins.last() else { break };
                after = last.clone();
                wanted.extend(self.wanted(hour, twins).await?);
            }
        }
        wanted.sort();
        Ok(wanted)
    }

    /// Those whose snapshots want to be woken in this hour.
    async fn wanted(&self, hour: i64, twins: Vec<String>) -> Result<Vec<Wake>, Error> {
        let wanted = for_each(twins, AT_ONCE, |twin| async move {
            let twin = TwinId::new(&twin).map_err(|e| damaged(READING, e))?;
            let at =
                self.written(&twin).await?.filter(|written| !written.gone && written.wake_at != NO_WAKE).map(|written| written.wake_at);
            Ok(at.filter(|at| hour_of(*at) == hour).map(|at| (Timestamp::from_millis_clamped(at), twin)))
        });
        Ok(wanted.await?.into_iter().flatten().collect())
    }

    /// Drops the hours of wakes that are over and of which nothing is wanted, once an hour, a few rows at a time. Nobody writes
    /// snapshots meanwhile.
    pub async fn tidy(&self, now: Timestamp) {
        let last = hour_of(now.as_millis()) - HOURS_KEPT;
        if self.tidied.load(Ordering::Relaxed) >= last {
            return;
        }
        match self.drop_hours(last).await {
            Ok(true) => self.tidied.store(last, Ordering::Relaxed),
            Ok(false) => {}
            // Nothing depends on it: the next flush tries again.
            Err(error) => metrics::failed("tidy", &error),
        }
    }

    /// Whether all of them were looked at.
    async fn drop_hours(&self, last: i64) -> Result<bool, Error> {
        let mut place = self.tidying.lock().clone();
        let mut left = LEFT_ROWS_MAX;
        for hour in self.wakes.hours(place.hour, last).await? {
            if hour != place.hour {
                place = Tidying::at(hour);
            }
            let mut is_wanted = false;
            while place.part < PARTS && !is_wanted {
                let twins = self.wakes.of_part(hour, place.part, &place.after, left).await?;
                let is_last = twins.len() < left;
                left -= twins.len();
                place.after = twins.last().cloned().unwrap_or_default();
                is_wanted = !self.wanted(hour, twins).await?.is_empty();
                if is_last {
                    place = Tidying { part: place.part + 1, ..Tidying::at(hour) };
                }
                if left == 0 && !is_wanted {
                    *self.tidying.lock() = place;
                    return Ok(false);
                }
            }
            if !is_wanted {
                self.wakes.drop_hour(hour).await?;
            }
            if left == 0 {
                *self.tidying.lock() = Tidying::at(hour + 1);
                return Ok(false);
            }
        }
        *self.tidying.lock() = Tidying::at(i64::MIN);
        Ok(true)
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
