//! How fast this store is on a cluster: `cargo run --release -p persistence-scylla --example speed [host:port]`.
//!
//! Callers that append one batch after another, as the batchers of the runtime's threads do, with batches of 1, 16 and 256 turns:
//! turns a second, and how long an append takes. Then a flush of everything. It makes a keyspace `speed_…` and leaves it there.

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use hierarchy_models::{Event, EventBody, Raw, Record, Timestamp, TwinId, Value, event::Encoding};
use persistence::{Batch, Journal, Projection, Projections, Snapshot, Store};
use persistence_scylla::{Options, ScyllaStore};

const TWINS: u64 = 10_000;
const CALLERS: u64 = 4;
const RUN: Duration = Duration::from_secs(5);
const SNAPSHOT_BYTES: usize = 200;

fn event(seq: u64) -> Event {
    let at = Timestamp::from_millis_clamped(1_700_000_000_000 + seq as i64);
    let values = vec![("temperature".into(), Value::Float(20.0 + (seq % 700) as f64 / 100.0)), ("seq".into(), Value::Int(seq as i64))];
    let text = format!(r#"{{"temperature":{:.2},"seq":{seq}}}"#, 20.0 + (seq % 700) as f64 / 100.0);
    let raw = Raw { encoding: Encoding::Json, bytes: Bytes::from(text) };
    Event { seq, received_at: at, body: EventBody::Telemetry { stream: None, records: vec![Record { at, id: None, values }], raw } }
}

fn twin(n: u64) -> Result<TwinId, Box<dyn Error + Send + Sync>> {
    Ok(TwinId::new(format!("device-{n:05}"))?)
}

/// One caller; how long each of its appends took.
async fn call(store: Arc<ScyllaStore>, caller: u64, turns: u64) -> Result<Vec<Duration>, Box<dyn Error + Send + Sync>> {
    let (begun, mut took, mut seq) = (Instant::now(), Vec::new(), 0);
    while begun.elapsed() < RUN {
        let mut batch = Batch::default();
        for _ in 0..turns {
            seq += 1;
            batch.push(&twin((seq * CALLERS + caller) % TWINS)?, &[event(seq)]);
        }
        let since = Instant::now();
        store.append(batch).await?;
        took.push(since.elapsed());
    }
    Ok(took)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let node = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9042".into());
    let options = Options { nodes: vec![node], keyspace: format!("speed_{}", std::process::id()), ..Options::default() };
    let store = ScyllaStore::open(options).await?.store;
    println!("| turns a batch | turns/s | append p50 ms | p99 ms | turns a frame |\n|---|---|---|---|---|");
    for turns in [1, 16, 256] {
        let before = store.stats();
        let callers: Vec<_> = (0..CALLERS).map(|caller| tokio::spawn(call(store.clone(), caller, turns))).collect();
        let mut took = Vec::new();
        for caller in callers {
            took.extend(caller.await??);
        }
        took.sort();
        let ms = |part: f64| took[((took.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
        let (frames, all) =
            (store.stats().frames_committed - before.frames_committed, store.stats().turns_committed - before.turns_committed);
        let (rate, each) = (all as f64 / RUN.as_secs_f64(), all as f64 / frames as f64);
        println!("| {turns} | {rate:.0} | {:.1} | {:.1} | {each:.1} |", ms(0.5), ms(0.99));
    }
    let (since, events, bytes) = (Instant::now(), store.stats().turns_committed, store.backlog_bytes());
    let snapshots = (0..TWINS).map(|n| {
        let (state, contribution) = (Bytes::from(vec![7; SNAPSHOT_BYTES]), Bytes::from(vec![7; 40]));
        Ok(Snapshot { twin: twin(n)?, seq: 1_000_000, state, contribution, wake_at: None })
    });
    let snapshots = snapshots.collect::<Result<Vec<_>, Box<dyn Error + Send + Sync>>>()?;
    store.project(Projection { through: Some(store.mark()), snapshots, ..Projection::default() }).await?;
    println!("\na flush of {events} events ({bytes} bytes) and {TWINS} snapshots: {:.1} s", since.elapsed().as_secs_f64());
    store.close().await?;
    Ok(())
}
