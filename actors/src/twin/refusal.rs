//! Why a twin does not take what its device says, in terms that a session can act on.

use hierarchy_models::Name;

/// Why a twin did not take a message. Nothing of it was recorded as accepted, so the device may send it again.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The payload breaks a rule (v5: 0x99). The message is kept in the twin's `rejected` diagnostics.
    #[error("{reason}")]
    Invalid { reason: String },
    /// Not this device's to say (v5: 0x87).
    #[error("{reason}")]
    NotAuthorized { reason: String },
    /// A named limit is reached (v5: 0x97).
    #[error("{limit} is reached: {detail}")]
    Quota { limit: &'static str, detail: String },
    /// The store has no room (v5: 0x97).
    #[error("the store is full; try again later")]
    StoreFull,
    /// The store does not answer (v5: 0x83).
    #[error("the store is not available; try again later")]
    StoreUnavailable,
    /// The twin's behaviour failed on this message (v5: 0x83). It is kept as a poison message and must not be sent again.
    #[error("the behaviour of {behaviour} failed on this message: {error}")]
    Poisoned { behaviour: Name, error: String },
    /// The twin is gone or the session was taken over or revoked: the connection should close.
    #[error("the session has ended")]
    SessionEnded,
}
