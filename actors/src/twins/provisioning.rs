//! Who may speak as a device and for it: credentials, gateways, devices that register themselves, devices that are claimed.
//!
//! What withdraws is durable before it is answered, and in this order: the door closes, then whoever is inside is shown out.

use std::{collections::BTreeMap, time::Duration};

use hierarchy_models::{TwinId, access::Right, event::Status};

use super::{Registration, TwinPatch, Twins, error_of};
use crate::{
    audit::{Actor, Entry, Outcome, Target},
    device::CloseReason,
    envelope::{Answer, Ask},
    error::TwinError,
    identity::{ClaimCode, CredentialsPatch, Denied, NewCredentials, Newcomer},
    twin::decide::Input,
    view::TwinView,
};

/// Slot of what a device enrolled itself with.
const ENROLLED: &str = "enrolled";

impl Twins {
    /// New derived keys; whatever opened the door before, and the sessions opened with it, end.
    pub async fn reset_credentials(&self, id: &TwinId) -> Result<BTreeMap<String, String>, TwinError> {
        self.replace_credentials(id, NewCredentials::default()).await
    }

    /// The same, with these in their place.
    pub async fn replace_credentials(&self, id: &TwinId, credentials: NewCredentials) -> Result<BTreeMap<String, String>, TwinError> {
        let _sole = self.runtime.identity_lock(id).await;
        self.still(Right::Provision, &self.path(id).await?)?;
        let keys = self.runtime.identities.reset(id, credentials).await?;
        self.runtime.identities.forget_claim(id).await?;
        self.show_out(id).await?;
        Ok(keys)
    }

    /// Adds, replaces and removes single credentials; new keys are shown once. When something is taken away a live session
    /// ends: nobody remembers which of them it was opened with.
    pub async fn change_credentials(&self, id: &TwinId, patch: CredentialsPatch) -> Result<BTreeMap<String, String>, TwinError> {
        let _sole = self.runtime.identity_lock(id).await;
        self.still(Right::Provision, &self.path(id).await?)?;
        let (keys, withdraws) = self.runtime.identities.change(id, patch).await?;
        if withdraws {
            self.show_out(id).await?;
        }
        Ok(keys)
    }

    async fn show_out(&self, id: &TwinId) -> Result<(), TwinError> {
        self.runtime.ask(id, Ask::Kick(CloseReason::Revoked)).await.map(drop).map_err(error_of)
    }

    /// Registers a device that nobody has registered, if the enrolment that speaks for it takes it.
    /// `from` is the address it came from.
    pub async fn self_register(&self, device: &TwinId, newcomer: Newcomer, from: &str) -> Result<(), Denied> {
        // Who was put out uses nothing up of what newcomers share.
        self.runtime.identities.may_be_new(device).await?;
        if let Err(exceeded) = self.runtime.quotas.registration(&format!("enrolment {}", newcomer.enrolment())) {
            tracing::info!(%device, enrolment = %newcomer.enrolment(), quota = exceeded.quota, "a device that registers itself has to wait");
            return Err(Denied::Busy);
        }
        let enrolment = self.runtime.identities.admit(device, newcomer.enrolment(), self.clock().now()).await?;
        let none = NewCredentials { keys: Some(BTreeMap::new()), ..NewCredentials::default() };
        let credentials = match newcomer {
            Newcomer::Key { password, .. } => NewCredentials { keys: Some([(ENROLLED.into(), Some(password))].into()), ..none },
            Newcomer::Certificate { sha256, .. } => NewCredentials { certificates: [(ENROLLED.into(), sha256)].into(), ..none },
        };
        let registration = Registration {
            id: Some(device.clone()),
            model: enrolment.asked.model.clone(),
            parent: enrolment.asked.parent.clone(),
            gateway: None,
            metadata: Default::default(),
            tags: enrolment.asked.tags.clone(),
            keys: None,
        };
        match self.register_with(registration, credentials).await {
            Ok(_) => {
                metrics::counter!("twinfold_devices_enrolled_total").increment(1);
                tracing::info!(%device, enrolment = %enrolment.id, "a device has registered itself");
                let entry = Entry::at_the_door(from, "ENROL", Target::device(device.as_str()), Outcome::Done);
                let actor = Actor { id: device.to_string(), name: format!("enrolment {}", enrolment.id) };
                let path = self.entry(device).await.ok().map(|entry| entry.path);
                let recorded = self.audit().record(Entry { actor: Some(actor), path, ..entry }).await;
                recorded.map_err(|_| Denied::Unavailable)
            }
            // It came on two connections at once.
            Err(TwinError::AlreadyRegistered(_)) => Ok(()),
            Err(TwinError::Store(_) | TwinError::Stopping | TwinError::Overloaded) => Err(Denied::Unavailable),
            Err(error) => {
                tracing::warn!(%device, enrolment = %enrolment.id, %error, "an enrolment's device cannot be registered");
                Err(Denied::NotEnrolled)
            }
        }
    }

