//! What an import has to read: its lines as they came, checked and in parts, each a document. They may hold keys brought from outside, so
//! they are sealed, and gone when they are worked.

use bytes::Bytes;
use hierarchy_models::{Name, event::Status};
use persistence::{Error, Store};
use serde::{Deserialize, Serialize};

use super::{Asker, Job, Work};
use crate::{
    error::TwinError,
    identity::Identities,
    twins::{Registration, Twins},
};

pub const KIND: &str = "job-part";
/// Bytes of a part, before it is sealed; the last line may go beyond.
const PART_BYTES: usize = 256 * 1024;
/// Bytes of a line.
pub const LINE_BYTES_MAX: usize = 1 << 20;
const READ_AT_ONCE: usize = 16;

/// What could not be read of a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LineFault {
    pub problem: String,
    pub pointer: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    /// From 1.
    pub number: u64,
    pub twin: Result<(Registration, Status), LineFault>,
}

fn damaged(detail: impl ToString) -> Error {
    Error::Damaged { doing: "reading the lines of a job", detail: detail.to_string() }
}

fn place(job: &str, part: u64) -> String {
    format!("{job}-{part:010}")
}

/// Writes the lines of one job, from a given part on.
pub struct Spool<'a> {
    store: &'a dyn Store,
    identities: &'a Identities,
    job: Name,
    next: u64,
    lines: Vec<u8>,
}

impl<'a> Spool<'a> {
    pub fn of(twins: &'a Twins, job: Name, next: u64) -> Self {
        Self { store: &*twins.runtime.store, identities: &twins.runtime.identities, job, next, lines: Vec::new() }
    }

    pub async fn push(&mut self, line: &Line) -> Result<(), TwinError> {
        serde_json::to_writer(&mut self.lines, line).map_err(damaged)?;
        self.lines.push(b'\n');
        if self.lines.len() >= PART_BYTES { self.write().await } else { Ok(()) }
    }

    async fn write(&mut self) -> Result<(), TwinError> {
        if !self.lines.is_empty() {
            let place = place(&self.job, self.next);
            let sealed = self.identities.seal_bytes(&place, std::mem::take(&mut self.lines))?;
            self.store.put_document(KIND, &place, Bytes::from(sealed)).await?;
            self.next += 1;
        }
        Ok(())
    }

    /// All lines are durable when it returns; the part that would come next.
    pub async fn finish(mut self) -> Result<u64, TwinError> {
        self.write().await?;
        Ok(self.next)
    }
}

/// An upload under way: what it wrote goes away again unless its job is made of it.
pub struct Spooled {
    twins: Twins,
    job: Option<Name>,
    next: u64,
    waiting: Vec<Line>,
    waiting_bytes: usize,
    lines: u64,
}

impl Spooled {
    pub fn begin(twins: &Twins) -> Self {
        let job = uuid::Uuid::now_v7().simple().to_string().into();
        Self { twins: twins.clone(), job: Some(job), next: 0, waiting: Vec::new(), waiting_bytes: 0, lines: 0 }
    }

    /// `bytes`: about as long as the line was.
    pub async fn push(&mut self, line: Line, bytes: usize) -> Result<(), TwinError> {
        self.lines += 1;
        self.waiting_bytes += bytes;
        self.waiting.push(line);
        if self.waiting_bytes >= PART_BYTES { self.write().await } else { Ok(()) }
    }

    async fn write(&mut self) -> Result<(), TwinError> {
        let Some(job) = self.job.clone() else { return Ok(()) };
        self.waiting_bytes = 0;
        let mut spool = Spool::of(&self.twins, job, self.next);
        for line in std::mem::take(&mut self.waiting) {
            spool.push(&line).await?;
        }
        self.next = spool.finish().await?;
        Ok(())
    }

    /// The job that works these lines. Durable when it returns.
    pub async fn finish(mut self, asker: Asker, key: Option<Name>) -> Result<Job, TwinError> {
        self.write().await?;
        let work = Work::Import { next: 0, parts: self.next, round_ends: self.next, registered_in_round: false, is_last_round: false };
        let now = self.twins.runtime.clock.now();
        let mut job = Job::new(work, asker, Some(self.lines), now);
        job.key = key;
        job.id = self.job.clone().unwrap_or_default();
        let (jobs, store, scope) = (&self.twins.runtime.jobs, &*self.twins.runtime.store, job.scope.clone());
        let added = self.twins.while_all_there(scope.as_deref().unwrap_or_default(), jobs.add(store, job)).await?;
        // Another one when these lines came twice: then the lines of this one go.
        self.job.take_if(|own| *own == added.id);
        Ok(added)
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        let Some(job) = self.job.take().filter(|_| self.next > 0) else { return };
        let (twins, parts) = (self.twins.clone(), self.next);
        actix_rt::spawn(async move {
            if let Err(error) = remove_parts(&*twins.runtime.store, &job, 0, parts).await {
                tracing::warn!(%job, %error, "lines of an upload that was cut off stay until the next start");
            }
        });
    }
}

/// The lines of one part.
pub async fn read(store: &dyn Store, identities: &Identities, job: &str, part: u64) -> Result<Vec<Line>, TwinError> {
    let place = place(job, part);
    let sealed = store.document(KIND, &place).await?.ok_or_else(|| damaged(format!("part {part} is gone")))?;
    let lines = identities.open_bytes(&place, &sealed).ok_or_else(|| damaged(format!("part {part} does not open with this master key")))?;
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    Ok(lines.map(|line| serde_json::from_slice(line).map_err(damaged)).collect::<Result<_, _>>()?)
}

pub async fn remove_parts(store: &dyn Store, job: &str, from: u64, to: u64) -> Result<(), Error> {
    for part in from..to {
        store.delete_document(KIND, &place(job, part)).await?;
    }
    Ok(())
}

/// What a job has left unread.
pub async fn remove(store: &dyn Store, job: &Job) -> Result<(), Error> {
    match &job.work {
        Work::Import { next, parts, .. } => remove_parts(store, &job.id, *next, *parts).await,
        Work::Command { .. } => Ok(()),
    }
}

/// Removes parts that no job reads any more.
pub async fn sweep(store: &dyn Store, is_wanted: impl Fn(&str) -> bool) -> Result<(), Error> {
    let mut after = None;
    loop {
        let parts = store.documents(KIND, after, READ_AT_ONCE).await?;
        for part in &parts {
            if !part.id.rsplit_once('-').is_some_and(|(job, _)| is_wanted(job)) {
                store.delete_document(KIND, &part.id).await?;
            }
        }
        match parts.last() {
            Some(last) => after = Some(last.id.clone()),
            None => return Ok(()),
        }
    }
}
