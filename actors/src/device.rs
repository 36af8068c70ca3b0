//! The device's side of the runtime: how a session speaks to twins and how twins speak to it.
//!
//! A gateway authenticates first ([`crate::identity`]), then connects; from then on it holds a [`DeviceSession`].

use std::{sync::Arc, time::Duration};

use hierarchy_models::{CommandId, DeviceMessage, Name, Timestamp, TwinId, Value, value::Map};

use crate::{identity::Proof, view::TwinView};

/// What a twin sends down to its device.
#[derive(Debug, Clone)]
pub enum Downlink {
    Command {
        id: CommandId,
        name: Name,
        payload: Value,
        expires_at: Timestamp,
        redelivery: bool,
    },
    /// The whole desired state (`full`), or a merge patch of it; `version` goes out as `$version`.
    Desired {
        document: Map,
        version: u64,
        full: bool,
    },
    /// The answer to `devices/{id}/get`.
    Twin(Box<TwinView>),
    /// Ends the session.
    Close(CloseReason),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The same device connected again (v5: 0x8E).
    TakenOver,
    /// Access was revoked (v5: 0x98).
    Revoked,
    /// The server stops (v5: 0x8B).
    ServerStops,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The session's queue is full; the twin tries again when the session calls [`DeviceSession::ready`].
    #[error("the session's queue is full")]
    Full,
    #[error("the session has ended")]
    Closed,
}

/// The way down to a connected session. Never blocks and may be called from any thread.
pub trait Link: Send + Sync {
    /// `target` is the session's own device, or a child it speaks for.
    fn deliver(&self, target: &TwinId, message: Downlink) -> Result<(), LinkError>;

    /// Whether the session has ended, so that nothing will ever be delivered.
    fn is_closed(&self) -> bool;

    /// What waits for this twin is not its device's to have any more. `target` is a child whose way to this session is closed.
    fn forget(&self, _target: &TwinId) {}

    /// What became of the message that was given this ticket with [`DeviceSession::post`]. Called once for each; never for
    /// a session that only sends.
    fn settled(&self, _ticket: u64, _outcome: Outcome) {}
}

/// What became of a posted message.
#[derive(Debug)]
pub enum Outcome {
    /// What it changed is durable.
    Taken,
    Refused(Refusal),
    /// Its twin has moved. Here it is again, with its QoS 2 packet id: hand it over with [`DeviceSession::send`].
    Returned(Box<(DeviceMessage, Option<u16>)>),
}

/// A device that has proved who it is and wants a session.
pub struct Connect {
    pub device: TwinId,
    /// Such as `mqtt-5.0`.
    pub protocol: Name,
    /// The peer's address, for people.
    pub remote: String,
    pub clean_start: bool,
    /// How long the session outlives the connection; zero ends it with the connection.
    pub expiry: Duration,
    /// What it proved itself with, as [`crate::identity::Identities::verify_device`] told.
    pub proof: Option<Proof>,
    pub link: Arc<dyn Link>,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectError {
    #[error("there is no twin {0}")]
    NoSuchTwin(TwinId),
    #[error("{0} is not active")]
    Inactive(TwinId),
    #[error("the server is stopping")]
    Stopping,
    #[error("the twin cannot be loaded: {0}")]
    Store(#[from] persistence::Error),
}

pub use crate::session::DeviceSession;
pub use crate::twin::Refusal;
