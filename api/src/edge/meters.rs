//! What is counted of every request. Each worker keeps its handles: finding a metric by its labels costs more than counting.

use std::{
    cell::RefCell,
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use actix_web::http::{Method, StatusCode};
use metrics::{Counter, Histogram};

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// The route of a request that no route takes.
const UNMATCHED: &str = "unmatched";

/// Requests that are being worked on, over all workers.
static IN_FLIGHT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// By route, so no more than the server has: an address that is no route's is not kept.
    static ROUTES: RefCell<HashMap<String, Route>> = RefCell::default();
}

/// The handles of one route, made when they are first needed.
#[derive(Default)]
struct Route {
    requests: [[Option<Counter>; CLASSES.len()]; METHODS.len()],
    seconds: [Option<Histogram>; METHODS.len()],
}

pub fn describe() {
    metrics::describe_counter!("twinfold_quota_refused_total", "requests refused by a quota, by its name");
    metrics::describe_counter!("twinfold_http_requests_total", "Requests by method, route and class of status");
    metrics::describe_histogram!(
        "twinfold_http_request_seconds",
        metrics::Unit::Seconds,
        "From a request's head to the head of its answer"
    );
    metrics::describe_gauge!("twinfold_http_requests_in_flight", "Requests being worked on");
}

/// One request that is being worked on, until it is dropped.
pub struct InFlight;

impl InFlight {
    pub fn enter() -> Self {
        IN_FLIGHT.fetch_add(1, Ordering::Relaxed);
        Self
    }

    /// Brings the gauge up to date: it is looked at far less often than requests come and go.
    pub fn show() {
        metrics::gauge!("twinfold_http_requests_in_flight").set(IN_FLIGHT.load(Ordering::Relaxed) as f64);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        IN_FLIGHT.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts an answered request under its route's pattern.
pub fn record(method: &Method, status: StatusCode, route: Option<String>, took: Duration) {
    let method = METHODS.iter().position(|known| *known == method.as_str()).unwrap_or(METHODS.len() - 1);
    let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
    ROUTES.with_borrow_mut(|routes| {
        let route = route.unwrap_or_else(|| UNMATCHED.into());
        let handles = match routes.get_mut(&route) {
            Some(handles) => handles,
            None => routes.entry(route.clone()).or_default(),
        };
        let requests = &mut handles.requests[method][class];
        let requests = requests.get_or_insert_with(|| {
            metrics::counter!("twinfold_http_requests_total", "method" => METHODS[method], "route" => route.clone(), "status" => CLASSES[class])
        });
        requests.increment(1);
        let seconds = handles.seconds[method]
            .get_or_insert_with(|| metrics::histogram!("twinfold_http_request_seconds", "method" => METHODS[method], "route" => route));
        seconds.record(took);
    });
}
