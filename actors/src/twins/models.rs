//! Models, as others ask for them.

use std::sync::Arc;

use hierarchy_models::{ModelId, dtdl::Json};
use persistence::RegistryQuery;

use super::Twins;
use crate::{
    error::TwinError,
    models::{Added, Known},
    rules::sweep_models,
};

impl Twins {
    /// Every model that is known now.
    pub fn models(&self) -> Arc<Known> {
        self.runtime.models.known()
    }

    /// Makes Interfaces of the model language known, all of them or none. Durable when it returns.
    ///
    /// # Errors
    /// `InvalidModel` with the element and the rule; `ModelDiffers` when one is known with another content.
    pub async fn put_models(&self, interfaces: Vec<Json>) -> Result<Added, TwinError> {
        if self.runtime.is_stopping() {
            return Err(TwinError::Stopping);
        }
        let before = self.models();
        let added = self.runtime.models.put(&*self.runtime.store, interfaces).await?;
        self.models_changed().await;
        if added.new > 0 && self.runtime.rules.generation() > 0 {
            actix_rt::spawn(sweep_models(self.runtime.clone(), before));
        }
        Ok(added)
    }

    /// Forgets a model that no twin and no other model needs.
    ///
    /// # Errors
    /// `NoSuchModel`, or `ModelInUse` with what needs it.
    pub async fn delete_model(&self, model: &ModelId) -> Result<(), TwinError> {
        let runtime = &self.runtime;
        // Nobody is registered meanwhile, and no twin changes its model.
        let _alone = runtime.tree.write().await;
        if runtime.is_stopping() {
            return Err(TwinError::Stopping);
        }
        let removal = runtime.models.removal(model).await?;
        for going in &removal.going {
            let query = RegistryQuery { model: Some(going.clone()), limit: 1, ..RegistryQuery::default() };
            if let Some(twin) = runtime.store.list(query).await?.items.first() {
                return Err(TwinError::ModelInUse { model: going.clone(), by: format!("the twin {} is of it", twin.row.id) });
            }
        }
        removal.carry_out(&*runtime.store).await?;
        self.models_changed().await;
        Ok(())
    }
}
