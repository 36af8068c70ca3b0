//! What can be asked of history, registry and commands, and what comes back. All limits are the caller's to check.

use std::{collections::BTreeMap, time::Duration};

use hierarchy_models::{CommandState, Event, Name, Timestamp, TwinId, Value};

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
    /// Events up to this number are of a former twin of the same id and are not seen.
    pub after_seq: u64,
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
    /// Events up to this number are of a former twin of the same id and are not seen.
    pub after_seq: u64,
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
    /// A bucket of one value.
    pub fn of(at: Timestamp, value: f64) -> Self {
        Self { at, count: 1, sum: value, min: value, max: value }
    }

    pub fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    pub fn avg(&self) -> f64 {
        self.sum / self.count as f64
    }
}

/// Where the bucket that holds `at` begins.
pub fn bucket_start(at: Timestamp, every: Duration) -> Timestamp {
    let width = i64::try_from(every.as_millis()).unwrap_or(i64::MAX).max(1);
    Timestamp::from_millis_clamped(at.as_millis().div_euclid(width).saturating_mul(width))
}

/// Folds points into buckets aligned to 1970-01-01T00:00Z, in the order of time.
pub fn buckets_of(points: impl Iterator<Item = (Timestamp, f64)>, every: Duration) -> BTreeMap<Timestamp, Bucket> {
    let mut buckets: BTreeMap<Timestamp, Bucket> = BTreeMap::new();
    for (at, value) in points {
        let start = bucket_start(at, every);
        buckets.entry(start).and_modify(|bucket| bucket.add(value)).or_insert(Bucket::of(start, value));
    }
    buckets
}

#[derive(Debug, Clone)]
pub struct EventQuery {
    pub twin: TwinId,
    /// Events up to this number are of a former twin of the same id and are not seen.
    pub after_seq: u64,
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
