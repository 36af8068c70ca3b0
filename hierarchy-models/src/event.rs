//! What can happen to a twin. The journal is a list of these, and a twin's state is their fold.
//!
//! What was decided is recorded, not recomputed: an event carries the outcome (decoded values, the alert raised,
//! the behaviour's new state), so that a replay gives the same twin whatever version of the code runs it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    alert::Alert,
    command::{Command, CommandResult, CommandState},
    id::{CommandId, ModelId, Name, TwinId},
    record::Record,
    time::Timestamp,
    value::{Map, Value},
};

/// One thing that happened to one twin.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// One more for each event that follows, without a gap; see [`shown_seq`] for where it begins.
    pub seq: u64,
    /// The server's time when it was accepted.
    pub received_at: Timestamp,
    pub body: EventBody,
}

/// Bits of [`Event::seq`] that count; the ones above tell one twin from a former one of the same id, so that what is
/// left of the former never passes for the new one's.
pub const SEQ_BITS: u32 = 40;

/// The number of an event as its readers see it: 1 for the twin's first.
pub fn shown_seq(seq: u64) -> u64 {
    seq & ((1 << SEQ_BITS) - 1)
}

/// How a raw payload is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    Json,
    Cbor,
    Protobuf,
    /// Bytes that could not be read as any of the above.
    Unknown,
}

/// A payload exactly as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Raw {
    pub encoding: Encoding,
    pub bytes: Bytes,
}

/// Whether a twin's device may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    #[default]
    Active,
    Inactive,
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisconnectReason {
    /// The device said goodbye.
    Goodbye,
    /// The socket closed, or the keep-alive ran out, without a goodbye.
    Lost,
    /// The same device connected again.
    TakenOver,
    /// Access was revoked.
    Revoked,
    /// The server stopped.
    ServerStopped,
    /// The device broke the protocol or a limit.
    Refused,
    /// Found connected by a start after a crash: the true end is unknown.
    Unknown,
}

/// The will of a connection: what the device asked to have said when it is lost.
#[derive(Debug, Clone, PartialEq)]
pub struct Will {
    pub topic: String,
    pub raw: Raw,
}

/// A subscription of a device's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Subscriptions {
    /// Granted quality of service of `commands/#`, `desired` and `twin`, when subscribed.
    pub commands: Option<u8>,
    pub desired: Option<u8>,
    pub twin: Option<u8>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum EventBody {
    Registered {
        model: ModelId,
        parent: Option<TwinId>,
        gateway: Option<TwinId>,
        metadata: Map,
        tags: Vec<Name>,
    },
    Unregistered,
    /// A merge patch of metadata, by a person or by the device.
    MetadataPatched {
        patch: Map,
    },
    TagsSet {
        tags: Vec<Name>,
    },
    Moved {
        parent: Option<TwinId>,
    },
    GatewaySet {
        gateway: Option<TwinId>,
    },
    StatusSet {
        status: Status,
    },
    /// A merge patch of desired properties.
    DesiredPatched {
        patch: Map,
    },

    Telemetry {
        stream: Option<Name>,
        records: Vec<Record>,
        raw: Raw,
    },
    ReportedPatched {
        patch: Map,
        raw: Raw,
    },
    ReportedReplaced {
        properties: Map,
        raw: Raw,
    },
    /// A special event, such as an alarm.
    Special {
        name: Name,
        payload: Value,
        raw: Raw,
    },
    Diagnostics {
        payload: Value,
        raw: Raw,
    },
    /// A message that was refused, kept for whoever mends the device.
    Rejected {
        topic: String,
        reason: String,
        raw: Raw,
    },

    Connected {
        session: u64,
        protocol: Name,
        remote: String,
    },
    Disconnected {
        session: u64,
        reason: DisconnectReason,
        will: Option<Will>,
    },
    SessionOpened {
        expiry_seconds: u32,
    },
    Subscribed {
        subscriptions: Subscriptions,
    },
    SessionExpired,
    /// A QoS 2 message was taken under this packet id and not yet released.
    PacketHeld {
        packet: u16,
    },
    PacketReleased {
        packet: u16,
    },
    ChildAttached {
        child: TwinId,
    },
    ChildDetached {
        child: TwinId,
    },

    CommandQueued(Box<Command>),
    CommandDelivered {
        id: CommandId,
    },
    CommandEnded {
        id: CommandId,
        state: CommandState,
        result: Option<CommandResult>,
    },

    AlertRaised(Box<Alert>),
    AlertCleared {
        name: Name,
    },
    /// The behaviour's own state after a turn.
    BehaviourState {
        state: Value,
    },
    /// An event that a behaviour emitted.
    Emitted {
        name: Name,
        payload: Value,
    },
    TimerSet {
        name: Name,
        due: Timestamp,
    },
    TimerFired {
        name: Name,
    },

    /// A message whose turn failed; it is not replayed to the behaviour.
    Poisoned {
        what: String,
        error: String,
        raw: Option<Raw>,
    },
    Quarantined {
        until_released: bool,
        restarts: u32,
        error: String,
    },
    Released,

    /// A person or a system has seen the alert.
    AlertAcknowledged {
        name: Name,
        by: Name,
    },
    /// An alert that somebody else than its raiser's own word ended: `by` is a person or system, or `rule:ID`. `at` is the time that the
    /// rule went by, or the server's.
    AlertEnded {
        name: Name,
        by: Name,
        at: Timestamp,
    },
    /// A rule's condition came true, or was cleared, by the time of the records.
    RuleTurned {
        rule: Name,
        on: bool,
        at: Timestamp,
    },
    /// A rule calls a webhook: `action` is its place among the rule's actions. Where to, and with which secret, stands in the rule, so
    /// that no reader of events sees it.
    WebhookQueued {
        rule: Name,
        action: u32,
        payload: Value,
    },
}

impl EventBody {
    /// The stream of the event log that this event belongs to, as in `GET /twins/{id}/events?stream=`.
    pub fn stream(&self) -> &'static str {
        use EventBody::*;
        match self {
            Telemetry { .. } => "telemetry",
            ReportedPatched { .. } | ReportedReplaced { .. } => "reported",
            Special { .. } | Emitted { .. } => "events",
            Diagnostics { .. } | Rejected { .. } => "diagnostics",
            MetadataPatched { .. } | TagsSet { .. } => "metadata",
            DesiredPatched { .. } => "desired",
            Registered { .. } | Unregistered | Moved { .. } | GatewaySet { .. } | StatusSet { .. } => "registry",
            Connected { .. }
            | Disconnected { .. }
            | SessionOpened { .. }
            | Subscribed { .. }
            | SessionExpired
            | PacketHeld { .. }
            | PacketReleased { .. }
            | ChildAttached { .. }
            | ChildDetached { .. } => "connection",
            CommandQueued(_) | CommandDelivered { .. } | CommandEnded { .. } => "commands",
            AlertRaised(_) | AlertCleared { .. } | AlertAcknowledged { .. } | AlertEnded { .. } => "alerts",
            BehaviourState { .. } | TimerSet { .. } | TimerFired { .. } | Poisoned { .. } | Quarantined { .. } | Released => "behaviour",
            RuleTurned { .. } | WebhookQueued { .. } => "behaviour",
        }
    }
}

/// Every stream of the event log.
pub const STREAMS: [&str; 11] =
    ["telemetry", "reported", "events", "diagnostics", "metadata", "desired", "registry", "connection", "commands", "alerts", "behaviour"];
