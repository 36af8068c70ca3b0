//! The stored form of an event: one message, its kind told by which field of the `oneof` is there.
//!
//! Field numbers are for ever. Numbers up to 15 take one byte, so what happens often has those.

use super::wire::*;

pub(super) const TELEMETRY: u32 = 3;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Event {
    #[prost(uint64, tag = "1")]
    pub seq: u64,
    #[prost(sint64, tag = "2")]
    pub received_at: i64,
    #[prost(
        oneof = "Body",
        tags = "3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 48, 49, 50, 51"
    )]
    pub body: Option<Body>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Body {
    #[prost(message, tag = "3")]
    Telemetry(Telemetry),
    #[prost(message, tag = "4")]
    ReportedPatched(Reported),
    #[prost(message, tag = "5")]
    ReportedReplaced(Reported),
    #[prost(message, tag = "6")]
    Special(Said),
    #[prost(message, tag = "7")]
    Diagnostics(Said),
    #[prost(message, tag = "8")]
    Rejected(Failed),
    #[prost(message, tag = "9")]
    BehaviourState(Value),
    #[prost(message, tag = "10")]
    Emitted(Said),
    #[prost(message, tag = "11")]
    CommandQueued(Command),
    #[prost(string, tag = "12")]
    CommandDelivered(String),
    #[prost(message, tag = "13")]
    CommandEnded(CommandEnded),
    #[prost(message, tag = "14")]
    AlertRaised(Alert),
    #[prost(string, tag = "15")]
    AlertCleared(String),
    #[prost(message, tag = "16")]
    Registered(Registered),
    #[prost(bool, tag = "17")]
    Unregistered(bool),
    #[prost(message, tag = "18")]
    MetadataPatched(Map),
    #[prost(message, tag = "19")]
    TagsSet(Tags),
    #[prost(message, tag = "20")]
    Moved(Twin),
    #[prost(message, tag = "21")]
    GatewaySet(Twin),
    #[prost(uint32, tag = "22")]
    StatusSet(u32),
    #[prost(message, tag = "23")]
    DesiredPatched(Map),
    #[prost(message, tag = "24")]
    Connected(Connected),
    #[prost(message, tag = "25")]
    Disconnected(Disconnected),
    #[prost(uint32, tag = "26")]
    SessionOpened(u32),
    #[prost(message, tag = "27")]
    Subscribed(Subscribed),
    #[prost(bool, tag = "28")]
    SessionExpired(bool),
    #[prost(uint32, tag = "29")]
    PacketHeld(u32),
    #[prost(uint32, tag = "30")]
    PacketReleased(u32),
    #[prost(string, tag = "31")]
    ChildAttached(String),
    #[prost(string, tag = "32")]
    ChildDetached(String),
    #[prost(message, tag = "33")]
    TimerSet(TimerSet),
    #[prost(string, tag = "34")]
    TimerFired(String),
    #[prost(message, tag = "35")]
    Poisoned(Failed),
    #[prost(message, tag = "36")]
    Quarantined(Quarantined),
    #[prost(bool, tag = "37")]
    Released(bool),
    #[prost(message, tag = "48")]
    AlertAcknowledged(AlertWord),
    #[prost(message, tag = "49")]
    AlertEnded(AlertWord),
    #[prost(message, tag = "50")]
    RuleTurned(RuleTurned),
    #[prost(message, tag = "51")]
    WebhookQueued(WebhookQueued),
}

/// The stream of the kind with this field number; `None` for a kind this program does not know.
pub(super) fn stream_of(tag: u32) -> Option<&'static str> {
    Some(match tag {
        3 => "telemetry",
        4 | 5 => "reported",
        6 | 10 => "events",
        7 | 8 => "diagnostics",
        9 | 33..=37 | 50 | 51 => "behaviour",
        11..=13 => "commands",
        14 | 15 | 48 | 49 => "alerts",
        16 | 17 | 20..=22 => "registry",
        18 | 19 => "metadata",
        23 => "desired",
        24..=32 => "connection",
        _ => return None,
    })
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Telemetry {
    #[prost(string, optional, tag = "1")]
    pub stream: Option<String>,
    #[prost(message, repeated, tag = "2")]
    pub records: Vec<Record>,
    #[prost(message, optional, tag = "3")]
    pub raw: Option<Raw>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Record {
    #[prost(sint64, tag = "1")]
    pub at: i64,
    #[prost(string, optional, tag = "2")]
    pub id: Option<String>,
    #[prost(message, repeated, tag = "3")]
    pub values: Vec<Entry>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Entry {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "2")]
    pub value: Option<Value>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Reported {
    #[prost(message, optional, tag = "1")]
    pub properties: Option<Map>,
    #[prost(message, optional, tag = "2")]
    pub raw: Option<Raw>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Said {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "2")]
    pub payload: Option<Value>,
    #[prost(message, optional, tag = "3")]
    pub raw: Option<Raw>,
}

/// What failed (a topic, or a description), why, and the payload.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Failed {
    #[prost(string, tag = "1")]
    pub what: String,
    #[prost(string, tag = "2")]
    pub why: String,
    #[prost(message, optional, tag = "3")]
    pub raw: Option<Raw>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct CommandEnded {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(uint32, tag = "2")]
    pub state: u32,
    #[prost(message, optional, tag = "3")]
    pub result: Option<CommandResult>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Registered {
    #[prost(string, tag = "1")]
    pub model: String,
    #[prost(string, optional, tag = "2")]
    pub parent: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub gateway: Option<String>,
    #[prost(message, optional, tag = "4")]
    pub metadata: Option<Map>,
    #[prost(string, repeated, tag = "5")]
    pub tags: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Tags {
    #[prost(string, repeated, tag = "1")]
    pub tags: Vec<String>,
}

/// A twin, or none.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Twin {
    #[prost(string, optional, tag = "1")]
    pub id: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Connected {
    #[prost(uint64, tag = "1")]
    pub session: u64,
    #[prost(string, tag = "2")]
    pub protocol: String,
    #[prost(string, tag = "3")]
    pub remote: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Disconnected {
    #[prost(uint64, tag = "1")]
    pub session: u64,
    #[prost(uint32, tag = "2")]
    pub reason: u32,
    #[prost(message, optional, tag = "3")]
    pub will: Option<Will>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Will {
    #[prost(string, tag = "1")]
    pub topic: String,
    #[prost(message, optional, tag = "2")]
    pub raw: Option<Raw>,
}

/// Granted quality of service, where subscribed.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Subscribed {
    #[prost(uint32, optional, tag = "1")]
    pub commands: Option<u32>,
    #[prost(uint32, optional, tag = "2")]
    pub desired: Option<u32>,
    #[prost(uint32, optional, tag = "3")]
    pub twin: Option<u32>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TimerSet {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(sint64, tag = "2")]
    pub due: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Quarantined {
    #[prost(bool, tag = "1")]
    pub until_released: bool,
    #[prost(uint32, tag = "2")]
    pub restarts: u32,
    #[prost(string, tag = "3")]
    pub error: String,
}

/// What somebody says of an alert.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct AlertWord {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub by: String,
    #[prost(sint64, tag = "3")]
    pub at: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RuleTurned {
    #[prost(string, tag = "1")]
    pub rule: String,
    #[prost(bool, tag = "2")]
    pub on: bool,
    #[prost(sint64, tag = "3")]
    pub at: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WebhookQueued {
    #[prost(string, tag = "1")]
    pub rule: String,
    #[prost(uint32, tag = "2")]
    pub action: u32,
    #[prost(message, optional, tag = "3")]
    pub payload: Option<Value>,
}
