//! What can be asked of history, registry and commands, and what comes back. All limits are the caller's to check.

use std::{collections::BTreeMap, time::Duration};

use hierarchy_models::{CommandState, Event, Name, Timestamp, TwinId, Value, id::ModelId};

/// One page of an answer; `cursor` asks for the next one and is absent on the last.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub cursor: Option<String>,
}

impl<T> Page<T> {
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(f).collect(), cursor: self.cursor }
    }
}

/// `from` is included, `to` is not.
#[derive(Debug, Clone)]
pub struct HistoryQuery {
    pub twin: TwinId,
    pub name: Name,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub limit: usize,
    pub cursor: Option<String>,
}

/// A recorded value. `stream` is `telemetry`, `telemetry/NAME` or `reported`.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryItem {
    pub at: Timestamp,
    pub received_at: Timestamp,
    pub value: Value,
    pub stream: Name,
}

#[derive(Debug, Clone)]
pub struct BucketQuery {
    pub twin: TwinId,
    pub name: Name,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// At least one second.
    pub every: Duration,
    pub limit: usize,
    pub cursor: Option<String>,
}

/// The numeric values of one span of time, which begins at `at`.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    pub at: Timestamp,
    pub count: u64,
    pub sum: f64,
    pub min: f64,
    pub max: f64,
}

impl Bucket {
    pub fn avg(&self) -> f64 {
        self.sum / self.count as f64
    }
}

/// Folds points into buckets aligned to 1970-01-01T00:00Z, in the order of time.
pub fn buckets_of(points: impl Iterator<Item = (Timestamp, f64)>, every: Duration) -> BTreeMap<Timestamp, Bucket> {
    let width = i64::try_from(every.as_millis()).unwrap_or(i64::MAX).max(1);
    let mut buckets = BTreeMap::new();
    for (at, value) in points {
        let start = Timestamp::from_millis_clamped(at.as_millis().div_euclid(width).saturating_mul(width));
        let bucket = buckets.entry(start).or_insert(Bucket { at: start, count: 0, sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY });
        bucket.count += 1;
        bucket.sum += value;
        bucket.min = bucket.min.min(value);
        bucket.max = bucket.max.max(value);
    }
    buckets
}

#[derive(Debug, Clone)]
pub struct EventQuery {
    pub twin: TwinId,
    /// One of [`hierarchy_models::event::STREAMS`]; all when absent.
    pub stream: Option<Name>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub limit: usize,
    pub cursor: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct LoggedEvent {
    pub twin: TwinId,
    pub event: Event,
}

#[derive(Debug, Clone)]
pub struct CommandQuery {
    pub twin: TwinId,
    pub state: Option<CommandState>,
    pub limit: usize,
    pub cursor: Option<String>,
}

/// All conditions given must hold.
#[derive(Debug, Clone, Default)]
pub struct RegistryQuery {
    pub model: Option<ModelId>,
    pub parent: Option<TwinId>,
    /// Anywhere below this twin, itself not included.
    pub under: Option<TwinId>,
    pub limit: usize,
    pub cursor: Option<String>,
}
