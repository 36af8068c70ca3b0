//! Works an import, part by part: each line is a registration like any other, and fails or succeeds by itself.

use std::collections::HashSet;

use futures_util::{StreamExt, stream::FuturesUnordered};
use hierarchy_models::{TwinId, event::Status};

use super::{
    Failure, Job, Live, Work,
    run::{patiently, stops, within_quota},
    spool::{self, Line, LineFault, Spool},
};
use crate::{
    error::TwinError,
    quotas::Quotas,
    twins::{Registration, Twins},
};

/// Registrations under way at the same time.
const AT_ONCE: usize = 64;

/// What became of a line.
enum Outcome {
    Registered,
    /// It was registered already, just so.
    Unchanged,
    /// Its parent or its gateway may come yet.
    Later(Box<Line>, TwinError),
    Failed(Option<TwinId>, LineFault),
    /// The server stops, or the job was cancelled.
    Left,
}

/// One part; whether there is more to do.
pub async fn work(twins: &Twins, live: &Live) -> Result<bool, TwinError> {
    let mut job = live.view();
    let Work::Import { next, mut parts, mut round_ends, mut registered_in_round, mut is_last_round } = job.work.clone() else {
        return Ok(false);
    };
    if next >= parts {
        return Ok(false);
    }
    let (store, identities) = (&*twins.runtime.store, &twins.runtime.identities);
    if next >= round_ends {
        (round_ends, registered_in_round, is_last_round) = (parts, false, !registered_in_round);
    }
    let lines = spool::read(store, identities, &job.id, next).await?;
    let mut later = Vec::new();
    for (number, outcome) in outcomes(twins, live, &job, lines).await {
        match outcome {
            Outcome::Left => return Ok(true),
            Outcome::Registered => {
                job.done += 1;
                registered_in_round = true;
            }
            Outcome::Unchanged => job.unchanged += 1,
            Outcome::Later(line, error) => later.push((line, error)),
            Outcome::Failed(twin, fault) => {
                job.fail(Failure { line: Some(number), twin, problem: fault.problem, pointer: fault.pointer });
            }
        }
    }
    if is_last_round {
        for (line, error) in later {
            let fault = fault_of(&error);
            let twin = line.twin.ok().and_then(|(registration, _)| registration.id);
            job.fail(Failure { line: Some(line.number), twin, problem: fault.problem, pointer: fault.pointer });
        }
    } else if !later.is_empty() {
        let mut spool = Spool::of(twins, job.id.clone(), parts);
        for (line, _) in &later {
            spool.push(line).await?;
        }
        parts = spool.finish().await?;
    }
    job.work = Work::Import { next: next + 1, parts, round_ends, registered_in_round, is_last_round };
    twins.runtime.jobs.record(store, live, job.clone()).await?;
    spool::remove_parts(store, &job.id, next, next + 1).await?;
    Ok(true)
}

/// In no order but this: a line waits for those above it that register its parent or its gateway.
async fn outcomes(twins: &Twins, live: &Live, job: &Job, lines: Vec<Line>) -> Vec<(u64, Outcome)> {
    let mut done = Vec::with_capacity(lines.len());
    let mut under_way = FuturesUnordered::new();
    let mut on_the_way: HashSet<TwinId> = HashSet::new();
    for mut line in lines {
        let number = line.number;
        let named: Vec<TwinId> = match &mut line.twin {
            Ok((registration, _)) => {
                // Named by the line, so that it is the same twin when the part is worked again.
                let id = registration.id.get_or_insert_with(|| id_of(&job.id, number)).clone();
                registration.parent.iter().chain(&registration.gateway).cloned().chain([id]).collect()
            }
            Err(_) => Vec::new(),
        };
        while under_way.len() >= AT_ONCE || named.iter().any(|id| on_the_way.contains(id)) {
            let next: Option<(u64, Option<TwinId>, Outcome)> = under_way.next().await;
            let Some((number, twin, outcome)) = next else { break };
            if let Some(twin) = twin {
                on_the_way.remove(&twin);
            }
            done.push((number, outcome));
        }
        on_the_way.extend(named.last().cloned());
        let twin = named.last().cloned();
        under_way.push(async move { (number, twin, one(twins, live, job, line).await) });
    }
    while let Some((number, _, outcome)) = under_way.next().await {
        done.push((number, outcome));
    }
    done.sort_unstable_by_key(|(number, _)| *number);
    done
}

