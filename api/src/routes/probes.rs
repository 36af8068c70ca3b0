//! Health and metrics: without a key for whoever sits on this machine, with one for everybody else.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, get, web::Data};
use actors::Twins;
use hierarchy_models::access::Right;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;

use crate::{
    access::{self, Access},
    edge::InFlight,
    params::NoParams,
    problem::{self, Problem},
    stopping::{Reason, Stopping, taken_over},
    wire::described::Health,
};

/// A runtime that does not say within this time whether it is ready is not.
const READY_WITHIN: Duration = Duration::from_secs(2);

/// Lets in whoever sits on this machine, or has a key with the right to read. A request that a proxy passed on comes from elsewhere.
async fn let_in(request: &HttpRequest, twins: &Twins) -> Result<(), Problem> {
    if is_local(request) {
        return Ok(());
    }
    let subject = access::subject(twins, request).await?;
    Access { subject }.need(Right::Read)
}

fn is_local(request: &HttpRequest) -> bool {
    let passed_on = ["forwarded", "x-forwarded-for", "x-real-ip", "via"].iter().any(|name| request.headers().contains_key(*name));
    !passed_on && request.peer_addr().is_some_and(|peer| peer.ip().to_canonical().is_loopback())
}

/// Whether the process answers.
#[utoipa::path(operation_id = "livez", tag = "health", responses((status = 200, description = "It does", body = Health)))]
#[get("/livez")]
pub async fn livez(request: HttpRequest, twins: Data<Twins>, _params: NoParams) -> Result<HttpResponse, Problem> {
    let_in(&request, &twins).await?;
    Ok(HttpResponse::Ok().json(json!({"status": "ok"})))
}

/// Whether a device's message would be taken now.
#[utoipa::path(operation_id = "readyz", tag = "health", responses((status = 200, description = "It would", body = Health)))]
#[get("/readyz")]
pub async fn readyz(
    request: HttpRequest,
    twins: Data<Twins>,
    stopping: Data<Stopping>,
    _params: NoParams,
) -> Result<HttpResponse, Problem> {
    let_in(&request, &twins).await?;
    match stopping.reason() {
        None => {}
        Some(Reason::Stops) => return Err(Problem::new(problem::NOT_READY, "the server is stopping").retry_after(Duration::from_secs(1))),
        Some(Reason::StandsAside) => return Err(taken_over()),
    }
    match tokio::time::timeout(READY_WITHIN, twins.ready()).await {
        Ok(ready) => ready?,
        Err(_) => return Err(Problem::new(problem::NOT_READY, "the runtime does not answer").retry_after(Duration::from_secs(1))),
    }
    Ok(HttpResponse::Ok().json(json!({"status": "ready"})))
}

/// Metrics for Prometheus.
#[utoipa::path(operation_id = "metrics", tag = "health", responses((status = 200, description = "Prometheus text", body = String, content_type = "text/plain")))]
#[get("/metrics")]
pub async fn metrics(
    request: HttpRequest,
    twins: Data<Twins>,
    handle: Data<PrometheusHandle>,
    _params: NoParams,
) -> Result<HttpResponse, Problem> {
    let_in(&request, &twins).await?;
    InFlight::show();
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(handle.render()))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn only_this_machine_itself_needs_no_key() {
        let from = |peer: &str| TestRequest::get().peer_addr(peer.parse().unwrap());
        for local in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(is_local(&from(local).to_http_request()), "{local}");
        }
        assert!(!is_local(&from("10.0.0.1:1").to_http_request()));
        assert!(!is_local(&TestRequest::get().to_http_request()));
        let proxied = from("127.0.0.1:1").insert_header(("x-forwarded-for", "10.0.0.1"));
        assert!(!is_local(&proxied.to_http_request()));
    }
}
