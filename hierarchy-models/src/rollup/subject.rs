//! A twin as definitions see it, and what it answers for itself.

use super::{
    Fold,
    ask::{Ask, Operand, Reach, Scope, Source, What},
    figures::{Figures, Partial, Weighted},
    results::Results,
    sketch::Sketch,
};
use crate::{id::ModelId, time::Timestamp, value::Value};

/// What there is to know of a twin by itself, without those below it.
pub trait Subject {
    fn is_place(&self) -> bool;
    /// Whether it is of this model, or of one that extends it.
    fn is_of(&self, model: &ModelId) -> bool;
    /// Whether its device may connect.
    fn is_active(&self) -> bool;
    fn is_connected(&self) -> bool;
    fn is_quarantined(&self) -> bool;
    /// How many alerts stand on it: info, warning, critical.
    fn alerts(&self) -> [u64; 3];
    /// A value and its time. Never asked for [`Source::Rollups`].
    fn value(&self, source: Source, name: &str) -> Option<(&Value, Timestamp)>;
}

/// A twin with its own defined roll-ups, which are values of it too.
pub(super) struct Seen<'a, S> {
    pub twin: &'a S,
    pub results: &'a Results,
}

impl<S: Subject> Seen<'_, S> {
    pub fn find(&self, operand: &Operand) -> Option<(&Value, Timestamp)> {
        let name = operand.name.as_str();
        if matches!(operand.source, Source::Any | Source::Rollups)
            && let Some(result) = self.results.get(name)
        {
            return Some((&result.value, result.at));
        }
        if operand.source == Source::Rollups { None } else { self.twin.value(operand.source, name) }
    }

    fn number(&self, operand: &Operand) -> Option<(f64, Timestamp)> {
        self.find(operand).and_then(|(value, at)| Some((value.as_f64()?, at)))
    }

    /// Whether the value is a roll-up that has nothing to tell because all below it are silent.
    fn is_stale(&self, operand: &Operand) -> bool {
        let reads_results = matches!(operand.source, Source::Any | Source::Rollups);
        let result = self.results.get(&operand.name).filter(|_| reads_results);
        result.is_some_and(|result| result.count == 0 && result.stale > 0)
    }

    /// What the twin by itself answers; `None` when it is not meant, or has nothing to say.
    pub fn answer(&self, ask: &Ask) -> Option<Partial> {
        if !ask.scope.takes(self.twin) || !ask.only.as_ref().is_none_or(|only| only.holds(self)) {
            return None;
        }
        let figures = match &ask.what {
            What::Twins => Some(Figures::Twins(1)),
            What::Alerts => Some(Figures::Alerts(self.twin.alerts())),
            What::Values(value) => self.number(value).map(|(value, at)| Figures::Values(Fold::of(value, at))),
            What::Spread(value) => self.number(value).map(|(value, _)| Figures::Spread(Sketch::of(value))),
            What::Weighted { value, weight } => self.weighted(value, weight),
        };
        match (figures, &ask.what) {
            (Some(figures), _) => Some(Partial { stale: 0, figures }),
            (None, What::Values(value) | What::Spread(value) | What::Weighted { value, .. }) if self.is_stale(value) => {
                Some(Partial { stale: 1, ..Partial::none(&ask.what) })
            }
            _ => None,
        }
    }

    /// A weight below zero is none.
    fn weighted(&self, value: &Operand, weight: &Operand) -> Option<Figures> {
        let (value, at) = self.number(value)?;
        let (weight, _) = self.number(weight).filter(|(weight, _)| *weight >= 0.0)?;
        Some(Figures::Weighted(Box::new(Weighted { products: Fold::of(value * weight, at), weights: Fold::of(weight, at) })))
    }
}

impl Scope {
    fn takes(&self, twin: &impl Subject) -> bool {
        match &self.of {
            Some(model) => twin.is_of(model),
            None => self.reach != Reach::Devices || !twin.is_place(),
        }
    }
}
