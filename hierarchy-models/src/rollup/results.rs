//! What definitions come to: figures by name, each with how many twins are in it and how many were left out as silent.

use std::hash::{Hash, Hasher};

use super::{
    definition::{Definition, Figure},
    figures::{Figures, Partial},
};
use crate::{id::Name, time::Timestamp, value::Value};

/// One defined roll-up as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Computed {
    /// A number; of `worst`, the name of a severity; null when there is nothing to tell it from.
    pub value: Value,
    /// Twins in it; of `worst`, alerts.
    pub count: u64,
    /// Twins that were left out because they are silent.
    pub stale: u64,
    /// The time of the newest value in it, where values have times.
    pub at: Timestamp,
}

/// The defined roll-ups of one twin, in the order of their names.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Results(Vec<(Name, Computed)>);

impl Results {
    /// Of results in the order of their names.
    pub(super) fn from_sorted(results: Vec<(Name, Computed)>) -> Self {
        Self(results)
    }

    pub fn get(&self, name: &str) -> Option<&Computed> {
        let at = self.0.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok()?;
        Some(&self.0[at].1)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Computed)> {
        self.0.iter().map(|(name, result)| (name, result))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells whether anything has changed without keeping what it was.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        for (name, Computed { value, count, stale, at }) in &self.0 {
            (name, count, stale, at).hash(&mut hasher);
            value.as_f64().map(f64::to_bits).hash(&mut hasher);
            value.as_str().hash(&mut hasher);
        }
        hasher.finish()
    }
}

impl Definition {
    /// What the definition comes to, `all` being what those below answer.
    pub(super) fn compute(&self, all: &Partial) -> Computed {
        let value = match &all.figures {
            Figures::Twins(count) => Value::Int(int(*count)),
            Figures::Alerts(counts) => worst(counts),
            Figures::Values(_) if self.figure == Figure::Count => Value::Int(int(all.count())),
            Figures::Values(fold) if fold.count == 0 => Value::Null,
            Figures::Values(fold) => match self.figure {
                Figure::Sum => number(fold.sum),
                Figure::Min => number(fold.min),
                Figure::Max => number(fold.max),
                Figure::Last => number(fold.last),
                _ => fold.avg().map_or(Value::Null, Value::Float),
            },
            Figures::Weighted(weighted) => number(weighted.products.sum / weighted.weights.sum),
            Figures::Spread(sketch) => match self.figure {
                Figure::Percentile(percent) => sketch.percentile(percent).map_or(Value::Null, Value::Float),
                _ => Value::Null,
            },
        };
        let at = match &all.figures {
            Figures::Values(fold) => fold.last_at,
            Figures::Weighted(weighted) => weighted.products.last_at,
            _ => Timestamp::MIN,
        };
        Computed { value, count: all.count(), stale: all.stale, at }
    }
}

fn int(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Sums can leave the range of numbers, and come back.
fn number(number: f64) -> Value {
    if number.is_finite() { Value::Float(number) } else { Value::Null }
}

fn worst(counts: &[u64; 3]) -> Value {
    let worst = ["info", "warning", "critical"].into_iter().zip(counts).rev().find(|(_, count)| **count > 0);
    worst.map_or(Value::Null, |(severity, _)| Value::from(severity))
}
