//! Rules: making, reading, changing, removing them, and trying one on history.
//!
//! A rule is seen and written by who has the right over all that it looks at. What it does by itself its writer must be allowed to
//! do: to send commands, or what the server knows to the outside.

use std::time::Duration;

use actix_web::{
    HttpResponse, delete, get,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
    patch, post,
    web::{Data, Path},
};
use actors::{TwinError, Twins};
use hierarchy_models::{
    TwinId,
    access::Right,
    rule::{Action, CompiledRule, Rule},
};

use super::rule_body::{Change, Draft, Test, Tested};
use crate::{
    access::{self, Caller, Needs, needs},
    body::Body,
    json,
    params::{NoParams, Params},
    precondition::IfMatch,
    problem::{self, Problem},
    query::Page,
    replay::{Answer, IdempotencyKey, Replays},
    uncut::uncut,
    wire::{
        described::{Conditional, Idempotent, Paging, RulePage},
        page,
        rule::{RuleDocument, RuleTestOutcome},
        rule_body,
    },
};

/// A change is worked out anew so often when others change the rule meanwhile.
const ATTEMPTS_MAX: usize = 8;

/// Rules, by id.
#[utoipa::path(operation_id = "listRules", tag = "rules", params(Paging), responses((status = 200, description = "One page of rules", body = RulePage)))]
#[get("/rules")]
pub async fn list(caller: Caller<needs::Read>, twins: Data<Twins>, mut params: Params) -> Result<HttpResponse, Problem> {
    let (limit, cursor) = (params.limit()?, params.cursor()?);
    params.finish()?;
    let (mut items, mut more) = (Vec::new(), false);
    for rule in twins.rules() {
        if cursor.as_ref().is_some_and(|cursor| rule.rule.id.as_str() <= cursor.as_str()) || !sees(&caller, &twins, &rule.rule).await? {
            continue;
        }
        if items.len() == limit {
            more = true;
            break;
        }
        items.push(rule);
    }
    let cursor = items.last().filter(|_| more).map(|rule| rule.rule.id.to_string());
    Ok(json::ok(&page(Page { items, cursor }, |rule| RuleDocument::from(&rule.rule))))
}

/// Makes a rule; it is in force when this answers, if it is enabled.
#[utoipa::path(
    operation_id = "createRule",
    tag = "rules",
    params(Idempotent),
    request_body = rule_body::NewRule,
    responses(
        (status = 201, description = "Made", body = RuleDocument, headers(("Location" = String))),
        (status = 409, response = crate::openapi::ProblemResponse),
        (status = 422, response = crate::openapi::ProblemResponse),
        (status = 429, response = crate::openapi::ProblemResponse),
    )
)]
#[post("/rules")]
pub async fn create(
    caller: Caller<needs::Rules>,
    twins: Data<Twins>,
    replays: Data<Replays>,
    key: IdempotencyKey,
    _params: NoParams,
    body: Body<Draft>,
) -> Result<HttpResponse, Problem> {
    let rule = body.value.into_rule();
    may_write(&caller, &twins, &rule).await?;
    let slot = key.slot(&caller, "/rules");
    let answer = uncut(async move {
        let work = async {
            let rule = twins.create_rule(rule).await?;
            Ok(made(&rule))
        };
        replays.once(slot, &body.bytes, work).await
    });
    Ok(answer.await?.into_response())
}

fn made(rule: &CompiledRule) -> Answer {
    let location = Some(format!("/api/v1/rules/{}", rule.rule.id));
    let body = serde_json::to_value(RuleDocument::from(&rule.rule)).unwrap_or_default();
    Answer { status: StatusCode::CREATED, location, etag: Some(etag(&rule.rule)), body }
}

fn etag(rule: &Rule) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{}\"", rule.version)).unwrap_or(HeaderValue::from_static("\"0\""))
}

fn answer(rule: &Rule) -> HttpResponse {
    json::answer(HttpResponse::Ok().insert_header((header::ETAG, etag(rule))), &RuleDocument::from(rule))
}

/// One rule.
#[utoipa::path(
    operation_id = "readRule",
    tag = "rules",
    params(("rid" = String, Path, description = "The rule")),
    responses((status = 200, description = "The rule", body = RuleDocument, headers(("ETag" = String, description = "What `If-Match` takes"))))
)]
#[get("/rules/{rid}")]
pub async fn read(caller: Caller<needs::Read>, twins: Data<Twins>, rid: Path<String>, _params: NoParams) -> Result<HttpResponse, Problem> {
    Ok(answer(&find(&caller, &twins, &rid).await?))
}

/// Changes a rule at once, for all twins. Windows that it still asks for go on.
#[utoipa::path(
    operation_id = "patchRule",
    tag = "rules",
    params(("rid" = String, Path, description = "The rule"), Conditional),
    request_body(content(
        (rule_body::RulePatch = "application/merge-patch+json"),
        (rule_body::RulePatch = "application/json"),
    )),
    responses(
        (status = 200, description = "The rule as it is now", body = RuleDocument, headers(("ETag" = String))),
        (status = 412, response = crate::openapi::ProblemResponse),
    )
)]
#[patch("/rules/{rid}")]
pub async fn change(
    caller: Caller<needs::Rules>,
    twins: Data<Twins>,
    rid: Path<String>,
    if_match: IfMatch,
    _params: NoParams,
    body: Body<Change>,
) -> Result<HttpResponse, Problem> {
    for _ in 0..ATTEMPTS_MAX {
        let found = find(&caller, &twins, &rid).await?;
        if_match.allows(found.version)?;
        may_undo(&caller, &twins, &found).await?;
        let (version, preview) = (found.version, body.value.clone().apply(found));
        // What it will be is checked here, so it must still be what it is then.
        may_write(&caller, &twins, &preview).await?;
        let (twins, rid, change) = (twins.clone(), rid.to_string(), body.value.clone());
        let changed = uncut(async move { Ok(twins.change_rule(&rid, Some(version), |rule| Ok(change.apply(rule))).await) }).await?;
        match changed {
            // Somebody else was faster; who named no version does not mind.
            Err(TwinError::VersionMismatch { .. }) if if_match == IfMatch::Any => {}
            changed => return Ok(answer(&changed?.rule)),
        }
    }
    Err(Problem::new(problem::OVERLOADED, "others change this rule all the time").retry_after(Duration::from_secs(1)))
}

