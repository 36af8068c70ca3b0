//! Jobs: work on many twins that goes on after its request was answered. Durable, bounded in number, resumed after a restart, cancelled at
//! any time.
//!
//! A job is a document of the store, written again after every piece of its work. A piece that was under way when the process died is done
//! again from its beginning, so that what a job does must be the same when it is done twice: lines of an import name their twins, commands
//! carry a key. What a job has to read lies beside it ([`spool`]).

mod command;
mod import;
mod run;
mod spool;

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use hierarchy_models::{Name, Timestamp, TwinId, Value, access::Right};
use parking_lot::Mutex;
use persistence::{Error, Store};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::error::TwinError;

pub use run::run;
pub use spool::{KIND as PART_DOCUMENT_KIND, LINE_BYTES_MAX, Line, LineFault, Spooled};

pub const DOCUMENT_KIND: &str = "job";
/// Jobs that work at the same time, one of each principal; further ones wait.
pub const JOBS_RUNNING_MAX: usize = 4;
/// Jobs that wait or work; one more is refused.
pub const JOBS_OPEN_MAX: usize = 64;
/// The same, of one principal.
pub const JOBS_OPEN_PER_PRINCIPAL_MAX: usize = 16;
/// Jobs that are over and still listed; the oldest go first.
pub const JOBS_ENDED_MAX: usize = 500;
/// Failures that a job lists; the rest is counted.
pub const JOB_FAILURES_MAX: usize = 100;
/// Documents read at once.
const READ_AT_ONCE: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    Queued,
    Running,
    Completed,
    /// It could not go on; `problem` says why. Work on single twins that failed is in `failures`, and ends no job.
    Failed,
    Cancelled,
}

impl JobState {
    pub fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What a job does, and how far it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Registers what stands in the parts of its spool. Lines whose parent or gateway is not there yet go into further parts, which are
    /// tried in another round; after one that registered nothing there is only one more.
    Import { next: u64, parts: u64, round_ends: u64, registered_in_round: bool, is_last_round: bool },
    /// Sends one command to every twin that is meant, page by page.
    Command { top: TwinId, filter: Option<String>, name: Name, payload: Value, ttl_ms: u64, cursor: Option<String> },
}

impl Work {
    /// What whoever asks for it must be allowed to do.
    pub fn right(&self) -> Right {
        match self {
            Self::Import { .. } => Right::Provision,
            Self::Command { .. } => Right::Command,
        }
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Self::Import { .. } => "import",
            Self::Command { .. } => "command",
        }
    }
}

impl Work {
    /// Whether it is the same command to the same twins, however far it is.
    pub fn is_same(&self, other: &Self) -> bool {
        let from_the_start = |work: &Self| match work.clone() {
            Self::Command { top, filter, name, payload, ttl_ms, .. } => Self::Command { top, filter, name, payload, ttl_ms, cursor: None },
            import => import,
        };
        from_the_start(self) == from_the_start(other)
    }
}

/// Why one line or one twin failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twin: Option<TwinId>,
    pub problem: String,
    /// The member of the line at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub id: Name,
    pub work: Work,
    pub state: JobState,
    /// Who asked for it, and the parts of the tree over which this one might: these twins and what is below them, or everything.
    pub by: Name,
    pub scope: Option<Vec<TwinId>>,
    /// The id of that principal. A job goes on for as long as it may do what the job does.
    #[serde(default)]
    pub principal: Option<Name>,
    /// Whether it had its right, or a part of it, by a provider's token.
    #[serde(default)]
    pub by_token: bool,
    /// What a repeated request is known by.
    pub key: Option<Name>,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// Lines or twins, where that is known before.
    pub total: Option<u64>,
    pub done: u64,
    /// Lines whose twin was registered already, just so.
    pub unchanged: u64,
    pub failed: u64,
    pub failures: Vec<Failure>,
    pub problem: Option<String>,
}

/// Who asks for a job.
#[derive(Debug, Clone, Default)]
pub struct Asker {
    /// The principal's id; without, nobody is asked for again.
    pub principal: Option<Name>,
    pub name: Name,
    /// Where it has the right: at these twins and what is below them, or everywhere.
    pub scope: Option<Vec<TwinId>>,
    /// Whether it has it, or a part of it, by a provider's token.
    pub by_token: bool,
}

