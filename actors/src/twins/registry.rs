//! Registering, changing, moving and removing twins. The twin's own events are the truth; the registry's rows follow at
//! once, so that whoever wrote reads what was written.

use std::sync::Arc;

use hierarchy_models::{
    TwinId,
    access::Right,
    event::Status,
    tree::{Path, TreeError},
};
use persistence::{Projection, RegistryEntry};

use super::{Registered, Registration, TwinPatch, Twins, error_of, places};
use crate::{
    background::alerts_and_calls,
    body::registry_row,
    device::CloseReason,
    directory::TwinRef,
    envelope::{Answer, Ask, Problem},
    error::TwinError,
    identity::NewCredentials,
    rules::sweep_moved,
    runtime::Runtime,
    twin::decide::{Input, NewTwin},
    view::TwinView,
};

impl Twins {
    pub async fn register(&self, registration: Registration) -> Result<Registered, TwinError> {
        self.register_with(registration, NewCredentials::default()).await
    }

    /// The same, with credentials beside the keys that the registration names.
    pub async fn register_with(&self, registration: Registration, credentials: NewCredentials) -> Result<Registered, TwinError> {
        let runtime = &self.runtime;
        let Registration { id, model, parent, gateway, metadata, tags, keys } = registration;
        let credentials = NewCredentials { keys: keys.or(credentials.keys), ..credentials };
        let id = match id {
            Some(id) => id,
            None => TwinId::new(uuid::Uuid::now_v7().simple().to_string())
                .map_err(|e| TwinError::Invalid { pointer: "/id".into(), reason: e.to_string() })?,
        };
        let _shared = runtime.tree.read().await;
        if runtime.is_stopping() {
            return Err(TwinError::Stopping);
        }
        let path = match &parent {
            Some(parent) => self.path_under(parent, &id).await?,
            None => Path::root(&id),
        };
        self.still(Right::Provision, &path)?;
        self.check_gateway(&id, gateway.as_ref()).await?;
        let _sole = runtime.identity_lock(&id).await;
        if runtime.store.entry(&id).await?.is_some() {
            return Err(TwinError::AlreadyRegistered(id));
        }
        let twin = runtime.create(&id, path.clone()).await?;
        let outcome = async {
            let (generation, keys) = runtime.identities.enrol(&id, credentials, gateway.clone()).await?;
            let seq_base = generation.saturating_sub(1) << hierarchy_models::event::SEQ_BITS;
            let is_place = runtime.models.known().catalogue.is_place(&model);
            let new = NewTwin { model, is_place, parent, gateway, metadata, tags, seq_base };
            runtime.ask_at(twin, Ask::Core(Input::Register(Box::new(new)))).await.map_err(error_of)?;
            runtime.ask_at(twin, Ask::PathChanged(path)).await.map_err(error_of)?;
            self.write_row(&id).await?;
            if runtime.rules.has_timers() {
                // One that never sends anything is silent from here on.
                let _ = runtime.ask_at(twin, Ask::Core(Input::Evaluate)).await;
            }
            Ok(keys)
        };
        match outcome.await {
            Ok(keys) => Ok(Registered { view: self.get(&id).await?, keys }),
            Err(error) => {
                self.undo_create(&id, twin).await;
                Err(error)
            }
        }
    }

    /// A twin whose registration failed half way must not stay as an empty shell.
    async fn undo_create(&self, id: &TwinId, twin: TwinRef) {
        if let Ok(Answer::View(_)) = self.runtime.ask_at(twin, Ask::View).await {
            return;
        }
        let Some(gate) = self.runtime.directory.begin_move(id, twin) else { return };
        let Some(host) = self.runtime.host_of(twin) else { return };
        host.run(move |host| host.forget(twin)).await;
        self.runtime.directory.settle(id, &gate, None);
    }

    async fn path_under(&self, parent: &TwinId, id: &TwinId) -> Result<Path, TwinError> {
        let entry = self.runtime.store.entry(parent).await?;
        let entry = entry.ok_or_else(|| TwinError::NoSuchParent { parent: parent.clone() })?;
        Ok(entry.path.child(id)?)
    }

    pub(super) async fn check_gateway(&self, id: &TwinId, gateway: Option<&TwinId>) -> Result<(), TwinError> {
        let Some(gateway) = gateway else { return Ok(()) };
        if gateway == id {
            return Err(TwinError::Invalid { pointer: "/gateway".into(), reason: "a device is not its own gateway".into() });
        }
        match self.runtime.store.entry(gateway).await? {
            Some(_) => Ok(()),
            None => Err(TwinError::NoSuchGateway { gateway: gateway.clone() }),
        }
    }

    /// Writes the registry's row of a twin as it is now.
    pub(super) async fn write_row(&self, id: &TwinId) -> Result<(), TwinError> {
        match self.runtime.ask(id, Ask::Row).await.map_err(error_of)? {
            Answer::Row(row) => {
                let _shared = self.runtime.rows.read().await;
                Ok(self.runtime.store.put_rows(vec![*row]).await?)
            }
            _ => Err(TwinError::Overloaded),
        }
    }

