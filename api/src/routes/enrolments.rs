//! Enrolments: devices that register themselves the first time they connect. An enrolment's key is in one answer and nowhere else.

use actix_web::{
    HttpResponse, delete, get,
    http::StatusCode,
    put,
    web::{Data, Path},
};
use actors::{
    TwinError, Twins,
    identity::{Enrolment, EnrolmentKind, NewEnrolment},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use hierarchy_models::{TwinId, Value, access::Right, model};
use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::register::{may_name, tags};
use crate::{
    access::{Access, Caller, needs},
    body::{Body, FromBody},
    json,
    members::{self, Members},
    params::{NoParams, Params},
    problem::{self, Problem},
    query::Page,
    uncut::uncut,
    wire::{
        described::{self, EnrolmentPage, Paging},
        enrolment::EnrolmentDocument,
        page,
    },
};

/// Devices an enrolment registers, and in a minute, unless told otherwise.
pub const DEVICES_MAX_DEFAULT: u64 = 100_000;
pub const PER_MINUTE_MAX_DEFAULT: u32 = 600;
/// Devices that an enrolment may register in a minute.
pub const PER_MINUTE_MAX: u32 = 1_000_000;

/// The enrolments whose devices come under what the caller may see, by id.
#[utoipa::path(operation_id = "listEnrolments", tag = "enrolments", params(Paging), responses((status = 200, description = "One page of enrolments", body = EnrolmentPage)))]
#[get("/enrolments")]
pub async fn list(caller: Caller<needs::Provision>, twins: Data<Twins>, mut params: Params) -> Result<HttpResponse, Problem> {
    let (limit, cursor) = (params.limit()?, params.cursor()?);
    params.finish()?;
    let mut governed = Vec::new();
    for enrolment in twins.identities().enrolments().await? {
        let is_behind = cursor.as_ref().is_none_or(|after| *enrolment.id > **after);
        if is_behind && governs(&caller, &twins, &enrolment).await? {
            governed.push(enrolment);
        }
    }
    let more = governed.len() > limit;
    governed.truncate(limit);
    let cursor = governed.last().filter(|_| more).map(|e| e.id.to_string());
    Ok(json::ok(&page(Page { items: governed, cursor }, EnrolmentDocument::from)))
}

/// One enrolment.
#[utoipa::path(
    operation_id = "readEnrolment",
    tag = "enrolments",
    params(("eid" = String, Path, description = "The enrolment")),
    responses((status = 200, description = "The enrolment", body = EnrolmentDocument))
)]
#[get("/enrolments/{eid}")]
pub async fn read(
    caller: Caller<needs::Provision>,
    twins: Data<Twins>,
    eid: Path<String>,
    _params: NoParams,
) -> Result<HttpResponse, Problem> {
    Ok(json::ok(&EnrolmentDocument::from(find(&caller, &twins, &eid).await?)))
}

