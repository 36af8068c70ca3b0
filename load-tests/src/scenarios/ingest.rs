//! CPU time a message: every device keeps its window full for a while.

use std::time::{Duration, Instant};

use tokio::task::{JoinSet, LocalSet};

use super::{clock, connect_all, payload, settle};
use crate::{
    Options, Result,
    connection::histogram,
    peer::{Kind, Running},
    report::Row,
};

/// QoS and window of each load.
const LOADS: [(u8, usize); 3] = [(0, 16), (1, 1), (1, 16)];

pub async fn run(peer: Kind, options: &Options) -> Result<Vec<Row>> {
    let server = Running::start(peer, options)?;
    let devices = server.devices("load", options.connections)?;
    let mut rows = Vec::new();
    for (qos, window) in LOADS {
        let connections = connect_all(&server, &devices, 0).await?;
        let payload = payload(options.payload_bytes);
        let before = server.usage()?;
        let start = Instant::now();
        let deadline = start + Duration::from_secs(options.seconds);
        let mut latency = histogram();
        let mut messages = 0;
        let local = LocalSet::new();
        let load = local.run_until(async {
            let bar = clock(format!("QoS {qos}, window {window}"), options.seconds);
            let mut tasks = JoinSet::new();
            for mut connection in connections {
                let payload = payload.clone();
                tasks.spawn_local(async move { connection.saturate(qos, window, &payload, deadline).await.map_err(|e| e.to_string()) });
            }
            while let Some(sent) = tasks.join_next().await {
                let sent = sent??;
                messages += sent.messages;
                // At QoS 0 only the closing message is answered: that says nothing about the others.
                if qos > 0 {
                    latency.add(&sent.latency)?;
                }
            }
            bar.await?;
            Ok::<_, Box<dyn std::error::Error>>(())
        });
        load.await?;
        let took = start.elapsed();
        let after = server.usage()?;
        settle().await;
        let settled = server.usage()?;
        let per_message = |d: Duration| d.as_secs_f64() * 1e6 / messages as f64;
        rows.push(
            Row::new("ingest", peer, format!("QoS {qos}, window {window}, {} connections", options.connections))
                .with("messages_per_second", messages as f64 / took.as_secs_f64())
                .with("cpu_us_per_message", per_message(after.cpu - before.cpu))
                .with("cpu_us_per_message_settled", per_message(settled.cpu - before.cpu))
                .with("switches_per_message", (after.switches - before.switches) as f64 / messages as f64)
                .with("rss_mib", after.rss_bytes as f64 / 1_048_576.0)
                .with_latency(&latency),
        );
    }
    Ok(rows)
}