    /// Applies all of the patch or nothing of it. `if_version` is the version `If-Match` names.
    pub async fn patch(&self, id: &TwinId, patch: TwinPatch, if_version: Option<u64>) -> Result<TwinView, TwinError> {
        match (patch.gateway.clone(), patch.parent.clone()) {
            (None, None) => {
                let _shared = self.runtime.tree.read().await;
                let right = if patch.model.is_some() { Right::Provision } else { Right::Write };
                self.still(right, &self.path(id).await?)?;
                self.apply_patch(id, patch, if_version).await
            }
            (Some(gateway), None) => {
                let _shared = self.runtime.tree.read().await;
                self.still(Right::Provision, &self.path(id).await?)?;
                self.with_gateway(id, gateway, self.apply_patch(id, patch, if_version)).await
            }
            (gateway, Some(parent)) => {
                let _alone = self.runtime.tree.write().await;
                self.still(Right::Provision, &self.path(id).await?)?;
                if let Some(parent) = &parent {
                    self.still(Right::Provision, &self.path_under(parent, id).await?)?;
                }
                let work = self.move_and_patch(id, parent, patch, if_version);
                match gateway {
                    Some(gateway) => self.with_gateway(id, gateway, work).await,
                    None => work.await,
                }
            }
        }
    }

    fn patch_input(&self, patch: TwinPatch, if_version: Option<u64>) -> Result<Input, TwinError> {
        let known = self.runtime.models.known();
        let is_place = match &patch.model {
            None => false,
            Some(model) => known.catalogue.get(model).ok_or_else(|| TwinError::UnknownModel { model: model.clone() })?.is_place,
        };
        Ok(Input::Patch { patch: Box::new(patch), is_place, if_version })
    }

    async fn apply_patch(&self, id: &TwinId, patch: TwinPatch, if_version: Option<u64>) -> Result<TwinView, TwinError> {
        let is_of_another_model = patch.model.is_some();
        let input = self.patch_input(patch, if_version)?;
        self.runtime.ask(id, Ask::Core(input)).await.map_err(error_of)?;
        self.write_row(id).await?;
        if is_of_another_model && self.runtime.rules.generation() > 0 {
            // Other rules look at it from here on; a silent device would not notice.
            let _ = self.runtime.ask(id, Ask::Core(Input::Evaluate)).await;
        }
        self.get(id).await
    }

    pub(super) async fn move_and_patch(
        &self,
        id: &TwinId,
        parent: Option<TwinId>,
        patch: TwinPatch,
        if_version: Option<u64>,
    ) -> Result<TwinView, TwinError> {
        let runtime = &self.runtime;
        let before = self.entry(id).await?;
        if before.row.parent == parent {
            return self.apply_patch(id, patch, if_version).await;
        }
        let path = match &parent {
            Some(parent) => self.path_under(parent, id).await?,
            None => Path::root(id),
        };
        let below = runtime.store.below(id).await?;
        self.check_depth(id, &before.path, &path, &below).await?;
        let input = self.patch_input(patch, if_version)?;
        // Who could give a code out before could take the device back out of its new place with it.
        runtime.identities.forget_claim(id).await?;
        runtime.ask(id, Ask::Core(input)).await.map_err(error_of)?;
        // It has moved: that is durable. The former parent hears of it whatever becomes of the row.
        if let Some(old) = before.row.parent {
            let _ = runtime.ask(&old, Ask::ChildGone(id.clone())).await;
        }
        self.write_row(id).await?;
        for moved in below.iter().chain([id]) {
            self.tell_path(moved).await?;
        }
        let _ = runtime.ask(id, Ask::PassOn).await;
        if runtime.rules.generation() > 0 {
            actix_rt::spawn(sweep_moved(runtime.clone(), id.clone()));
        }
        self.get(id).await
    }

    /// Tells a twin in memory, or on its way there, where it stands in the tree by now.
    async fn tell_path(&self, moved: &TwinId) -> Result<(), TwinError> {
        let runtime = &self.runtime;
        // One that is being started or moved may have its path from before.
        while let Some(twin) = runtime.directory.arrived(moved).await {
            let Some(entry) = runtime.store.entry(moved).await? else { break };
            match runtime.ask_at(twin, Ask::PathChanged(entry.path)).await {
                Err(Problem::Returned(_)) => {}
                _ => break,
            }
        }
        Ok(())
    }

    /// A subtree keeps within the tree's depth where it goes.
    async fn check_depth(&self, id: &TwinId, from: &Path, to: &Path, below: &[TwinId]) -> Result<(), TwinError> {
        let Some(deepest) = below.first() else { return Ok(()) };
        let Some(entry) = self.runtime.store.entry(deepest).await? else { return Ok(()) };
        let depth = entry.path.depth() - from.depth() + to.depth();
        if depth > hierarchy_models::limits::TREE_DEPTH_MAX {
            return Err(TreeError::TooDeep { twin: id.clone(), depth }.into());
        }
        Ok(())
    }