impl Job {
    pub fn new(work: Work, asker: Asker, total: Option<u64>, now: Timestamp) -> Self {
        let Asker { principal, name: by, scope, by_token } = asker;
        Self {
            id: uuid::Uuid::now_v7().simple().to_string().into(),
            work,
            state: JobState::Queued,
            by,
            scope,
            principal,
            by_token,
            key: None,
            created_at: now,
            started_at: None,
            ended_at: None,
            total,
            done: 0,
            unchanged: 0,
            failed: 0,
            failures: Vec::new(),
            problem: None,
        }
    }

    /// Who has a place among the jobs, and one only.
    fn asker(&self) -> &str {
        self.principal.as_deref().unwrap_or(&self.by)
    }

    /// The twins that it names as what it may touch, with what is below them.
    fn places(&self) -> impl Iterator<Item = &TwinId> {
        let top = match &self.work {
            Work::Command { top, .. } => Some(top),
            Work::Import { .. } => None,
        };
        self.scope.iter().flatten().chain(top)
    }

    /// The one twin that all it may touch lies under.
    fn only_place(&self) -> Option<&TwinId> {
        match (&self.work, self.scope.as_deref()) {
            (Work::Command { top, .. }, _) => Some(top),
            (Work::Import { .. }, Some([only])) => Some(only),
            (Work::Import { .. }, _) => None,
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.failed += 1;
        if self.failures.len() < JOB_FAILURES_MAX {
            self.failures.push(failure);
        }
    }
}

/// A job while the process knows it.
pub struct Live {
    job: Mutex<Job>,
    is_cancelled: AtomicBool,
    is_running: AtomicBool,
}

impl Live {
    fn new(job: Job) -> Arc<Self> {
        Arc::new(Self { job: Mutex::new(job), is_cancelled: AtomicBool::new(false), is_running: AtomicBool::new(false) })
    }

    pub fn view(&self) -> Job {
        self.job.lock().clone()
    }

    fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::SeqCst)
    }
}

#[derive(Default)]
pub struct Jobs {
    known: Mutex<BTreeMap<Name, Arc<Live>>>,
    /// One change of the documents of jobs at a time.
    changing: tokio::sync::Mutex<()>,
    changed: Notify,
}

impl Jobs {
    /// Reads all jobs, and removes what an upload that was cut off left behind.
    pub async fn load(&self, store: &dyn Store) -> Result<(), TwinError> {
        let mut after = None;
        loop {
            let documents = store.documents(DOCUMENT_KIND, after, READ_AT_ONCE).await?;
            after = documents.last().map(|d| d.id.clone()).filter(|_| documents.len() == READ_AT_ONCE);
            let mut known = self.known.lock();
            for document in documents {
                match serde_json::from_slice::<Job>(&document.body) {
                    Ok(job) => drop(known.insert(job.id.clone(), Live::new(job))),
                    Err(error) => tracing::error!(job = %document.id, %error, "a job cannot be read"),
                }
            }
            drop(known);
            if after.is_none() {
                break;
            }
        }
        let wanted = |job: &str| self.known.lock().get(job).is_some_and(|live| !live.view().state.is_end());
        Ok(spool::sweep(store, wanted).await?)
    }

    /// Durable when it returns. The one that is there, when it was asked for under its key before.
    pub async fn add(&self, store: &dyn Store, job: Job) -> Result<Job, TwinError> {
        let _alone = self.changing.lock().await;
        if let Some(known) = job.key.as_deref().and_then(|key| self.by_key(&job.by, key)) {
            return if known.work.is_same(&job.work) { Ok(known) } else { Err(TwinError::KeyReused) };
        }
        let ended: Vec<Name> = {
            let known = self.known.lock();
            let open = || known.values().map(|live| live.job.lock()).filter(|known| !known.state.is_end());
            if open().count() >= JOBS_OPEN_MAX {
                let detail = format!("{JOBS_OPEN_MAX} jobs wait or work");
                return Err(TwinError::Limit { limit: "JOBS_OPEN_MAX", detail });
            }
            if open().filter(|known| known.asker() == job.asker()).count() >= JOBS_OPEN_PER_PRINCIPAL_MAX {
                let detail = format!("{JOBS_OPEN_PER_PRINCIPAL_MAX} jobs of this principal wait or work");
                return Err(TwinError::Limit { limit: "JOBS_OPEN_PER_PRINCIPAL_MAX", detail });
            }
            known.values().map(|live| live.job.lock()).filter(|job| job.state.is_end()).map(|job| job.id.clone()).collect()
        };
        for oldest in ended.iter().take((ended.len() + 1).saturating_sub(JOBS_ENDED_MAX)) {
            self.forget(store, oldest).await?;
        }
        write(store, &job).await?;
        self.known.lock().insert(job.id.clone(), Live::new(job.clone()));
        self.changed.notify_one();
        Ok(job)
    }

