//! The roll-ups that models define, for the twins that are of them.

use std::sync::Arc;

use hierarchy_models::{ModelId, rollup::RollupSet};

use super::Known;
use crate::twin::TwinState;

impl Known {
    /// What twins of this model fold from below, beside what each defines itself.
    pub fn rollups_of(&self, model: &ModelId) -> Option<&Arc<RollupSet>> {
        self.catalogue.get(model)?.rollups.as_ref()
    }

    /// Whether `model` is `wanted` or extends it.
    pub fn is_of(&self, model: &ModelId, wanted: &ModelId) -> bool {
        model == wanted || self.catalogue.get(model).is_some_and(|known| known.is_a(wanted))
    }

    /// All that is defined on a twin: its own roll-ups, and its model's under other names.
    pub fn rollups_in_force(&self, twin: &TwinState) -> Option<Arc<RollupSet>> {
        match (twin.rollups(), self.rollups_of(&twin.model)) {
            (None, of_model) => of_model.cloned(),
            (Some(own), None) => Some(own.clone()),
            (Some(own), Some(of_model)) => Some(Arc::new(own.over(of_model))),
        }
    }
}
