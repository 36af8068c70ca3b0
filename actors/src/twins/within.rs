//! The registry as somebody sees it who may see only parts of it.

use std::collections::BTreeMap;

use hierarchy_models::{TwinId, access::Extent};
use persistence::{
    Page, RegistryEntry, RegistryQuery,
    paging::{self, TwinCursor},
};

use super::Twins;
use crate::error::TwinError;

impl Twins {
    /// A page of what lies in the extent, by id: what is not in it neither shows nor takes room on the page.
    pub async fn list_within(&self, query: RegistryQuery, extent: &Extent) -> Result<Page<RegistryEntry>, TwinError> {
        let tops = match extent {
            Extent::Everywhere => return self.list(query).await,
            Extent::Under(tops) => tops,
        };
        let after = paging::cursor::<TwinCursor>(&query.cursor)?.map(|TwinCursor(last)| last);
        let limit = query.limit.max(1);
        let mut found: BTreeMap<TwinId, RegistryEntry> = BTreeMap::new();
        let mut more = false;
        for top in tops {
            // What the registry calls under a twin leaves the twin itself out.
            let entry = self.runtime.store.entry(top).await?;
            let is_wanted = |entry: &RegistryEntry| {
                after.as_ref().is_none_or(|after| entry.row.id > *after)
                    && query.model.as_ref().is_none_or(|model| entry.row.model == *model)
                    && (query.parent.is_none() || entry.row.parent == query.parent)
            };
            found.extend(entry.filter(is_wanted).map(|entry| (entry.row.id.clone(), entry)));
            let page = self.list(RegistryQuery { under: Some(top.clone()), ..query.clone() }).await?;
            more |= page.cursor.is_some();
            found.extend(page.items.into_iter().map(|entry| (entry.row.id.clone(), entry)));
        }
        more |= found.len() > limit;
        let items: Vec<RegistryEntry> = found.into_values().take(limit).collect();
        let cursor = items.last().filter(|_| more).map(|last| TwinCursor(last.row.id.clone()).to_string());
        Ok(Page { items, cursor })
    }
}