/// Puts an enrolment. Its key is in the answer when it is new or was asked to be another one, and nowhere else.
#[utoipa::path(
    operation_id = "putEnrolment",
    tag = "enrolments",
    params(("eid" = String, Path, description = "The enrolment: letters, digits, `-` and `_`")),
    request_body = described::NewEnrolment,
    responses(
        (status = 200, description = "Changed", body = described::PutEnrolment),
        (status = 201, description = "Made; `key` is shown this once", body = described::PutEnrolment),
        (status = 422, response = crate::openapi::ProblemResponse),
        (status = 429, response = crate::openapi::ProblemResponse),
    )
)]
#[put("/enrolments/{eid}")]
pub async fn put(
    caller: Caller<needs::Provision>,
    twins: Data<Twins>,
    eid: Path<String>,
    _params: NoParams,
    body: Body<Asked>,
) -> Result<HttpResponse, Problem> {
    let Asked { enrolment, new_key } = body.value;
    caller.may_stand_under(enrolment.parent.as_ref())?;
    if let EnrolmentKind::Certificate { .. } = enrolment.kind {
        // Anybody can show an authority's certificate: who governs one place could take the devices of others with it.
        caller.everywhere().map_err(|problem| problem.pointing_at("/by"))?;
    }
    may_name(&caller, &twins, enrolment.parent.as_ref(), None).await?;
    if let Some(parent) = &enrolment.parent {
        let no_parent = || TwinError::NoSuchParent { parent: parent.clone() };
        twins.entry(parent).await.map_err(|error| if let TwinError::NoSuchTwin(_) = error { no_parent() } else { error })?;
    }
    let before = twins.identities().enrolment(&eid).await?;
    if let Some(before) = &before
        && !governs(&caller, &twins, before).await?
    {
        return Err(problem_of_taken_id());
    }
    let (enrolment, key) = uncut(async move { Ok(twins.put_enrolment(&eid, enrolment, new_key).await?) }).await?;
    let status = if before.is_none() { StatusCode::CREATED } else { StatusCode::OK };
    let mut answer = serde_json::to_value(EnrolmentDocument::from(enrolment)).unwrap_or_default();
    if let Some(key) = key {
        answer["key"] = key.into();
    }
    Ok(HttpResponse::build(status).json(answer))
}

/// Removes an enrolment. Devices that it has registered stay.
#[utoipa::path(
    operation_id = "deleteEnrolment",
    tag = "enrolments",
    params(("eid" = String, Path, description = "The enrolment")),
    responses((status = 204, description = "Gone"))
)]
#[delete("/enrolments/{eid}")]
pub async fn delete(
    caller: Caller<needs::Provision>,
    twins: Data<Twins>,
    eid: Path<String>,
    _params: NoParams,
) -> Result<HttpResponse, Problem> {
    find(&caller, &twins, &eid).await?;
    let gone = uncut(async move { twins.identities().delete_enrolment(&eid).await.map(|gone| (gone, eid)).map_err(Problem::from) });
    match gone.await? {
        (true, _) => Ok(HttpResponse::NoContent().finish()),
        (false, eid) => Err(no_such(&eid)),
    }
}

fn no_such(eid: &str) -> Problem {
    Problem::no_such(problem::NO_SUCH_ENROLMENT, "enrolment", eid)
}

fn problem_of_taken_id() -> Problem {
    Problem::new(problem::FORBIDDEN, "this id is taken by an enrolment outside of what this key may govern")
}

/// Whether the caller may provision where its devices come.
async fn governs(access: &Access, twins: &Twins, enrolment: &Enrolment) -> Result<bool, Problem> {
    access.covers(Right::Provision, twins, enrolment.asked.parent.as_ref()).await
}

async fn find(access: &Access, twins: &Twins, eid: &str) -> Result<Enrolment, Problem> {
    let enrolment = twins.identities().enrolment(eid).await?.ok_or_else(|| no_such(eid))?;
    if governs(access, twins, &enrolment).await? { Ok(enrolment) } else { Err(no_such(eid)) }
}

#[derive(Debug)]
pub struct Asked {
    enrolment: NewEnrolment,
    new_key: bool,
}

impl FromBody for Asked {
    fn read(body: &mut Members) -> Result<Self, Problem> {
        let by = body.required("by", members::text)?;
        let authorities = body.optional("authorities", authorities)?;
        let kind = match (by.as_str(), authorities) {
            ("key", None) => EnrolmentKind::Key,
            ("key", Some(_)) => return Err(Problem::member("/authorities", "is for enrolments by certificate")),
            ("certificate", Some(authorities)) => EnrolmentKind::Certificate { authorities },
            ("certificate", None) => {
                return Err(Problem::member("/authorities", "is missing: certificates (PEM) of who signs the devices'"));
            }
            _ => return Err(Problem::member("/by", "must be key or certificate")),
        };
        let new_key = body.optional("new_key", flag)?.unwrap_or(false);
        if new_key && kind != EnrolmentKind::Key {
            return Err(Problem::member("/new_key", "is for enrolments by key"));
        }
        let enrolment = NewEnrolment {
            kind,
            enabled: body.optional("enabled", flag)?.unwrap_or(true),
            model: body.required("model", |value, at| {
                model::resolve(&members::text(value, at)?).map_err(|e| Problem::member(at, e.to_string()))
            })?,
            parent: body.optional::<TwinId>("parent", members::parsed)?,
            tags: body.optional("tags", tags)?.unwrap_or_default(),
            id_prefix: body.optional("id_prefix", members::text)?.unwrap_or_default(),
            devices_max: body.optional("devices_max", count)?.unwrap_or(DEVICES_MAX_DEFAULT),
            per_minute_max: body.optional("per_minute_max", per_minute)?.unwrap_or(PER_MINUTE_MAX_DEFAULT),
        };
        Ok(Self { enrolment, new_key })
    }
}

