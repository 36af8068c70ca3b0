//! Wills: what a device asked to have said when its connection is lost, at once or after a delay.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actors::identity::Proof;
use bytes::Bytes;
use hierarchy_models::{
    DeviceMessage, TwinId,
    event::{Encoding, Raw, Will},
};
use metrics::gauge;
use tokio::{sync::oneshot, task::spawn_local, time::timeout};

use crate::house::House;

/// A will whose topic was found to be the device's to publish on.
#[derive(Debug, Clone)]
pub(crate) struct LastWill {
    /// Whose will it is, and what it had proved itself with.
    pub(crate) device: TwinId,
    pub(crate) proof: Proof,
    pub(crate) target: TwinId,
    pub(crate) topic: String,
    pub(crate) content_type: Option<String>,
    pub(crate) encoding: Encoding,
    pub(crate) payload: Bytes,
    pub(crate) delay: Duration,
}

impl LastWill {
    /// For the record of the connection's end.
    pub(crate) fn record(&self) -> Will {
        Will { topic: self.topic.clone(), raw: Raw { encoding: self.encoding, bytes: self.payload.clone() } }
    }

    fn message(&self, house: &House) -> Option<DeviceMessage> {
        let dialect = house.dialect();
        let uplink = dialect.uplink(&self.topic).ok()?;
        let read = dialect.message(&uplink, self.content_type.as_deref(), &self.payload, house.twins.clock().now());
        Some(read.unwrap_or_else(|e| DeviceMessage::Unreadable {
            topic: self.topic.clone(),
            reason: e.to_string(),
            raw: self.record().raw,
        }))
    }

    /// Sends it as the message it is, if the device may still say it.
    pub(crate) async fn send(self, house: &House) {
        let Some(message) = self.message(house) else { return };
        if let Err(refusal) = house.twins.send_will(&self.device, self.proof, &self.target, message).await {
            tracing::warn!(device = %self.target, topic = self.topic, %refusal, "a will was not taken");
        }
    }
}

/// Wills that may wait for their delay at once; one more is sent without waiting.
const WILLS_PENDING_MAX: usize = 10_000;

/// Wills that wait for their delay, by device. They are lost when the server ends before.
#[derive(Default)]
pub(crate) struct PendingWills(Mutex<HashMap<TwinId, oneshot::Sender<Fate>>>);

/// What a new connection of the device does to a will that waits.
pub(crate) enum Fate {
    SendNow,
    Drop,
}

impl PendingWills {
    /// Sends the will after its delay, unless the device comes back before.
    pub(crate) fn schedule(&self, house: &Arc<House>, device: &TwinId, will: LastWill) {
        let (tx, rx) = oneshot::channel();
        let is_full = {
            let mut waiting = self.waiting();
            let is_full = waiting.len() >= WILLS_PENDING_MAX;
            if !is_full {
                waiting.insert(device.clone(), tx);
                gauge!("twinfold_mqtt_wills_pending").set(waiting.len() as f64);
            }
            is_full
        };
        if is_full {
            // Said too early rather than never.
            let house = house.clone();
            spawn_local(async move { will.send(&house).await });
            return;
        }
        let (house, device) = (house.clone(), device.clone());
        spawn_local(async move {
            match timeout(will.delay, rx).await {
                Err(_) => {
                    house.wills.waiting().remove(&device);
                    will.send(&house).await;
                }
                Ok(Ok(Fate::SendNow)) => will.send(&house).await,
                Ok(Ok(Fate::Drop) | Err(_)) => {}
            }
        });
    }

    /// The device has come back.
    pub(crate) fn decide(&self, device: &TwinId, fate: Fate) {
        let mut waiting = self.waiting();
        if let Some(will) = waiting.remove(device) {
            let _ = will.send(fate);
        }
        gauge!("twinfold_mqtt_wills_pending").set(waiting.len() as f64);
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<TwinId, oneshot::Sender<Fate>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
