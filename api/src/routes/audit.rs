//! `GET /audit`: who did what.

use actix_web::{HttpResponse, get, web::Data};
use actors::{
    Twins,
    audit::{AuditFilter, Outcome},
};
use hierarchy_models::access::Extent;

use crate::{
    access::{Caller, needs},
    json,
    params::Params,
    problem::Problem,
    wire::{
        audit::AuditDocument,
        described::{AuditPage, Paging},
        page,
    },
};

/// The audit log, newest first. A page may hold fewer than its limit and still have a cursor. What was done to no twin is seen by who has
/// the right everywhere.
#[utoipa::path(
    operation_id = "listAudit",
    tag = "audit",
    params(
        ("under" = Option<String>, Query, description = "What was done to this twin, or below it as the tree was then"),
        ("actor" = Option<String>, Query, description = "The id of a principal"),
        ("outcome" = Option<String>, Query, description = "done, denied or failed"),
        ("from" = Option<String>, Query, description = "From this time on"),
        ("to" = Option<String>, Query, description = "Up to this time, itself not included"),
        Paging,
    ),
    responses((status = 200, description = "One page of records", body = AuditPage))
)]
#[get("/audit")]
pub async fn list(caller: Caller<needs::Audit>, twins: Data<Twins>, params: Params) -> Result<HttpResponse, Problem> {
    let filter = filter(params, caller.extent())?;
    // A twin that is gone has left its traces: only who is confined must show that it is in its place.
    if let Some(under) = filter.under.as_ref().filter(|_| filter.within != Extent::Everywhere) {
        caller.reach_existing(&twins, under).await?;
    }
    Ok(json::ok(&page(twins.audited(filter).await?, AuditDocument::from)))
}

fn filter(mut params: Params, within: Extent) -> Result<AuditFilter, Problem> {
    let under = params.twin("under")?;
    let actor = params.text("actor");
    let outcome = params.read("outcome", |text| {
        let known = Outcome::ALL.map(Outcome::as_str).join(", ");
        Outcome::ALL.into_iter().find(|o| o.as_str() == text).ok_or_else(|| format!("{text:?} is not one of {known}"))
    })?;
    let (from, to) = params.span()?;
    let (limit, cursor) = (params.limit()?, params.cursor()?);
    params.finish()?;
    Ok(AuditFilter { under, within, actor, outcome, from, to, limit, cursor })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_is_checked() {
        let given = |text: &str| filter(Params::parse(text).unwrap(), Extent::Everywhere);
        assert_eq!(given("outcome=denied&actor=1&limit=5").unwrap().outcome, Some(Outcome::Denied));
        for (bad, parameter) in [("outcome=no", "outcome"), ("from=x", "from"), ("under=a/b", "under"), ("sort=x", "sort")] {
            assert_eq!(given(bad).unwrap_err().document()["parameter"], parameter);
        }
    }
}
