//! Memory of a connection that says nothing, its twin included where the peer has twins.

use super::{connect_all, settle};
use crate::{
    Options, Result,
    peer::{Kind, Running},
    report::Row,
};

pub async fn run(peer: Kind, options: &Options) -> Result<Vec<Row>> {
    let server = Running::start(peer, options)?;
    let devices = server.devices("idle", options.idle_connections)?;
    // A fresh process, so that what registration left in memory does not hide the connections' own.
    let server = server.restart()?;
    settle().await;
    let before = server.usage()?;
    let mut connections = connect_all(&server, &devices, 0).await?;
    let connected = server.usage()?;
    settle().await;
    let after = server.usage()?;
    for connection in &mut connections {
        connection.ping().await?;
    }
    let count = connections.len() as f64;
    Ok(vec![
        Row::new("idle", peer, format!("{} connections", connections.len()))
            .with("bytes_per_connection", (after.rss_bytes as f64 - before.rss_bytes as f64) / count)
            .with("connect_cpu_us", (connected.cpu - before.cpu).as_secs_f64() * 1e6 / count)
            .with("rss_mib", after.rss_bytes as f64 / 1_048_576.0),
    ])
}
