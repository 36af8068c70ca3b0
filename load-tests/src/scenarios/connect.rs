//! A storm: a fleet that connects at once, as after a power cut, over TCP and over TLS with full handshakes.

use std::{cell::RefCell, rc::Rc, time::Instant};

use hdrhistogram::Histogram;
use indicatif::ProgressBar;
use tokio::task::JoinSet;

use super::{enough_files, meter::Meter, settle};
use crate::{
    Options, Result,
    clock::{histogram, micros},
    http::registry::{self, Device},
    mqtt::{connection::Connection, tls},
    peer::{Kind, Running},
    report::Row,
};

pub async fn plain(peer: Kind, options: &Options) -> Result<Vec<Row>> {
    if !peer.speaks_mqtt() {
        return Ok(Vec::new());
    }
    let load = format!("{} connections, {} at once", options.storm_connections, options.storm_at_once);
    let row = Row::new("connect", peer, load);
    let server = Running::start(peer, options)?;
    let to = server.mqtt;
    let connect = async move |device: Device| Connection::open(to, &device).await;
    Ok(vec![storm(&server, row, options.storm_connections, options.storm_at_once, connect).await?])
}

pub async fn tls(peer: Kind, options: &Options) -> Result<Vec<Row>> {
    if !peer.speaks_tls() {
        return Ok(Vec::new());
    }
    let load = format!("{} full handshakes, {} at once", options.tls_connections, options.tls_at_once);
    let row = Row::new("tls", peer, load);
    let server = Running::start(peer, options)?;
    let connector = tls::connector(server.ca.as_deref().ok_or("the peer names no certificate authority")?)?;
    let to = server.mqtts.ok_or("the peer has no port for TLS")?;
    let connect = async move |device: Device| tls::open(&connector, to, &device).await;
    Ok(vec![storm(&server, row, options.tls_connections, options.tls_at_once, connect).await?])
}

/// Connects all, so many handshakes at a time, and keeps them until the last stands. Latency is from the first byte of TCP to
/// CONNACK.
pub(super) async fn storm<C: 'static>(
    server: &Running,
    row: Row,
    count: usize,
    at_once: usize,
    connect: impl AsyncFn(Device) -> Result<C> + Clone + 'static,
) -> Result<Row> {
    enough_files(count)?;
    let devices = registry::devices(server, "storm", count).await?;
    settle(server).await?;
    let bar = ProgressBar::new(count as u64).with_message(row.load.clone());
    let (waiting, latency) = (Rc::new(RefCell::new(devices)), Rc::<RefCell<Histogram<u64>>>::new(RefCell::new(histogram())));
    let meter = Meter::start(server)?;
    let mut tasks = JoinSet::new();
    for _ in 0..at_once.min(count) {
        let (waiting, latency, connect, bar) = (waiting.clone(), latency.clone(), connect.clone(), bar.clone());
        tasks.spawn_local(async move {
            let mut open = Vec::new();
            loop {
                let Some(device) = waiting.borrow_mut().pop() else { return Ok(open) };
                let begun = Instant::now();
                open.push(connect(device).await.map_err(|e| e.to_string())?);
                latency.borrow_mut().saturating_record(micros(begun.elapsed()));
                bar.inc(1);
            }
        });
    }
    let mut open: Vec<Vec<C>> = Vec::new();
    while let Some(done) = tasks.join_next().await {
        open.push(done?.map_err(|e: String| e)?);
    }
    let reading = meter.read(server)?;
    bar.finish_and_clear();
    let row = row.with("connects_per_second", reading.per_second(count as u64)).with_latency(&latency.borrow());
    Ok(reading.into_row(row, "connect", count as u64))
}
