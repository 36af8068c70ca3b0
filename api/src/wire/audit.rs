//! A record of the audit log as it is sent.

use actors::audit::{Entry, Recorded};
use hierarchy_models::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// Who did what.
#[derive(Serialize, ToSchema)]
pub struct AuditDocument {
    /// Its place in the chain, from 1 without a gap.
    number: u64,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// SHA-256 over the hash before it and all of this one, in hexadecimal digits. Written down elsewhere, it shows later that nothing
    /// before it was changed: `twinfold audit verify`.
    hash: String,
    #[serde(flatten)]
    #[schema(value_type = AuditEntry)]
    entry: Entry,
}

/// What was done.
#[derive(ToSchema)]
#[allow(dead_code, reason = "a schema")]
pub struct AuditEntry {
    #[schema(nullable = false)]
    actor: Option<AuditActor>,
    /// The address it came from.
    from: String,
    #[schema(example = "POST /twins/{id}/commands")]
    action: String,
    target: AuditTarget,
    /// Where the target stood then.
    #[schema(nullable = false)]
    path: Option<String>,
    /// `done`, `denied` or `failed`.
    outcome: String,
    #[schema(nullable = false)]
    status: Option<u16>,
    /// Why not: the last part of the problem's type.
    #[schema(nullable = false)]
    reason: Option<String>,
    /// The address of what was made.
    #[schema(nullable = false)]
    made: Option<String>,
    /// How many refusals it stands for; 1 when absent.
    #[schema(nullable = false)]
    count: Option<u64>,
    /// Where the target stood afterwards, when it was moved.
    #[schema(nullable = false)]
    to: Option<String>,
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "a schema")]
pub struct AuditActor {
    id: String,
    name: String,
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "a schema")]
pub struct AuditTarget {
    kind: String,
    #[schema(nullable = false)]
    id: Option<String>,
}

impl From<Recorded> for AuditDocument {
    fn from(Recorded { number, at, hash, entry }: Recorded) -> Self {
        Self { number, at, hash, entry }
    }
}
