//! Alerts as everybody else sees them: listing, reading, acknowledging, clearing.

use hierarchy_models::{AlertId, AlertRecord, AlertState, Name};
use persistence::Page;

use super::{Twins, error_of};
use crate::{
    alerts::{self, AlertQuery},
    envelope::Ask,
    error::TwinError,
    twin::decide::Input,
};

impl Twins {
    /// Newest first. Sees every alert that is durable, written behind or not.
    pub async fn alerts(&self, query: AlertQuery) -> Result<Page<AlertRecord>, TwinError> {
        alerts::list(&self.runtime, query).await
    }

    pub async fn alert(&self, id: &AlertId) -> Result<AlertRecord, TwinError> {
        self.runtime.alerts.get(&*self.runtime.store, id).await?.ok_or_else(|| TwinError::NoSuchAlert(id.clone()))
    }

    /// Acknowledging twice changes nothing; what is cleared cannot be acknowledged any more.
    pub async fn acknowledge_alert(&self, id: &AlertId, by: Name) -> Result<AlertRecord, TwinError> {
        self.say_of_alert(id, |alert| Input::AcknowledgeAlert { alert, by }, false).await
    }

    /// Clearing twice changes nothing.
    pub async fn clear_alert(&self, id: &AlertId, by: Name) -> Result<AlertRecord, TwinError> {
        self.say_of_alert(id, |alert| Input::ClearAlert { alert, by }, true).await
    }

    async fn say_of_alert(&self, id: &AlertId, input: impl FnOnce(AlertId) -> Input, over_is_fine: bool) -> Result<AlertRecord, TwinError> {
        let twin = id.twin().ok_or_else(|| TwinError::NoSuchAlert(id.clone()))?;
        match self.runtime.ask(&twin, Ask::Core(input(id.clone()))).await.map_err(error_of) {
            Ok(_) => self.alert(id).await,
            // It stands no more, or it never did.
            Err(TwinError::NoSuchAlert(_) | TwinError::NoSuchTwin(_)) => {
                let record = self.alert(id).await?;
                let is_over = record.state() == AlertState::Cleared;
                if is_over && !over_is_fine { Err(TwinError::AlertCleared(id.clone())) } else { Ok(record) }
            }
            Err(error) => Err(error),
        }
    }
}
