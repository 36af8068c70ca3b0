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
    wakes::{Wake, Wakes, hour_of},
};
use crate::cql::{Cql, Statement, Use, damaged, for_each};

/// Twins whose last written snapshot is remembered.
const REMEMBERED_MAX: usize = 1 << 18;
/// Stands for "never".
const NO_WAKE: i64 = i64::MIN;
/// An hour of wakes is looked at for what is left of it when it is over for this long.
const HOURS_KEPT: i64 = 2;
/// Rows of one hour that are looked at for whether they are wanted still.
const LEFT_ROWS_MAX: usize = 1_000;
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
    /// Hours of wakes up to here were looked at.
    tidied: AtomicI64,
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
            tidied: AtomicI64::new(i64::MIN),
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

    /// The wake that is wanted is there before the snapshot that wants it, the old one goes after: a crash leaves one too many.
    async fn replace(&self, twin: &TwinId, was: Option<Written>, now: Written, contribution: &[u8], state: &[u8]) -> Result<(), Error> {
        let id = twin.as_str();
        let old_wake = was.map_or(NO_WAKE, |was| was.wake_at);
        // What becomes of the writes that now begin may remain unknown.
        self.written.lock().remove(twin);
        // A wake that a former owner wrote may be deleted by it late, unless it is written here again.
        if now.wake_at != NO_WAKE && (now.wake_at != old_wake || was.is_some_and(|was| !was.here)) {
            self.wakes.put(now.wake_at, id).await?;
        }
        self.cql.write(WRITING, &self.put, (id, now.gone, now.seq as i64, now.wake_at, contribution, state)).await?;
        if old_wake != NO_WAKE && now.wake_at != old_wake {
            self.wakes.delete(old_wake, id).await?;
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
        let mut after: Wake = after.map_or((i64::MIN, String::new()), |(at, twin)| (at.as_millis(), twin.to_string()));
        let mut found = Vec::new();
        for hour in self.wakes.hours(hour_of(after.0), i64::MAX).await? {
            loop {
                let want = limit - found.len();
                let some = self.wakes.of_hour(hour, &after, want).await?;
                let all = some.len() < want;
                let last = some.last().cloned();
                found.extend(self.wanted(some).await?);
                if found.len() >= limit {
                    return Ok(found);
                }
                after = last.unwrap_or(after);
                if all {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Those that their snapshots want.
    async fn wanted(&self, rows: Vec<Wake>) -> Result<Vec<(Timestamp, TwinId)>, Error> {
        let wanted = for_each(rows, AT_ONCE, |(at, twin)| async move {
            let twin = TwinId::new(&twin).map_err(|e| damaged(READING, e))?;
            let wanted = self.written(&twin).await?.is_some_and(|written| !written.gone && written.wake_at == at);
            Ok(wanted.then(|| (Timestamp::from_millis_clamped(at), twin)))
        });
        Ok(wanted.await?.into_iter().flatten().collect())
    }

    /// Drops the hours of wakes that are over and of which nothing is wanted, once an hour. Nobody writes snapshots meanwhile.
    pub async fn tidy(&self, now: Timestamp) {
        let last = hour_of(now.as_millis()) - HOURS_KEPT;
        if self.tidied.load(Ordering::Relaxed) >= last {
            return;
        }
        match self.drop_hours(last).await {
            Ok(()) => self.tidied.store(last, Ordering::Relaxed),
            // Nothing depends on it: the next flush tries again.
            Err(error) => metrics::failed("tidy", &error),
        }
    }

    async fn drop_hours(&self, last: i64) -> Result<(), Error> {
        for hour in self.wakes.hours(i64::MIN, last).await? {
            let left = self.wakes.of_hour(hour, &(i64::MIN, String::new()), LEFT_ROWS_MAX).await?;
            if left.len() < LEFT_ROWS_MAX && self.wanted(left).await?.is_empty() {
                self.wakes.drop_hour(hour).await?;
            }
        }
        Ok(())
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
