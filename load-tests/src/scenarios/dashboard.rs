//! What a person feels who opens a dashboard of a large site, lists it, and changes what devices should do.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use serde_json::json;
use tokio::task::JoinSet;

use super::{
    LEAD, clock, commands, connect_all,
    herd::{Herd, Says, Turn},
    meter::{Meter, mib},
    queries::{self, Query},
    settle, site,
};
use crate::{
    Options, Result,
    clock::{histogram, micros},
    http::{load, registry, sse::Live},
    mqtt::{answering, open::Offer},
    payload::STAMP_BASE,
    peer::{Kind, Running},
    report::Row,
};

const ROOMS: usize = 100;
/// Snapshots that are taken, one after the other; the median counts.
const SNAPSHOTS: usize = 3;
const SAY_WITHIN: Duration = Duration::from_secs(60);
/// Changes of a desired state a second.
const CHANGES: f64 = 500.0;

pub async fn run(peer: Kind, options: &Options) -> Result<Vec<Row>> {
    if !peer.has_twins() {
        return Ok(Vec::new());
    }
    let server = Running::start(peer, options)?;
    build(&server, options.dashboard_twins).await?;
    let list = format!("/twins?limit=100&under={}", site::ID);
    let list = Query::new(&format!("list of 100 under a site of {}", options.dashboard_twins), options.callers, move || list.clone());
    Ok(vec![
        snapshot(&server, options).await?,
        queries::measure(&server, "dashboard", list, options).await?,
        desired(&server, options).await?,
    ])
}

/// A site, its rooms, and devices in them that have said ten values, so many twins together.
async fn build(server: &Running, twins: usize) -> Result<()> {
    registry::register(server, 1, |_| json!({"id": site::ID, "model": "Site"})).await?;
    registry::register(server, ROOMS, |n| json!({"id": registry::id("room", n), "model": "Room", "parent": site::ID})).await?;
    let mut herd = Herd::start(server).await?;
    herd.grow(server, twins.saturating_sub(ROOMS + 1), |n| json!({"parent": registry::id("room", n % ROOMS)})).await?;
    herd.speak(server, Turn::EachOnce, Says::TenValues, Instant::now() + SAY_WITHIN).await?;
    settle(server).await
}

/// From opening the live stream to the end of its snapshot.
async fn snapshot(server: &Running, options: &Options) -> Result<Row> {
    let (meter, mut took, mut size) = (Meter::start(server)?, Vec::new(), (0, 0));
    for _ in 0..SNAPSHOTS {
        let begun = Instant::now();
        let mut live = Live::open(server, &format!("under={}&kinds=state", site::ID)).await?;
        size = live.snapshot().await?;
        took.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let reading = meter.read(server)?;
    took.sort_by(f64::total_cmp);
    let (bytes, twins) = size;
    let row = Row::new("dashboard", server.kind, format!("snapshot of {} twins", options.dashboard_twins))
        .with("snapshot_ms", took[SNAPSHOTS / 2])
        .with("snapshot_mib", mib(bytes as u64))
        .with("twins", twins as f64);
    Ok(reading.into_row(row, "twin", (twins * SNAPSHOTS) as u64))
}

/// From the intended time of a PATCH to the moment the device has the change.
async fn desired(server: &Running, options: &Options) -> Result<Row> {
    let devices = registry::devices(server, "lamp", options.connections).await?;
    let begin: Rc<RefCell<(Instant, Histogram<u64>)>> = Rc::new(RefCell::new((Instant::now(), histogram())));
    let mut listening = JoinSet::new();
    for mut connection in connect_all(server, &devices).await? {
        connection.subscribe(&connection.topic("desired"), 1).await?;
        let seen = begin.clone();
        listening.spawn_local(async move {
            let each = |payload: &[u8]| {
                let (begin, latency) = &mut *seen.borrow_mut();
                if let Some(stamp) = level(payload) {
                    latency.saturating_record(micros(begin.elapsed()).saturating_sub(stamp));
                }
            };
            answering::listen(connection, each).await.map_err(|e| e.to_string())
        });
    }
    settle(server).await?;
    let offer = Offer { rate: CHANGES, begin: Instant::now() + LEAD, length: options.length(), patience: commands::PATIENCE };
    begin.borrow_mut().0 = offer.begin;
    let (meter, bar) = (Meter::start(server)?, clock("changing desired states", options.length()));
    let paths: Rc<[String]> = devices.iter().map(|d| format!("/twins/{}", d.id)).collect();
    let answered = load::keep(server, commands::CALLERS, offer, async move |client, number, stamp| {
        let body = format!(r#"{{"desired":{{"level":{}}}}}"#, STAMP_BASE + stamp);
        Ok(client.patch(&paths[number as usize % paths.len()], &body).await? == 200)
    })
    .await?;
    let reading = meter.read(server)?;
    bar.await?;
    listening.shutdown().await;
    let seen = begin.borrow();
    let row = commands::described(Row::new("dashboard", server.kind, format!("desired, {CHANGES}/s")), &offer, &answered);
    let row = row.with("seen_share", seen.1.len() as f64 / answered.requests as f64).with_latency(&seen.1);
    Ok(reading.into_row(row, "change", answered.requests))
}

/// The stamp that stands as `level` in a desired state.
fn level(json: &[u8]) -> Option<u64> {
    let name = b"\"level\":";
    let at = memchr::memmem::find(json, name)? + name.len();
    let digits = json[at..].iter().take_while(|b| b.is_ascii_digit());
    digits.fold(0u64, |n, b| n * 10 + u64::from(b - b'0')).checked_sub(STAMP_BASE)
}
