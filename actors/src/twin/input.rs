//! What can be asked of a twin's core, and what it can answer.

use hierarchy_models::{
    AlertId, Command, CommandId, DeviceMessage, EventBody, ModelId, Name, TwinId,
    event::{DisconnectReason, Status, Subscriptions, Will},
    value::Map,
};

use super::device_input::Speaker;
use crate::{device::Refusal, error::TwinError, kind::Outbound, twins::TwinPatch};

/// Everything that can be asked of a twin's core.
#[derive(Debug)]
pub enum Input {
    Register(Box<NewTwin>),
    Unregister {
        if_version: Option<u64>,
    },
    Patch {
        patch: Box<TwinPatch>,
        if_version: Option<u64>,
    },
    SetStatus(Status),
    /// Lets a quarantined twin run again.
    Release,
    Device {
        speaker: Speaker,
        message: DeviceMessage,
        packet: Option<u16>,
    },
    HoldPacket {
        session: u64,
        packet: u16,
    },
    ReleasePacket {
        session: u64,
        packet: u16,
    },
    Connect {
        session: u64,
        protocol: Name,
        remote: String,
        clean_start: bool,
        expiry_seconds: u32,
    },
    Disconnect {
        session: u64,
        reason: DisconnectReason,
        will: Option<Will>,
        expiry_seconds: Option<u32>,
    },
    Subscribe {
        session: u64,
        subscriptions: Subscriptions,
    },
    Queue(Box<Command>),
    Cancel(CommandId),
    Delivered(CommandId),
    /// Somebody has seen an alert.
    AcknowledgeAlert {
        alert: AlertId,
        by: Name,
    },
    /// Somebody ends an alert.
    ClearAlert {
        alert: AlertId,
        by: Name,
    },
    /// Has the twin's rules looked at; decides nothing itself.
    Evaluate,
    /// Time has passed: commands may have expired, timers may be due, a session may be over.
    Wake,
    /// A message was given up after its turn failed.
    Poison {
        what: String,
        error: String,
        raw: Option<hierarchy_models::Raw>,
        quarantine: Option<u32>,
    },
}

#[derive(Debug, Clone)]
pub struct NewTwin {
    pub model: ModelId,
    pub parent: Option<TwinId>,
    pub gateway: Option<TwinId>,
    pub metadata: Map,
    pub tags: Vec<Name>,
    /// The last event of a former twin of this id has a lower number than this.
    pub seq_base: u64,
}

/// The answer to an input that was taken.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    Done,
    Connected {
        session_present: bool,
    },
    /// A command that was there already, under the same idempotency key.
    Existing(Box<Command>),
    /// Nothing of it was taken, but that it came is recorded.
    Refused(Refusal),
}

#[derive(Debug)]
pub struct Decided {
    pub events: Vec<EventBody>,
    pub outbound: Vec<Outbound>,
    pub said: Said,
}

#[derive(Debug)]
pub enum Rejection {
    Device(Refusal),
    Call(TwinError),
    /// The behaviour failed: the twin must restart.
    Failed {
        error: String,
        what: String,
        raw: Option<hierarchy_models::Raw>,
    },
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        Self::Device(refusal)
    }
}

impl From<TwinError> for Rejection {
    fn from(error: TwinError) -> Self {
        Self::Call(error)
    }
}
