//! Claim codes: made for a device by who registers it, and used by who holds the device to take it under a place of its own.

use std::time::Duration;

use actix_web::{HttpResponse, http::StatusCode, post, web::Data};
use actors::{Twins, identity::CLAIM_LIFETIME_MAX};
use hierarchy_models::TwinId;
use serde_json::json;

use super::{credentials::seconds, path::TwinPath, register::may_name, whole};
use crate::{
    access::{Caller, moved, needs},
    body::{Body, FromBody},
    members::{self, Members},
    params::NoParams,
    problem::Problem,
    replay::{Answer, IdempotencyKey, Replays},
    uncut::uncut,
    wire::described::{Claim, ClaimCode, Idempotent, NewClaimCode, Twin},
};

/// A claim code lives this long unless told otherwise.
pub const CLAIM_LIFETIME_DEFAULT: Duration = Duration::from_secs(365 * 24 * 3600);

/// Makes a claim code for a device; one that it had is of no use any more.
#[utoipa::path(
    operation_id = "createClaimCode",
    tag = "twins",
    params(("id" = String, Path, description = "The twin"), Idempotent),
    request_body(content = Option<NewClaimCode>, content_type = "application/json"),
    responses((status = 201, description = "The code, shown this once", body = ClaimCode))
)]
#[post("/twins/{id}/claim-code")]
pub async fn create(
    caller: Caller<needs::Provision>,
    twins: Data<Twins>,
    replays: Data<Replays>,
    id: TwinPath,
    key: IdempotencyKey,
    _params: NoParams,
    body: Body<Lifetime>,
) -> Result<HttpResponse, Problem> {
    caller.reach_existing(&twins, &id.0).await?;
    let slot = key.slot(&caller, &format!("/twins/{}/claim-code", id.0));
    let answer = uncut(async move {
        let work = async {
            let made = twins.create_claim_code(&id.0, body.value.0).await?;
            Ok(Answer { status: StatusCode::CREATED, ..Answer::ok(json!({"code": made.code, "expires_at": made.expires_at})) })
        };
        replays.once(slot, &body.bytes, work).await
    });
    Ok(answer.await?.into_response())
}

/// Takes a device under a place of the caller's, by its code, and activates it. The device itself need not be within what the
/// caller may see: the code is the right to it. A wrong code, one that is over or used, and a device that is not there get one answer.
#[utoipa::path(
    operation_id = "claimTwin",
    tag = "twins",
    request_body = Claim,
    responses(
        (status = 200, description = "The twin as it is now", body = Twin),
        (status = 404, response = crate::openapi::ProblemResponse),
        (status = 422, response = crate::openapi::ProblemResponse),
        (status = 429, response = crate::openapi::ProblemResponse),
    )
)]
#[post("/claims")]
pub async fn claim(
    caller: Caller<needs::Provision>,
    twins: Data<Twins>,
    _params: NoParams,
    body: Body<Claiming>,
) -> Result<HttpResponse, Problem> {
    let Claiming { id, code, parent } = body.value;
    may_name(&caller, &twins, Some(&parent), None).await?;
    let before = twins.path(&id).await.ok();
    let twins = caller.acting(&twins);
    let view = uncut(async move { Ok(twins.claim(&id, &code, &parent).await?) }).await?;
    Ok(moved(whole(&view)?, view.id, before, view.path))
}

pub struct Lifetime(Duration);

impl FromBody for Lifetime {
    const MAY_BE_EMPTY: bool = true;

    fn read(body: &mut Members) -> Result<Self, Problem> {
        let lifetime = body.optional("expires_in", |value, at| seconds(value, at, CLAIM_LIFETIME_MAX))?;
        Ok(Self(lifetime.unwrap_or(CLAIM_LIFETIME_DEFAULT)))
    }
}

pub struct Claiming {
    id: TwinId,
    code: String,
    parent: TwinId,
}

impl FromBody for Claiming {
    fn read(body: &mut Members) -> Result<Self, Problem> {
        Ok(Self {
            id: body.required("id", members::parsed)?,
            code: body.required("code", members::text)?,
            parent: body.required("parent", members::parsed)?,
        })
    }
}
