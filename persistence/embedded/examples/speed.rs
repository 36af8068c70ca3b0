//! How fast this store is here: `cargo run --release -p persistence-embedded --example speed [folder]`.
//!
//! First what a commit costs in CPU time, by the turns in it: one caller, one batch after another. Then flushes with nothing else
//! going on: 10,000 twins with ten events each. Then callers that append one batch after another, as the batchers of the runtime's
//! threads do, while another flushes every second.

use std::{
    error::Error,
    fs, io,
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
/// Turns in a commit, and how many such commits are measured.
const COMMITS: [(u64, u64); 3] = [(1, 4_000), (16, 4_000), (256, 2_000)];
/// Names of the store's threads, as the kernel cuts them off.
const JOURNAL: &str = "twinfold-journa";
const STATE: &str = "twinfold-state";

/// CPU time so far of the threads of this process whose names are `name`.
fn cpu_time(name: &str) -> io::Result<Duration> {
    let mut sum = Duration::ZERO;
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if fs::read_to_string(task.join("comm"))?.trim_end() == name {
            let ran = fs::read_to_string(task.join("schedstat"))?;
            sum += Duration::from_nanos(ran.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0));
        }
    }
    Ok(sum)
}

/// What `cpu_time` grew by since `before`, in microseconds for each of `count`.
fn cpu_each(name: &str, before: Duration, count: u64) -> io::Result<f64> {
    Ok((cpu_time(name)? - before).as_secs_f64() * 1e6 / count as f64)
}

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

fn batch(first: u64, turns: u64) -> Result<Batch, persistence::Error> {
    let mut batch = Batch::default();
    for next in (first..).step_by(7).take(turns as usize) {
        let twin = TwinId::new(format!("device-{:05}", next % TWINS));
        batch.push(&twin.map_err(|e| persistence::Error::Refused(e.to_string()))?, &[event(next)]);
    }
    Ok(batch)
}

/// The CPU time of the journal's thread for each commit.
async fn commits(store: &EmbeddedStore, turns: u64, count: u64) -> Result<(), Box<dyn Error>> {
    let one = batch(1, turns)?;
    let (since, before) = (Instant::now(), cpu_time(JOURNAL)?);
    for _ in 0..count {
        store.append(one.clone()).await?;
    }
    let (cpu, each) = (cpu_each(JOURNAL, before, count)?, since.elapsed() / count as u32);
    println!("commit of {turns} turns ({} bytes): journal thread {cpu:.1} µs CPU, {each:?} on the clock", one.as_bytes().len());
    store.project(Projection { through: Some(store.mark()), ..Projection::default() }).await?;
    Ok(())
}

/// Appends batches of `turns` until the time is up; how many turns, and how long each append took.
async fn caller(store: Arc<EmbeddedStore>, first: u64, turns: u64, until: Instant) -> Result<(u64, Vec<Duration>), persistence::Error> {
    let (mut next, mut times) = (first, Vec::new());
    while Instant::now() < until {
        let batch = batch(next, turns)?;
        next += 7 * turns;
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
        let (since, before) = (Instant::now(), cpu_time(STATE)?);
        store.project(Projection { through: Some(store.mark()), ..Projection::default() }).await?;
        let (history, cpu) = (since.elapsed(), cpu_each(STATE, before, TWINS * EVENTS)?);
        let snapshots = twins.iter().map(|twin| snapshot(twin, round)).collect();
        let since = Instant::now();
        store.project(Projection { snapshots, ..Projection::default() }).await?;
        println!("{TWINS} twins × {EVENTS} events: history {history:?} ({cpu:.2} µs CPU an event), snapshots {:?}", since.elapsed());
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
    for (turns, count) in COMMITS {
        commits(&store, turns, count).await?;
    }
    flushes_alone(&store).await?;
    for (callers, turns) in [(1, 1), (2, 64), (2, 256), (8, 64)] {
        appends(&store, callers, turns).await?;
    }
    println!("{:?}", store.stats());
    store.close().await?;
    Ok(())
}
