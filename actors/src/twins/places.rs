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
        self.while_all_there(place.map_or(&[], std::slice::from_ref), work).await
    }

    pub(crate) async fn while_all_there<T>(
        &self,
        places: &[TwinId],
        work: impl Future<Output = Result<T, TwinError>>,
    ) -> Result<T, TwinError> {
        if places.is_empty() {
            return work.await;
        }
        let _shared = self.runtime.tree.read().await;
        for place in places {
            self.path(place).await?;
        }
        work.await
    }
}

/// The twins that anything of the kind names.
pub(super) async fn named(runtime: &Runtime) -> Result<HashSet<TwinId>, TwinError> {
    let mut named: HashSet<TwinId> = runtime.identities.access().grants().into_iter().filter_map(|grant| grant.under).collect();
    named.extend(runtime.identities.enrolments().await?.into_iter().filter_map(|enrolment| enrolment.asked.parent));
    named.extend(runtime.rules.set().all().iter().filter_map(|rule| rule.rule.under.clone()));
    runtime.jobs.open_places(&mut named);
    Ok(named)
}

/// Before this twin goes, which stands at `path`; the caller has the tree alone.
pub(super) async fn forget_place(runtime: &Arc<Runtime>, gone: &TwinId, path: &Path) -> Result<(), TwinError> {
    let (store, identities) = (&*runtime.store, &runtime.identities);
    // One by one, so that what is done is told although the next fails.
    let tell = async |action: &str, kind: &str, id: &str| {
        let target = Target { kind: kind.into(), id: Some(id.into()) };
        let entry = Entry::of_the_server(action, target, "the twin that it was for is removed");
        runtime.audit.queue(Entry { path: Some(path.clone()), ..entry }).await;
    };
    for grant in identities.access().grants().iter().filter(|grant| grant.under.as_ref() == Some(gone)) {
        match identities.access().delete_grant(&grant.id).await {
            Err(TwinError::NoSuchGrant(_)) => {}
            taken => {
                taken?;
                tell("REMOVE", "grant", &grant.id).await;
            }
        }
    }
    for enrolment in identities.enrolments().await?.iter().filter(|enrolment| enrolment.asked.parent.as_ref() == Some(gone)) {
        if identities.delete_enrolment(&enrolment.id).await? {
            tell("REMOVE", "enrolment", &enrolment.id).await;
        }
    }
    for job in runtime.jobs.open_at(gone) {
        if runtime.jobs.cancel_open(store, &job, runtime.clock.now()).await? {
            tell("CANCEL", "job", &job).await;
        }
    }
    let set = runtime.rules.set();
    for rule in set.all().iter().filter(|rule| rule.rule.under.as_ref() == Some(gone)) {
        match runtime.rules.remove(store, &rule.rule.id, |_| Ok(())).await {
            Err(TwinError::NoSuchRule(_)) => {}
            removed => {
                actix_rt::spawn(sweep(runtime.clone(), Some(removed?), None));
                tell("REMOVE", "rule", &rule.rule.id).await;
            }
        }
    }
    Ok(())
}
