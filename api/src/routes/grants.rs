//! Grants: a role over a twin and all below it, to a principal. In force, and taken back, when the answer comes.

use actix_web::{
    HttpResponse, delete, get,
    http::StatusCode,
    post,
    web::{Data, Path},
};
use actors::{Twins, access::Grant};
use hierarchy_models::{Name, TwinId};

use super::{
    governing::{Standing, default_place, may_grant, of_all},
    principals::{self, role},
};
use crate::{
    access::{Caller, needs},
    body::{Body, FromBody},
    json,
    members::{self, Members},
    params::{NoParams, Params},
    problem::{self, Problem},
    query::Page,
    replay::{Answer, IdempotencyKey, Replays},
    uncut::uncut,
    wire::{
        described::{self, GrantPage, Idempotent, Paging},
        page,
    },
};

/// The grants that the caller sees, by principal.
#[utoipa::path(
    operation_id = "listGrants",
    tag = "principals",
    params(
        ("principal" = Option<String>, Query, description = "Of this principal"),
        ("role" = Option<String>, Query, description = "Of this role"),
        ("under" = Option<String>, Query, description = "Over this very twin"),
        Paging,
    ),
    responses((status = 200, description = "One page of grants", body = GrantPage))
)]
#[get("/grants")]
pub async fn list(caller: Caller<needs::Principals>, twins: Data<Twins>, mut params: Params) -> Result<HttpResponse, Problem> {
    let (principal, role, under) = (params.text("principal"), params.text("role"), params.twin("under")?);
    let (limit, cursor) = (params.limit()?, params.cursor()?);
    params.finish()?;
    let mut grants = twins.access().grants();
    grants.retain(|grant| {
        principal.as_ref().is_none_or(|wanted| grant.principal == *wanted)
            && role.as_ref().is_none_or(|wanted| grant.role == wanted.as_str())
            && under.as_ref().is_none_or(|wanted| grant.under.as_ref() == Some(wanted))
            && cursor.as_ref().is_none_or(|after| grant.id > *after)
    });
    grants.sort_by(|a, b| a.id.cmp(&b.id));
    let (mut items, mut more) = (Vec::new(), false);
    for grant in grants {
        if of_all(&caller, &twins, [&grant]).await? == Standing::Hidden {
            continue;
        }
        if items.len() == limit {
            more = true;
            break;
        }
        items.push(grant);
    }
    let cursor = items.last().filter(|_| more).map(|grant| grant.id.clone());
    Ok(json::ok(&page(Page { items, cursor }, |grant| grant)))
}

/// Grants a role. The same role over the same twin again is the grant that is there.
#[utoipa::path(
    operation_id = "createGrant",
    tag = "principals",
    params(Idempotent),
    request_body = described::NewGrant,
    responses(
        (status = 201, description = "In force", body = described::Grant, headers(("Location" = String))),
        (status = 422, response = crate::openapi::ProblemResponse),
        (status = 429, response = crate::openapi::ProblemResponse),
    )
)]
#[post("/grants")]
pub async fn create(
    caller: Caller<needs::Principals>,
    twins: Data<Twins>,
    replays: Data<Replays>,
    key: IdempotencyKey,
    _params: NoParams,
    body: Body<NewGrant>,
) -> Result<HttpResponse, Problem> {
    let NewGrant { principal, role, under } = body.value;
    let under = under.or_else(|| default_place(&caller));
    may_grant(&caller, &twins, &role, under.as_ref(), "/under").await?;
    // One that is not the caller's to see is not there, here as elsewhere.
    principals::find(&caller, &twins, &principal).await.map_err(|problem| match problem.kind() {
        problem::NO_SUCH_PRINCIPAL => Problem::new(problem::UNKNOWN_PRINCIPAL, "there is no such principal").pointing_at("/principal"),
        _ => problem,
    })?;
    let slot = key.slot(&caller, "/grants");
    let answer = uncut(async move {
        let work = async { Ok(answer(&twins.create_grant(&principal, role, under).await?)) };
        replays.once(slot, &body.bytes, work).await
    });
    Ok(answer.await?.into_response())
}

fn answer(grant: &Grant) -> Answer {
    let location = Some(format!("/api/v1/grants/{}", grant.id));
    Answer { status: StatusCode::CREATED, location, etag: None, body: serde_json::to_value(grant).unwrap_or_default() }
}

/// One grant.
#[utoipa::path(
    operation_id = "readGrant",
    tag = "principals",
    params(("gid" = String, Path, description = "The grant")),
    responses((status = 200, description = "The grant", body = described::Grant))
)]
#[get("/grants/{gid}")]
pub async fn read(
    caller: Caller<needs::Principals>,
    twins: Data<Twins>,
    gid: Path<String>,
    _params: NoParams,
) -> Result<HttpResponse, Problem> {
    Ok(json::ok(&find(&caller, &twins, &gid).await?.0))
}

/// Takes a grant back; what the principal holds open is looked at again. Needs every right of its role there.
#[utoipa::path(
    operation_id = "deleteGrant",
    tag = "principals",
    params(("gid" = String, Path, description = "The grant")),
    responses((status = 204, description = "Gone"))
)]
#[delete("/grants/{gid}")]
pub async fn delete(
    caller: Caller<needs::Principals>,
    twins: Data<Twins>,
    gid: Path<String>,
    _params: NoParams,
) -> Result<HttpResponse, Problem> {
    let (_, standing) = find(&caller, &twins, &gid).await?;
    if standing != Standing::Governed {
        return Err(Problem::new(problem::FORBIDDEN, "this grant gives more than you have: only who may all of it can take it back"));
    }
    uncut(async move { Ok(twins.access().delete_grant(&gid).await?) }).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn find(caller: &Caller<needs::Principals>, twins: &Twins, gid: &str) -> Result<(Grant, Standing), Problem> {
    let no_such = || Problem::no_such(problem::NO_SUCH_GRANT, "grant", gid);
    let grant = twins.access().grant(gid).ok_or_else(no_such)?;
    match of_all(caller, twins, [&grant]).await? {
        Standing::Hidden => Err(no_such()),
        standing => Ok((grant, standing)),
    }
}

#[derive(Debug)]
pub struct NewGrant {
    principal: String,
    role: Name,
    under: Option<TwinId>,
}

impl FromBody for NewGrant {
    fn read(body: &mut Members) -> Result<Self, Problem> {
        Ok(Self {
            principal: body.required("principal", members::text)?,
            role: body.required("role", role)?,
            under: body.optional("under", members::parsed)?,
        })
    }
}
