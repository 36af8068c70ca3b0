//! Takes jobs up, a few at a time, one of each principal, the oldest first, and works them piece by piece to their end.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{JOBS_RUNNING_MAX, Job, JobState, Live, Work, command, import, spool};
use crate::{
    audit::{Actor, Entry, Outcome, Target},
    error::TwinError,
    quotas::{Exceeded, Quotas},
    runtime::Runtime,
    twins::Twins,
};

/// Pause before work that the store or a busy twin put off is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Ends with the runtime.
pub async fn run(runtime: Arc<Runtime>) {
    let twins = Twins::of(runtime);
    while !twins.runtime.is_stopping() {
        take_up(&twins);
        twins.runtime.jobs.changed.notified().await;
    }
}

fn take_up(twins: &Twins) {
    let known: Vec<Arc<Live>> = twins.runtime.jobs.known.lock().values().cloned().collect();
    let asker = |live: &Live| live.job.lock().asker().to_owned();
    let mut at_work: HashSet<String> = known.iter().filter(|live| live.is_running.load(Ordering::SeqCst)).map(|live| asker(live)).collect();
    let waiting = |live: &&Arc<Live>| !live.is_running.load(Ordering::SeqCst) && !live.job.lock().state.is_end();
    for live in known.iter().filter(waiting) {
        if at_work.len() >= JOBS_RUNNING_MAX {
            return;
        }
        if !at_work.insert(asker(live)) {
            continue;
        }
        live.is_running.store(true, Ordering::SeqCst);
        let (twins, live) = (twins.clone(), live.clone());
        actix_rt::spawn(async move {
            work(&twins, &live).await;
            live.is_running.store(false, Ordering::SeqCst);
            twins.runtime.jobs.changed.notify_one();
        });
    }
}

async fn work(twins: &Twins, live: &Live) {
    let (store, jobs) = (&*twins.runtime.store, &twins.runtime.jobs);
    let now = || twins.runtime.clock.now();
    let result = async {
        let job = live.view();
        jobs.record(store, live, Job { state: JobState::Running, started_at: job.started_at.or(Some(now())), ..job })
            .await
            .map_err(|e| e.to_string())?;
        loop {
            if !may_go_on(twins, &live.view()).await? {
                return Err("whoever asked for it may not do this any more".to_owned());
            }
            let goes_on = match live.view().work {
                Work::Import { .. } => import::work(twins, live).await.map_err(|e| e.to_string())?,
                Work::Command { .. } => command::work(twins, live).await.map_err(|e| e.to_string())?,
            };
            if live.is_cancelled() || twins.runtime.is_stopping() || !goes_on {
                return Ok::<_, String>(());
            }
        }
    };
    let result = result.await;
    if twins.runtime.is_stopping() {
        // It goes on where it was, after the next start.
        return;
    }
    let job = live.view();
    let ended = if live.is_cancelled() {
        spool::remove(store, &job).await
    } else {
        let (state, problem) = match result {
            Ok(()) => (JobState::Completed, None),
            Err(problem) => (JobState::Failed, Some(problem)),
        };
        let removed = spool::remove(store, &job).await;
        removed.and(jobs.record(store, live, Job { state, problem, ended_at: Some(now()), ..job }).await)
    };
    let view = live.view();
    metrics::counter!("twinfold_jobs_total", "kind" => view.work.kind(), "state" => view.state.as_str()).increment(1);
    record(twins, &view).await;
    if let Err(error) = ended {
        tracing::warn!(job = %view.id, %error, "the end of a job cannot be written; it is worked again after the next start");
    }
}

/// What became of it goes into the audit log: the log has who asked for it already, and each twin's own log what was done to it.
async fn record(twins: &Twins, job: &Job) {
    let outcome = if job.state == JobState::Completed { Outcome::Done } else { Outcome::Failed };
    let Job { done, unchanged, failed, .. } = job;
    let mut reason = format!("{} {}: {done} done, {unchanged} unchanged, {failed} failed", job.work.kind(), job.state.as_str());
    job.problem.iter().for_each(|problem| reason.extend([": ", problem.as_str()]));
    let actor = job.principal.as_ref().map(|id| Actor { id: id.to_string(), name: job.by.to_string() });
    let path = match job.only_place() {
        Some(place) => twins.path(place).await.ok(),
        None => None,
    };
    let target = Target { kind: "job".into(), id: Some(job.id.to_string()) };
    let entry = Entry { actor, path, reason: Some(reason), ..Entry::new(Entry::THE_SERVER, "JOB", target, outcome) };
    twins.audit().queue(entry).await;
}

/// Whether the principal that asked for the job has its right still, over all that the job may touch.
async fn may_go_on(twins: &Twins, job: &Job) -> Result<bool, String> {
    let Some(principal) = &job.principal else { return Ok(true) };
    let mut places = Vec::new();
    for top in job.scope.iter().flatten() {
        match twins.path(top).await {
            Ok(path) => places.push(path),
            // The place is gone, and the right over it with it.
            Err(TwinError::NoSuchTwin(_)) => return Ok(false),
            Err(error) => return Err(error.to_string()),
        }
    }
    let places = job.scope.is_some().then_some(&places[..]);
    Ok(twins.access().still_may(principal, job.by_token, (job.work.right(), places), twins.runtime.clock.now()))
}

/// Tries again what the store or a busy twin puts off, for as long as the job goes on.
pub async fn patiently<T, F: Future<Output = Result<T, TwinError>>>(
    twins: &Twins,
    live: &Live,
    mut call: impl FnMut() -> F,
) -> Result<T, TwinError> {
    loop {
        if live.is_cancelled() || twins.runtime.is_stopping() {
            return Err(TwinError::Stopping);
        }
        match call().await {
            Err(TwinError::Overloaded) => {}
            Err(TwinError::Store(error)) if error.is_transient() => {
                tracing::debug!(%error, "a job waits for the store");
            }
            settled => return settled,
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

/// Waits until the principal that asked for the job may do one more of these. Whether the job goes on: it may have been cancelled, or the
/// principal have lost its right, while it waited.
pub async fn within_quota(twins: &Twins, live: &Live, job: &Job, one_more: fn(&Quotas, &String) -> Result<(), Exceeded>) -> bool {
    let Some(principal) = job.principal.as_ref().map(ToString::to_string) else { return true };
    while let Err(exceeded) = one_more(&twins.runtime.quotas, &principal) {
        tokio::time::sleep(exceeded.wait).await;
        if live.is_cancelled() || twins.runtime.is_stopping() || may_go_on(twins, job).await != Ok(true) {
            return false;
        }
    }
    true
}

/// Whether the error says only that the job does not go on now.
pub fn stops(twins: &Twins, live: &Live, error: &TwinError) -> bool {
    matches!(error, TwinError::Stopping) && (live.is_cancelled() || twins.runtime.is_stopping())
}
