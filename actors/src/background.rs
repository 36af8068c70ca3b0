//! What goes on beside the messages: flushes, wakes, surveys of memory, retention. One thread, also a home of twins.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use hierarchy_models::{Timestamp, TwinId};
use persistence::Projection;

use crate::{
    alerts,
    error::TwinError,
    host::{Host, HostFigures},
    loaded::Loaded,
    rules::webhooks,
    runtime::Runtime,
    twin::TwinState,
};

/// Journal read at once when recovering.
const RECOVER_BYTES_AT_ONCE: usize = 32 << 20;
/// History rows forgotten at once.
const FORGET_ROWS_AT_ONCE: usize = 2_000;
const SURVEY_EVERY: Duration = Duration::from_secs(5);
/// Pause before a flush that failed is tried again while devices wait for it.
const FLUSH_RETRY_PAUSE: Duration = Duration::from_secs(1);
/// History is looked through for what is too old this often, or ten times within the retention if that is shorter.
const RETENTION_EVERY_MAX: Duration = Duration::from_secs(60);
const RETENTION_EVERY_MIN: Duration = Duration::from_secs(1);
/// Twins sent out of memory in one survey.
const EVICTED_AT_ONCE: usize = 2_000;

/// Folds what the journal holds beyond the checkpoint into snapshots, rows and history; the number of turns.
pub async fn recover(runtime: &Runtime) -> Result<usize, TwinError> {
    let mut total = 0;
    loop {
        let (turns, mark) = runtime.store.unprojected(RECOVER_BYTES_AT_ONCE).await?;
        if turns.is_empty() {
            return Ok(total);
        }
        total += turns.len();
        let mut touched: std::collections::HashMap<TwinId, Loaded> = Default::default();
        for turn in turns {
            if !touched.contains_key(&turn.twin) {
                let state = match runtime.store.snapshot(&turn.twin).await? {
                    Some(snapshot) => TwinState::from_bytes(&snapshot.state)?,
                    None => TwinState::blank(),
                };
                touched.insert(turn.twin.clone(), Loaded::new(state));
            }
            if let Some(twin) = touched.get_mut(&turn.twin) {
                twin.take(&turn.twin, &turn.events, runtime.settings.dedupe_records_max);
            }
        }
        let mut projection = Projection { through: Some(mark), ..Projection::default() };
        let (mut alerts, mut calls) = (BTreeMap::new(), Vec::new());
        for (id, mut twin) in touched {
            alerts.append(&mut twin.alerts);
            calls.append(&mut twin.calls);
            write(runtime, id, twin, &mut projection);
        }
        alerts::recover(&*runtime.store, alerts).await?;
        webhooks::recover(&*runtime.store, &calls).await?;
        sort_by_place(&mut projection);
        runtime.store.project(projection).await?;
    }
}

/// Parents before their children, so that a store that checks places finds them.
fn sort_by_place(projection: &mut Projection) {
    let rows = std::mem::take(&mut projection.registry);
    let mut waiting: std::collections::HashMap<TwinId, Vec<_>> = Default::default();
    let here: std::collections::HashSet<TwinId> = rows.iter().map(|r| r.id.clone()).collect();
    let mut ready = Vec::new();
    for row in rows {
        match row.parent.clone().filter(|p| here.contains(p)) {
            Some(parent) => waiting.entry(parent).or_default().push(row),
            None => ready.push(row),
        }
    }
    while let Some(row) = ready.pop() {
        ready.extend(waiting.remove(&row.id).unwrap_or_default());
        projection.registry.push(row);
    }
    projection.registry.extend(waiting.into_values().flatten());
}

fn write(runtime: &Runtime, id: TwinId, twin: Loaded, projection: &mut Projection) {
    let Loaded { state, commands, .. } = twin;
    if !state.registered {
        projection.deleted.push(id);
        return;
    }
    projection.commands.extend(commands.into_values().map(|c| (id.clone(), c)));
    projection.registry.push(crate::body::registry_row(&id, &state));
    projection.snapshots.push(persistence::Snapshot {
        seq: state.seq,
        state: state.to_bytes().into(),
        contribution: crate::twin::snapshot::contribution_to_bytes(&state.own_contribution()).into(),
        // What its rules wait for was in memory only: it is woken, and they look for themselves.
        wake_at: if runtime.rules.has_timers() { Some(runtime.clock.now()) } else { state.wake_at() },
        twin: id,
    });
}

