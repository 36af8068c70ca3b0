//! Memory of a connection that says nothing, its twin included where the peer has twins.

use super::{
    connect_all,
    meter::{Meter, mib},
    settle,
};
use crate::{
    Options, Result,
    http::registry,
    peer::{Kind, Running},
    report::Row,
};

pub async fn run(peer: Kind, options: &Options) -> Result<Vec<Row>> {
    if !peer.speaks_mqtt() {
        return Ok(Vec::new());
    }
    let server = Running::start(peer, options)?;
    let devices = registry::devices(&server, "idle", options.idle_connections).await?;
    // A fresh process, so that what registration left in memory does not hide the connections' own.
    let server = server.restart()?;
    settle(&server).await?;
    let meter = Meter::start(&server)?;
    let before = server.usage()?.rss_bytes;
    let mut connections = connect_all(&server, &devices).await?;
    let connected = meter.read(&server)?;
    settle(&server).await?;
    let after = server.usage()?.rss_bytes;
    for connection in &mut connections {
        connection.ping().await?;
    }
    let count = connections.len();
    let row =
        Row::new("idle", peer, format!("{count} connections")).with("bytes_per_connection", (after as f64 - before as f64) / count as f64);
    Ok(vec![connected.into_row(row, "connect", count as u64).with("rss_mib", mib(after))])
}
