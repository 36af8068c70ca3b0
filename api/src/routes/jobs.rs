//! Work on many twins: what there is, how far it is, and its end. Who is confined sees the jobs that are confined to what it may read.

use actix_web::{
    HttpResponse, delete, get,
    http::header,
    web::{Data, Path},
};
use actors::{
    Twins,
    jobs::{Asker, Job},
};
use hierarchy_models::{
    Name,
    access::{Extent, Right},
};

use super::listing::tops;
use crate::{
    access::{Access, Caller, Needs, lacks, needs},
    json,
    params::{NoParams, Params},
    problem::Problem,
    query::Page,
    replay::IdempotencyKey,
    uncut::uncut,
    wire::{
        described::{JobPage, Paging},
        job::JobDocument,
        page,
    },
};

/// The answer to who asked for a job.
pub fn accepted(job: Job) -> HttpResponse {
    let location = (header::LOCATION, format!("/api/v1/jobs/{}", job.id));
    json::answer(HttpResponse::Accepted().insert_header(location), &JobDocument::from(job))
}

pub fn asker<R: Needs>(caller: &Caller<R>) -> Asker {
    let subject = &caller.subject;
    Asker {
        principal: Some(subject.id.as_str().into()),
        name: subject.name.as_str().into(),
        scope: tops(caller),
        by_token: subject.by_token,
    }
}

/// A key belongs to the principal that sent it.
pub fn own_key(access: &Access, key: IdempotencyKey) -> Option<Name> {
    key.0.map(|key| format!("{}:{key}", access.subject.id).into())
}

/// Whether all that the job may touch lies where the right was granted.
fn covers(access: &Access, right: Right, job: &Job) -> bool {
    match access.subject.granted.extent(right) {
        Extent::Everywhere => true,
        Extent::Under(tops) => job.scope.as_ref().is_some_and(|scope| scope.iter().all(|top| tops.contains(top))),
    }
}

fn seen(access: &Access, twins: &Twins, right: Right, id: &str) -> Result<Job, Problem> {
    let job = twins.job(id)?;
    if covers(access, right, &job) { Ok(job) } else { Err(actors::TwinError::NoSuchJob(id.into()).into()) }
}

/// Jobs, the newest first. Those that are over are listed until too many newer ones are.
#[utoipa::path(operation_id = "listJobs", tag = "jobs", params(Paging), responses((status = 200, description = "One page of jobs", body = JobPage)))]
#[get("/jobs")]
pub async fn list(caller: Caller<needs::Read>, twins: Data<Twins>, mut params: Params) -> Result<HttpResponse, Problem> {
    let (limit, cursor) = (params.limit()?, params.cursor()?);
    params.finish()?;
    let mut jobs = twins.jobs(cursor.as_deref(), limit + 1, |job| covers(&caller, Right::Read, job));
    let more = jobs.len() > limit;
    jobs.truncate(limit);
    let cursor = jobs.last().filter(|_| more).map(|job| job.id.to_string());
    Ok(json::ok(&page(Page { items: jobs, cursor }, JobDocument::from)))
}

/// One job.
#[utoipa::path(
    operation_id = "readJob",
    tag = "jobs",
    params(("id" = String, Path, description = "The job")),
    responses((status = 200, description = "The job as it is now", body = JobDocument))
)]
#[get("/jobs/{id}")]
pub async fn read(caller: Caller<needs::Read>, twins: Data<Twins>, id: Path<String>, _params: NoParams) -> Result<HttpResponse, Problem> {
    Ok(json::ok(&JobDocument::from(seen(&caller, &twins, Right::Read, &id)?)))
}

/// Cancels a job; what it has done stays done. One that is over already is forgotten.
#[utoipa::path(
    operation_id = "deleteJob",
    tag = "jobs",
    params(("id" = String, Path, description = "The job")),
    responses(
        (status = 200, description = "The job, cancelled", body = JobDocument),
        (status = 204, description = "It was over, and is forgotten"),
    )
)]
#[delete("/jobs/{id}")]
pub async fn delete(caller: Access, twins: Data<Twins>, id: Path<String>, _params: NoParams) -> Result<HttpResponse, Problem> {
    // Who may cancel it may begin such a one.
    let right = twins.job(&id)?.work.right();
    if seen(&caller, &twins, right, &id).is_err() {
        seen(&caller, &twins, Right::Read, &id)?;
        return Err(lacks(right));
    }
    let id = id.into_inner();
    match uncut(async move { Ok(twins.cancel_job(&id).await?) }).await? {
        Some(job) => Ok(json::ok(&JobDocument::from(job))),
        None => Ok(HttpResponse::NoContent().finish()),
    }
}
