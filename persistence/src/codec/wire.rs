//! Protobuf messages of the values that stand inside events, for whoever stores them in a message of its own.
//!
//! A list or map costs one level of nesting, not three, so that the deepest accepted value
//! ([`hierarchy_models::value::DEPTH_MAX`]) stays far below protobuf's own limit of 100.

use bytes::Bytes;
use hierarchy_models::{
    self as domain, CommandId, CommandState, Name, Severity, Timestamp,
    event::{DisconnectReason, Encoding, Status},
};

use super::damaged;
use crate::error::Error;

/// Both directions between a domain enum and its stored number.
macro_rules! codes {
    ($to:ident, $from:ident, $what:literal, $ty:ident { $($variant:ident = $n:literal),* $(,)? }) => {
        pub fn $to(v: $ty) -> u32 {
            match v { $($ty::$variant => $n),* }
        }
        pub fn $from(n: u32) -> Result<$ty, Error> {
            match n {
                $($n => Ok($ty::$variant),)*
                other => Err(damaged(format!(concat!($what, " {} is not known to this program"), other))),
            }
        }
    };
}

codes!(encoding_code, encoding_from, "payload encoding", Encoding { Json = 1, Cbor = 2, Protobuf = 3, Unknown = 4 });
codes!(severity_code, severity_from, "severity", Severity { Info = 1, Warning = 2, Critical = 3 });
codes!(status_code, status_from, "twin status", Status { Active = 1, Inactive = 2 });
codes!(state_code, state_from, "command state", CommandState {
    Queued = 1, Delivered = 2, Completed = 3, Failed = 4, Expired = 5, Cancelled = 6,
});
codes!(reason_code, reason_from, "disconnect reason", DisconnectReason {
    Goodbye = 1, Lost = 2, TakenOver = 3, Revoked = 4, ServerStopped = 5, Refused = 6, Unknown = 7,
});

pub(super) fn time(ms: i64) -> Result<Timestamp, Error> {
    Timestamp::from_millis(ms).map_err(|e| damaged(e.to_string()))
}

pub(super) fn need<T>(part: Option<T>, what: &'static str) -> Result<T, Error> {
    part.ok_or_else(|| damaged(format!("{what} is missing")))
}

