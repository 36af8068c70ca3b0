//! The audit log as somebody reads it who may see only parts of it.

use hierarchy_models::{Timestamp, TwinId, access::Extent, tree::Path};
use persistence::{AuditQuery, Error, Page, Store};

use super::{
    chain,
    entry::{Entry, Outcome},
};
use crate::error::TwinError;

/// Records that one page looks at, at most.
const LOOKED_AT_MAX: usize = 5_000;
/// Records read at once.
const READ_AT_ONCE: usize = 500;

/// Which records to list.
#[derive(Debug, Clone)]
pub struct AuditFilter {
    /// What was done to this twin, or below it, as the tree was then.
    pub under: Option<TwinId>,
    /// And what the caller may see of it. Who may see all sees what was done to no twin too.
    pub within: Extent,
    /// The id of a principal, or of a device.
    pub actor: Option<String>,
    pub outcome: Option<Outcome>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub limit: usize,
    pub cursor: Option<String>,
}

/// A record with its place in the chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    pub number: u64,
    pub at: Timestamp,
    pub hash: String,
    pub entry: Entry,
}

impl AuditFilter {
    fn wants(&self, entry: &Entry) -> bool {
        let stands = |is_there: &dyn Fn(&Path) -> bool| entry.path.iter().chain(&entry.to).any(is_there);
        self.under.as_ref().is_none_or(|top| stands(&|path| path.contains(top)))
            && (self.within == Extent::Everywhere || stands(&|path| self.within.holds(path)))
            && self.actor.as_ref().is_none_or(|id| entry.actor.as_ref().is_some_and(|actor| actor.id == *id))
            && self.outcome.is_none_or(|outcome| entry.outcome == outcome)
    }
}

/// One page, newest first. A page may hold fewer than its limit and still have a cursor.
pub async fn list(store: &dyn Store, filter: AuditFilter) -> Result<Page<Recorded>, TwinError> {
    let number = |text: &str| text.strip_prefix("a.").and_then(|number| number.parse::<u64>().ok());
    let mut before = filter.cursor.as_deref().map(|text| number(text).ok_or(Error::BadCursor)).transpose()?;
    let (mut items, mut looked_at) = (Vec::new(), 0);
    loop {
        let query = AuditQuery { before, from: filter.from, to: filter.to, limit: READ_AT_ONCE };
        let records = store.audit(query).await?;
        let is_end = records.len() < READ_AT_ONCE;
        for record in records {
            if items.len() == filter.limit.max(1) || looked_at == LOOKED_AT_MAX {
                return Ok(Page { items, cursor: before.map(|number| format!("a.{number}")) });
            }
            looked_at += 1;
            before = Some(record.number);
            let damaged = |e: serde_json::Error| Error::Damaged { doing: "reading the audit log", detail: e.to_string() };
            let entry: Entry = serde_json::from_slice(&record.body).map_err(damaged)?;
            if filter.wants(&entry) {
                items.push(Recorded { number: record.number, at: record.at, hash: chain::written(&record.hash), entry });
            }
        }
        if is_end {
            return Ok(Page { items, cursor: None });
        }
    }
}
