//! `kill -9` under load: how soon it is back, how soon a twin that nobody has asked for yet answers, and that nothing which was
//! acknowledged is gone.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    fleet,
    herd::{Herd, Says, Turn},
    settle,
};
use crate::{
    Options, Result,
    clock::{Random, histogram, micros},
    http::client::Client,
    mqtt::closed,
    options::Scenario,
    payload::{STAMP, STAMP_BASE},
    peer::{Kind, Running},
    report::Row,
};

/// Devices of each gateway that speak, so that what each has said can be read again whole.
const SPEAK: u64 = 10;
const WINDOW: usize = 16;
/// Twins that are asked for right after the start, each for the first time.
const COLD: usize = 200;
const PAGE: usize = 1_000;

pub async fn run(peer: Kind, options: &Options) -> Result<Vec<Row>> {
    // The fleet's measurement ends with this one: its twins need not be registered twice.
    if !peer.has_twins() || options.chosen().contains(&Scenario::Fleet) {
        return Ok(Vec::new());
    }
    let server = Running::start_with(peer, options, &fleet::SETTINGS)?;
    let mut herd = Herd::start(&server).await?;
    herd.grow(&server, options.fleet_twins, |_| json!({})).await?;
    Ok(vec![after(server, &herd, options).await?])
}

pub async fn after(server: Running, herd: &Herd, options: &Options) -> Result<Row> {
    settle(&server).await?;
    let mut speaking = JoinSet::new();
    for mut connection in herd.connect(&server).await? {
        let mut speaker = herd.speaker(&connection, Turn::First(SPEAK), Says::Numbered);
        let never = Instant::now() + Duration::from_secs(3_600);
        speaking.spawn_local(async move {
            // Ends when the server is gone, which is the point.
            let _ = closed::saturate(&mut connection, 1, WINDOW, never, &mut speaker).await;
            speaker.acknowledged
        });
    }
    let bar = super::clock("load before kill -9", options.length());
    bar.await?;
    let server = server.kill_and_start()?;
    let cold = ask_cold(&server, herd).await?;
    let mut acknowledged: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    while let Some(said) = speaking.join_next().await {
        for (device, number) in said? {
            acknowledged.entry(device).or_default().push(number);
        }
    }
    let (mut client, mut checked, mut lost) = (Client::open(&server).await?, 0, 0);
    for (device, numbers) in acknowledged {
        let stored = stored(&mut client, &herd.id(device)).await?;
        checked += numbers.len();
        lost += numbers.iter().filter(|n| stored.binary_search(n).is_err()).count();
    }
    let ms = |q: f64| cold.value_at_quantile(q) as f64 / 1e3;
    Ok(Row::new("recover", server.kind, format!("{} twins", herd.devices))
        .with("twins", herd.devices as f64)
        .with("ready_ms", server.ready_in.as_secs_f64() * 1e3)
        .with("cold_p50_ms", ms(0.5))
        .with("cold_p99_ms", ms(0.99))
        .with("cold_max_ms", ms(1.0))
        .with("acknowledged", checked as f64)
        .with("lost", lost as f64))
}

/// Asks for random twins as soon as the server is ready, one after the other.
async fn ask_cold(server: &Running, herd: &Herd) -> Result<Histogram<u64>> {
    let (mut client, mut random, mut latency) = (Client::open(server).await?, Random::new(3), histogram());
    for _ in 0..COLD {
        let path = format!("/twins/{}", herd.id(random.below(herd.devices as u64)));
        let begun = Instant::now();
        client.read(&path).await?;
        latency.saturating_record(micros(begun.elapsed()));
    }
    Ok(latency)
}

/// The numbers of a device's messages that its history holds, sorted.
async fn stored(client: &mut Client, twin: &str) -> Result<Vec<u64>> {
    let (mut numbers, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/twins/{twin}/history?name={STAMP}&limit={PAGE}{cursor}");
        let page: Value = serde_json::from_slice(client.read(&path).await?)?;
        let items = page["items"].as_array().ok_or("a page without items")?;
        numbers.extend(items.iter().filter_map(|item| item["value"].as_u64()?.checked_sub(STAMP_BASE)));
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}
