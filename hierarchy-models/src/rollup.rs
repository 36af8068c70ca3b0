//! How a parent's figures follow from its children's: incremental, free of drift, O(log siblings) a change.
//!
//! A parent keeps, for each name, a binary tree over its children's folds. A change of one child walks one path
//! to the root. Running sums would be O(1), but they drift, and one wild reading (1e300, later withdrawn) would
//! spoil a building's average for ever; re-adding all children is exact but melts under a storm.
//!
//! What every twin folds by itself (counts, and the numbers of its telemetry by name) stands in [`Aggregate`]. What a twin or its model
//! defines beyond that ([`RollupSet`]) goes down the tree as [`Asks`], and the answers come up beside the rest.

mod aggregate;
mod answers;
mod ask;
mod asking;
mod child;
mod column;
mod condition;
mod definition;
mod figures;
mod parse;
mod results;
mod sketch;
mod subject;

pub use aggregate::{Aggregate, Awaited};
pub use answers::Answers;
pub use ask::{Ask, Asks, Operand, Reach, Scope, Source, What};
pub use asking::Asking;
pub use condition::{Comparison, Condition, Word};
pub use definition::{Definition, DefinitionError, Figure, RollupSet};
pub use figures::{Figures, Partial, Weighted};
pub use results::{Computed, Results};
pub use sketch::{RELATIVE_ERROR_MAX, SKETCH_BUCKETS_MAX, Sketch};
pub use subject::Subject;

use std::hash::{Hash, Hasher};

pub use crate::expression::{Literal, Number, Relation, SyntaxError};
use crate::{alert::Severity, id::Name, time::Timestamp};

/// Whether a text is a definition.
pub fn check(text: &str) -> Result<(), SyntaxError> {
    parse::definition(text).map(drop)
}

/// The fold of one numeric value over any number of twins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fold {
    pub count: u64,
    pub sum: f64,
    pub min: f64,
    pub max: f64,
    pub last: f64,
    pub last_at: Timestamp,
}

impl Fold {
    pub const EMPTY: Self = Self { count: 0, sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY, last: 0.0, last_at: Timestamp::MIN };

    pub fn of(value: f64, at: Timestamp) -> Self {
        Self { count: 1, sum: value, min: value, max: value, last: value, last_at: at }
    }

    pub fn merge(&self, other: &Self) -> Self {
        if self.count == 0 {
            return *other;
        }
        if other.count == 0 {
            return *self;
        }
        // Of two at the same instant the larger, so that no order of merging shows.
        let later = other.last_at.cmp(&self.last_at).then(other.last.total_cmp(&self.last));
        let newer = if later.is_ge() { other } else { self };
        Self {
            count: self.count + other.count,
            sum: self.sum + other.sum,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            last: newer.last,
            last_at: newer.last_at,
        }
    }

    /// Tells a fingerprint all there is, to the last bit.
    fn print(&self, hasher: &mut impl Hasher) {
        (self.count, self.last_at).hash(hasher);
        for number in [self.sum, self.min, self.max, self.last] {
            number.to_bits().hash(hasher);
        }
    }

    /// The mean; `None` over nothing, or when the sum left the range of numbers.
    pub fn avg(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64).filter(|avg| avg.is_finite())
    }
}

/// Figures that add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Counts {
    /// Devices (twins that are not places).
    pub devices: u64,
    pub connected: u64,
    /// Devices silent for longer than the stale bound; their values are left out.
    pub stale: u64,
    pub quarantined: u64,
    pub alerts_info: u64,
    pub alerts_warning: u64,
    pub alerts_critical: u64,
}

impl Counts {
    pub const NONE: Self =
        Self { devices: 0, connected: 0, stale: 0, quarantined: 0, alerts_info: 0, alerts_warning: 0, alerts_critical: 0 };

    fn each(&mut self, other: &Self, f: fn(u64, u64) -> u64) {
        for (mine, theirs) in [
            (&mut self.devices, other.devices),
            (&mut self.connected, other.connected),
            (&mut self.stale, other.stale),
            (&mut self.quarantined, other.quarantined),
            (&mut self.alerts_info, other.alerts_info),
            (&mut self.alerts_warning, other.alerts_warning),
            (&mut self.alerts_critical, other.alerts_critical),
        ] {
            *mine = f(*mine, theirs);
        }
    }

    pub fn add(&mut self, other: &Self) {
        self.each(other, u64::wrapping_add);
    }

    pub fn subtract(&mut self, other: &Self) {
        self.each(other, u64::wrapping_sub);
    }

    pub fn alert(&mut self, severity: Severity) {
        match severity {
            Severity::Info => self.alerts_info += 1,
            Severity::Warning => self.alerts_warning += 1,
            Severity::Critical => self.alerts_critical += 1,
        }
    }

    pub fn worst(&self) -> Option<Severity> {
        if self.alerts_critical > 0 {
            Some(Severity::Critical)
        } else if self.alerts_warning > 0 {
            Some(Severity::Warning)
        } else if self.alerts_info > 0 {
            Some(Severity::Info)
        } else {
            None
        }
    }

    pub fn alerts(&self) -> u64 {
        self.alerts_info + self.alerts_warning + self.alerts_critical
    }
}

/// What a twin passes to its parent: itself and everything below it, in absolute figures, so that a repetition is harmless.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Contribution {
    pub counts: Counts,
    /// In the order of the names.
    pub values: Vec<(Name, Fold)>,
    /// When the device was last heard; `None` for places and for devices never heard. Only a twin without children
    /// can go stale at its parent; what a place passes on has been sifted already.
    pub last_seen: Option<Timestamp>,
    /// To what it was asked, when it was asked anything.
    pub answers: Option<Box<Answers>>,
}

impl Contribution {
    /// A fingerprint, to tell whether there is anything new to pass on without keeping what was passed on: for a twin with
    /// ten values that would be as much again as the values themselves.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        (self.counts, self.last_seen, self.values.len()).hash(&mut hasher);
        for (name, fold) in &self.values {
            name.hash(&mut hasher);
            fold.print(&mut hasher);
        }
        if let Some(answers) = &self.answers {
            answers.print(&mut hasher);
        }
        hasher.finish()
    }
}