/// Writes all that changed, then moves the checkpoint to where the journal was when it began.
pub async fn flush(runtime: &Arc<Runtime>) -> Result<(), TwinError> {
    let _alone = runtime.rows.write().await;
    // A stop that came first has written all there is, and closed the store.
    if runtime.is_stopping() { Ok(()) } else { flush_alone(runtime).await }
}

/// The same, for who has [`Runtime::rows`] alone already.
pub async fn flush_alone(runtime: &Arc<Runtime>) -> Result<(), TwinError> {
    let mark = runtime.store.mark();
    let hosts = runtime.hosts.read().clone();
    let collected = join_all(hosts.iter().map(|h| h.call(Host::collect))).await;
    let complete = collected.iter().all(|c| matches!(c, Some(Some(_))));
    let result = if complete {
        let mut projection = Projection { through: Some(mark), ..Projection::default() };
        for rows in collected.into_iter().flatten().flatten() {
            projection.snapshots.extend(rows.snapshots);
            projection.registry.extend(rows.registry);
            projection.commands.extend(rows.commands);
            projection.deleted.extend(rows.deleted);
        }
        sort_by_place(&mut projection);
        // Before the checkpoint moves past their events.
        match alerts_and_calls(runtime).await {
            Ok(()) => runtime.store.project(projection).await,
            Err(error) => Err(error),
        }
    } else {
        Err(persistence::Error::Unavailable { doing: "flushing", detail: "a commit failed meanwhile".into() })
    };
    let written = result.is_ok();
    for host in &hosts {
        host.call(move |host| async move { host.flushed(written) }).await;
    }
    if result.is_ok() {
        metrics::counter!("twinfold_flushes_total").increment(1);
    }
    if let Err(error) = &result {
        metrics::counter!("twinfold_flushes_failed_total").increment(1);
        tracing::warn!(%error, "projections could not be written; they will be");
    }
    Ok(result?)
}

/// Writes what the alerts' documents and the outbox do not show yet.
pub async fn alerts_and_calls(runtime: &Runtime) -> Result<(), persistence::Error> {
    runtime.alerts.flush(&*runtime.store).await?;
    runtime.webhooks.flush(&*runtime.store).await
}

