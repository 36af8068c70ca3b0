//! How twins of a model behave for which nobody bound a kind: as those of the nearest base do, or as a place, or as a device.

use std::sync::Arc;

use hierarchy_models::{ModelId, model};

use super::{Kind, Kinds};

impl Kinds {
    /// The kind of twins of `model`, of whose bases the catalogue tells.
    pub fn inherited(&self, model: &ModelId, catalogue: &model::Catalogue, is_place: bool) -> &Arc<dyn Kind> {
        let bases = catalogue.get(model).map_or(&[][..], |model| &model.bases[..]);
        let bound = std::iter::once(model).chain(bases).find_map(|model| self.by_model.get(model));
        let place = || model::resolve("Site").ok().filter(|_| is_place).and_then(|site| self.by_model.get(&site));
        bound.or_else(place).unwrap_or(&self.fallback)
    }
}
