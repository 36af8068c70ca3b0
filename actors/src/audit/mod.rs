//! The audit log: who did what to what, when, from where, with what outcome; refusals too.
//!
//! One task writes it: what waits becomes one append, so that many calls share a sync, and each is told when its record is durable. The
//! answer to a write waits for that; refusals do not, and are gathered (`denials`). Readings of devices do not come here: their log is
//! the twin's own.

mod chain;
mod denials;
mod entry;
mod list;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use hierarchy_models::Timestamp;
use parking_lot::Mutex;
use persistence::{AUDIT_BEGINNING, AUDIT_TOGETHER_MAX, AuditHash, AuditRecord, Error, Store};
use tokio::{
    sync::{mpsc, oneshot},
    time::MissedTickBehavior,
};

pub use chain::{Broken, Verified, verify};
pub use entry::{Actor, Entry, Outcome, Target};
pub use list::{AuditFilter, Recorded, list};

use crate::{clock::Clock, error::TwinError};
use denials::Denials;

/// Entries that wait to be written before further callers wait to queue.
const WAITING_MAX: usize = 1_024;
/// How often it is looked what was gathered of refusals.
const TICK: Duration = Duration::from_secs(1);

type Done = oneshot::Sender<Result<(), Error>>;

struct Job {
    at: Timestamp,
    entry: Entry,
    done: Option<Done>,
}

pub struct AuditLog {
    clock: Arc<dyn Clock>,
    queue: mpsc::Sender<Job>,
    /// Until the writer takes it.
    jobs: Mutex<Option<mpsc::Receiver<Job>>>,
    denials: Denials,
}

impl AuditLog {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let (queue, jobs) = mpsc::channel(WAITING_MAX);
        Self { clock, queue, jobs: Mutex::new(Some(jobs)), denials: Denials::default() }
    }

    /// Durable when it returns.
    pub async fn record(&self, entry: Entry) -> Result<(), TwinError> {
        let (done, told) = oneshot::channel();
        let gone = || Error::Unavailable { doing: "writing the audit log", detail: "its writer is gone".into() };
        self.queue.send(Job { at: self.clock.now(), entry, done: Some(done) }).await.map_err(|_| gone())?;
        Ok(told.await.map_err(|_| gone())??)
    }

    /// Recorded behind, and not lost when there is much: for what was done already, to many at once.
    pub async fn queue(&self, entry: Entry) {
        // The writer is gone only when the server stops.
        let _ = self.queue.send(Job { at: self.clock.now(), entry, done: None }).await;
    }

    /// Recorded behind: for refusals, of which there may be many, and for what ends without an answer.
    pub fn note(&self, entry: Entry) {
        let now = self.clock.now();
        let entry = if entry.outcome == Outcome::Done { Some(entry) } else { self.denials.take(entry, now) };
        entry.into_iter().for_each(|entry| self.push(entry, now));
    }

    fn push(&self, entry: Entry, at: Timestamp) {
        if self.queue.try_send(Job { at, entry, done: None }).is_err() {
            metrics::counter!("twinfold_audit_lost_total").increment(1);
            tracing::error!("the audit log has too much to write: a refusal is not recorded");
        }
    }

    /// Records what was gathered for long enough; all of it, and what waits, when it is the end.
    pub async fn settle(&self, is_end: bool) {
        let now = self.clock.now();
        for entry in self.denials.due(now, is_end) {
            if is_end {
                let _ = self.record(entry).await;
            } else {
                self.push(entry, now);
            }
        }
    }
}

/// Writes for as long as its thread is there.
pub async fn run(log: Arc<AuditLog>, store: Arc<dyn Store>) {
    let Some(mut jobs) = log.jobs.lock().take() else { return };
    let mut writer = Writer { store, end: None };
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let first = tokio::select! {
            job = jobs.recv() => job,
            _ = ticks.tick() => {
                log.settle(false).await;
                continue;
            }
        };
        let Some(first) = first else { return };
        let mut together = vec![first];
        while together.len() < AUDIT_TOGETHER_MAX
            && let Ok(job) = jobs.try_recv()
        {
            together.push(job);
        }
        writer.write(together).await;
    }
}

struct Writer {
    store: Arc<dyn Store>,
    /// Number and hash of the last record; to be read when it is not known.
    end: Option<(u64, AuditHash)>,
}

impl Writer {
    async fn write(&mut self, jobs: Vec<Job>) {
        let (mut entries, mut told) = (Vec::new(), Vec::new());
        for Job { at, entry, done } in jobs {
            metrics::counter!("twinfold_audit_records_total", "outcome" => entry.outcome.as_str()).increment(1);
            entries.push((at, entry));
            told.extend(done);
        }
        let mut outcome = self.append(&entries).await;
        if matches!(outcome, Err(Error::Refused(_))) {
            // Somebody else has appended: behind that, then.
            outcome = self.append(&entries).await;
        }
        if let Err(error) = &outcome {
            metrics::counter!("twinfold_audit_failed_total").increment(1);
            tracing::error!(%error, records = entries.len(), "the audit log could not be written");
        }
        told.into_iter().for_each(|done| drop(done.send(outcome.clone())));
    }

    async fn append(&mut self, entries: &[(Timestamp, Entry)]) -> Result<(), Error> {
        let end = match self.end.take() {
            Some(end) => end,
            None => self.store.audit_head().await?.map_or((0, AUDIT_BEGINNING), |last| (last.number, last.hash)),
        };
        let (mut number, mut before) = end;
        let mut records = Vec::new();
        for (at, entry) in entries {
            let body = serde_json::to_vec(entry).map_err(|e| Error::Damaged { doing: "writing the audit log", detail: e.to_string() })?;
            number += 1;
            before = chain::hash(&before, number, *at, &body);
            records.push(AuditRecord { number, at: *at, hash: before, body: body.into() });
        }
        // Stays unknown when it fails: the next one reads it.
        self.store.append_audit(records).await?;
        self.end = Some((number, before));
        Ok(())
    }
}
