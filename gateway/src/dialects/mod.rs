//! How one ecosystem's devices speak: topics, payloads and credentials to and from what a twin understands.
//!
//! Another ecosystem is one module here and one impl of [`Dialect`]; sessions, acknowledgements and the twins know
//! nothing of it. What a topic means is said in the domain's words ([`Subject`], [`Downstream`]), so that whether a
//! device may say it is decided once, for all dialects, in the session.

pub mod native;

use bytes::Bytes;
use hierarchy_models::{CommandId, DeviceMessage, Timestamp, TwinId, event::Encoding};

use actors::device::Downlink;

use crate::codec::PayloadError;

/// What a client says of itself at CONNECT.
pub struct Claim<'a> {
    pub client_id: &'a str,
    pub user_name: Option<&'a str>,
}

/// Why a client is turned away before its credentials are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    #[error("the client id is not a device id")]
    BadIdentifier,
    #[error("the user name is not the client id")]
    NameMismatch,
}

/// Where a message goes and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uplink<'t> {
    pub device: &'t str,
    pub subject: Subject<'t>,
    /// What the topic says of the payload's encoding.
    pub encoding: Option<Encoding>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'t> {
    Telemetry {
        stream: Option<&'t str>,
    },
    Reported,
    ReportedFull,
    Event {
        name: &'t str,
    },
    Diagnostics,
    Metadata,
    Result {
        command: &'t str,
    },
    Attach {
        child: &'t str,
    },
    Detach {
        child: &'t str,
    },
    Get,
    /// A token that takes the place of the one the session was opened with. The session's own; no twin hears of it.
    Token,
}

/// What of a twin's downlink a filter asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Downstream {
    Commands,
    Desired,
    Twin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted<'t> {
    pub device: &'t str,
    pub downstream: Downstream,
}

/// Why a topic or a filter is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// Not a topic name or filter of MQTT at all.
    #[error("the topic is malformed")]
    Malformed,
    #[error("there is no such topic here")]
    Unknown,
    #[error("shared subscriptions are not served")]
    Shared,
}

/// A message for a device, as it goes out.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    pub downstream: Downstream,
    pub topic: String,
    pub payload: Vec<u8>,
    pub content_type: &'static str,
    /// When it is of no use any more.
    pub expires_at: Option<Timestamp>,
    pub correlation: Option<CommandId>,
    pub redelivery: bool,
}

pub trait Dialect: Sync {
    /// For the connection view and the metrics.
    fn name(&self) -> &'static str;

    /// The device that a client says it is.
    fn device(&self, claim: &Claim<'_>) -> Result<TwinId, ClaimError>;

    fn uplink<'t>(&self, topic: &'t str) -> Result<Uplink<'t>, TopicError>;

    /// The message in a payload. `content_type` is MQTT 5's; without one the topic decides, and then the dialect.
    fn message(
        &self,
        uplink: &Uplink<'_>,
        content_type: Option<&str>,
        payload: &Bytes,
        now: Timestamp,
    ) -> Result<DeviceMessage, PayloadError>;

    fn wanted<'t>(&self, filter: &'t str) -> Result<Wanted<'t>, TopicError>;

    /// `None` for what is no message, such as the end of the session.
    fn downlink(&self, target: &TwinId, message: &Downlink) -> Option<Outgoing>;
}
