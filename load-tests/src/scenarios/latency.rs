//! Latency at a fixed rate, counted from when a message should have been sent: a server that stalls is not let off.

use std::time::{Duration, Instant};

use tokio::task::{JoinSet, LocalSet};

use super::{clock, connect_all, payload};
use crate::{
    Options, Result,
    connection::histogram,
    peer::{Kind, Running},
    report::Row,
};

pub async fn run(peer: Kind, options: &Options) -> Result<Vec<Row>> {
    let server = Running::start(peer, options)?;
    let devices = server.devices("pace", options.connections)?;
    let mut rows = Vec::new();
    for rate in &options.rates {
        let connections = connect_all(&server, &devices, 0).await?;
        let payload = payload(options.payload_bytes);
        let every = Duration::from_secs_f64(options.connections as f64 / *rate as f64);
        let count = rate * options.seconds / options.connections as u64;
        let before = server.usage()?;
        let start = Instant::now() + Duration::from_millis(50);
        let mut latency = histogram();
        let local = LocalSet::new();
        let load = local.run_until(async {
            let bar = clock(format!("{rate} messages a second"), options.seconds);
            let mut tasks = JoinSet::new();
            for (n, connection) in connections.into_iter().enumerate() {
                let (payload, first) = (payload.clone(), start + every.mul_f64(n as f64 / options.connections as f64));
                tasks.spawn_local(async move { connection.pace(&payload, first, every, count).await.map_err(|e| e.to_string()) });
            }
            while let Some(sent) = tasks.join_next().await {
                latency.add(&sent??.latency)?;
            }
            bar.await?;
            Ok::<_, Box<dyn std::error::Error>>(())
        });
        load.await?;
        let cpu = server.usage()?.cpu - before.cpu;
        rows.push(
            Row::new("latency", peer, format!("QoS 1, {rate}/s over {} connections, open loop", options.connections))
                .with("cpu_us_per_message", cpu.as_secs_f64() * 1e6 / latency.len() as f64)
                .with("messages_per_second", latency.len() as f64 / options.seconds as f64)
                .with_latency(&latency),
        );
    }
    Ok(rows)
}
