//! Access that is taken away from devices in the middle of their work: how long after the answer the socket is closed, and that
//! nothing said after the answer is kept. And a whole fleet that comes back at once, while people go on working.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::task::JoinSet;

use super::{connect::storm, connect_all, enough_files, settle};
use crate::{
    Options, Result,
    clock::{histogram, micros},
    http::{client::Client, registry},
    mqtt::{connection::Connection, frame},
    peer::{Kind, Running},
    report::Row,
};

/// Callers that take access away at once.
const CALLERS: usize = 8;
/// Before the first is revoked, all have spoken for so long.
const LEAD: Duration = Duration::from_secs(1);
/// The time a person's request may take while a fleet comes back.
const READ_EVERY: Duration = Duration::from_millis(20);

/// What a device saw of its own end.
struct Seen {
    /// When it began to send its message number N, from 1.
    sent: Vec<Instant>,
    closed: Instant,
}

pub async fn revoke(peer: Kind, options: &Options) -> Result<Vec<Row>> {
    if !peer.has_twins() {
        return Ok(Vec::new());
    }
    let count = options.revoked_sessions;
    enough_files(count + options.connections)?;
    let server = Running::start(peer, options)?;
    let devices = registry::devices(&server, "revoked", count).await?;
    let others = registry::devices(&server, "other", options.connections).await?;
    settle(&server).await?;
    let mut speaking = JoinSet::new();
    for connection in connect_all(&server, &devices).await? {
        speaking.spawn_local(async move { (connection.device.clone(), speak(connection).await) });
    }
    let go_on = Rc::new(Cell::new(true));
    let mut load = JoinSet::new();
    for connection in connect_all(&server, &others).await? {
        let go_on = go_on.clone();
        load.spawn_local(async move { answered(connection, &go_on).await.map_err(|e| e.to_string()) });
    }
    tokio::time::sleep(LEAD).await;
    let begun = Instant::now();
    let answers = revoke_all(&server, devices.iter().map(|d| d.id.clone()).collect()).await?;
    let took = begun.elapsed();
    let mut ends = BTreeMap::new();
    while let Some(ended) = speaking.join_next().await {
        let (device, seen) = ended?;
        ends.insert(device, seen);
    }
    go_on.set(false);
    let mut messages = 0;
    while let Some(done) = load.join_next().await {
        messages += done??;
    }
    let (mut latency, mut client, mut late) = (histogram(), Client::open(&server).await?, 0);
    for (device, answered) in &answers {
        let seen = ends.get(device).ok_or("a device did not end")?;
        latency.saturating_record(micros(seen.closed.saturating_duration_since(*answered)));
        let twin: Value = serde_json::from_slice(client.read(&format!("/twins/{device}")).await?)?;
        let last = twin["telemetry"]["n"]["value"].as_u64().unwrap_or(0) as usize;
        late += usize::from(last > 0 && seen.sent[last - 1] > *answered);
    }
    let row = Row::new("revoke", peer, format!("{count} live sessions, {} others at work", options.connections))
        .with("revocations_per_second", count as f64 / took.as_secs_f64())
        .with("messages_per_second_meanwhile", messages as f64 / (took + LEAD).as_secs_f64())
        .with("landed_after_the_answer", late as f64)
        .with_latency(&latency);
    Ok(vec![row])
}

/// Says one numbered message after the other until the connection ends.
async fn speak(mut connection: Connection) -> Seen {
    let mut sent = Vec::new();
    loop {
        let number = sent.len() + 1;
        let payload = format!("{{\"n\": {number}}}");
        let message = frame::publish(&connection.topic("telemetry"), 1, (number % 60_000 + 1) as u16, payload.as_bytes());
        sent.push(Instant::now());
        if connection.say(&message).await.is_err() {
            return Seen { sent, closed: Instant::now() };
        }
    }
}

/// Messages that were acknowledged while it went on.
async fn answered(mut connection: Connection, go_on: &Cell<bool>) -> Result<u64> {
    let message = frame::publish(&connection.topic("telemetry"), 1, 1, b"{\"n\": 1}");
    let mut count = 0;
    while go_on.get() {
        connection.say(&message).await?;
        count += 1;
    }
    Ok(count)
}

/// When each was answered.
async fn revoke_all(server: &Running, devices: Vec<String>) -> Result<Vec<(String, Instant)>> {
    let (waiting, answers) = (Rc::new(RefCell::new(devices)), Rc::new(RefCell::new(Vec::new())));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (mut client, waiting, answers) = (Client::open(server).await?, waiting.clone(), answers.clone());
        callers.spawn_local(async move {
            loop {
                let Some(device) = waiting.borrow_mut().pop() else { return Ok(()) };
                let status = client.post(&format!("/twins/{device}/deactivate"), "").await.map_err(|e| e.to_string())?;
                if status != 200 {
                    return Err(format!("{device}: {status}"));
                }
                answers.borrow_mut().push((device, Instant::now()));
            }
        });
    }
    while let Some(done) = callers.join_next().await {
        done??;
    }
    Ok(Rc::into_inner(answers).ok_or("a caller outlived its work")?.into_inner())
}

/// All connections of a fleet at once, none waiting for another, beside a reader of one twin after the other.
pub async fn reconnect(peer: Kind, options: &Options) -> Result<Vec<Row>> {
    if !peer.has_twins() {
        return Ok(Vec::new());
    }
    let count = options.reconnects;
    let row = Row::new("reconnect", peer, format!("{count} at once, beside a reader of the API"));
    let server = Running::start(peer, options)?;
    let go_on = Rc::new(Cell::new(true));
    let mut client = Client::open(&server).await?;
    let reader = {
        let go_on = go_on.clone();
        tokio::task::spawn_local(async move {
            let (mut latency, mut number) = (histogram(), 0);
            while go_on.get() {
                tokio::time::sleep(READ_EVERY).await;
                let begun = Instant::now();
                // Those that are there by now; the storm's devices are registered first.
                let path = format!("/twins/{}", registry::id("storm", number % 100));
                let status = client.get(&path).await.map_err(|e| e.to_string())?;
                number += 1;
                if status == 200 {
                    latency.saturating_record(micros(begun.elapsed()));
                }
            }
            Ok::<_, String>(latency)
        })
    };
    let to = server.mqtt;
    let connect = async move |device: registry::Device| Connection::open(to, &device).await;
    let row = storm(&server, row, count, count, connect).await?;
    go_on.set(false);
    let latency = reader.await??;
    let ms = |q: f64| latency.value_at_quantile(q) as f64 / 1e3;
    Ok(vec![row.with("api_p50_ms", ms(0.5)).with("api_p99_ms", ms(0.99)).with("api_requests", latency.len() as f64)])
}
