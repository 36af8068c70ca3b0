//! Memory of a resident twin: each device says ten values and leaves; the twin stays. A broker keeps no twins, so it has no turn.

use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::settle;
use crate::{
    Options, Result,
    connection::Connection,
    peer::{Kind, Running},
    report::Row,
};

pub async fn run(peer: Kind, options: &Options) -> Result<Vec<Row>> {
    if peer != Kind::Twinfold {
        return Ok(Vec::new());
    }
    let server = Running::start(peer, options)?;
    let devices = server.devices("fleet", options.fleet_twins)?;
    let server = server.restart()?;
    settle().await;
    let before = server.usage()?;
    let bar = ProgressBar::new(devices.len() as u64).with_message("ten values each");
    let start = Instant::now();
    for device in &devices {
        let mut connection = Connection::open(&server, device, 0).await?;
        // A deadline just ahead: one message, acknowledged, and the connection closes.
        connection.saturate(1, 1, ten_values().as_bytes(), Instant::now() + Duration::from_micros(1)).await?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let took = start.elapsed();
    settle().await;
    let after = server.usage()?;
    Ok(vec![
        Row::new("fleet", peer, format!("{} twins with ten values, not connected", devices.len()))
            .with("bytes_per_twin", (after.rss_bytes as f64 - before.rss_bytes as f64) / devices.len() as f64)
            .with("rss_mib", after.rss_bytes as f64 / 1_048_576.0)
            .with("rss_mib_without_twins", before.rss_bytes as f64 / 1_048_576.0)
            .with("sessions_per_second", devices.len() as f64 / took.as_secs_f64()),
    ])
}

fn ten_values() -> String {
    let values: Vec<String> = (0..10).map(|n| format!("\"value{n}\":{}.5", n + 20)).collect();
    format!("{{{}}}", values.join(","))
}
