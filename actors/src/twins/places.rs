//! What names a place of the tree: grants, principals, rules, enrolments, jobs. None of it is made for a place that is going away, and
//! none of it outlives its place, so that a twin which is registered under that name later has nothing of it.

use std::{collections::HashSet, sync::Arc};

use hierarchy_models::{Name, TwinId, tree::Path};

use super::Twins;
use crate::{
    access::{Grant, NewPrincipal, Principal},
    audit::{Entry, Target},
    error::TwinError,
    identity::{Enrolment, NewEnrolment},
    rules::sweep,
    runtime::Runtime,
};

impl Twins {
    /// In force when it returns. The same role over the same place again is the grant that is there.
    pub async fn create_grant(&self, principal: &str, role: Name, under: Option<TwinId>) -> Result<Grant, TwinError> {
        let place = under.clone();
        self.while_there(place.as_ref(), self.access().create_grant(principal, role, under, self.runtime.clock.now())).await
    }

    /// The principal, and its key unless an identity provider vouches for it.
    pub async fn create_principal(&self, new: NewPrincipal) -> Result<(Principal, Option<String>), TwinError> {
        let place = new.scope.clone();
        self.while_there(place.as_ref(), self.access().create_principal(new, self.runtime.clock.now())).await
    }

    /// Puts an enrolment; its key when it is new, or was to be a new one. An existing one keeps its count.
    pub async fn put_enrolment(&self, id: &str, asked: NewEnrolment, new_key: bool) -> Result<(Enrolment, Option<String>), TwinError> {
        let place = asked.parent.clone();
        self.while_there(place.as_ref(), self.runtime.identities.put_enrolment(id, asked, new_key)).await
    }

    /// Makes what names a place while the place cannot go away, and not at all when it is gone.
    pub(super) async fn while_there<T>(
        &self,
        place: Option<&TwinId>,
        work: impl Future<Output = Result<T, TwinError>>,
    ) -> Result<T, TwinError> {
        let Some(place) = place else { return work.await };
        let _shared = self.runtime.tree.read().await;
        self.entry(place).await?;
        work.await
    }
}

/// Before these twins go; the caller has the tree alone. `top` is where the highest of them stands.
pub(super) async fn forget_places(runtime: &Arc<Runtime>, gone: &HashSet<TwinId>, top: &Path) -> Result<(), TwinError> {
    let store = &*runtime.store;
    let mut told = Vec::new();
    let mut tell = |action: &str, kind: &str, id: &str| told.push((action.to_owned(), Target { kind: kind.into(), id: Some(id.into()) }));
    for grant in runtime.identities.access().forget_places(gone).await? {
        tell("REMOVE", "grant", &grant.id);
    }
    for enrolment in runtime.identities.disable_enrolments_into(gone).await? {
        tell("DISABLE", "enrolment", &enrolment);
    }
    for job in runtime.jobs.cancel_at(store, gone, runtime.clock.now()).await? {
        tell("CANCEL", "job", &job);
    }
    for rule in runtime.rules.remove_over(store, gone).await? {
        tell("REMOVE", "rule", &rule.rule.id);
        actix_rt::spawn(sweep(runtime.clone(), Some(rule), None));
    }
    for (action, target) in told {
        let entry = Entry::of_the_server(&action, target, "the twin that it was for is removed");
        runtime.audit.queue(Entry { path: Some(top.clone()), ..entry }).await;
    }
    Ok(())
}
