//! What turns a twin's access on and off, and what lets a quarantined twin run again.

use actix_web::{HttpResponse, post, web::Data};
use actors::Twins;
use hierarchy_models::event::Status;

use super::{path::TwinPath, whole};
use crate::{
    access::{Caller, needs},
    params::NoParams,
    precondition::IfMatch,
    problem::Problem,
    uncut::uncut,
    wire::described::{Conditional, Twin},
};

/// Grants access again.
#[utoipa::path(
    operation_id = "activateTwin",
    tag = "twins",
    params(("id" = String, Path, description = "The twin"), Conditional),
    responses((status = 200, description = "The twin as it is now", body = Twin), (status = 412, response = crate::openapi::ProblemResponse))
)]
#[post("/twins/{id}/activate")]
pub async fn activate(
    caller: Caller<needs::Provision>,
    twins: Data<Twins>,
    id: TwinPath,
    if_match: IfMatch,
    _params: NoParams,
) -> Result<HttpResponse, Problem> {
    set(&caller, twins, id, if_match, Status::Active).await
}

/// Revokes access; a live session ends at once.
#[utoipa::path(
    operation_id = "deactivateTwin",
    tag = "twins",
    params(("id" = String, Path, description = "The twin"), Conditional),
    responses((status = 200, description = "The twin as it is now", body = Twin), (status = 412, response = crate::openapi::ProblemResponse))
)]
#[post("/twins/{id}/deactivate")]
pub async fn deactivate(
    caller: Caller<needs::Provision>,
    twins: Data<Twins>,
    id: TwinPath,
    if_match: IfMatch,
    _params: NoParams,
) -> Result<HttpResponse, Problem> {
    set(&caller, twins, id, if_match, Status::Inactive).await
}

async fn set(
    caller: &Caller<needs::Provision>,
    twins: Data<Twins>,
    id: TwinPath,
    if_match: IfMatch,
    status: Status,
) -> Result<HttpResponse, Problem> {
    caller.reach(&twins, &id.0).await?;
    if_match.check(&twins, &id.0).await?;
    let twins = caller.acting(&twins);
    whole(&uncut(async move { Ok(twins.set_status(&id.0, status).await?) }).await?)
}

/// Lets a quarantined twin run again.
#[utoipa::path(
    operation_id = "releaseTwin",
    tag = "twins",
    params(("id" = String, Path, description = "The twin"), Conditional),
    responses((status = 200, description = "The twin as it is now", body = Twin), (status = 412, response = crate::openapi::ProblemResponse))
)]
#[post("/twins/{id}/release")]
pub async fn release(
    caller: Caller<needs::Command>,
    twins: Data<Twins>,
    id: TwinPath,
    if_match: IfMatch,
    _params: NoParams,
) -> Result<HttpResponse, Problem> {
    caller.reach(&twins, &id.0).await?;
    if_match.check(&twins, &id.0).await?;
    whole(&uncut(async move { Ok(twins.release(&id.0).await?) }).await?)
}
