//! `POST /twins`: registration. The keys are in this answer and nowhere else.

use actix_web::{HttpResponse, http::StatusCode, post, web::Data};
use actors::{Registration, TwinError, Twins, identity::NewCredentials};
use hierarchy_models::{Name, TwinId, Value, access::Right, limits::NAME_BYTES_MAX, model};

use crate::{
    access::{Access, Caller, needs},
    body::{Body, FromBody},
    documents::Document,
    members::{self, Members, pointer_to},
    params::NoParams,
    problem::{self, Problem},
    replay::{Answer, IdempotencyKey, Replays},
    uncut::uncut,
    wire::{
        credentials::{certificates, keys, password},
        described::{Idempotent, RegisteredTwin},
        twin::RegisteredDocument,
    },
};

/// Tags of one twin.
pub const TAGS_MAX: usize = 64;

/// Registers a twin.
#[utoipa::path(
    operation_id = "registerTwin",
    tag = "twins",
    request_body = crate::wire::described::Registration,
    params(Idempotent),
    responses(
        (status = 201, description = "Registered; `keys` is shown this once", body = RegisteredTwin, headers(("Location" = String), ("ETag" = String))),
        (status = 409, response = crate::openapi::ProblemResponse),
        (status = 422, response = crate::openapi::ProblemResponse),
        (status = 429, response = crate::openapi::ProblemResponse),
    )
)]
#[post("/twins")]
pub async fn register(
    caller: Caller<needs::Provision>,
    twins: Data<Twins>,
    replays: Data<Replays>,
    key: IdempotencyKey,
    _params: NoParams,
    body: Body<NewTwin>,
) -> Result<HttpResponse, Problem> {
    let NewTwin(registration, credentials) = body.value;
    caller.may_stand_under(registration.parent.as_ref())?;
    may_name(&caller, &twins, registration.parent.as_ref(), registration.gateway.as_ref()).await?;
    let slot = key.slot(&caller, "/twins");
    let twins = caller.acting(&twins);
    let answer = uncut(async move {
        let work = async { answer(twins.register_with(registration, credentials).await?.into()) };
        replays.once(slot, &body.bytes, work).await
    });
    Ok(answer.await?.into_response())
}

/// That the caller may provision at the twins it names; those it may not see are not there.
pub async fn may_name(access: &Access, twins: &Twins, parent: Option<&TwinId>, gateway: Option<&TwinId>) -> Result<(), Problem> {
    let not_there = |problem: Problem, instead: TwinError| match problem.kind() {
        problem::NO_SUCH_TWIN if problem.hides() => Problem::from(instead).hiding(),
        problem::NO_SUCH_TWIN => instead.into(),
        _ => problem,
    };
    if let Some(parent) = parent {
        access
            .reach_for(Right::Provision, twins, parent)
            .await
            .map_err(|p| not_there(p, TwinError::NoSuchParent { parent: parent.clone() }))?;
    }
    if let Some(gateway) = gateway {
        access
            .reach_for(Right::Provision, twins, gateway)
            .await
            .map_err(|p| not_there(p, TwinError::NoSuchGateway { gateway: gateway.clone() }))?;
    }
    Ok(())
}

fn answer(registered: RegisteredDocument) -> Result<Answer, Problem> {
    Ok(Answer {
        status: StatusCode::CREATED,
        location: Some(format!("/api/v1/twins/{}", registered.twin.id)),
        etag: Some(Document::of(&registered.twin)?.etag),
        body: serde_json::to_value(&registered).unwrap_or_default(),
    })
}

pub struct NewTwin(pub Registration, pub NewCredentials);

