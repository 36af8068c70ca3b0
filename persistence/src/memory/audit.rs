//! The audit log of the memory store: a list.

use async_trait::async_trait;

use super::MemoryStore;
use crate::{
    audit::{Audit, AuditQuery, AuditRecord, follows},
    error::Error,
};

#[async_trait]
impl Audit for MemoryStore {
    async fn append_audit(&self, records: Vec<AuditRecord>) -> Result<(), Error> {
        if let Some(error) = &self.faults.lock().audit {
            return Err(error.clone());
        }
        let mut state = self.state.lock();
        follows(state.audit.len() as u64, &records)?;
        state.audit.extend(records);
        Ok(())
    }

    async fn audit_head(&self) -> Result<Option<AuditRecord>, Error> {
        Ok(self.state.lock().audit.last().cloned())
    }

    async fn audit(&self, query: AuditQuery) -> Result<Vec<AuditRecord>, Error> {
        let state = self.state.lock();
        let wanted = |record: &&AuditRecord| {
            query.before.is_none_or(|before| record.number < before)
                && query.from.is_none_or(|from| record.at >= from)
                && query.to.is_none_or(|to| record.at < to)
        };
        Ok(state.audit.iter().rev().filter(wanted).take(query.limit).cloned().collect())
    }

    async fn audit_after(&self, number: u64, limit: usize) -> Result<Vec<AuditRecord>, Error> {
        let state = self.state.lock();
        Ok(state.audit.iter().filter(|record| record.number > number).take(limit).cloned().collect())
    }
}
