//! `GET /twins/{id}/events`: the event log itself, raw payloads included.

use actix_web::{HttpResponse, get, web::Data};
use actors::Twins;
use hierarchy_models::{TwinId, event::STREAMS};

use super::path::TwinPath;
use crate::{
    access::{Caller, needs},
    json,
    params::Params,
    problem::Problem,
    query::EventQuery,
    wire::{
        described::{EventPage, Paging, Span},
        event::EventDocument,
        page,
    },
};

/// The twin's events by time of receipt, oldest first.
#[utoipa::path(
    operation_id = "readEvents",
    tag = "history",
    params(
        ("id" = String, Path, description = "The twin"),
        ("stream" = Option<String>, Query, description = "telemetry, reported, events, diagnostics, metadata, desired, registry, connection, commands, alerts or behaviour; all when absent"),
        Span,
        Paging,
    ),
    responses((status = 200, description = "One page of events", body = EventPage))
)]
#[get("/twins/{id}/events")]
pub async fn events(caller: Caller<needs::Read>, twins: Data<Twins>, id: TwinPath, params: Params) -> Result<HttpResponse, Problem> {
    let query = read(id.0.clone(), params)?;
    caller.reach_existing(&twins, &id.0).await?;
    Ok(json::ok(&page(twins.events(query).await?, EventDocument::from)))
}

fn read(twin: TwinId, mut params: Params) -> Result<EventQuery, Problem> {
    let stream = params.read("stream", |text| match STREAMS.iter().find(|s| **s == text) {
        Some(stream) => Ok((*stream).into()),
        None => Err(format!("{text:?} is not one of {}", STREAMS.join(", "))),
    })?;
    let (from, to) = params.span()?;
    let (limit, cursor) = (params.limit()?, params.cursor()?);
    params.finish()?;
    Ok(EventQuery { after_seq: 0, twin, stream, from, to, limit, cursor })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_must_be_one_that_there_is() {
        let read = |query: &str| read(TwinId::new("t").unwrap(), Params::parse(query).unwrap());
        assert_eq!(read("stream=telemetry").unwrap().stream.as_deref(), Some("telemetry"));
        assert_eq!(read("stream=telemetri").unwrap_err().document()["parameter"], "stream");
        assert_eq!(read("from=x").unwrap_err().document()["parameter"], "from");
    }
}
