//! Sends one command to every twin below another that a filter means, page by page. The job's id is part of each command's key, so that a
//! page that is worked again sends nothing twice.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use hierarchy_models::{TwinId, filter::Filter};
use persistence::search::RegistryQuery;

use super::{
    Failure, Live, Work,
    run::{patiently, stops, within_quota},
};
use crate::{
    error::TwinError,
    quotas::Quotas,
    twins::{NewCommand, Twins},
};

/// Twins of one page.
const PAGE: usize = 200;
/// Commands under way at the same time.
const AT_ONCE: usize = 32;

/// One page; whether there is more to do.
pub async fn work(twins: &Twins, live: &Live) -> Result<bool, TwinError> {
    let mut job = live.view();
    let Work::Command { top, filter, name, payload, ttl_ms, cursor } = job.work.clone() else { return Ok(false) };
    let parsed = filter.as_deref().map(Filter::parse).transpose();
    let parsed = parsed.map_err(|error| TwinError::Invalid { pointer: "filter".into(), reason: error.to_string() })?;
    let query = RegistryQuery {
        under: Some(top.clone()),
        within: job.scope.clone(),
        filter: parsed,
        limit: PAGE,
        cursor,
        ..RegistryQuery::default()
    };
    let page = patiently(twins, live, || twins.list(query.clone())).await?;
    let key = format!("job-{}", job.id);
    let order = &|| NewCommand {
        name: name.clone(),
        payload: payload.clone(),
        ttl: Duration::from_millis(ttl_ms),
        idempotency_key: Some(key.as_str().into()),
        sender: job.by.clone(),
    };
    let asked = &job;
    let send = |id: TwinId| async move {
        if !within_quota(twins, live, asked, Quotas::command).await {
            return None;
        }
        let sent = patiently(twins, live, || twins.command(&id, order())).await;
        Some((id, sent))
    };
    let sent: Vec<_> = stream::iter(page.items.into_iter().map(|entry| entry.row.id)).map(send).buffered(AT_ONCE).collect().await;
    for sent in sent {
        // Whoever goes on with the job, or ends it, begins this page again.
        let Some((twin, sent)) = sent else { return Ok(true) };
        match sent {
            Ok(_) => job.done += 1,
            Err(error) if stops(twins, live, &error) => return Ok(true),
            // Unregistered since it was listed.
            Err(TwinError::NoSuchTwin(_)) => {}
            Err(error) => job.fail(Failure { line: None, twin: Some(twin), problem: error.to_string(), pointer: None }),
        }
    }
    let is_over = page.cursor.is_none();
    job.work = Work::Command { top, filter, name, payload, ttl_ms, cursor: page.cursor };
    twins.runtime.jobs.record(&*twins.runtime.store, live, job).await?;
    Ok(!is_over)
}
