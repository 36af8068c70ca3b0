//! Alerts: what stands, what stood, and what people say of it.

use actix_web::{
    HttpResponse, get, post,
    web::{Data, Path},
};
use actors::{AlertQuery, Twins};
use hierarchy_models::{AlertId, AlertState, Severity, TwinId};

use crate::{
    access::{Caller, Needs, needs},
    json,
    params::{NoParams, Params},
    problem::{self, Problem},
    query::Page,
    uncut::uncut,
    wire::{
        alert::AlertDocument,
        described::{AlertPage, Paging},
        page,
    },
};

/// Alerts, the ones raised last first. A page may hold fewer than its limit and still have a cursor.
#[utoipa::path(
    operation_id = "listAlerts",
    tag = "alerts",
    params(
        ("under" = Option<String>, Query, description = "On this twin or below"),
        ("state" = Option<String>, Query, description = "raised, acknowledged or cleared; all when absent"),
        ("severity" = Option<String>, Query, description = "info, warning or critical"),
        Paging,
    ),
    responses((status = 200, description = "One page of alerts", body = AlertPage))
)]
#[get("/alerts")]
pub async fn list(caller: Caller<needs::Read>, twins: Data<Twins>, params: Params) -> Result<HttpResponse, Problem> {
    let query = query(params, |sealed| Ok(twins.open_cursor(sealed)?))?;
    let query = AlertQuery { within: caller.extent(), ..query };
    if let Some(under) = &query.under {
        caller.reach_existing(&twins, under).await?;
    }
    let Page { items, cursor } = twins.alerts(query).await?;
    let cursor = cursor.map(|cursor| twins.seal_cursor(&cursor)).transpose()?;
    Ok(json::ok(&page(Page { items, cursor }, AlertDocument::from)))
}

fn query(mut params: Params, open: impl Fn(&str) -> Result<String, Problem>) -> Result<AlertQuery, Problem> {
    let under: Option<TwinId> = params.twin("under")?;
    let state = params.read("state", |text| {
        let known = AlertState::ALL.map(AlertState::as_str).join(", ");
        AlertState::parse(text).ok_or_else(|| format!("{text:?} is not one of {known}"))
    })?;
    let severity = params.read("severity", |text| {
        let known = Severity::ALL.map(Severity::as_str).join(", ");
        Severity::parse(text).ok_or_else(|| format!("{text:?} is not one of {known}"))
    })?;
    let limit = params.limit()?;
    let cursor = params.cursor()?.map(|sealed| AlertId::parse(&open(&sealed)?).ok_or_else(bad_cursor)).transpose()?;
    params.finish()?;
    Ok(AlertQuery { under, state, severity, limit, cursor, ..AlertQuery::default() })
}

fn bad_cursor() -> Problem {
    Problem::parameter("cursor", "the cursor is not one that an earlier page gave out")
}

/// One alert, standing or cleared.
#[utoipa::path(
    operation_id = "readAlert",
    tag = "alerts",
    params(("aid" = String, Path, description = "The alert")),
    responses((status = 200, description = "The alert as it is now", body = AlertDocument))
)]
#[get("/alerts/{aid}")]
pub async fn read(caller: Caller<needs::Read>, twins: Data<Twins>, aid: Path<String>, _params: NoParams) -> Result<HttpResponse, Problem> {
    let id = find(&caller, &twins, &aid).await?;
    Ok(json::ok(&AlertDocument::from(twins.alert(&id).await?)))
}

/// Says that somebody has seen it. It stands on; raised again with a greater severity it is new.
#[utoipa::path(
    operation_id = "acknowledgeAlert",
    tag = "alerts",
    params(("aid" = String, Path, description = "The alert")),
    responses(
        (status = 200, description = "The alert, acknowledged", body = AlertDocument),
        (status = 409, response = crate::openapi::ProblemResponse),
    )
)]
#[post("/alerts/{aid}/acknowledge")]
pub async fn acknowledge(
    caller: Caller<needs::Acknowledge>,
    twins: Data<Twins>,
    aid: Path<String>,
    _params: NoParams,
) -> Result<HttpResponse, Problem> {
    let id = find(&caller, &twins, &aid).await?;
    let by = caller.subject.name.as_str().into();
    let record = uncut(async move { Ok(twins.acknowledge_alert(&id, by).await?) }).await?;
    Ok(json::ok(&AlertDocument::from(record)))
}

/// Ends it. A rule raises it again only after its condition has been false.
#[utoipa::path(
    operation_id = "clearAlert",
    tag = "alerts",
    params(("aid" = String, Path, description = "The alert")),
    responses((status = 200, description = "The alert, cleared", body = AlertDocument))
)]
#[post("/alerts/{aid}/clear")]
pub async fn clear(
    caller: Caller<needs::Acknowledge>,
    twins: Data<Twins>,
    aid: Path<String>,
    _params: NoParams,
) -> Result<HttpResponse, Problem> {
    let id = find(&caller, &twins, &aid).await?;
    let by = caller.subject.name.as_str().into();
    let record = uncut(async move { Ok(twins.clear_alert(&id, by).await?) }).await?;
    Ok(json::ok(&AlertDocument::from(record)))
}

/// The id, if its twin may be seen. An alert that is not the caller's is one that is not there.
async fn find<R: Needs>(caller: &Caller<R>, twins: &Twins, aid: &str) -> Result<AlertId, Problem> {
    let no_such = || Problem::no_such(problem::NO_SUCH_ALERT, "alert", aid);
    let id = AlertId::parse(aid).ok_or_else(no_such)?;
    let twin = id.twin().ok_or_else(no_such)?;
    match caller.reach(twins, &twin).await {
        Ok(()) => Ok(id),
        Err(problem) if problem.kind() == problem::NO_SUCH_TWIN => Err(no_such()),
        Err(problem) => Err(problem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_must_be_one_that_there_is() {
        let given = |text: &str| query(Params::parse(text).unwrap(), |cursor| Ok(cursor.to_owned()));
        let all = given("under=site&state=raised&severity=critical&limit=5").unwrap();
        assert_eq!((all.state, all.severity, all.limit), (Some(AlertState::Raised), Some(Severity::Critical), 5));
        for (bad, parameter) in [("state=open", "state"), ("severity=bad", "severity"), ("cursor=x", "cursor"), ("sort=x", "sort")] {
            assert_eq!(given(bad).unwrap_err().document()["parameter"], parameter);
        }
    }
}
