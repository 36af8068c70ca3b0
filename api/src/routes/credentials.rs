//! What opens the door for a device: seen without its secrets, changed, replaced, and signed for a while. Whatever is secret is in
//! the answer and nowhere else.

use std::{collections::BTreeMap, time::Duration};

use actix_web::{HttpResponse, get, http::StatusCode, patch, post, web::Data};
use actors::{
    Twins,
    identity::{CredentialsPatch, NewCredentials, NoScope, Scope, TOKEN_LIFETIME_MAX, Thumbprint},
};
use hierarchy_models::{Name, Value};
use serde_json::json;

use super::path::TwinPath;
use crate::{
    access::{Caller, needs},
    body::{Body, FromBody},
    json,
    members::{self, Members, pointer_to},
    params::NoParams,
    precondition::IfMatch,
    problem::Problem,
    replay::{Answer, IdempotencyKey, Replays},
    uncut::uncut,
    wire::{
        credentials::{CredentialsDocument, certificates, keys, password, thumbprint},
        described::{Conditional, CredentialsChange, CredentialsReset, Idempotent, Keys, NewToken, Token},
    },
};

/// A token lives this long unless told otherwise.
pub const TOKEN_LIFETIME_DEFAULT: Duration = Duration::from_secs(3600);

/// What a device has to prove itself with: names of keys, thumbprints, whether a password; nothing secret.
#[utoipa::path(
    operation_id = "readCredentials",
    tag = "twins",
    params(("id" = String, Path, description = "The twin")),
    responses((status = 200, description = "Its credentials", body = CredentialsDocument))
)]
#[get("/twins/{id}/credentials")]
pub async fn read(caller: Caller<needs::Provision>, twins: Data<Twins>, id: TwinPath, _params: NoParams) -> Result<HttpResponse, Problem> {
    caller.reach_existing(&twins, &id.0).await?;
    Ok(json::ok(&CredentialsDocument::from(twins.identities().credentials(&id.0).await?)))
}

/// Adds, replaces or removes single credentials while the others go on; when something is taken away a live session ends.
#[utoipa::path(
    operation_id = "changeCredentials",
    tag = "twins",
    params(("id" = String, Path, description = "The twin"), Idempotent),
    request_body(content(
        (CredentialsChange = "application/merge-patch+json"),
        (CredentialsChange = "application/json"),
    )),
    responses((status = 200, description = "The keys that are new, shown this once", body = Keys))
)]
#[patch("/twins/{id}/credentials")]
pub async fn change(
    caller: Caller<needs::Provision>,
    twins: Data<Twins>,
    replays: Data<Replays>,
    id: TwinPath,
    key: IdempotencyKey,
    _params: NoParams,
    body: Body<Change>,
) -> Result<HttpResponse, Problem> {
    caller.reach_existing(&twins, &id.0).await?;
    let slot = key.slot(&caller, &format!("/twins/{}/credentials", id.0));
    let twins = caller.acting(&twins);
    let answer = uncut(async move {
        let work = async { Ok(Answer::ok(json!({"keys": twins.change_credentials(&id.0, body.value.0).await?}))) };
        replays.once(slot, &body.bytes, work).await
    });
    Ok(answer.await?.into_response())
}

/// Gives the device new credentials; the old ones, tokens among them, and the sessions opened with them end.
#[utoipa::path(
    operation_id = "resetCredentials",
    tag = "twins",
    params(("id" = String, Path, description = "The twin"), Conditional, Idempotent),
    request_body(content = Option<CredentialsReset>, content_type = "application/json"),
    responses((status = 200, description = "The new keys, shown this once", body = Keys), (status = 412, response = crate::openapi::ProblemResponse))
)]
#[post("/twins/{id}/credentials/reset")]
#[allow(clippy::too_many_arguments, reason = "each is a part of the request")]
pub async fn reset(
    caller: Caller<needs::Provision>,
    twins: Data<Twins>,
    replays: Data<Replays>,
    id: TwinPath,
    if_match: IfMatch,
    key: IdempotencyKey,
    _params: NoParams,
    body: Body<Replacement>,
) -> Result<HttpResponse, Problem> {
    caller.reach(&twins, &id.0).await?;
    let slot = key.slot(&caller, &format!("/twins/{}/credentials/reset", id.0));
    let twins = caller.acting(&twins);
    let answer = uncut(async move {
        let work = async {
            if_match.check(&twins, &id.0).await?;
            Ok(Answer::ok(json!({"keys": twins.replace_credentials(&id.0, body.value.0).await?})))
        };
        replays.once(slot, &body.bytes, work).await
    });
    Ok(answer.await?.into_response())
}