/// Removes a rule. The alerts it raised are cleared.
#[utoipa::path(
    operation_id = "deleteRule",
    tag = "rules",
    params(("rid" = String, Path, description = "The rule"), Conditional),
    responses((status = 204, description = "Gone"), (status = 412, response = crate::openapi::ProblemResponse))
)]
#[delete("/rules/{rid}")]
pub async fn delete(
    caller: Caller<needs::Rules>,
    twins: Data<Twins>,
    rid: Path<String>,
    if_match: IfMatch,
    _params: NoParams,
) -> Result<HttpResponse, Problem> {
    let found = find(&caller, &twins, &rid).await?;
    if_match.allows(found.version)?;
    may_undo(&caller, &twins, &found).await?;
    let expected = (if_match != IfMatch::Any).then_some(found.version);
    uncut(async move { Ok(twins.delete_rule(&rid, expected).await?) }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Runs a rule over the stored history of one twin: what it would have raised and cleared, and when. Nothing is raised.
#[utoipa::path(
    operation_id = "testRule",
    tag = "rules",
    request_body = rule_body::RuleTest,
    responses(
        (status = 200, description = "What it would have raised", body = RuleTestOutcome),
        (status = 404, response = crate::openapi::ProblemResponse),
        (status = 429, response = crate::openapi::ProblemResponse),
    )
)]
#[post("/rules/test")]
pub async fn test(caller: Caller<needs::Rules>, twins: Data<Twins>, _params: NoParams, body: Body<Test>) -> Result<HttpResponse, Problem> {
    let Test { rule, twin, from, to } = body.value;
    caller.reach_existing(&twins, &twin).await?;
    let (rule, prefix) = match rule {
        Tested::Known(id) => (find(&caller, &twins, &id).await?, ""),
        Tested::Draft(draft) => (draft.into_rule_named("test"), "/rule"),
    };
    let outcome = twins.try_rule(rule, twin, from, to).await.map_err(|error| below(prefix, error))?;
    Ok(json::ok(&RuleTestOutcome::from(outcome)))
}

/// The same fault where the rule is a member of a larger body.
fn below(prefix: &str, error: TwinError) -> Problem {
    match error {
        TwinError::RuleText { pointer, error } => TwinError::RuleText { pointer: format!("{prefix}{pointer}"), error }.into(),
        TwinError::Invalid { pointer, reason } => TwinError::Invalid { pointer: format!("{prefix}{pointer}"), reason }.into(),
        other => other.into(),
    }
}

/// Whether the caller has its right over all that the rule looks at.
async fn sees<R: Needs>(caller: &Caller<R>, twins: &Twins, rule: &Rule) -> Result<bool, Problem> {
    caller.covers(R::RIGHT, twins, rule.under.as_ref()).await
}

/// A rule that may be read and not written is one that is there.
async fn find<R: Needs>(caller: &Caller<R>, twins: &Twins, rid: &str) -> Result<Rule, Problem> {
    let no_such = || Problem::no_such(problem::NO_SUCH_RULE, "rule", rid);
    let rule = twins.rule(rid).map_err(|_| no_such())?;
    match caller.rights_over(twins, rule.rule.under.as_ref()).await? {
        rights if rights.has(R::RIGHT) => Ok(rule.rule.clone()),
        rights if rights.has(Right::Read) => Err(Problem::new(problem::FORBIDDEN, format!("this needs the right {} there", R::RIGHT))),
        _ => Err(no_such()),
    }
}

/// What its writer must be allowed to do, over all that the rule looks at: what the rule does by itself, and no less to take that away.
fn rights_of(rule: &Rule) -> impl Iterator<Item = Right> {
    let of_action = rule.actions.iter().filter_map(|action| match action {
        Action::Webhook { .. } => Some(Right::Sinks),
        Action::Command { .. } => Some(Right::Command),
        Action::Alert { .. } | Action::Emit { .. } => None,
    });
    [Right::Rules].into_iter().chain(of_action)
}

async fn may_undo(caller: &Caller<needs::Rules>, twins: &Twins, rule: &Rule) -> Result<(), Problem> {
    for right in rights_of(rule) {
        if !caller.covers(right, twins, rule.under.as_ref()).await? {
            return Err(access::lacks(right));
        }
    }
    Ok(())
}

async fn may_write(caller: &Caller<needs::Rules>, twins: &Twins, rule: &Rule) -> Result<(), Problem> {
    for right in rights_of(rule) {
        match &rule.under {
            None => caller.need_everywhere(right).map_err(|problem| problem.pointing_at("/under"))?,
            Some(under) => caller.reach_existing_for(right, twins, under).await.map_err(|problem| not_there(problem, under))?,
        }
    }
    Ok(())
}

fn not_there(problem: Problem, under: &TwinId) -> Problem {
    match problem.kind() {
        problem::NO_SUCH_TWIN => Problem::member("/under", format!("there is no twin {under}")),
        _ => problem,
    }
}