impl FromBody for NewTwin {
    fn read(body: &mut Members) -> Result<Self, Problem> {
        let credentials = NewCredentials {
            keys: None,
            certificates: body.optional("certificates", certificates)?.unwrap_or_default(),
            password: body.optional("password", password)?,
        };
        let registration = Registration {
            id: body.optional("id", members::parsed)?,
            model: body.required("model", |value, at| {
                model::resolve(&members::text(value, at)?).map_err(|e| Problem::member(at, e.to_string()))
            })?,
            parent: body.optional("parent", members::parsed)?,
            gateway: body.optional("gateway", members::parsed)?,
            metadata: body.optional("metadata", members::object)?.unwrap_or_default(),
            tags: body.optional("tags", tags)?.unwrap_or_default(),
            keys: body.optional("keys", keys)?,
        };
        Ok(Self(registration, credentials))
    }
}

/// Tags, each once, in the order given.
pub fn tags(value: Value, pointer: &str) -> Result<Vec<Name>, Problem> {
    let mut tags: Vec<Name> = Vec::new();
    for (n, tag) in members::list(value, pointer)?.into_iter().enumerate() {
        let at = pointer_to(pointer, &n.to_string());
        let tag = members::text(tag, &at)?;
        if !(1..=NAME_BYTES_MAX).contains(&tag.len()) || tag.chars().any(char::is_control) {
            return Err(Problem::member(&at, format!("must be 1 to {NAME_BYTES_MAX} bytes without control characters")));
        }
        if !tags.iter().any(|t| *t == tag) {
            tags.push(tag.into());
        }
    }
    if tags.len() > TAGS_MAX { Err(Problem::member(pointer, format!("must be at most {TAGS_MAX} tags"))) } else { Ok(tags) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::body::parse;

    fn read(json: &str) -> Registration {
        parse::<NewTwin>(json.as_bytes()).ok().unwrap().0
    }

    #[test]
    fn a_registration_needs_no_more_than_a_model() {
        let registration = read(r#"{"model": "Room"}"#);
        assert_eq!(registration.model.as_str(), "dtmi:twinfold:Room;1");
        assert!(registration.id.is_none() && registration.keys.is_none() && registration.metadata.is_empty());
        assert_eq!(read(r#"{"model": "dtmi:example:Pump;2"}"#).model.as_str(), "dtmi:example:Pump;2");
    }

    #[test]
    fn keys_are_names_or_a_map_or_left_to_the_server() {
        let slots = |keys: &str| read(&format!(r#"{{"model":"Room","keys":{keys}}}"#)).keys;
        assert_eq!(slots("null"), None);
        assert_eq!(slots(r#"["a","b"]"#).unwrap(), BTreeMap::from([("a".into(), None), ("b".into(), None)]));
        assert_eq!(
            slots(r#"{"a":null,"b":"brought"}"#).unwrap(),
            BTreeMap::from([("a".into(), None), ("b".into(), Some("brought".into()))])
        );
    }

    #[test]
    fn every_fault_is_answered_with_its_pointer() {
        for (body, pointer) in [
            ("{}", "/model"),
            (r#"{"model": 3}"#, "/model"),
            (r#"{"model": "Rom"}"#, "/model"),
            (r#"{"model": "Room", "id": "a/b"}"#, "/id"),
            (r#"{"model": "Room", "parent": 7}"#, "/parent"),
            (r#"{"model": "Room", "metadata": []}"#, "/metadata"),
            (r#"{"model": "Room", "tags": ["a", 1]}"#, "/tags/1"),
            (r#"{"model": "Room", "keys": {"a": 1}}"#, "/keys/a"),
            (r#"{"model": "Room", "keys": {"a/b": false}}"#, "/keys/a~1b"),
            (r#"{"model": "Room", "keys": "a"}"#, "/keys"),
            (r#"{"model": "Room", "certificates": {"a": "ab"}}"#, "/certificates/a"),
            (r#"{"model": "Room", "password": 12345678}"#, "/password"),
            (r#"{"model": "Room", "colour": "red"}"#, "/colour"),
            ("[]", ""),
        ] {
            assert_eq!(parse::<NewTwin>(body.as_bytes()).err().unwrap().document()["pointer"], pointer, "{body}");
        }
    }
}
