//! The audit log: who did what, as records that hang on each other by their hashes, so that none can be changed or taken out of the middle
//! without the ones behind it telling.
//!
//! Apart from twins' events: it is not about twins, it is never trimmed with them, and nothing that a twin does can fill it.

use async_trait::async_trait;
use bytes::Bytes;
use hierarchy_models::Timestamp;

use crate::error::Error;

pub type AuditHash = [u8; 32];

/// The hash that the first record hangs on.
pub const AUDIT_BEGINNING: AuditHash = [0; 32];

/// Records that are appended together at most.
pub const AUDIT_TOGETHER_MAX: usize = 256;

/// One record, as it is stored. What is in the body, only the runtime knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// From 1, without a gap.
    pub number: u64,
    pub at: Timestamp,
    /// Over the hash of the record before it and all of this one.
    pub hash: AuditHash,
    pub body: Bytes,
}

/// Which records.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Only those with a lower number.
    pub before: Option<u64>,
    /// From this time on.
    pub from: Option<Timestamp>,
    /// Up to this time, itself not included.
    pub to: Option<Timestamp>,
    pub limit: usize,
}

#[async_trait]
pub trait Audit: Send + Sync {
    /// Makes the records durable behind the last one, all of them or none. `Refused` when the first does not follow it: somebody else
    /// has appended, and the caller must read [`Audit::audit_head`]. On any other error they may or may not have become durable.
    async fn append_audit(&self, records: Vec<AuditRecord>) -> Result<(), Error>;
    /// The last record.
    async fn audit_head(&self) -> Result<Option<AuditRecord>, Error>;
    /// Newest first.
    async fn audit(&self, query: AuditQuery) -> Result<Vec<AuditRecord>, Error>;
    /// Those with higher numbers, oldest first: the way along which the chain is verified.
    async fn audit_after(&self, number: u64, limit: usize) -> Result<Vec<AuditRecord>, Error>;
}

/// Why records may not be appended behind the last number.
pub fn follows(last: u64, records: &[AuditRecord]) -> Result<(), Error> {
    if records.len() > AUDIT_TOGETHER_MAX {
        return Err(Error::Refused(format!("{} audit records at once", records.len())));
    }
    let out_of_line = records.iter().zip(last + 1..).find(|(record, number)| record.number != *number);
    match out_of_line {
        None => Ok(()),
        Some((record, number)) => Err(Error::Refused(format!("audit record {} stands where {number} must", record.number))),
    }
}
