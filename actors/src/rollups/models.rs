//! The roll-ups that models define, and which model extends which. Fed by whoever reads models; the runtime only asks.

use std::{collections::HashMap, sync::Arc};

use hierarchy_models::{
    ModelId,
    limits::ROLLUP_DEFINITIONS_MAX,
    rollup::{DefinitionError, RollupSet},
};
use parking_lot::RwLock;

use crate::twin::TwinState;

/// By model. A model that is not here defines nothing and extends nothing.
#[derive(Default)]
pub struct ModelRollups(RwLock<HashMap<ModelId, OfModel>>);

struct OfModel {
    rollups: Option<Arc<RollupSet>>,
    /// All models that it extends, near and far.
    extends: Box<[ModelId]>,
}

impl ModelRollups {
    /// `rollups` with those that the model inherits: at most [`ROLLUP_DEFINITIONS_MAX`].
    pub fn put(&self, model: ModelId, rollups: RollupSet, extends: Vec<ModelId>) -> Result<(), DefinitionError> {
        if rollups.len() > ROLLUP_DEFINITIONS_MAX {
            return Err(DefinitionError::TooMany { definitions: rollups.len() });
        }
        let rollups = (!rollups.is_empty()).then(|| Arc::new(rollups));
        self.0.write().insert(model, OfModel { rollups, extends: extends.into() });
        Ok(())
    }

    pub fn remove(&self, model: &ModelId) {
        self.0.write().remove(model);
    }

    /// What twins of this model fold from below, beside what each defines itself.
    pub fn for_model(&self, model: &ModelId) -> Option<Arc<RollupSet>> {
        self.0.read().get(model).and_then(|of_model| of_model.rollups.clone())
    }

    /// Whether `model` is `wanted` or extends it.
    pub fn is_of(&self, model: &ModelId, wanted: &ModelId) -> bool {
        model == wanted || self.0.read().get(model).is_some_and(|of_model| of_model.extends.contains(wanted))
    }

    /// All that is defined on a twin: its own roll-ups, and its model's under other names.
    pub fn in_force(&self, twin: &TwinState) -> Option<Arc<RollupSet>> {
        match (twin.rollups(), self.for_model(&twin.model)) {
            (None, of_model) => of_model,
            (Some(own), None) => Some(own.clone()),
            (Some(own), Some(of_model)) => Some(Arc::new(own.over(&of_model))),
        }
    }
}
