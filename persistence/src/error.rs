//! What can go wrong in a store, in terms of what the caller can do about it.

/// An error of a store. Each names what was being done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No room left. Nothing was written; the same call may work once there is room.
    #[error("the store is full while {doing}: {detail}")]
    Full { doing: &'static str, detail: String },
    /// The store cannot be reached or does not answer now. Whether the write happened may be unknown; it is not acknowledged.
    #[error("the store is not available while {doing}: {detail}")]
    Unavailable { doing: &'static str, detail: String },
    /// What was read is not what was written. Never repaired silently.
    #[error("the store holds damaged data, found while {doing}: {detail}")]
    Damaged { doing: &'static str, detail: String },
    /// The data was written by a newer version of the program.
    #[error("the store has schema version {found}; this program knows versions up to {known}: use a newer program")]
    TooNew { found: u32, known: u32 },
    /// Another process holds the store.
    #[error("the store is in use by another process: {detail}")]
    InUse { detail: String },
    #[error("the cursor is not one this store gave out")]
    BadCursor,
    /// A registry row names a parent that is not there, or would close a loop.
    #[error("the registry refuses the change: {0}")]
    Refused(String),
}

impl Error {
    /// Whether the same call may work later without anyone changing it.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Unavailable { .. })
    }
}
