//! Appends from several callers, by the turns in a batch, and the flush of them all.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use persistence::{Journal, Projection, Projections, Store};
use persistence_scylla::ScyllaStore;

use crate::{Failure, batch, snapshot, usage::Usage};

const TWINS: u64 = 10_000;
const CALLERS: u64 = 4;
const RUN: Duration = Duration::from_secs(5);

/// One caller; how long each of its appends took.
async fn call(store: Arc<ScyllaStore>, caller: u64, turns: u64) -> Result<Vec<Duration>, Failure> {
    let (begun, mut took) = (Instant::now(), Vec::new());
    for n in 0.. {
        if begun.elapsed() >= RUN {
            break;
        }
        let first = n * turns;
        let batch = batch((first..first + turns).map(|at| (at * CALLERS + caller) % TWINS), n + 1)?;
        let since = Instant::now();
        store.append(batch).await?;
        took.push(since.elapsed());
    }
    Ok(took)
}

pub async fn run(store: &Arc<ScyllaStore>) -> Result<(), Failure> {
    println!("| turns a batch | turns/s | append p50 ms | p99 ms | turns a frame | CPU µs a turn | allocations a turn |");
    println!("|---|---|---|---|---|---|---|");
    for turns in [1, 16, 256] {
        let (before, usage) = (store.stats(), Usage::now()?);
        let callers: Vec<_> = (0..CALLERS).map(|caller| tokio::spawn(call(store.clone(), caller, turns))).collect();
        let mut took = Vec::new();
        for caller in callers {
            took.extend(caller.await??);
        }
        took.sort();
        let ms = |part: f64| took[((took.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
        let (frames, all) =
            (store.stats().frames_committed - before.frames_committed, store.stats().turns_committed - before.turns_committed);
        let (cpu, allocations) = usage.each(all)?;
        let (rate, each) = (all as f64 / RUN.as_secs_f64(), all as f64 / frames as f64);
        println!("| {turns} | {rate:.0} | {:.1} | {:.1} | {each:.1} | {cpu:.1} | {allocations:.1} |", ms(0.5), ms(0.99));
    }
    let (events, bytes) = (store.stats().turns_committed, store.backlog_bytes());
    let snapshots = (0..TWINS).map(|n| snapshot(n, 1_000_000)).collect::<Result<Vec<_>, _>>()?;
    let (since, usage) = (Instant::now(), Usage::now()?);
    store.project(Projection { through: Some(store.mark()), ..Projection::default() }).await?;
    let (history, (cpu, allocations)) = (since.elapsed(), usage.each(events)?);
    let (since, usage) = (Instant::now(), Usage::now()?);
    store.project(Projection { snapshots, ..Projection::default() }).await?;
    let (states, (state_cpu, state_allocations)) = (since.elapsed(), usage.each(TWINS)?);
    println!(
        "\nhistory of {events} events ({bytes} bytes) of {TWINS} twins: {history:.1?}, {cpu:.1} µs CPU and {allocations:.1} allocations an event"
    );
    println!("{TWINS} snapshots: {states:.1?}, {state_cpu:.1} µs CPU and {state_allocations:.1} allocations each\n");
    Ok(())
}
