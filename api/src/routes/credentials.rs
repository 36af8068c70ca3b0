//! New keys and tokens for a device. Both are in the answer and nowhere else.

use std::time::Duration;

use actix_web::{HttpResponse, http::StatusCode, post, web::Data};
use actors::{Twins, identity::TOKEN_LIFETIME_MAX};
use serde_json::json;

use super::path::TwinPath;
use crate::{
    access::{Caller, needs},
    body::{Body, FromBody},
    members::{self, Members},
    params::NoParams,
    precondition::IfMatch,
    problem::Problem,
    replay::{Answer, IdempotencyKey, Replays},
    uncut::uncut,
    wire::described::{Conditional, Idempotent, Keys, NewToken, Token},
};

/// A token lives this long unless told otherwise.
pub const TOKEN_LIFETIME_DEFAULT: Duration = Duration::from_secs(3600);

/// Gives the device new keys; the old ones and the sessions opened with them end.
#[utoipa::path(
    operation_id = "resetCredentials",
    tag = "twins",
    params(("id" = String, Path, description = "The twin"), Conditional, Idempotent),
    responses((status = 200, description = "The new keys, shown this once", body = Keys), (status = 412, response = crate::openapi::ProblemResponse))
)]
#[post("/twins/{id}/credentials/reset")]
pub async fn reset(
    caller: Caller<needs::Provision>,
    twins: Data<Twins>,
    replays: Data<Replays>,
    id: TwinPath,
    if_match: IfMatch,
    key: IdempotencyKey,
    _params: NoParams,
) -> Result<HttpResponse, Problem> {
    caller.reach(&twins, &id.0).await?;
    let slot = key.slot(&caller, &format!("/twins/{}/credentials/reset", id.0));
    let answer = uncut(async move {
        let work = async {
            if_match.check(&twins, &id.0).await?;
            Ok(Answer::ok(json!({"keys": twins.reset_credentials(&id.0).await?})))
        };
        replays.once(slot, b"", work).await
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
    body: Body<Lifetime>,
) -> Result<HttpResponse, Problem> {
    caller.reach_existing(&twins, &id.0).await?;
    let slot = key.slot(&caller, &format!("/twins/{}/tokens", id.0));
    let (lifetime, now) = (body.value.0, twins.clock().now());
    let work = async {
        let token = twins.identities().issue_token(&id.0, lifetime, now).await?;
        let answer = json!({"token": token, "expires_in": lifetime.as_secs(), "expires_at": now.plus(lifetime), "scope": "device"});
        Ok(Answer { status: StatusCode::CREATED, ..Answer::ok(answer) })
    };
    Ok(replays.once(slot, &body.bytes, work).await?.into_response())
}

#[derive(Debug)]
pub struct Lifetime(Duration);

impl FromBody for Lifetime {
    const MAY_BE_EMPTY: bool = true;

    fn read(body: &mut Members) -> Result<Self, Problem> {
        body.optional("scope", |value, at| match members::text(value, at)?.as_str() {
            "device" => Ok(()),
            _ => Err(Problem::member(at, "must be \"device\": narrower scopes are not given out yet")),
        })?;
        let lifetime = body.optional("expires_in", |value, at| {
            let seconds = members::number(value, at)?;
            let whole = seconds.fract() == 0.0 && (1.0..=TOKEN_LIFETIME_MAX.as_secs_f64()).contains(&seconds);
            let not = || Problem::member(at, format!("must be a whole number of seconds from 1 to {}", TOKEN_LIFETIME_MAX.as_secs()));
            if whole { Ok(Duration::from_secs(seconds as u64)) } else { Err(not()) }
        })?;
        Ok(Self(lifetime.unwrap_or(TOKEN_LIFETIME_DEFAULT)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::parse;

    #[test]
    fn a_token_lives_an_hour_unless_told_otherwise_and_never_more_than_a_day() {
        let lifetime = |json: &str| parse::<Lifetime>(json.as_bytes()).map(|l| l.0.as_secs());
        assert_eq!(lifetime("").unwrap(), 3600);
        assert_eq!(lifetime("{}").unwrap(), 3600);
        assert_eq!(lifetime(r#"{"expires_in": 60, "scope": "device"}"#).unwrap(), 60);
        for bad in [r#"{"expires_in": 0}"#, r#"{"expires_in": 1.5}"#, r#"{"expires_in": 86401}"#, r#"{"expires_in": "1h"}"#] {
            assert_eq!(lifetime(bad).unwrap_err().document()["pointer"], "/expires_in", "{bad}");
        }
        assert_eq!(lifetime(r#"{"scope": "telemetry"}"#).unwrap_err().document()["pointer"], "/scope");
    }
}
