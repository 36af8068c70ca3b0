//! `GET /live`: the door of the live stream. What flows through it is in [`crate::live`].

use std::convert::Infallible;

use actix_web::{
    HttpRequest, HttpResponse, get,
    http::header,
    web::{Bytes, Data},
};
use actors::{
    Twins,
    live::{LiveFilter, LiveKind},
};
use futures_util::stream::poll_fn;
use hierarchy_models::access::Extent;
use tokio::sync::mpsc;

use crate::{
    access::{Caller, needs},
    live::{Pump, Watch},
    params::Params,
    problem::Problem,
    settings::Settings,
    stopping::Stopping,
    wire::described::LiveMessage,
};

/// Bytes of a `Last-Event-ID` at most; a longer one is not ours.
const EVENT_ID_BYTES_MAX: usize = 128;
/// Chunks on their way to one reader's socket.
const CHUNKS_MAX: usize = 4;

/// Follows every durable change, as Server-Sent Events.
///
/// A stream begins with `reset` (forget what you know), one `snapshot` for each twin under the filter (the whole twin) and
/// `live`; then come the changes: `state`, `event`, `alert`, `command`. Values are absolute, so a change that is also in a
/// snapshot does no harm. With `Last-Event-ID` the stream goes on behind that event when it still can; when it cannot,
/// or when a reader was too slow, it begins again with `reset`. A comment comes every 15 s when nothing else does.
#[utoipa::path(
    operation_id = "followLive",
    tag = "live",
    params(
        ("under" = Option<String>, Query, description = "This twin and all below it; everything that the caller may read when absent"),
        ("kinds" = Option<String>, Query, description = "Any of state, event, alert, command, separated by commas; all when absent"),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was read"),
    ),
    responses(
        (status = 200, description = "Server-Sent Events", body = LiveMessage, content_type = "text/event-stream"),
        (status = 429, response = crate::openapi::ProblemResponse),
    )
)]
#[get("/live")]
pub async fn live(
    caller: Caller<needs::Read>,
    request: HttpRequest,
    twins: Data<Twins>,
    settings: Data<Settings>,
    stopping: Data<Stopping>,
    mut params: Params,
) -> Result<HttpResponse, Problem> {
    let asked = read(&mut params)?;
    params.finish()?;
    // From before the look at what the caller may: a change after it ends the stream.
    let watch = Watch::of(&caller, &request, &twins)?;
    let filter = confined(&caller, &twins, asked).await?;
    let resume =
        request.headers().get("last-event-id").and_then(|v| v.to_str().ok()).filter(|id| (1..=EVENT_ID_BYTES_MAX).contains(&id.len()));
    // Subscribed before the snapshot is read, so that no change falls between them.
    let reader = twins.live(filter.clone(), resume).await?;
    let (out, mut chunks) = mpsc::channel::<Bytes>(CHUNKS_MAX);
    let pump = Pump::new(settings.get_ref().clone(), stopping.get_ref().clone(), filter, watch, out);
    actix_web::rt::spawn(pump.run(reader));
    let body = poll_fn(move |cx| chunks.poll_recv(cx).map(|chunk| chunk.map(Ok::<_, Infallible>)));
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::HeaderName::from_static("x-accel-buffering"), "no"))
        .streaming(body))
}

fn read(params: &mut Params) -> Result<LiveFilter, Problem> {
    let under = params.twin("under")?;
    let kinds = params.read("kinds", |text| {
        let one = |name: &str| LiveKind::parse(name.trim()).ok_or_else(|| format!("{name:?} is not one of state, event, alert, command"));
        text.split(',').map(one).collect::<Result<Vec<_>, _>>()
    })?;
    Ok(LiveFilter { under, within: Extent::Under(Vec::new()), kinds: kinds.unwrap_or_default() })
}

/// The filter within what the caller may read.
async fn confined(caller: &Caller<needs::Read>, twins: &Twins, asked: LiveFilter) -> Result<LiveFilter, Problem> {
    if let Some(top) = &asked.under {
        caller.reach_existing(twins, top).await?;
    }
    Ok(LiveFilter { within: caller.extent(), ..asked })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_and_unknown_ones_refused() {
        let filter = |query: &str| read(&mut Params::parse(query).unwrap());
        assert_eq!(filter("kinds=state,alert").unwrap().kinds, [LiveKind::State, LiveKind::Alert]);
        assert!(filter("").unwrap().kinds.is_empty());
        assert_eq!(filter("kinds=state,alarm").unwrap_err().document()["parameter"], "kinds");
        assert_eq!(filter("kinds=").unwrap_err().document()["parameter"], "kinds");
        assert_eq!(filter("under=a/b").unwrap_err().document()["parameter"], "under");
    }
}