    pub async fn delete(&self, id: &TwinId, recursive: bool, if_version: Option<u64>) -> Result<(), TwinError> {
        let runtime = &self.runtime;
        let _alone = runtime.tree.write().await;
        let top = self.entry(id).await?;
        self.still(Right::Provision, &top.path)?;
        let below = runtime.store.below(id).await?;
        if !below.is_empty() && !recursive {
            return Err(TwinError::HasChildren { twin: id.clone() });
        }
        // The top goes last: what If-Match guards is checked before anything is gone.
        if let Some(expected) = if_version {
            let current = self.get(id).await?.version;
            if current != expected {
                return Err(TwinError::VersionMismatch { current });
            }
        }
        let named = places::named(runtime).await?;
        for twin in below.iter().chain([id]) {
            if named.contains(twin) {
                places::forget_place(runtime, twin, &top.path).await?;
            }
            self.free_behind(twin).await?;
            // Not held against the version again: by now all that was set up for it is gone.
            remove(runtime, twin).await?;
        }
        Ok(())
    }

    /// Durable, and the device's live session ended if inactive, when it returns.
    pub async fn set_status(&self, id: &TwinId, status: Status) -> Result<TwinView, TwinError> {
        let _sole = self.runtime.identity_lock(id).await;
        self.still(Right::Provision, &self.path(id).await?)?;
        self.put_status(id, status).await
    }

    /// The caller has the twin's identity for itself.
    pub(super) async fn put_status(&self, id: &TwinId, status: Status) -> Result<TwinView, TwinError> {
        let runtime = &self.runtime;
        let enabled = status == Status::Active;
        // The door closes first, then whoever is inside is shown out.
        runtime.identities.enable(id, enabled).await?;
        if !enabled {
            runtime.identities.forget_claim(id).await?;
        }
        runtime.ask(id, Ask::Core(Input::SetStatus(status))).await.map_err(error_of)?;
        if !enabled {
            runtime.ask(id, Ask::Kick(CloseReason::Revoked)).await.map_err(error_of)?;
        }
        self.write_row(id).await?;
        self.get(id).await
    }

    /// Lets a quarantined twin run again.
    pub async fn release(&self, id: &TwinId) -> Result<TwinView, TwinError> {
        self.runtime.ask(id, Ask::Core(Input::Release)).await.map_err(error_of)?;
        self.get(id).await
    }

    /// Where it stands.
    pub async fn path(&self, id: &TwinId) -> Result<Path, TwinError> {
        self.runtime.store.path(id).await?.ok_or_else(|| TwinError::NoSuchTwin(id.clone()))
    }

    pub async fn entry(&self, id: &TwinId) -> Result<RegistryEntry, TwinError> {
        self.runtime.store.entry(id).await?.ok_or_else(|| TwinError::NoSuchTwin(id.clone()))
    }
}

/// Unregisters one twin. The door closes first, and stays so should the rest fail; its last event ends its session; its parent and its identity
/// go next, and its rows last.
async fn remove(runtime: &Arc<Runtime>, id: &TwinId) -> Result<(), TwinError> {
    let _sole = runtime.identity_lock(id).await;
    let parent = runtime.store.entry(id).await?.and_then(|e| e.row.parent);
    runtime.identities.close(id).await?;
    runtime.ask(id, Ask::Core(Input::Unregister)).await.map_err(error_of)?;
    if let Some(parent) = parent {
        let _ = runtime.ask(&parent, Ask::ChildGone(id.clone())).await;
    }
    runtime.identities.forget(id).await?;
    let Some(twin) = runtime.directory.peek(id) else { return Ok(()) };
    // Nobody gathers rows between the deletion of its rows and the end of its actor.
    let _shared = runtime.rows.read().await;
    let gate = runtime.directory.begin_move(id, twin);
    let written = match alerts_and_calls(runtime).await {
        Ok(()) => runtime.store.project(Projection { deleted: vec![id.clone()], ..Projection::default() }).await,
        Err(error) => Err(error),
    };
    // When its rows cannot be taken away now, its shell stays for the next flush to do it.
    let gone = written.is_ok();
    if let Some(host) = runtime.host_of(twin).filter(|_| gone) {
        host.call(move |host| async move { host.forget(twin) }).await;
    }
    if let Some(gate) = gate {
        runtime.directory.settle(id, &gate, (!gone).then_some(twin));
    }
    Ok(written?)
}

/// The row of a twin, for its own mailbox.
pub(crate) fn row_of(body: &crate::body::Body) -> Box<persistence::RegistryRow> {
    Box::new(registry_row(&body.id, &body.state))
}