fn flag(value: Value, pointer: &str) -> Result<bool, Problem> {
    match value {
        Value::Bool(flag) => Ok(flag),
        other => Err(Problem::member(pointer, format!("must be a boolean, not {}", members::kind_of(&other)))),
    }
}

fn count(value: Value, pointer: &str) -> Result<u64, Problem> {
    match value {
        Value::Int(n) if n >= 1 => Ok(n.unsigned_abs()),
        _ => Err(Problem::member(pointer, "must be a whole number from 1")),
    }
}

fn per_minute(value: Value, pointer: &str) -> Result<u32, Problem> {
    let rate = u32::try_from(count(value, pointer)?).ok().filter(|rate| *rate <= PER_MINUTE_MAX);
    rate.ok_or_else(|| Problem::member(pointer, format!("must be at most {PER_MINUTE_MAX}")))
}

/// Certificates in one text of PEM, as the runtime keeps them.
fn authorities(value: Value, pointer: &str) -> Result<Vec<String>, Problem> {
    let pem = members::text(value, pointer)?;
    let parsed = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    let certificates = parsed.map_err(|e| Problem::member(pointer, format!("is not PEM: {e}")))?;
    if certificates.is_empty() {
        return Err(Problem::member(pointer, "holds no certificate"));
    }
    Ok(certificates.iter().map(|der| BASE64.encode(der)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::parse;

    #[test]
    fn an_enrolment_needs_no_more_than_how_and_what() {
        let asked = parse::<Asked>(br#"{"by": "key", "model": "Device"}"#).unwrap();
        let NewEnrolment { kind, enabled, parent, id_prefix, devices_max, per_minute_max, .. } = asked.enrolment;
        assert_eq!((kind, enabled, parent, id_prefix.as_str(), asked.new_key), (EnrolmentKind::Key, true, None, "", false));
        assert_eq!((devices_max, per_minute_max), (DEVICES_MAX_DEFAULT, PER_MINUTE_MAX_DEFAULT));
    }

    #[test]
    fn every_fault_is_answered_with_its_pointer() {
        for (body, pointer) in [
            (r#"{"model": "Device"}"#, "/by"),
            (r#"{"by": "luck", "model": "Device"}"#, "/by"),
            (r#"{"by": "certificate", "model": "Device"}"#, "/authorities"),
            (r#"{"by": "certificate", "model": "Device", "authorities": "no PEM"}"#, "/authorities"),
            (r#"{"by": "key", "model": "Device", "authorities": ""}"#, "/authorities"),
            (r#"{"by": "key"}"#, "/model"),
            (r#"{"by": "key", "model": "Device", "devices_max": 0}"#, "/devices_max"),
            (r#"{"by": "key", "model": "Device", "per_minute_max": 1000001}"#, "/per_minute_max"),
            (r#"{"by": "key", "model": "Device", "enabled": "yes"}"#, "/enabled"),
            (r#"{"by": "key", "model": "Device", "parent": 1}"#, "/parent"),
            (r#"{"by": "key", "model": "Device", "key": "mine"}"#, "/key"),
        ] {
            assert_eq!(parse::<Asked>(body.as_bytes()).unwrap_err().document()["pointer"], pointer, "{body}");
        }
    }
}