/// The id of a line without one.
fn id_of(job: &str, line: u64) -> TwinId {
    let name = ring::digest::digest(&ring::digest::SHA256, format!("{job}:{line}").as_bytes());
    let hex: String = name.as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    TwinId::new(hex).expect("hexadecimal digits are a twin id")
}

async fn one(twins: &Twins, live: &Live, job: &Job, line: Line) -> Outcome {
    let (registration, status) = match &line.twin {
        Ok(twin) => twin.clone(),
        Err(fault) => return Outcome::Failed(None, fault.clone()),
    };
    let id = registration.id.clone();
    if !within_quota(twins, live, job, Quotas::registration).await {
        return Outcome::Left;
    }
    let result = patiently(twins, live, || register(twins, job.scope.as_deref(), registration.clone(), status)).await;
    match result {
        Ok(true) => Outcome::Registered,
        Ok(false) => Outcome::Unchanged,
        Err(error) if stops(twins, live, &error) => Outcome::Left,
        Err(error @ (TwinError::NoSuchParent { .. } | TwinError::NoSuchGateway { .. })) => Outcome::Later(Box::new(line), error),
        Err(error) => Outcome::Failed(id, fault_of(&error)),
    }
}

fn fault_of(error: &TwinError) -> LineFault {
    let pointer = match error {
        TwinError::Invalid { pointer, .. } | TwinError::Misfit { pointer, .. } => Some(pointer.clone()),
        TwinError::AlreadyRegistered(_) => Some("/id".into()),
        TwinError::NoSuchParent { .. } | TwinError::Tree(_) => Some("/parent".into()),
        TwinError::NoSuchGateway { .. } => Some("/gateway".into()),
        TwinError::UnknownModel { .. } => Some("/model".into()),
        _ => None,
    };
    LineFault { problem: error.to_string(), pointer }
}

/// `false` when it was registered already, just so.
async fn register(twins: &Twins, scope: Option<&[TwinId]>, registration: Registration, status: Status) -> Result<bool, TwinError> {
    if let Some(scope) = scope {
        check_scope(twins, scope, &registration).await?;
    }
    let Some(id) = registration.id.clone() else { return Ok(false) };
    if let Some(entry) = twins.runtime.store.entry(&id).await? {
        let row = entry.row;
        let Registration { model, parent, gateway, metadata, tags, .. } = registration;
        let is_same = (row.model, row.parent, row.gateway, row.metadata, row.tags) == (model, parent, gateway, metadata, tags);
        // One that was cut off before it was put out. Never the other way: who was put out meanwhile stays out.
        if is_same && status == Status::Inactive && row.status == Status::Active {
            twins.set_status(&id, status).await?;
        }
        return if is_same { Ok(false) } else { Err(TwinError::AlreadyRegistered(id)) };
    }
    twins.register(registration).await?;
    if status != Status::Active {
        twins.set_status(&id, status).await?;
    }
    // A million twins that nobody has asked for yet need not be in memory.
    if let Some(twin) = twins.runtime.directory.peek(&id) {
        twins.runtime.evict(&id, twin, true).await;
    }
    Ok(true)
}

/// Who may see a part of the tree only registers in it, and names nothing outside it.
async fn check_scope(twins: &Twins, scope: &[TwinId], registration: &Registration) -> Result<(), TwinError> {
    let Some(parent) = &registration.parent else {
        let reason = "whoever asked for this may see a part of the tree: name a parent in it".into();
        return Err(TwinError::Invalid { pointer: "/parent".into(), reason });
    };
    let sees = async |twin: &TwinId| {
        let entry = twins.runtime.store.entry(twin).await?;
        Ok::<_, TwinError>(entry.is_some_and(|entry| scope.iter().any(|top| entry.path.contains(top))))
    };
    if !sees(parent).await? {
        return Err(TwinError::NoSuchParent { parent: parent.clone() });
    }
    match &registration.gateway {
        Some(gateway) if !sees(gateway).await? => Err(TwinError::NoSuchGateway { gateway: gateway.clone() }),
        _ => Ok(()),
    }
}
