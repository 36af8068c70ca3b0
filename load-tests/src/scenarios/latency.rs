//! Latency against load, counted from when a message should have been sent: a server that stalls is not let off.

use std::time::{Duration, Instant};

use super::{LEAD, base_line, clock, connect_all, meter::Meter, saturation, settle};
use crate::{
    Options, Result,
    http::registry,
    mqtt::open::{self, Offer, Outcome},
    peer::{Kind, Running},
    report::Row,
};

/// In per cent of what the same peer takes in a closed loop, measured just before.
const PERCENTS: [u32; 7] = [10, 25, 50, 75, 90, 100, 120];
/// Answers that come later than this after the last message are counted as missing.
const PATIENCE: Duration = Duration::from_secs(10);

pub async fn run(peer: Kind, options: &Options) -> Result<Vec<Row>> {
    if !peer.speaks_mqtt() {
        return Ok(Vec::new());
    }
    let server = Running::start(peer, options)?;
    let devices = registry::devices(&server, "pace", options.connections).await?;
    let saturation = saturation(&server, &devices, options).await?;
    let mut rows = Vec::new();
    for percent in PERCENTS {
        let rate = saturation * f64::from(percent) / 100.0;
        let connections = connect_all(&server, &devices).await?;
        let name = format!("{percent} % of saturation");
        let (meter, bar) = (Meter::start(&server)?, clock(&format!("{name}, {rate:.0}/s"), options.length()));
        let offer = Offer { rate, begin: Instant::now() + LEAD, length: options.length(), patience: PATIENCE };
        let outcome = open::offer(connections, offer, base_line).await?;
        let reading = meter.read(&server)?;
        bar.await?;
        let row = Row::new("latency", peer, name).with("percent", f64::from(percent)).with("saturation_per_second", saturation);
        rows.push(reading.into_row(described(row, &offer, &outcome), "message", outcome.answered));
        settle(&server).await?;
    }
    Ok(rows)
}

/// What became of an open loop.
pub fn described(row: Row, offer: &Offer, outcome: &Outcome) -> Row {
    row.with("offered_per_second", outcome.offered as f64 / offer.length.as_secs_f64())
        .with("messages_per_second", outcome.in_time as f64 / offer.length.as_secs_f64())
        .with("unanswered", (outcome.offered - outcome.answered) as f64)
        .with("lag_p99_ms", outcome.lag.value_at_quantile(0.99) as f64 / 1e3)
        .with_latency(&outcome.latency)
}
