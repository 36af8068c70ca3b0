//! People and systems and their keys.

use std::time::Duration;

use actix_web::{
    HttpResponse, delete, get,
    http::StatusCode,
    post,
    web::{Data, Path},
};
use actors::{
    Twins,
    access::{NewPrincipal as Wanted, Principal},
};
use hierarchy_models::{Name, TwinId, Value, access::Extent, limits::NAME_BYTES_MAX};

use super::governing::{Standing, default_place, may_grant, of_all};
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
        described::{self, CreatedPrincipal, Idempotent, Paging, PrincipalPage},
        page,
    },
};

/// The principals of which the caller sees a grant, by id. Keys are not among it: only their hashes are kept.
#[utoipa::path(operation_id = "listPrincipals", tag = "principals", params(Paging), responses((status = 200, description = "One page of principals", body = PrincipalPage)))]
#[get("/principals")]
pub async fn list(caller: Caller<needs::Principals>, twins: Data<Twins>, mut params: Params) -> Result<HttpResponse, Problem> {
    let (limit, cursor) = (params.limit()?, params.cursor()?);
    params.finish()?;
    let (mut items, mut more) = (Vec::new(), false);
    let behind = |principal: &Principal| cursor.as_ref().is_none_or(|after| principal.id > *after);
    for principal in twins.access().principals().into_iter().filter(behind) {
        let Some(seen) = seen(&caller, &twins, principal).await? else { continue };
        if items.len() == limit {
            more = true;
            break;
        }
        items.push(seen);
    }
    let cursor = items.last().filter(|_| more).map(|p| p.id.clone());
    Ok(json::ok(&page(Page { items, cursor }, |principal| principal)))
}

/// The principal with those of its grants that the caller sees; nothing when it sees none of them. One without grants is seen by who
/// has the right everywhere.
async fn seen(caller: &Caller<needs::Principals>, twins: &Twins, mut principal: Principal) -> Result<Option<Principal>, Problem> {
    let everywhere = caller.extent() == Extent::Everywhere;
    let mut grants = Vec::new();
    for grant in std::mem::take(&mut principal.grants) {
        if everywhere || of_all(caller, twins, [&grant]).await? != Standing::Hidden {
            grants.push(grant);
        }
    }
    let is_seen = everywhere || !grants.is_empty();
    Ok(is_seen.then_some(Principal { grants, ..principal }))
}

/// Makes a principal with its first grants. Its key is in this answer and nowhere else.
#[utoipa::path(
    operation_id = "createPrincipal",
    tag = "principals",
    params(Idempotent),
    request_body = described::NewPrincipal,
    responses(
        (status = 201, description = "Made; `key` is shown this once", body = CreatedPrincipal, headers(("Location" = String))),
        (status = 409, response = crate::openapi::ProblemResponse),
        (status = 422, response = crate::openapi::ProblemResponse),
        (status = 429, response = crate::openapi::ProblemResponse),
    )
)]
#[post("/principals")]
pub async fn create(
    caller: Caller<needs::Principals>,
    twins: Data<Twins>,
    replays: Data<Replays>,
    key: IdempotencyKey,
    _params: NoParams,
    body: Body<NewPrincipal>,
) -> Result<HttpResponse, Problem> {
    let NewPrincipal { name, roles, scope, lifetime, subject } = body.value;
    if subject.is_some() {
        // Else whoever governs one room could take a name at the provider, or learn who has one.
        caller.everywhere().map_err(|problem| problem.pointing_at("/subject"))?;
    }
    // Who is confined to one place means that place.
    let scope = scope.or_else(|| default_place(&caller));
    for role in &roles {
        may_grant(&caller, &twins, role, scope.as_ref(), "/scope").await?;
    }
    let slot = key.slot(&caller, "/principals");
    let answer = uncut(async move {
        let now = twins.clock().now();
        let wanted = Wanted { name, roles, scope, expires_at: lifetime.map(|lifetime| now.plus(lifetime)), subject };
        let work = async { Ok(answer(twins.create_principal(wanted).await?)) };
        replays.once(slot, &body.bytes, work).await
    });
    Ok(answer.await?.into_response())
}

fn answer((principal, key): (Principal, Option<String>)) -> Answer {
    let mut body = serde_json::to_value(&principal).unwrap_or_default();
    if let Some(key) = key {
        body["key"] = key.into();
    }
    Answer { status: StatusCode::CREATED, location: Some(format!("/api/v1/principals/{}", principal.id)), etag: None, body }
}

/// One principal.
#[utoipa::path(
    operation_id = "readPrincipal",
    tag = "principals",
    params(("pid" = String, Path, description = "The principal")),
    responses((status = 200, description = "The principal", body = described::Principal))
)]
#[get("/principals/{pid}")]
pub async fn read(
    caller: Caller<needs::Principals>,
    twins: Data<Twins>,
    pid: Path<String>,
    _params: NoParams,
) -> Result<HttpResponse, Problem> {
    Ok(json::ok(&find(&caller, &twins, &pid).await?))
}