pub(super) fn text(name: &Name) -> String {
    name.as_str().to_owned()
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Value {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub kind: Option<Kind>,
    /// Members of a list or a map.
    #[prost(message, repeated, tag = "8")]
    pub items: Vec<Value>,
    /// Names of a map's members, in the order of `items`.
    #[prost(string, repeated, tag = "9")]
    pub names: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Kind {
    #[prost(bool, tag = "1")]
    Null(bool),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(sint64, tag = "3")]
    Int(i64),
    #[prost(double, tag = "4")]
    Float(f64),
    #[prost(string, tag = "5")]
    Text(String),
    #[prost(bool, tag = "6")]
    List(bool),
    #[prost(bool, tag = "7")]
    Map(bool),
}

impl From<&domain::Value> for Value {
    fn from(v: &domain::Value) -> Self {
        let one = |kind| Self { kind: Some(kind), ..Self::default() };
        match v {
            domain::Value::Null => one(Kind::Null(true)),
            domain::Value::Bool(b) => one(Kind::Bool(*b)),
            domain::Value::Int(i) => one(Kind::Int(*i)),
            domain::Value::Float(f) => one(Kind::Float(*f)),
            domain::Value::Text(t) => one(Kind::Text(text(t))),
            domain::Value::List(l) => Self { items: l.iter().map(Self::from).collect(), ..one(Kind::List(true)) },
            domain::Value::Map(m) => {
                let Map { items, names } = Map::from(&**m);
                Self { items, names, ..one(Kind::Map(true)) }
            }
        }
    }
}

impl TryFrom<Value> for domain::Value {
    type Error = Error;

    fn try_from(v: Value) -> Result<Self, Error> {
        Ok(match need(v.kind, "a value of a kind this program knows")? {
            Kind::Null(_) => Self::Null,
            Kind::Bool(b) => Self::Bool(b),
            Kind::Int(i) => Self::Int(i),
            Kind::Float(f) => Self::Float(f),
            Kind::Text(t) => Self::Text(t.into()),
            Kind::List(_) => Self::from(v.items.into_iter().map(Self::try_from).collect::<Result<Vec<_>, _>>()?),
            Kind::Map(_) => Self::from(domain::Map::try_from(Map { items: v.items, names: v.names })?),
        })
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Map {
    #[prost(message, repeated, tag = "8")]
    pub items: Vec<Value>,
    #[prost(string, repeated, tag = "9")]
    pub names: Vec<String>,
}

impl From<&domain::Map> for Map {
    fn from(m: &domain::Map) -> Self {
        Self { items: m.values().map(Value::from).collect(), names: m.keys().map(text).collect() }
    }
}

impl TryFrom<Map> for domain::Map {
    type Error = Error;

    fn try_from(m: Map) -> Result<Self, Error> {
        if m.items.len() != m.names.len() {
            return Err(damaged(format!("a map of {} names and {} values", m.names.len(), m.items.len())));
        }
        m.names.into_iter().zip(m.items).map(|(name, item)| Ok((name.into(), item.try_into()?))).collect()
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Raw {
    #[prost(uint32, tag = "1")]
    pub encoding: u32,
    #[prost(bytes = "bytes", tag = "2")]
    pub bytes: Bytes,
}

impl From<&domain::Raw> for Raw {
    fn from(r: &domain::Raw) -> Self {
        Self { encoding: encoding_code(r.encoding), bytes: r.bytes.clone() }
    }
}

impl TryFrom<Raw> for domain::Raw {
    type Error = Error;

    fn try_from(r: Raw) -> Result<Self, Error> {
        Ok(Self { encoding: encoding_from(r.encoding)?, bytes: r.bytes })
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct CommandResult {
    #[prost(uint32, tag = "1")]
    pub status: u32,
    #[prost(message, optional, tag = "2")]
    pub payload: Option<Value>,
}

impl From<&domain::CommandResult> for CommandResult {
    fn from(r: &domain::CommandResult) -> Self {
        Self { status: u32::from(r.status), payload: Some(Value::from(&r.payload)) }
    }
}

impl TryFrom<CommandResult> for domain::CommandResult {
    type Error = Error;

    fn try_from(r: CommandResult) -> Result<Self, Error> {
        let status = u16::try_from(r.status).map_err(|_| damaged(format!("result status {}", r.status)))?;
        Ok(Self { status, payload: need(r.payload, "a result's payload")?.try_into()? })
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Command {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(message, optional, tag = "3")]
    pub payload: Option<Value>,
    #[prost(uint32, tag = "4")]
    pub state: u32,
    #[prost(sint64, tag = "5")]
    pub expires_at: i64,
    #[prost(sint64, tag = "6")]
    pub queued_at: i64,
    #[prost(sint64, optional, tag = "7")]
    pub delivered_at: Option<i64>,
    #[prost(sint64, optional, tag = "8")]
    pub ended_at: Option<i64>,
    #[prost(uint32, tag = "9")]
    pub deliveries: u32,
    #[prost(message, optional, tag = "10")]
    pub result: Option<CommandResult>,
    #[prost(string, optional, tag = "11")]
    pub idempotency_key: Option<String>,
    #[prost(string, tag = "12")]
    pub sender: String,
}

impl From<&domain::Command> for Command {
    fn from(c: &domain::Command) -> Self {
        Self {
            id: c.id.as_str().to_owned(),
            name: text(&c.name),
            payload: Some(Value::from(&c.payload)),
            state: state_code(c.state),
            expires_at: c.expires_at.as_millis(),
            queued_at: c.queued_at.as_millis(),
            delivered_at: c.delivered_at.map(Timestamp::as_millis),
            ended_at: c.ended_at.map(Timestamp::as_millis),
            deliveries: c.deliveries,
            result: c.result.as_ref().map(CommandResult::from),
            idempotency_key: c.idempotency_key.as_ref().map(text),
            sender: text(&c.sender),
        }
    }
}

impl TryFrom<Command> for domain::Command {
    type Error = Error;

    fn try_from(c: Command) -> Result<Self, Error> {
        Ok(Self {
            id: command_id(&c.id)?,
            name: c.name.into(),
            payload: need(c.payload, "a command's payload")?.try_into()?,
            state: state_from(c.state)?,
            expires_at: time(c.expires_at)?,
            queued_at: time(c.queued_at)?,
            delivered_at: c.delivered_at.map(time).transpose()?,
            ended_at: c.ended_at.map(time).transpose()?,
            deliveries: c.deliveries,
            result: c.result.map(TryInto::try_into).transpose()?,
            idempotency_key: c.idempotency_key.map(Into::into),
            sender: c.sender.into(),
        })
    }
}

pub(super) fn command_id(text: &str) -> Result<CommandId, Error> {
    CommandId::new(text).map_err(|e| damaged(e.to_string()))
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Alert {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(uint32, tag = "2")]
    pub severity: u32,
    #[prost(string, tag = "3")]
    pub text: String,
    #[prost(message, optional, tag = "4")]
    pub details: Option<Map>,
    #[prost(sint64, tag = "5")]
    pub raised_at: i64,
    #[prost(sint64, tag = "6")]
    pub last_at: i64,
    #[prost(uint64, tag = "7")]
    pub count: u64,
    #[prost(uint64, tag = "18")]
    pub seq: u64,
    #[prost(uint64, tag = "19")]
    pub cause: u64,
    #[prost(string, tag = "20")]
    pub source: String,
    #[prost(sint64, optional, tag = "21")]
    pub acknowledged_at: Option<i64>,
    #[prost(string, tag = "22")]
    pub acknowledged_by: String,
}

impl From<&domain::Alert> for Alert {
    fn from(a: &domain::Alert) -> Self {
        Self {
            name: text(&a.name),
            severity: severity_code(a.severity),
            text: a.text.clone(),
            details: Some(Map::from(&a.details)),
            raised_at: a.raised_at.as_millis(),
            last_at: a.last_at.as_millis(),
            count: a.count,
            seq: a.seq,
            cause: a.cause,
            source: text(&a.source),
            acknowledged_at: a.acknowledged.as_ref().map(|word| word.at.as_millis()),
            acknowledged_by: a.acknowledged.as_ref().map(|word| text(&word.by)).unwrap_or_default(),
        }
    }
}

impl TryFrom<Alert> for domain::Alert {
    type Error = Error;

    fn try_from(a: Alert) -> Result<Self, Error> {
        Ok(Self {
            name: a.name.into(),
            severity: severity_from(a.severity)?,
            text: a.text,
            details: need(a.details, "an alert's details")?.try_into()?,
            raised_at: time(a.raised_at)?,
            last_at: time(a.last_at)?,
            count: a.count,
            seq: a.seq,
            cause: a.cause,
            source: a.source.into(),
            acknowledged: match a.acknowledged_at {
                Some(at) => Some(domain::alert::Acknowledgement { at: time(at)?, by: a.acknowledged_by.into() }),
                None => None,
            },
        })
    }
}
