//! The store for ScyllaDB and Apache Cassandra.
//!
//! One design for both: a journal of a few logs, whose every append is a lightweight transaction and the fence at once; all else
//! is written behind it, in rows that may be written again. No secondary index, no materialised view, no counter, no batch: what
//! one of the two does not know, or does differently, is not used. See docs/decisions/0008-the-cql-store.md.

mod audit;
mod commands;
mod cql;
mod documents;
mod fence;
mod history;
mod identities;
mod journal;
mod keyspace;
mod options;
mod projections;
mod registry;
mod schema;
mod stamps;
mod store;
mod tls;

pub use audit::AuditReader;
pub use identities::ScyllaIdentities;
pub use options::{LOGS_DEFAULT, Options, REPLICAS_DEFAULT, Replication, is_keyspace_name};
pub use schema::VERSION as SCHEMA_VERSION;
pub use store::{Looked, Opened, Reached, ScyllaStore};
pub use tls::{Tls, TlsError, TlsFiles};