/// Removes a principal and its grants; its key stops working and what it holds open ends. Needs every right that it has.
#[utoipa::path(
    operation_id = "deletePrincipal",
    tag = "principals",
    params(("pid" = String, Path, description = "The principal")),
    responses((status = 204, description = "Gone"))
)]
#[delete("/principals/{pid}")]
pub async fn delete(
    caller: Caller<needs::Principals>,
    twins: Data<Twins>,
    pid: Path<String>,
    _params: NoParams,
) -> Result<HttpResponse, Problem> {
    find(&caller, &twins, &pid).await?;
    let all = twins.access().principal(&pid).map(|p| p.grants).unwrap_or_default();
    if of_all(&caller, &twins, &all).await? != Standing::Governed {
        return Err(Problem::new(problem::FORBIDDEN, "this principal may do what you may not: only who may all of it can remove it"));
    }
    uncut(async move { Ok(twins.access().delete_principal(&pid).await?) }).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn no_such(pid: &str) -> Problem {
    Problem::no_such(problem::NO_SUCH_PRINCIPAL, "principal", pid)
}

pub async fn find(caller: &Caller<needs::Principals>, twins: &Twins, pid: &str) -> Result<Principal, Problem> {
    let principal = twins.access().principal(pid).ok_or_else(|| no_such(pid))?;
    seen(caller, twins, principal).await?.ok_or_else(|| no_such(pid))
}

#[derive(Debug)]
pub struct NewPrincipal {
    name: String,
    roles: Vec<Name>,
    scope: Option<TwinId>,
    lifetime: Option<Duration>,
    subject: Option<String>,
}

impl FromBody for NewPrincipal {
    fn read(body: &mut Members) -> Result<Self, Problem> {
        let name = body.required("name", name)?;
        let one = body.optional("role", role)?;
        let several = body.optional("roles", roles)?;
        let roles = match (one, several) {
            (Some(one), None) => vec![one],
            (None, Some(several)) => several,
            (None, None) => return Err(Problem::member("/roles", "is missing: give `roles` or `role`")),
            (Some(_), Some(_)) => return Err(Problem::member("/role", "give `roles` or `role`, not both")),
        };
        let scope = body.optional("scope", members::parsed)?;
        let lifetime = body.optional("expires_in", seconds)?;
        let subject = body.optional("subject", name_of_subject)?;
        if lifetime.is_some() && subject.is_some() {
            return Err(Problem::member("/expires_in", "is the life of a key, and a principal with a subject has none"));
        }
        Ok(Self { name, roles, scope, lifetime, subject })
    }
}

fn seconds(value: Value, pointer: &str) -> Result<Duration, Problem> {
    match value {
        Value::Int(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds as u64)),
        _ => Err(Problem::member(pointer, "must be a whole number of seconds above 0")),
    }
}

fn name(value: Value, pointer: &str) -> Result<String, Problem> {
    let name = members::text(value, pointer)?;
    let ok = (1..=NAME_BYTES_MAX).contains(&name.trim().len()) && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control);
    if ok { Ok(name) } else { Err(Problem::member(pointer, format!("must be 1 to {NAME_BYTES_MAX} bytes without control characters"))) }
}

fn name_of_subject(value: Value, pointer: &str) -> Result<String, Problem> {
    name(value, pointer)
}

/// Whether there is such a role, the runtime says.
pub fn role(value: Value, pointer: &str) -> Result<Name, Problem> {
    Ok(members::text(value, pointer)?.into())
}

fn roles(value: Value, pointer: &str) -> Result<Vec<Name>, Problem> {
    let names = members::list(value, pointer)?;
    if names.is_empty() {
        return Err(Problem::member(pointer, "must name at least one role"));
    }
    let mut roles: Vec<Name> = Vec::new();
    for (n, value) in names.into_iter().enumerate() {
        let role = role(value, &members::pointer_to(pointer, &n.to_string()))?;
        if !roles.contains(&role) {
            roles.push(role);
        }
    }
    Ok(roles)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::parse;

    #[test]
    fn one_role_or_several_are_taken_but_not_both() {
        let taken = |json: &str| parse::<NewPrincipal>(json.as_bytes());
        assert_eq!(taken(r#"{"name": "a", "role": "viewer"}"#).unwrap().roles, ["viewer"]);
        assert_eq!(taken(r#"{"name": "a", "roles": ["admin", "viewer", "admin"]}"#).unwrap().roles, ["admin", "viewer"]);
        for (body, pointer) in [
            (r#"{"role": "viewer"}"#, "/name"),
            (r#"{"name": " ", "role": "viewer"}"#, "/name"),
            (r#"{"name": "a"}"#, "/roles"),
            (r#"{"name": "a", "roles": []}"#, "/roles"),
            (r#"{"name": "a", "roles": ["viewer", 1]}"#, "/roles/1"),
            (r#"{"name": "a", "role": "viewer", "roles": ["viewer"]}"#, "/role"),
            (r#"{"name": "a", "role": "viewer", "scope": "a b"}"#, "/scope"),
            (r#"{"name": "a", "role": "viewer", "key": "mine"}"#, "/key"),
            (r#"{"name": "a", "role": "viewer", "expires_in": 0}"#, "/expires_in"),
            (r#"{"name": "a", "role": "viewer", "expires_in": 9, "subject": "s"}"#, "/expires_in"),
            (r#"{"name": "a", "role": "viewer", "subject": ""}"#, "/subject"),
        ] {
            assert_eq!(taken(body).unwrap_err().document()["pointer"], pointer, "{body}");
        }
    }
}
