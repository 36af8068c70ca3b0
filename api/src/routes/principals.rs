//! People and systems and their keys. A key with a scope governs only keys within that scope.

use actix_web::{
    HttpResponse, delete, get,
    http::StatusCode,
    post,
    web::{Data, Path},
};
use actors::{
    Twins,
    identity::{Principal, Role},
};
use hierarchy_models::{TwinId, Value, limits::NAME_BYTES_MAX};

use crate::{
    access::{Access, Admin, Caller},
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

/// The principals the caller governs, by id. Keys are not among it: only their hashes are kept.
#[utoipa::path(operation_id = "listPrincipals", tag = "principals", params(Paging), responses((status = 200, description = "One page of principals", body = PrincipalPage)))]
#[get("/principals")]
pub async fn list(caller: Caller<Admin>, twins: Data<Twins>, mut params: Params) -> Result<HttpResponse, Problem> {
    let (limit, cursor) = (params.limit()?, params.cursor()?);
    params.finish()?;
    let mut governed = Vec::new();
    for principal in twins.identities().principals().await? {
        if governs(&caller, &twins, &principal).await? {
            governed.push(principal);
        }
    }
    Ok(json::ok(&page(paged(governed, limit, cursor), |principal| principal)))
}

/// The cursor is the id of the last principal of the page before.
fn paged(mut principals: Vec<Principal>, limit: usize, after: Option<String>) -> Page<Principal> {
    principals.retain(|p| after.as_ref().is_none_or(|after| p.id > *after));
    principals.sort_by(|a, b| a.id.cmp(&b.id));
    let more = principals.len() > limit;
    principals.truncate(limit);
    let cursor = principals.last().filter(|_| more).map(|p| p.id.clone());
    Page { items: principals, cursor }
}

/// Whether the principal's scope lies in the caller's. One whose twin is gone is governed by unconfined callers only.
async fn governs(access: &Access, twins: &Twins, principal: &Principal) -> Result<bool, Problem> {
    match (access.scope(), &principal.scope) {
        (None, _) => Ok(true),
        (Some(_), None) => Ok(false),
        (Some(_), Some(scope)) => access.reaches(twins, scope).await,
    }
}

/// Makes a principal. Its key is in this answer and nowhere else.
#[utoipa::path(
    operation_id = "createPrincipal",
    tag = "principals",
    params(Idempotent),
    request_body = described::NewPrincipal,
    responses(
        (status = 201, description = "Made; `key` is shown this once", body = CreatedPrincipal, headers(("Location" = String))),
        (status = 422, response = crate::openapi::ProblemResponse),
    )
)]
#[post("/principals")]
pub async fn create(
    caller: Caller<Admin>,
    twins: Data<Twins>,
    replays: Data<Replays>,
    key: IdempotencyKey,
    _params: NoParams,
    body: Body<NewPrincipal>,
) -> Result<HttpResponse, Problem> {
    let NewPrincipal { name, roles, scope } = body.value;
    // A confined administrator cannot hand out more than it has.
    let scope = scope.or_else(|| caller.scope().cloned());
    if let Some(scope) = &scope {
        caller.reach_existing(&twins, scope).await.map_err(|problem| no_scope(problem, scope))?;
    }
    let slot = key.slot(&caller, "/principals");
    let answer = uncut(async move {
        let now = twins.clock().now();
        let work = async { Ok(answer(twins.identities().create_principal(&name, roles, scope, now).await?)) };
        replays.once(slot, &body.bytes, work).await
    });
    Ok(answer.await?.into_response())
}

fn no_scope(problem: Problem, scope: &TwinId) -> Problem {
    match problem.kind() {
        problem::NO_SUCH_TWIN => Problem::new(problem::NO_SUCH_SCOPE, format!("there is no twin {scope}")).pointing_at("/scope"),
        _ => problem,
    }
}

fn answer((principal, key): (Principal, String)) -> Answer {
    let mut body = serde_json::to_value(&principal).unwrap_or_default();
    body["key"] = key.into();
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
pub async fn read(caller: Caller<Admin>, twins: Data<Twins>, pid: Path<String>, _params: NoParams) -> Result<HttpResponse, Problem> {
    Ok(json::ok(&find(&caller, &twins, &pid).await?))
}

/// Removes a principal; its key stops working.
#[utoipa::path(
    operation_id = "deletePrincipal",
    tag = "principals",
    params(("pid" = String, Path, description = "The principal")),
    responses((status = 204, description = "Gone"))
)]
#[delete("/principals/{pid}")]
pub async fn delete(caller: Caller<Admin>, twins: Data<Twins>, pid: Path<String>, _params: NoParams) -> Result<HttpResponse, Problem> {
    find(&caller, &twins, &pid).await?;
    let gone = uncut(async move { twins.identities().delete_principal(&pid).await.map(|gone| (gone, pid)).map_err(Problem::from) });
    match gone.await? {
        (true, _) => Ok(HttpResponse::NoContent().finish()),
        (false, pid) => Err(no_such(&pid)),
    }
}

