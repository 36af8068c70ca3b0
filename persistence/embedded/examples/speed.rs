//! How fast this store is here: `cargo run --release -p persistence-embedded --example speed [folder]`.
//!
//! First flushes with nothing else going on: 10,000 twins with ten events each. Then callers that append one batch after another,
//! as the batchers of the runtime's threads do, while another flushes every second.

use std::{
    error::Error,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use hierarchy_models::{Event, EventBody, Raw, Record, Timestamp, TwinId, Value, event::Encoding};
use persistence::{Batch, Journal, Projection, Projections, Snapshot, Store};
use persistence_embedded::{EmbeddedStore, Opened, Options};

const TWINS: u64 = 10_000;
const EVENTS: u64 = 10;
const FLUSHES: u64 = 12;
const RUN: Duration = Duration::from_secs(8);

fn event(seq: u64) -> Event {
    let at = Timestamp::from_millis_clamped(1_700_000_000_000 + seq as i64);
    let text = format!(
        r#"{{"temperature":{:.2},"humidity":{:.2},"battery":87,"seq":{seq}}}"#,
        20.0 + (seq % 700) as f64 / 100.0,
        40.0 + (seq % 310) as f64 / 10.0
    );
    let values = vec![
        ("temperature".into(), Value::Float(20.0 + (seq % 700) as f64 / 100.0)),
        ("humidity".into(), Value::Float(40.0 + (seq % 310) as f64 / 10.0)),
        ("battery".into(), Value::Int(87)),
        ("seq".into(), Value::Int(seq as i64)),
    ];
    let raw = Raw { encoding: Encoding::Json, bytes: Bytes::from(text) };
    Event { seq, received_at: at, body: EventBody::Telemetry { stream: None, records: vec![Record { at, id: None, values }], raw } }
}

/// Appends batches of `turns` until the time is up; how many turns, and how long each append took.
async fn caller(store: Arc<EmbeddedStore>, first: u64, turns: u64, until: Instant) -> Result<(u64, Vec<Duration>), persistence::Error> {
    let (mut next, mut times) = (first, Vec::new());
    while Instant::now() < until {
        let mut batch = Batch::default();
        for _ in 0..turns {
            next += 7;
            let twin = TwinId::new(format!("device-{:05}", next % TWINS));
            batch.push(&twin.map_err(|e| persistence::Error::Refused(e.to_string()))?, &[event(next)]);
        }
        let since = Instant::now();
        store.append(batch).await?;
        times.push(since.elapsed());
    }
    Ok((times.len() as u64 * turns, times))
}

async fn flush(store: Arc<EmbeddedStore>, until: Instant) -> Result<Vec<Duration>, persistence::Error> {
    let mut times = Vec::new();
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let since = Instant::now();
        store.project(Projection { through: Some(store.mark()), ..Projection::default() }).await?;
        times.push(since.elapsed());
    }
    Ok(times)
}

async fn flushes_alone(store: &EmbeddedStore) -> Result<(), Box<dyn Error>> {
    let twins = (0..TWINS).map(|n| TwinId::new(format!("device-{n:05}"))).collect::<Result<Vec<_>, _>>()?;
    for round in 0..FLUSHES {
        for n in 0..EVENTS {
            let mut batch = Batch::default();
            for twin in &twins {
                batch.push(twin, &[event(round * EVENTS + n + 1)]);
                if batch.is_full() {
                    store.append(std::mem::take(&mut batch)).await?;
                }
            }
            store.append(batch).await?;
        }
        let since = Instant::now();
        store.project(Projection { through: Some(store.mark()), ..Projection::default() }).await?;
        let history = since.elapsed();
        let snapshots = twins.iter().map(|twin| snapshot(twin, round)).collect();
        let since = Instant::now();
        store.project(Projection { snapshots, ..Projection::default() }).await?;
        println!("{TWINS} twins × {EVENTS} events: history {history:?}, snapshots {:?}", since.elapsed());
    }
    Ok(())
}

fn snapshot(twin: &TwinId, seq: u64) -> Snapshot {
    let (state, contribution) = (Bytes::from(vec![seq as u8; 600]), Bytes::from_static(&[7; 60]));
    Snapshot { twin: twin.clone(), seq, state, contribution, wake_at: None }
}

async fn appends(store: &Arc<EmbeddedStore>, callers: u64, turns: u64) -> Result<(), Box<dyn Error>> {
    let until = Instant::now() + RUN;
    let flushing = tokio::spawn(flush(store.clone(), until));
    let tasks: Vec<_> = (0..callers).map(|n| tokio::spawn(caller(store.clone(), n * 1_000_003, turns, until))).collect();
    let (mut total, mut times) = (0, Vec::new());
    for task in tasks {
        let (turns, of_caller) = task.await??;
        total += turns;
        times.extend(of_caller);
    }
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let (rate, flushes) = (total as f64 / RUN.as_secs_f64(), flushing.await??);
    let (p50, p99, max) = (at(0.5), at(0.99), at(1.0));
    println!("{callers} callers × {turns} turns: {rate:>7.0} turns/s, append p50 {p50:?} p99 {p99:?} max {max:?}; flushes {flushes:?}");
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).map_or_else(|| std::env::temp_dir().join("twinfold-speed"), PathBuf::from);
    let Opened { store, .. } = EmbeddedStore::open(&folder, Options::default())?;
    flushes_alone(&store).await?;
    for (callers, turns) in [(1, 1), (2, 64), (2, 256), (8, 64)] {
        appends(&store, callers, turns).await?;
    }
    println!("{:?}", store.stats());
    store.close().await?;
    Ok(())
}