/// Signs a token that the device can use as its password until it expires.
#[utoipa::path(
    operation_id = "issueToken",
    tag = "twins",
    params(("id" = String, Path, description = "The twin"), Idempotent),
    request_body(content = Option<NewToken>, content_type = "application/json"),
    responses((status = 201, description = "The token, shown this once", body = Token))
)]
#[post("/twins/{id}/tokens")]
pub async fn token(
    caller: Caller<needs::Provision>,
    twins: Data<Twins>,
    replays: Data<Replays>,
    id: TwinPath,
    key: IdempotencyKey,
    _params: NoParams,
    body: Body<Terms>,
) -> Result<HttpResponse, Problem> {
    caller.reach_existing(&twins, &id.0).await?;
    let slot = key.slot(&caller, &format!("/twins/{}/tokens", id.0));
    let (Terms { lifetime, scope }, now) = (body.value, twins.clock().now());
    let work = async {
        let token = twins.identities().issue_scoped_token(&id.0, lifetime, scope, now).await?;
        let scope = scope.to_string();
        let answer = json!({"token": token, "expires_in": lifetime.as_secs(), "expires_at": now.plus(lifetime), "scope": scope});
        Ok(Answer { status: StatusCode::CREATED, ..Answer::ok(answer) })
    };
    Ok(replays.once(slot, &body.bytes, work).await?.into_response())
}

#[derive(Debug)]
pub struct Terms {
    lifetime: Duration,
    scope: Scope,
}

impl FromBody for Terms {
    const MAY_BE_EMPTY: bool = true;

    fn read(body: &mut Members) -> Result<Self, Problem> {
        let scope = body.optional("scope", |value, at| match members::text(value, at)?.as_str() {
            "device" => Ok(Scope::ALL),
            scope => scope.parse().map_err(|e: NoScope| Problem::member(at, e.to_string())),
        })?;
        let lifetime = body.optional("expires_in", |value, at| seconds(value, at, TOKEN_LIFETIME_MAX))?;
        Ok(Self { lifetime: lifetime.unwrap_or(TOKEN_LIFETIME_DEFAULT), scope: scope.unwrap_or(Scope::ALL) })
    }
}

/// A whole number of seconds up to `max`.
pub fn seconds(value: Value, pointer: &str, max: Duration) -> Result<Duration, Problem> {
    let seconds = members::number(value, pointer)?;
    let whole = seconds.fract() == 0.0 && (1.0..=max.as_secs_f64()).contains(&seconds);
    let not = || Problem::member(pointer, format!("must be a whole number of seconds from 1 to {}", max.as_secs()));
    if whole { Ok(Duration::from_secs(seconds as u64)) } else { Err(not()) }
}

pub struct Replacement(NewCredentials);

impl FromBody for Replacement {
    const MAY_BE_EMPTY: bool = true;

    fn read(body: &mut Members) -> Result<Self, Problem> {
        Ok(Self(NewCredentials {
            keys: body.optional("keys", keys)?,
            certificates: body.optional("certificates", certificates)?.unwrap_or_default(),
            password: body.optional("password", password)?,
        }))
    }
}

pub struct Change(CredentialsPatch);

impl FromBody for Change {
    const MEDIA_TYPES: &'static [&'static str] = &["application/merge-patch+json", "application/json"];

    fn read(body: &mut Members) -> Result<Self, Problem> {
        Ok(Self(CredentialsPatch {
            keys: body.optional("keys", key_changes)?.unwrap_or_default(),
            certificates: body.optional("certificates", certificate_changes)?.unwrap_or_default(),
            password: body.removable("password", password)?,
        }))
    }
}

