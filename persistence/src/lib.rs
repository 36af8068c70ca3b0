//! What a store must do, in traits; the on-disk form of events; a memory store; the suite every store must pass.
//!
//! A store keeps one journal and several projections of it. The journal is the truth: a turn is acknowledged when, and
//! only when, [`Journal::append`] has returned. A projection (snapshots, history, registry, command history) is written
//! behind, idempotent, and can be restarted from the checkpoint that is written with it.

pub mod audit;
pub mod backlog;
pub mod batch;
pub mod codec;
#[cfg(feature = "contract")]
pub mod contract;
mod error;
pub mod fold;
pub mod memory;
pub mod metrics;
pub mod paging;
mod query;
pub mod search;
mod store;
pub mod values;

pub use audit::{AUDIT_BEGINNING, AUDIT_TOGETHER_MAX, Audit, AuditHash, AuditQuery, AuditRecord};
pub use batch::{Batch, shard_of};
pub use error::Error;
pub use memory::MemoryStore;
pub use query::{Bucket, BucketQuery, CommandQuery, EventQuery, HistoryItem, HistoryQuery, LoggedEvent, Page, bucket_start, buckets_of};
pub use search::RegistryQuery;
pub use store::{
    Child, Document, Documents, History, Identities, Identity, Journal, Mark, Origin, OwnCertificate, Projection, Projections, Registry,
    RegistryEntry, RegistryRow, SealedKey, Snapshot, Store, StoreStats, Thumbprint, Turn,
};

/// The number of shards, fixed when a store is created and for ever.
pub const SHARDS: u16 = 256;
/// Kind of the document that says of a store that a copy of another was begun in it, or made of it; a server that starts on it removes it.
pub const COPY_KIND: &str = "copy";