/// Wakes whoever is due, until the runtime stops. Apart from [`run`]: a twin that is slow to answer must not delay a flush.
pub async fn run_wakes(runtime: Arc<Runtime>) {
    let mut ticks = tokio::time::interval(runtime.settings.rollup_tick.max(Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !runtime.is_stopping() {
        ticks.tick().await;
        runtime.wakes.round(&runtime).await;
    }
}

/// Flushes until the runtime stops. Runs on a host's thread.
pub async fn run(runtime: Arc<Runtime>) {
    let mut ticks = tokio::time::interval(runtime.settings.rollup_tick.max(Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut last = Instant::now();
    while !runtime.is_stopping() {
        ticks.tick().await;
        let is_due = last.elapsed() >= runtime.settings.flush_interval;
        if is_due || runtime.store.backlog_bytes() > runtime.settings.backlog_max_bytes {
            last = Instant::now();
            let _ = flush(&runtime).await;
            catch_up(&runtime).await;
        }
    }
}

/// Surveys memory and staleness until the runtime stops. Apart from [`run`]: evictions must not delay a flush.
pub async fn run_surveys(runtime: Arc<Runtime>) {
    let mut ticks = tokio::time::interval(SURVEY_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut swept = Instant::now();
    while !runtime.is_stopping() {
        ticks.tick().await;
        let sweep = swept.elapsed() >= runtime.settings.stale_after / 20;
        if sweep {
            swept = Instant::now();
        }
        survey(&runtime, sweep).await;
        runtime.hub.sweep(runtime.clock.now());
    }
}

/// Forgets history that is too old, until the runtime stops.
pub async fn run_retention(runtime: Arc<Runtime>) {
    let Some(retention) = runtime.settings.history_retention else { return };
    let mut ticks = tokio::time::interval((retention / 10).clamp(RETENTION_EVERY_MIN, RETENTION_EVERY_MAX));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !runtime.is_stopping() {
        ticks.tick().await;
        forget(&runtime, retention).await;
    }
}

/// Forgets what is older than `retention` by now.
pub async fn forget(runtime: &Runtime, retention: Duration) {
    let before = runtime.clock.now().minus(retention);
    while let Ok(1..) = runtime.store.forget_history(before, FORGET_ROWS_AT_ONCE).await {}
    while let Ok(1..) = alerts::forget(&*runtime.store, before).await {}
}

/// While the journal is too far ahead of its projections, devices wait.
async fn catch_up(runtime: &Arc<Runtime>) {
    if runtime.store.backlog_bytes() <= runtime.settings.journal_max_bytes {
        return;
    }
    tracing::warn!(backlog = runtime.store.backlog_bytes(), "projections are too far behind the journal: devices wait");
    let shut = runtime.intake.shut().await;
    while runtime.store.backlog_bytes() > runtime.settings.journal_max_bytes / 2 && !runtime.is_stopping() {
        if flush(runtime).await.is_err() {
            tokio::time::sleep(FLUSH_RETRY_PAUSE).await;
        }
    }
    runtime.intake.open(shut).await;
}

/// Counts what is in memory and sends out who may go: the long idle, and beyond the budget whoever has been idle longest.
pub async fn survey(runtime: &Arc<Runtime>, stale_sweep: bool) {
    let now = runtime.clock.now();
    let hosts = runtime.hosts.read().clone();
    let sum = |f: fn(&HostFigures) -> &AtomicU64| -> u64 { hosts.iter().map(|h| f(&h.figures).load(Ordering::Relaxed)).sum() };
    let is_tight = sum(|f| &f.memory_bytes) > runtime.settings.memory_max_bytes;
    let idle_since = if is_tight { now } else { now.minus(runtime.settings.idle_after) };
    let idle = join_all(hosts.iter().map(|h| h.call(move |host| host.survey(now, stale_sweep, idle_since)))).await;
    let mut idle: Vec<(Timestamp, TwinId, usize)> = idle.into_iter().flatten().flatten().collect();
    let memory = sum(|f| &f.memory_bytes);
    metrics::gauge!("twinfold_twins_resident").set(sum(|f| &f.twins) as f64);
    metrics::gauge!("twinfold_twins_connected").set(sum(|f| &f.connected) as f64);
    metrics::gauge!("twinfold_twins_memory_bytes").set(memory as f64);
    metrics::gauge!("twinfold_lane_turns_waiting").set(sum(|f| &f.lane_turns) as f64);
    metrics::gauge!("twinfold_command_waiters").set(sum(|f| &f.waiters) as f64);
    metrics::gauge!("twinfold_wakes_waiting").set(runtime.wakes.len() as f64);
    metrics::gauge!("twinfold_live_events_kept").set(runtime.hub.kept() as f64);
    metrics::gauge!("twinfold_store_disk_bytes").set(runtime.store.stats().disk_bytes as f64);
    if idle.len() > EVICTED_AT_ONCE {
        idle.select_nth_unstable(EVICTED_AT_ONCE);
        idle.truncate(EVICTED_AT_ONCE);
    }
    idle.sort_unstable();
    let mut excess = memory.saturating_sub(runtime.settings.memory_max_bytes);
    for (last_used, id, bytes) in idle {
        let long_idle = now.since(last_used) >= runtime.settings.idle_after;
        if !long_idle && excess == 0 {
            break;
        }
        if let Some(twin) = runtime.directory.peek(&id)
            && runtime.evict(&id, twin, true).await
        {
            excess = excess.saturating_sub(bytes as u64);
            metrics::counter!("twinfold_twins_passivated_total").increment(1);
        }
    }
}
