//! Work on many twins that goes on after its request was answered.

use std::time::Duration;

use hierarchy_models::{Name, TwinId, filter::Filter};

use super::{NewCommand, Twins};
use crate::{
    error::TwinError,
    jobs::{Asker, Job, Spooled, Work},
};

impl Twins {
    /// Takes lines of an import; a job is made of them when all are there.
    pub fn begin_import(&self) -> Spooled {
        Spooled::begin(self)
    }

    /// The import that a repeated request asks for once more.
    pub fn import_of(&self, by: &str, key: &str) -> Result<Option<Job>, TwinError> {
        match self.runtime.jobs.by_key(by, key) {
            Some(job) if !matches!(job.work, Work::Import { .. }) => Err(TwinError::KeyReused),
            job => Ok(job),
        }
    }

    /// One command to every twin below `top` that the filter means, and that the asker may command. Durable when it returns.
    pub async fn command_below(&self, top: TwinId, filter: Option<String>, command: NewCommand, asker: Asker) -> Result<Job, TwinError> {
        super::commands::check(&command)?;
        let fault = |reason: String| TwinError::Invalid { pointer: "filter".into(), reason };
        filter.as_deref().map(Filter::parse).transpose().map_err(|error| fault(error.to_string()))?;
        let NewCommand { name, payload, ttl, idempotency_key, .. } = command;
        let ttl_ms = ttl.min(Duration::from_millis(u64::MAX)).as_millis() as u64;
        let place = top.clone();
        let work = Work::Command { top, filter, name, payload, ttl_ms, cursor: None };
        let job = Job { key: idempotency_key, ..Job::new(work, asker, None, self.runtime.clock.now()) };
        self.while_there(Some(&place), self.runtime.jobs.add(&*self.runtime.store, job)).await
    }

    /// The newest first, behind `after`, those that `sees` lets through.
    pub fn jobs(&self, after: Option<&str>, limit: usize, sees: impl Fn(&Job) -> bool) -> Vec<Job> {
        self.runtime.jobs.list(after, limit, sees)
    }

    pub fn job(&self, id: &str) -> Result<Job, TwinError> {
        self.runtime.jobs.get(id).map(|live| live.view()).ok_or_else(|| TwinError::NoSuchJob(Name::from(id)))
    }

    /// Cancels a job; one that is over already is forgotten, and `None`.
    pub async fn cancel_job(&self, id: &str) -> Result<Option<Job>, TwinError> {
        self.runtime.jobs.cancel(&*self.runtime.store, id, self.runtime.clock.now()).await
    }
}
