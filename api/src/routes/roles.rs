//! Roles: three that are built in, and those that an installation makes for itself.

use actix_web::{
    HttpResponse, delete, get,
    http::{StatusCode, header},
    put,
    web::{Data, Path},
};
use actors::Twins;
use hierarchy_models::{
    Value,
    access::{Right, Rights, Role},
};

use super::governing::may_define;
use crate::{
    access::{Caller, needs},
    body::{Body, FromBody},
    json,
    members::{self, Members},
    params::{NoParams, Params},
    problem::Problem,
    query::Page,
    uncut::uncut,
    wire::{
        described::{self, Paging, RolePage},
        page,
        role::RoleDocument,
    },
};

/// Roles, by name.
#[utoipa::path(operation_id = "listRoles", tag = "principals", params(Paging), responses((status = 200, description = "One page of roles", body = RolePage)))]
#[get("/roles")]
pub async fn list(_caller: Caller<needs::Principals>, twins: Data<Twins>, mut params: Params) -> Result<HttpResponse, Problem> {
    let (limit, cursor) = (params.limit()?, params.cursor()?);
    params.finish()?;
    let mut items = twins.access().roles();
    items.retain(|role| cursor.as_ref().is_none_or(|after| role.name.as_str() > after.as_str()));
    let more = items.len() > limit;
    items.truncate(limit);
    let cursor = items.last().filter(|_| more).map(|role| role.name.to_string());
    Ok(json::ok(&page(Page { items, cursor }, RoleDocument::from)))
}

/// One role.
#[utoipa::path(
    operation_id = "readRole",
    tag = "principals",
    params(("role" = String, Path, description = "The role")),
    responses((status = 200, description = "The role", body = RoleDocument))
)]
#[get("/roles/{role}")]
pub async fn read(
    _caller: Caller<needs::Principals>,
    twins: Data<Twins>,
    role: Path<String>,
    _params: NoParams,
) -> Result<HttpResponse, Problem> {
    Ok(json::ok(&RoleDocument::from(twins.access().role(&role)?)))
}

/// Makes a role, or changes it for everybody who has it. Needs every right that it has or had, everywhere.
#[utoipa::path(
    operation_id = "putRole",
    tag = "principals",
    params(("role" = String, Path, description = "The role: a-z, 0-9, '-' and '_'")),
    request_body = described::RoleBody,
    responses(
        (status = 200, description = "Changed", body = RoleDocument),
        (status = 201, description = "Made", body = RoleDocument, headers(("Location" = String))),
        (status = 409, response = crate::openapi::ProblemResponse),
        (status = 429, response = crate::openapi::ProblemResponse),
    )
)]
#[put("/roles/{role}")]
pub async fn put(
    caller: Caller<needs::Principals>,
    twins: Data<Twins>,
    role: Path<String>,
    _params: NoParams,
    body: Body<RoleBody>,
) -> Result<HttpResponse, Problem> {
    let rights = body.value.0;
    may_define(&caller, rights | twins.access().rights_of(&role))?;
    let put = Role { name: role.as_str().into(), rights };
    let document = RoleDocument::from(put.clone());
    let is_new = uncut(async move { Ok(twins.access().put_role(put).await?) }).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = HttpResponse::build(status);
    if is_new {
        response.insert_header((header::LOCATION, format!("/api/v1/roles/{role}")));
    }
    Ok(json::answer(&mut response, &document))
}

/// Removes a role that nobody has.
#[utoipa::path(
    operation_id = "deleteRole",
    tag = "principals",
    params(("role" = String, Path, description = "The role")),
    responses((status = 204, description = "Gone"), (status = 409, response = crate::openapi::ProblemResponse))
)]
#[delete("/roles/{role}")]
pub async fn delete(
    caller: Caller<needs::Principals>,
    twins: Data<Twins>,
    role: Path<String>,
    _params: NoParams,
) -> Result<HttpResponse, Problem> {
    may_define(&caller, twins.access().rights_of(&role))?;
    uncut(async move { Ok(twins.access().delete_role(&role).await?) }).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Debug)]
pub struct RoleBody(Rights);

impl FromBody for RoleBody {
    fn read(body: &mut Members) -> Result<Self, Problem> {
        Ok(Self(body.required("rights", rights)?))
    }
}

fn rights(value: Value, pointer: &str) -> Result<Rights, Problem> {
    let mut rights = Vec::new();
    for (n, name) in members::list(value, pointer)?.into_iter().enumerate() {
        let at = members::pointer_to(pointer, &n.to_string());
        rights.push(members::text(name, &at)?.parse::<Right>().map_err(|why| Problem::member(&at, why))?);
    }
    Ok(rights.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::parse;

    #[test]
    fn a_right_that_there_is_not_is_answered_with_its_pointer() {
        let taken = |json: &str| parse::<RoleBody>(json.as_bytes());
        assert_eq!(taken(r#"{"rights": ["read", "command"]}"#).unwrap().0, Rights::of(&[Right::Read, Right::Command]));
        for (body, pointer) in [
            ("{}", "/rights"),
            (r#"{"rights": "read"}"#, "/rights"),
            (r#"{"rights": ["read", "root"]}"#, "/rights/1"),
            (r#"{"rights": [], "name": "x"}"#, "/name"),
        ] {
            assert_eq!(taken(body).unwrap_err().document()["pointer"], pointer, "{body}");
        }
    }
}