/// `{"a": null, "b": "a key brought from outside", "c": {}}`: removed, brought, made anew.
fn key_changes(value: Value, pointer: &str) -> Result<BTreeMap<String, Option<Option<String>>>, Problem> {
    let one = |(name, value): (Name, Value)| {
        let asked = match value {
            Value::Null => None,
            Value::Text(key) => Some(Some(key.to_string())),
            Value::Map(map) if map.is_empty() => Some(None),
            _ => return Err(Problem::member(&pointer_to(pointer, &name), "must be null, a key, or {} for a new one")),
        };
        Ok((name.to_string(), asked))
    };
    members::object(value, pointer)?.into_iter().map(one).collect()
}

fn certificate_changes(value: Value, pointer: &str) -> Result<BTreeMap<String, Option<Thumbprint>>, Problem> {
    let one = |(name, value): (Name, Value)| match value {
        Value::Null => Ok((name.to_string(), None)),
        value => thumbprint(value, &pointer_to(pointer, &name)).map(|sha256| (name.to_string(), Some(sha256))),
    };
    members::object(value, pointer)?.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::parse;

    #[test]
    fn a_token_lives_an_hour_unless_told_otherwise_and_never_more_than_a_day() {
        let lifetime = |json: &str| parse::<Terms>(json.as_bytes()).map(|l| l.lifetime.as_secs());
        assert_eq!(lifetime("").unwrap(), 3600);
        assert_eq!(lifetime("{}").unwrap(), 3600);
        assert_eq!(lifetime(r#"{"expires_in": 60, "scope": "device"}"#).unwrap(), 60);
        for bad in [r#"{"expires_in": 0}"#, r#"{"expires_in": 1.5}"#, r#"{"expires_in": 86401}"#, r#"{"expires_in": "1h"}"#] {
            assert_eq!(lifetime(bad).unwrap_err().document()["pointer"], "/expires_in", "{bad}");
        }
    }

    #[test]
    fn a_token_is_for_everything_unless_told_otherwise() {
        let scope = |json: &str| parse::<Terms>(json.as_bytes()).map(|l| l.scope.to_string());
        assert_eq!(scope("{}").unwrap(), "connect publish subscribe");
        assert_eq!(scope(r#"{"scope": "publish connect"}"#).unwrap(), "connect publish");
        for bad in [r#"{"scope": "telemetry"}"#, r#"{"scope": ""}"#, r#"{"scope": ["connect"]}"#] {
            assert_eq!(scope(bad).unwrap_err().document()["pointer"], "/scope", "{bad}");
        }
    }

    #[test]
    fn a_change_names_what_goes_and_what_comes() {
        let sha256 = "ab".repeat(32);
        let json = format!(
            r#"{{"keys": {{"old": null, "brought": "a-key-from-outside", "new": {{}}}}, "certificates": {{"a": "{sha256}", "b": null}}, "password": null}}"#
        );
        let CredentialsPatch { keys, certificates, password } = parse::<Change>(json.as_bytes()).unwrap().0;
        assert_eq!((&keys["old"], &keys["new"], &keys["brought"]), (&None, &Some(None), &Some(Some("a-key-from-outside".into()))));
        assert_eq!((certificates["a"], certificates["b"], password), (Some([0xAB; 32]), None, Some(None)));
        for (bad, pointer) in [
            (r#"{"keys": {"a/b": 1}}"#, "/keys/a~1b"),
            (r#"{"keys": []}"#, "/keys"),
            (r#"{"certificates": {"a": "ab"}}"#, "/certificates/a"),
            (r#"{"password": 1}"#, "/password"),
            (r#"{"gateway": "g"}"#, "/gateway"),
        ] {
            assert_eq!(parse::<Change>(bad.as_bytes()).err().unwrap().document()["pointer"], pointer, "{bad}");
        }
    }
}
