//! The roll-ups that a twin or a model defines, read and changed.

use std::sync::Arc;

use futures_util::future::join_all;
use hierarchy_models::{TwinId, rollup::RollupSet};

use super::{Twins, error_of};
use crate::{
    envelope::{Answer, Ask},
    error::TwinError,
    rollups::Definitions,
    twin::decide::Input,
};

impl Twins {
    /// What is defined on a twin, by itself and by its model.
    pub async fn rollups(&self, id: &TwinId) -> Result<Definitions, TwinError> {
        match self.runtime.ask(id, Ask::Definitions).await.map_err(error_of)? {
            Answer::Definitions(definitions) => Ok(definitions),
            _ => Err(TwinError::Overloaded),
        }
    }

    /// Replaces what a twin defines itself; an empty set removes it. Durable when it returns; the figures follow within a tick a level.
    pub async fn set_rollups(&self, id: &TwinId, rollups: RollupSet, if_version: Option<u64>) -> Result<Definitions, TwinError> {
        let input = Input::SetRollups { rollups: Arc::new(rollups), if_version };
        self.runtime.ask(id, Ask::Core(input)).await.map_err(error_of)?;
        self.rollups(id).await
    }

    /// Every twin in memory looks again at what its model defines; those that are not will when they start.
    pub(super) async fn models_changed(&self) {
        self.runtime.rules.models_changed();
        let hosts = self.runtime.hosts.read().clone();
        join_all(hosts.iter().map(|host| host.call(|host| async move { host.redefine() }))).await;
    }
}
