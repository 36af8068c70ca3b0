//! A command from POST to the device's answer: people wait for this one.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::{LEAD, clock, connect_all, meter::Meter, settle};
use crate::{
    Options, Result,
    http::{
        load::{self, Answered},
        registry,
    },
    mqtt::{answering, open::Offer},
    peer::{Kind, Running},
    report::Row,
};

/// Requests on their way at once; more wait, and the wait counts.
pub const CALLERS: usize = 256;
const COMMAND: &str = r#"{"name":"open","payload":{"level":2},"ttl":60,"wait":10}"#;
/// For answers after the last command.
pub const PATIENCE: Duration = Duration::from_secs(10);

pub async fn run(peer: Kind, options: &Options) -> Result<Vec<Row>> {
    if !peer.has_twins() {
        return Ok(Vec::new());
    }
    let server = Running::start(peer, options)?;
    let devices = registry::devices(&server, "valve", options.connections).await?;
    let paths: Rc<[String]> = devices.iter().map(|d| format!("/twins/{}/commands", d.id)).collect();
    let mut answering = JoinSet::new();
    for mut connection in connect_all(&server, &devices).await? {
        connection.subscribe(&connection.topic("commands/#"), 1).await?;
        answering.spawn_local(async move { answering::answer_commands(connection).await.map_err(|e| e.to_string()) });
    }
    let mut rows = Vec::new();
    for rate in &options.command_rates {
        settle(&server).await?;
        let name = format!("{rate}/s");
        let offer = Offer { rate: f64::from(*rate), begin: Instant::now() + LEAD, length: options.length(), patience: PATIENCE };
        let (meter, bar, paths) = (Meter::start(&server)?, clock(&format!("{name} commands"), options.length()), paths.clone());
        let answered = load::keep(&server, CALLERS, offer, async move |client, number, _| {
            Ok(client.post(&paths[number as usize % paths.len()], COMMAND).await? == 200)
        })
        .await?;
        let reading = meter.read(&server)?;
        bar.await?;
        let done = answered.requests;
        rows.push(reading.into_row(described(Row::new("commands", peer, name), &offer, &answered), "command", done));
    }
    answering.shutdown().await;
    Ok(rows)
}

/// What became of requests on a schedule.
pub fn described(row: Row, offer: &Offer, answered: &Answered) -> Row {
    row.with("offered_per_second", offer.rate)
        .with(
            "commands_per_second",
            (answered.requests - answered.failed.min(answered.requests)) as f64 / answered.took.max(offer.length).as_secs_f64(),
        )
        .with("failed_commands", answered.failed as f64)
        .with("lag_p99_ms", answered.lag.value_at_quantile(0.99) as f64 / 1e3)
        .with_latency(&answered.latency)
}
