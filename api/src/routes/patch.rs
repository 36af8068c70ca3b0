//! `PATCH /twins/{id}`: an RFC 7396 merge patch of what people decide about a twin.
//!
//! The right to write is over what the twin is told (`desired`) and how it is described (`metadata`, `tags`). Where it stands and
//! who speaks for it (`parent`, `gateway`) decide who may see and be it, and its `model` what fits it, so these need the right to
//! provision too.

use actix_web::{HttpResponse, patch, web::Data};
use actors::{TwinPatch, Twins};
use hierarchy_models::{Map, ModelId, TwinId, Value, access::Right, model, tree::Path};

use super::{
    path::TwinPath,
    register::{may_name, tags},
    whole,
};
use crate::{
    access::{Access, Caller, moved, needs},
    body::{Body, FromBody},
    members::{self, Members},
    params::NoParams,
    precondition::IfMatch,
    problem::{self, Problem},
    uncut::uncut,
    wire::described::{Conditional, Twin},
};

/// Changes a twin: all of the patch or nothing of it.
#[utoipa::path(
    operation_id = "patchTwin",
    tag = "twins",
    params(("id" = String, Path, description = "The twin"), Conditional),
    request_body(content(
        (crate::wire::described::TwinPatch = "application/merge-patch+json"),
        (crate::wire::described::TwinPatch = "application/json"),
    )),
    responses(
        (status = 200, description = "The twin as it is now", body = Twin, headers(("ETag" = String))),
        (status = 409, response = crate::openapi::ProblemResponse),
        (status = 412, response = crate::openapi::ProblemResponse),
        (status = 422, response = crate::openapi::ProblemResponse),
    )
)]
#[patch("/twins/{id}")]
pub async fn patch(
    caller: Caller<needs::Write>,
    twins: Data<Twins>,
    id: TwinPath,
    if_match: IfMatch,
    _params: NoParams,
    body: Body<Change>,
) -> Result<HttpResponse, Problem> {
    let change = body.value.0;
    caller.reach(&twins, &id.0).await?;
    if change.parent.is_some() || change.gateway.is_some() || change.model.is_some() {
        caller.reach_for(Right::Provision, &twins, &id.0).await?;
    }
    let (parent, gateway) = (change.parent.as_ref(), change.gateway.as_ref());
    if let Some(parent) = parent {
        caller.may_stand_under(parent.as_ref())?;
    }
    may_name(&caller, &twins, parent.and_then(Option::as_ref), gateway.and_then(Option::as_ref)).await?;
    let before = match parent {
        Some(parent) => Some(may_move(&caller, &twins, &id.0, parent.as_ref()).await?),
        None => None,
    };
    let expected = if_match.expected(&twins, &id.0).await?;
    let twins = caller.acting(&twins);
    let view = uncut(async move { Ok(twins.patch(&id.0, change, expected).await?) }).await?;
    Ok(moved(whole(&view)?, view.id, before, view.path))
}

/// Where the twin stands. Whoever moves it wins nothing by it: what it may do with it there, it may do here.
async fn may_move(access: &Access, twins: &Twins, id: &TwinId, to: Option<&TwinId>) -> Result<Path, Problem> {
    let from = twins.path(id).await?;
    let won = access.rights_over(twins, to).await?.without(access.rights_at(&from));
    if won.is_empty() {
        return Ok(from);
    }
    let detail = format!("nobody wins rights by a move: there you have {won}, and here you do not");
    Err(Problem::new(problem::FORBIDDEN, detail).pointing_at("/parent"))
}

#[derive(Debug)]
pub struct Change(TwinPatch);

impl FromBody for Change {
    const MEDIA_TYPES: &'static [&'static str] = &["application/merge-patch+json", "application/json"];

    fn read(body: &mut Members) -> Result<Self, Problem> {
        Ok(Self(TwinPatch {
            metadata: body.removable("metadata", members::object)?.map(|map| kept(map, "/metadata")).transpose()?,
            desired: body.removable("desired", members::object)?.map(|map| kept(map, "/desired")).transpose()?,
            tags: body.removable("tags", tags)?.map(Option::unwrap_or_default),
            parent: body.removable("parent", twin)?,
            gateway: body.removable("gateway", twin)?,
            model: body.removable("model", model)?.map(named).transpose()?,
        }))
    }
}

fn model(value: Value, pointer: &str) -> Result<ModelId, Problem> {
    model::resolve(&members::text(value, pointer)?).map_err(|e| Problem::member(pointer, e.to_string()))
}

fn named(model: Option<ModelId>) -> Result<ModelId, Problem> {
    model.ok_or_else(|| Problem::member("/model", "cannot be removed; a twin always has a model"))
}

fn twin(value: Value, pointer: &str) -> Result<TwinId, Problem> {
    members::parsed(value, pointer)
}

/// A twin always has metadata and a desired state; only what is in them can be removed.
fn kept(map: Option<Map>, pointer: &str) -> Result<Map, Problem> {
    map.ok_or_else(|| Problem::member(pointer, "cannot be removed as a whole; set its members to null"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::parse;

    #[test]
    fn null_removes_the_parent_and_absence_leaves_it() {
        let read = |json: &str| parse::<Change>(json.as_bytes()).unwrap().0;
        assert_eq!(read("{}").parent, None);
        assert_eq!(read(r#"{"parent": null}"#).parent, Some(None));
        assert_eq!(read(r#"{"parent": "room-1"}"#).parent, Some(Some(TwinId::new("room-1").unwrap())));
        assert_eq!(read(r#"{"tags": null}"#).tags, Some(vec![]));
        let change = read(r#"{"metadata": {"a": null}}"#);
        assert_eq!(change.metadata.unwrap().get("a"), Some(&Value::Null));
    }

    #[test]
    fn what_cannot_be_changed_is_refused_by_its_pointer() {
        for (body, pointer) in [
            (r#"{"id": "x"}"#, "/id"),
            (r#"{"reported": {}}"#, "/reported"),
            (r#"{"metadata": null}"#, "/metadata"),
            (r#"{"desired": 1}"#, "/desired"),
            (r#"{"model": null}"#, "/model"),
            (r#"{"model": "Rom"}"#, "/model"),
            (r#"{"gateway": "a b"}"#, "/gateway"),
            (r#"{"tags": [""]}"#, "/tags/0"),
        ] {
            assert_eq!(parse::<Change>(body.as_bytes()).unwrap_err().document()["pointer"], pointer, "{body}");
        }
    }
}