    /// Makes a claim code for a device where it stands; one that it had is of no use any more.
    pub async fn create_claim_code(&self, device: &TwinId, lifetime: Duration) -> Result<ClaimCode, TwinError> {
        let parent = self.entry(device).await?.row.parent;
        self.runtime.identities.create_claim_code(device, parent, lifetime, self.clock().now()).await
    }

    /// Takes a device under `parent`, by the code that it was given, and activates it; nobody else speaks for it from then on. Its own
    /// credentials stay: the device knows no others.
    pub async fn claim(&self, device: &TwinId, code: &str, parent: &TwinId) -> Result<TwinView, TwinError> {
        let (runtime, identities) = (&self.runtime, &self.runtime.identities);
        // As one step among deactivations, resets, moves and removals: whichever of them comes first ends the code, and whichever comes
        // later has the last word.
        let _alone = runtime.tree.write().await;
        let no_parent = || TwinError::NoSuchParent { parent: parent.clone() };
        let place = runtime.store.entry(parent).await?.ok_or_else(no_parent)?.path;
        self.still(Right::Provision, &place)?;
        let _sole = runtime.identity_lock(device).await;
        let stands = runtime.store.entry(device).await?.and_then(|entry| entry.row.parent);
        let claim = identities.take_claim(device, stands.as_ref(), code, self.clock().now()).await?;
        let patch = TwinPatch { parent: Some(Some(parent.clone())), gateway: Some(None), ..TwinPatch::default() };
        if let Err(error) = self.move_and_patch(device, Some(parent.clone()), patch, None).await {
            identities.return_claim(device, claim).await?;
            return Err(error);
        }
        identities.set_gateway(device, None).await?;
        self.put_status(device, Status::Active).await
    }

    /// Runs a change of who speaks for a twin. The way from the gateway to its devices is there before the change, and follows
    /// the twin's own word after it. Under the tree's lock, so that the gateway does not go away meanwhile.
    pub(super) async fn with_gateway(
        &self,
        id: &TwinId,
        gateway: Option<TwinId>,
        change: impl Future<Output = Result<TwinView, TwinError>>,
    ) -> Result<TwinView, TwinError> {
        self.check_gateway(id, gateway.as_ref()).await?;
        let identities = &self.runtime.identities;
        let _sole = self.runtime.identity_lock(id).await;
        if gateway.is_some() {
            identities.set_gateway(id, gateway).await?;
        }
        let changed = change.await;
        if let Ok(Answer::Gateway(now, _)) = self.runtime.ask(id, Ask::Gateway).await {
            identities.set_gateway(id, now).await?;
        }
        changed
    }

    /// Devices outlive the gateway that spoke for them, and who comes by its name later does not speak for them.
    pub(super) async fn free_behind(&self, gateway: &TwinId) -> Result<(), TwinError> {
        let mut after = None;
        loop {
            let behind = self.runtime.identities.behind_gateway(gateway, after).await?;
            let Some(last) = behind.last().cloned() else { return Ok(()) };
            for device in behind {
                self.free(&device, gateway).await?;
            }
            after = Some(last);
        }
    }

    async fn free(&self, device: &TwinId, gateway: &TwinId) -> Result<(), TwinError> {
        let _sole = self.runtime.identity_lock(device).await;
        let now = match self.runtime.ask(device, Ask::Gateway).await {
            Ok(Answer::Gateway(Some(now), _)) if now == *gateway => {
                let patch = Box::new(TwinPatch { gateway: Some(None), ..TwinPatch::default() });
                let input = Input::Patch { patch, is_place: false, if_version: None };
                self.runtime.ask(device, Ask::Core(input)).await.map_err(error_of)?;
                self.write_row(device).await?;
                None
            }
            Ok(Answer::Gateway(now, _)) => now,
            Ok(_) => None,
            Err(problem) => match error_of(problem) {
                TwinError::NoSuchTwin(_) => None,
                error => return Err(error),
            },
        };
        self.runtime.identities.set_gateway(device, now).await
    }
}
