//! GETs in a closed loop, as a row.

use std::time::Instant;

use super::{clock, meter::Meter, settle};
use crate::{Options, Result, http::load, peer::Running, report::Row};

/// What is asked for, and by how many at once.
pub struct Query {
    name: String,
    callers: usize,
    path: Box<dyn FnMut() -> String>,
}

impl Query {
    pub fn new(what: &str, callers: usize, path: impl FnMut() -> String + 'static) -> Self {
        Self { name: format!("{what}, {callers} connections"), callers, path: Box::new(path) }
    }
}

pub async fn measure(server: &Running, scenario: &'static str, query: Query, options: &Options) -> Result<Row> {
    settle(server).await?;
    let (meter, bar) = (Meter::start(server)?, clock(&query.name, options.length()));
    let answered = load::saturate(server, query.callers, Instant::now() + options.length(), query.path).await?;
    let reading = meter.read(server)?;
    bar.await?;
    let row = Row::new(scenario, server.kind, query.name)
        .with("requests_per_second", reading.per_second(answered.requests))
        .with("answer_bytes", answered.bytes as f64 / answered.requests as f64)
        .with_latency(&answered.latency);
    Ok(reading.into_row(row, "request", answered.requests))
}
