//! Twice of what a server takes: it should go on taking what it can, in the memory it has, and cut nobody off.

use std::time::{Duration, Instant};

use super::{
    BASE_WINDOW, LEAD, base_line, clock, connect_all,
    meter::{Meter, mib},
    saturate_with, settle,
};
use crate::{
    Options, Result,
    http::registry,
    mqtt::open::{self, Offer},
    peer::{Kind, Running},
    report::Row,
    scenarios::latency::described,
};

/// Of the peak.
const TIMES: f64 = 2.0;
/// What waits in sockets and in devices then need not be taken for the figures.
const PATIENCE: Duration = Duration::from_secs(1);

pub async fn run(peer: Kind, options: &Options) -> Result<Vec<Row>> {
    if !peer.speaks_mqtt() {
        return Ok(Vec::new());
    }
    let server = Running::start(peer, options)?;
    let devices = registry::devices(&server, "crowd", options.connections).await?;
    let connections = connect_all(&server, &devices).await?;
    server.reset_peak()?;
    let bar = clock("looking for the peak", options.length());
    let (sent, connections) = saturate_with(BASE_WINDOW, connections, options.length()).await?;
    bar.await?;
    let (peak, usual) = (sent.messages as f64 / options.length().as_secs_f64(), server.usage()?.peak_rss_bytes);
    settle(&server).await?;
    server.reset_peak()?;
    let name = format!("{TIMES} × peak");
    let (meter, bar) = (Meter::start(&server)?, clock(&format!("{name}, {:.0}/s", TIMES * peak), options.length()));
    let offer = Offer { rate: TIMES * peak, begin: Instant::now() + LEAD, length: options.length(), patience: PATIENCE };
    let outcome = open::offer(connections, offer, base_line).await?;
    let reading = meter.read(&server)?;
    bar.await?;
    let goodput = outcome.in_time as f64 / options.length().as_secs_f64();
    let highest = server.usage()?.peak_rss_bytes;
    let row = Row::new("overload", peer, name)
        .with("peak_per_second", peak)
        .with("goodput_per_second", goodput)
        .with("goodput_share", goodput / peak)
        .with("rss_rise_share", highest as f64 / usual as f64 - 1.0)
        .with("peak_rss_mib", mib(highest))
        .with("connections_lost", outcome.connections_lost as f64)
        .with("dropped", outcome.dropped as f64);
    Ok(vec![reading.into_row(described(row, &offer, &outcome), "message", outcome.answered)])
}
