//! What is measured, one file each: a plan that says the loads, and a run that makes rows of them.

pub mod commands;
pub mod connect;
pub mod dashboard;
pub mod fleet;
mod herd;
pub mod history;
pub mod idle;
pub mod ingest;
pub mod latency;
pub mod live;
mod meter;
pub mod overload;
mod queries;
pub mod reads;
pub mod recover;
pub mod revocation;
pub mod rollup;
mod site;
pub mod start;

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use crate::{
    Options, Result,
    http::registry::Device,
    mqtt::{
        closed::{self, Endless, Sent},
        connection::Connection,
        frame::Template,
    },
    payload::{Encoding, Payload},
    peer::Running,
};

/// The longest wait for what a server writes behind its acknowledgements.
const SETTLE_MAX: Duration = Duration::from_secs(20);
/// Longer than the server's own intervals of writing behind.
const SETTLE_MIN: Duration = Duration::from_millis(2_500);
const SETTLE_LOOK: Duration = Duration::from_millis(500);
/// A server that uses less than this between two looks has settled.
const SETTLED_CPU: Duration = Duration::from_millis(20);
/// Time for all connections of an open loop to be told before it begins.
const LEAD: Duration = Duration::from_millis(50);
/// Files that a process has open beside its connections.
const OTHER_FILES: u64 = 200;
/// Bytes of the JSON that the base line sends, and its window.
const BASE_BYTES: usize = 108;
const BASE_WINDOW: usize = 16;
const ONE_BY_ONE: usize = 1;

/// Connects one after the other, so that nobody's handshake queue is what is measured.
async fn connect_all(server: &Running, devices: &[Device]) -> Result<Vec<Connection>> {
    enough_files(devices.len())?;
    let bar = ProgressBar::new(devices.len() as u64).with_message("connecting");
    let mut connections = Vec::with_capacity(devices.len());
    for device in devices {
        connections.push(Connection::open(server.mqtt, device).await?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(connections)
}

/// Refuses a load that the system's bound on open files would cut off in the middle.
fn enough_files(connections: usize) -> Result<()> {
    let (wanted, allowed) = (connections as u64 + OTHER_FILES, rlimit::increase_nofile_limit(u64::MAX)?);
    match wanted <= allowed {
        true => Ok(()),
        false => Err(format!("{connections} connections need {wanted} open files and {allowed} are allowed: raise `ulimit -n`").into()),
    }
}

/// A bar that fills in this time.
fn clock(what: &str, length: Duration) -> JoinHandle<()> {
    const STEPS: u32 = 20;
    let style = ProgressStyle::with_template("{msg} [{bar:40}] {elapsed}").unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(STEPS.into()).with_style(style).with_message(what.to_owned());
    tokio::task::spawn_local(async move {
        for _ in 0..STEPS {
            tokio::time::sleep(length / STEPS).await;
            bar.inc(1);
        }
        bar.finish_and_clear();
    })
}

/// Waits for what a server writes behind its acknowledgements: until it is quiet.
async fn settle(server: &Running) -> Result<()> {
    tokio::time::sleep(SETTLE_MIN).await;
    let until = Instant::now() + SETTLE_MAX;
    let mut cpu = server.usage()?.cpu;
    loop {
        tokio::time::sleep(SETTLE_LOOK).await;
        let now = server.usage()?.cpu;
        if now - cpu < SETTLED_CPU || Instant::now() > until {
            return Ok(());
        }
        cpu = now;
    }
}

/// The base line's template of a device.
fn base_line(connection: &Connection) -> Template {
    Template::new(&connection.topic("telemetry"), 1, Payload::telemetry(Encoding::Json, BASE_BYTES, 1))
}

/// The base line in a closed loop of messages that come one by one, as they do on a schedule: with a window, one read and one
/// write serve many, and a rate found so is more than the same server takes of single ones.
async fn saturate(connections: Vec<Connection>, length: Duration) -> Result<(Sent, Vec<Connection>)> {
    saturate_with(ONE_BY_ONE, connections, length).await
}

async fn saturate_with(window: usize, connections: Vec<Connection>, length: Duration) -> Result<(Sent, Vec<Connection>)> {
    let source = |connection: &Connection| Endless { template: base_line(connection), number: 0 };
    closed::saturate_all(connections, 1, window, Instant::now() + length, source).await
}

/// Messages a second that a server takes of the base line, one by one: its saturation.
async fn saturation(server: &Running, devices: &[Device], options: &Options) -> Result<f64> {
    let connections = connect_all(server, devices).await?;
    let bar = clock("looking for saturation", options.length());
    let (sent, _) = saturate(connections, options.length()).await?;
    bar.await?;
    settle(server).await?;
    Ok(sent.messages as f64 / options.length().as_secs_f64())
}