    async fn forget(&self, store: &dyn Store, id: &str) -> Result<(), Error> {
        store.delete_document(DOCUMENT_KIND, id).await?;
        self.known.lock().remove(id);
        Ok(())
    }

    pub fn get(&self, id: &str) -> Option<Arc<Live>> {
        self.known.lock().get(id).cloned()
    }

    /// The job that this one asked for under this key.
    pub fn by_key(&self, by: &str, key: &str) -> Option<Job> {
        let known = self.known.lock();
        known.values().map(|live| live.job.lock()).find(|job| job.by == by && job.key.as_deref() == Some(key)).map(|job| job.clone())
    }

    /// The newest first, behind `after`.
    pub fn list(&self, after: Option<&str>, limit: usize, sees: impl Fn(&Job) -> bool) -> Vec<Job> {
        let known = self.known.lock();
        let behind = known.iter().rev().filter(|(id, _)| after.is_none_or(|after| id.as_str() < after));
        behind.map(|(_, live)| live.view()).filter(sees).take(limit).collect()
    }

    /// Cancels a job, which is over when this returns or at the end of what it has under way; or forgets one that is over already: `None`.
    pub async fn cancel(&self, store: &dyn Store, id: &str, now: Timestamp) -> Result<Option<Job>, TwinError> {
        let _alone = self.changing.lock().await;
        let Some(live) = self.get(id) else { return Err(TwinError::NoSuchJob(id.into())) };
        if live.view().state.is_end() {
            self.forget(store, id).await?;
            return Ok(None);
        }
        cancel(store, &live, now).await.map(Some)
    }

    /// Adds the twins that jobs name which wait or work.
    pub fn open_places(&self, places: &mut HashSet<TwinId>) {
        let known = self.known.lock();
        for job in known.values().map(|live| live.job.lock()).filter(|job| !job.state.is_end()) {
            places.extend(job.places().cloned());
        }
    }

    /// The jobs that wait or work at this twin or below it.
    pub fn open_at(&self, place: &TwinId) -> Vec<Name> {
        let is_there = |job: &Job| !job.state.is_end() && job.places().any(|named| named == place);
        let known = self.known.lock();
        known.values().map(|live| live.job.lock()).filter(|job| is_there(job)).map(|job| job.id.clone()).collect()
    }

    /// Whether it was cancelled; not when it has ended meanwhile.
    pub async fn cancel_open(&self, store: &dyn Store, id: &str, now: Timestamp) -> Result<bool, TwinError> {
        let _alone = self.changing.lock().await;
        let Some(live) = self.get(id).filter(|live| !live.view().state.is_end()) else { return Ok(false) };
        cancel(store, &live, now).await?;
        Ok(true)
    }

    /// Writes what a job has come to, unless it was cancelled meanwhile.
    async fn record(&self, store: &dyn Store, live: &Live, job: Job) -> Result<(), Error> {
        let _alone = self.changing.lock().await;
        if live.is_cancelled() {
            return Ok(());
        }
        write(store, &job).await?;
        *live.job.lock() = job;
        Ok(())
    }
}

/// The caller has `changing`.
async fn cancel(store: &dyn Store, live: &Live, now: Timestamp) -> Result<Job, TwinError> {
    let cancelled = Job { state: JobState::Cancelled, ended_at: Some(now), ..live.view() };
    write(store, &cancelled).await?;
    live.is_cancelled.store(true, Ordering::SeqCst);
    *live.job.lock() = cancelled.clone();
    if !live.is_running.load(Ordering::SeqCst) {
        spool::remove(store, &cancelled).await?;
    }
    Ok(cancelled)
}

async fn write(store: &dyn Store, job: &Job) -> Result<(), Error> {
    let body = serde_json::to_vec(job).map_err(|e| Error::Damaged { doing: "writing a job", detail: e.to_string() })?;
    store.put_document(DOCUMENT_KIND, &job.id, Bytes::from(body)).await
}
