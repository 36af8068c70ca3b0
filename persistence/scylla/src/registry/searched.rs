//! The registry as a search reads it: lists of the tree from memory, all others from their table.

use std::{ops::Bound, sync::Arc};

use hierarchy_models::TwinId;
use persistence::{
    Error, RegistryEntry,
    search::{From, Index, List, Span},
};

use super::{READING, postings::LAST_ID, tree::Tree};
use crate::{cql::for_each, projections::shelves::AT_ONCE, store::Core};

/// Twins below another that are gathered and sorted for each piece; where there are more, all ids are walked and each looked up.
const GATHERED_MAX: usize = 4_096;

pub struct Searched(pub Arc<Core>);

impl Index for Searched {
    async fn ids(&self, list: &List, from: &From, limit: usize) -> Result<Vec<TwinId>, Error> {
        let registry = &self.0.registry;
        match list {
            List::Posting(posting) => registry.postings.ids(posting, from, limit).await,
            List::Under(_) => {
                // It may look at every twin there is: not on a thread that others wait for.
                let (core, list, from) = (self.0.clone(), list.clone(), from.clone());
                let found = tokio::task::spawn_blocking(move || ids_of(&core.registry.tree.read(), &list, &from, limit)).await;
                found.map_err(|e| Error::Unavailable { doing: READING, detail: e.to_string() })
            }
            list => Ok(ids_of(&registry.tree.read(), list, from, limit)),
        }
    }

    async fn count(&self, list: &List, max: usize) -> Result<usize, Error> {
        let registry = &self.0.registry;
        if let List::Posting(posting) = list {
            return registry.postings.count(posting, max).await;
        }
        let tree = registry.tree.read();
        Ok(match list {
            List::Under(top) => tree.each_below(top).take(max + 1).count(),
            List::Children(parent) => tree.children_of(parent).take(max + 1).count(),
            list => ids_of(&tree, list, &From { id: None, included: true, descending: false }, max + 1).len(),
        })
    }

    async fn values(
        &self,
        span: &Span,
        after: Option<(&[u8], &TwinId)>,
        descending: bool,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, TwinId)>, Error> {
        self.0.registry.postings.values(span, after, descending, limit).await
    }

    async fn entries(&self, ids: Vec<TwinId>) -> Result<Vec<RegistryEntry>, Error> {
        let (registry, ids) = (&self.0.registry, &ids);
        let entries = for_each(0..ids.len(), AT_ONCE, |n| registry.entry(&ids[n])).await?;
        Ok(entries.into_iter().flatten().collect())
    }
}

fn ids_of(tree: &Tree, list: &List, from: &From, limit: usize) -> Vec<TwinId> {
    let place = from.id.as_ref().map(TwinId::as_str);
    let bound = match place {
        None => Bound::Unbounded,
        Some(place) if from.included => Bound::Included(place),
        Some(place) => Bound::Excluded(place),
    };
    let is_reached = |id: &&TwinId| match place {
        None => true,
        Some(place) if id.as_str() == place => from.included,
        Some(place) => (id.as_str() > place) != from.descending,
    };
    let sorted = |mut ids: Vec<&TwinId>| {
        ids.sort_unstable();
        if from.descending {
            ids.reverse();
        }
        ids.into_iter().take(limit).cloned().collect::<Vec<_>>()
    };
    match list {
        List::Children(parent) => sorted(tree.children_of(parent).filter(is_reached).collect()),
        List::Under(top) if tree.each_below(top).take(GATHERED_MAX + 1).count() <= GATHERED_MAX => {
            sorted(tree.each_below(top).map(|(_, id)| id).filter(is_reached).collect())
        }
        List::Under(top) => tree.ids(bound, from.descending).filter(|id| tree.stands_under(id, top)).take(limit).cloned().collect(),
        List::IdPrefix(prefix) => {
            let last = format!("{prefix}{LAST_ID}");
            // From the prefix on, where that comes later than the place.
            let (first, last) = (prefix.as_str(), last.as_str());
            let bound = match (from.descending, place) {
                (false, Some(place)) if place >= first => bound,
                (true, Some(place)) if place < last => bound,
                (false, _) => Bound::Included(first),
                (true, _) => Bound::Included(last),
            };
            let of_prefix = tree.ids(bound, from.descending).take_while(|id| id.as_str().starts_with(first));
            of_prefix.take(limit).cloned().collect()
        }
        List::All | List::Posting(_) => tree.ids(bound, from.descending).take(limit).cloned().collect(),
    }
}
