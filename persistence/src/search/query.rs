//! What can be asked of the registry.

use hierarchy_models::{
    ModelId, TwinId,
    event::Status,
    filter::{Filter, Registered, Sort, Verdict},
};

use crate::store::RegistryEntry;

/// All conditions given must hold.
#[derive(Debug, Clone, Default)]
pub struct RegistryQuery {
    /// This model, and none that extends it.
    pub model: Option<ModelId>,
    pub parent: Option<TwinId>,
    /// Anywhere below this twin, itself not included.
    pub under: Option<TwinId>,
    /// One of these, or anywhere below one of them: what a caller may see. Of an empty list no twin is.
    pub within: Option<Vec<TwinId>>,
    /// Its models resolved ([`Filter::resolve_models`]). Where the twin's state decides, which no store knows, the twin is listed.
    pub filter: Option<Filter>,
    pub sort: Sort,
    pub limit: usize,
    pub cursor: Option<String>,
}

/// The row as filters see it.
pub fn registered(entry: &RegistryEntry) -> Registered<'_> {
    let row = &entry.row;
    Registered {
        id: &row.id,
        model: &row.model,
        parent: row.parent.as_ref(),
        gateway: row.gateway.as_ref(),
        is_active: row.status == Status::Active,
        metadata: &row.metadata,
        tags: &row.tags,
        created_at: row.created_at,
        path: &entry.path,
    }
}

impl RegistryQuery {
    /// Whether the query means this twin, as far as its row can say.
    pub fn judge(&self, entry: &RegistryEntry) -> Verdict {
        let row = &entry.row;
        let is_wanted = self.model.as_ref().is_none_or(|model| row.model == *model)
            && (self.parent.is_none() || row.parent == self.parent)
            && self.under.as_ref().is_none_or(|top| row.id != *top && entry.path.contains(top))
            && self.within.as_ref().is_none_or(|tops| tops.iter().any(|top| entry.path.contains(top)));
        match &self.filter {
            _ if !is_wanted => Verdict::No,
            None => Verdict::Yes,
            Some(filter) => filter.judge(&registered(entry)),
        }
    }
}
