//! What can be asked of a twin's core, and what it can answer.

use std::sync::Arc;

use hierarchy_models::{
    AlertId, Command, CommandId, DeviceMessage, EventBody, ModelId, Name, TwinId,
    event::{DisconnectReason, Status, Subscriptions, Will},
    rollup::RollupSet,
    value::Map,
};

use super::{device_input::Speaker, refusal::Refusal};
use crate::error::TwinError;

/// Everything that can be asked of a twin's core.
#[derive(Debug)]
pub enum Input {
    Register(Box<NewTwin>),
    Unregister,
    Patch {
        patch: Box<TwinPatch>,
        /// Whether the model that the patch names, if it names one, is a place's.
        is_place: bool,
        if_version: Option<u64>,
    },
    SetStatus(Status),
    /// Replaces the roll-ups that the twin defines itself; none removes them.
    SetRollups {
        rollups: Arc<RollupSet>,
        if_version: Option<u64>,
    },
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
    /// What is below it comes to something else.
    Children,
    /// What became of the command to another twin that event `queued` asked for: its id there, or why it is given up.
    OutboundDone {
        queued: u64,
        outcome: Result<CommandId, String>,
    },
    /// A message was given up after its turn failed.
    Poison {
        what: String,
        error: String,
        raw: Option<hierarchy_models::Raw>,
        quarantine: Option<u32>,
    },
}

/// A change of what people decide about a twin. `parent` and `gateway`: the outer `None` leaves as it is, the inner removes.
#[derive(Debug, Clone, Default)]
pub struct TwinPatch {
    pub metadata: Option<Map>,
    pub desired: Option<Map>,
    pub tags: Option<Vec<Name>>,
    pub parent: Option<Option<TwinId>>,
    pub gateway: Option<Option<TwinId>>,
    /// Another model, which must be known: a newer version, say.
    pub model: Option<ModelId>,
}

#[derive(Debug, Clone)]
pub struct NewTwin {
    pub model: ModelId,
    /// Whether that is a place's.
    pub is_place: bool,
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
    /// The behaviour has answered the command by itself.
    Answered(Box<Command>),
    /// Nothing of it was taken, but that it came is recorded.
    Refused(Refusal),
}

#[derive(Debug)]
pub struct Decided {
    pub events: Vec<EventBody>,
    /// What happened stands, but the behaviour failed on it: the twin must restart.
    pub failed: Option<Failure>,
    pub said: Said,
}

/// On what a behaviour failed, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    pub what: String,
    pub error: String,
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