fn no_such(pid: &str) -> Problem {
    Problem::no_such(problem::NO_SUCH_PRINCIPAL, "principal", pid)
}

async fn find(access: &Access, twins: &Twins, pid: &str) -> Result<Principal, Problem> {
    let principal = twins.identities().principals().await?.into_iter().find(|p| p.id == pid).ok_or_else(|| no_such(pid))?;
    if governs(access, twins, &principal).await? { Ok(principal) } else { Err(no_such(pid)) }
}

#[derive(Debug)]
pub struct NewPrincipal {
    name: String,
    roles: Vec<Role>,
    scope: Option<TwinId>,
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
        Ok(Self { name, roles, scope: body.optional("scope", members::parsed)? })
    }
}

fn name(value: Value, pointer: &str) -> Result<String, Problem> {
    let name = members::text(value, pointer)?;
    let ok = (1..=NAME_BYTES_MAX).contains(&name.trim().len()) && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control);
    if ok { Ok(name) } else { Err(Problem::member(pointer, format!("must be 1 to {NAME_BYTES_MAX} bytes without control characters"))) }
}

fn role(value: Value, pointer: &str) -> Result<Role, Problem> {
    match members::text(value, pointer)?.as_str() {
        "viewer" => Ok(Role::Viewer),
        "operator" => Ok(Role::Operator),
        "admin" => Ok(Role::Admin),
        _ => Err(Problem::member(pointer, "must be viewer, operator or admin")),
    }
}

fn roles(value: Value, pointer: &str) -> Result<Vec<Role>, Problem> {
    let names = members::list(value, pointer)?;
    if names.is_empty() {
        return Err(Problem::member(pointer, "must name at least one role"));
    }
    let mut roles = Vec::new();
    for (n, value) in names.into_iter().enumerate() {
        roles.push(role(value, &members::pointer_to(pointer, &n.to_string()))?);
    }
    roles.sort();
    roles.dedup();
    Ok(roles)
}

#[cfg(test)]
mod tests {
    use hierarchy_models::Timestamp;

    use super::*;
    use crate::body::parse;

    #[test]
    fn one_role_or_several_are_taken_but_not_both() {
        let taken = |json: &str| parse::<NewPrincipal>(json.as_bytes());
        assert_eq!(taken(r#"{"name": "a", "role": "viewer"}"#).unwrap().roles, [Role::Viewer]);
        assert_eq!(taken(r#"{"name": "a", "roles": ["admin", "viewer", "admin"]}"#).unwrap().roles, [Role::Viewer, Role::Admin]);
        for (body, pointer) in [
            (r#"{"role": "viewer"}"#, "/name"),
            (r#"{"name": " ", "role": "viewer"}"#, "/name"),
            (r#"{"name": "a"}"#, "/roles"),
            (r#"{"name": "a", "roles": []}"#, "/roles"),
            (r#"{"name": "a", "roles": ["viewer", "root"]}"#, "/roles/1"),
            (r#"{"name": "a", "role": "viewer", "roles": ["viewer"]}"#, "/role"),
            (r#"{"name": "a", "role": "viewer", "scope": "a b"}"#, "/scope"),
            (r#"{"name": "a", "role": "viewer", "key": "mine"}"#, "/key"),
        ] {
            assert_eq!(taken(body).unwrap_err().document()["pointer"], pointer, "{body}");
        }
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_overlap() {
        let principal = |id: &str| Principal { id: id.into(), name: id.into(), roles: vec![], scope: None, created_at: Timestamp::EPOCH };
        let all = || ["c", "a", "b"].map(principal).to_vec();
        let first = paged(all(), 2, None);
        assert_eq!((first.items.len(), first.cursor.as_deref()), (2, Some("b")));
        let last = paged(all(), 2, first.cursor);
        assert_eq!((last.items[0].id.as_str(), last.cursor), ("c", None));
    }
}
