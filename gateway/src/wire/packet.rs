//! What comes in and goes out, whatever the version.

use std::time::Duration;

use ntex::util::{ByteString, Bytes};
use ntex_mqtt::v5::codec::{ConnectAckReason, DisconnectReasonCode, PublishAckReason, SubscribeAckReason, UnsubscribeAckReason};

use super::Version;

#[derive(Debug)]
pub enum Inbound {
    Connect(Box<Hello>),
    Publish(Publish),
    /// The client has, or with `refused` has not, taken our PUBLISH.
    PubAck {
        id: u16,
        refused: bool,
    },
    PubRel {
        id: u16,
    },
    Subscribe {
        id: u16,
        filters: Vec<(ByteString, u8)>,
        has_identifier: bool,
    },
    Unsubscribe {
        id: u16,
        filters: Vec<ByteString>,
    },
    Ping,
    /// `keeps_will`: the client wants its will sent although it says goodbye.
    Disconnect {
        keeps_will: bool,
        expiry_seconds: Option<u32>,
    },
    /// `again`: a client that is in wants to prove itself again.
    Auth {
        again: bool,
        proof: Authentication,
    },
    /// A packet that a client must not send, or not to us.
    Unexpected(&'static str),
}

/// A CONNECT.
#[derive(Debug)]
pub struct Hello {
    pub version: Version,
    pub client_id: ByteString,
    pub user_name: Option<ByteString>,
    pub password: Option<Bytes>,
    pub clean_start: bool,
    /// Seconds; zero means none.
    pub keep_alive: u16,
    /// `None`: as long as the server keeps sessions (3.1.1 without clean session).
    pub expiry: Option<Duration>,
    /// Messages above QoS 0 that the client takes at a time.
    pub receive_max: u16,
    pub packet_max: Option<u32>,
    pub will: Option<WillMessage>,
    /// Enhanced authentication (MQTT 5, 4.12).
    pub authentication: Option<Authentication>,
}

/// How a client proves itself beside or in place of a password.
#[derive(Debug)]
pub struct Authentication {
    pub method: Option<ByteString>,
    pub data: Option<Bytes>,
}

#[derive(Debug)]
pub struct WillMessage {
    pub topic: ByteString,
    pub payload: Bytes,
    pub content_type: Option<ByteString>,
    pub retain: bool,
    pub delay: Duration,
}

#[derive(Debug)]
pub struct Publish {
    /// Zero at QoS 0.
    pub id: u16,
    pub qos: u8,
    pub retain: bool,
    pub topic: ByteString,
    pub alias: Option<u16>,
    pub content_type: Option<ByteString>,
    pub payload: Bytes,
}

#[derive(Debug)]
pub enum Outbound {
    ConnAck(Box<Accepted>),
    Refuse(ConnectAckReason, &'static str),
    PubAck {
        id: u16,
        code: PublishAckReason,
        reason: Option<String>,
    },
    PubRec {
        id: u16,
        code: PublishAckReason,
        reason: Option<String>,
    },
    PubComp {
        id: u16,
        known: bool,
    },
    SubAck {
        id: u16,
        codes: Vec<SubscribeAckReason>,
    },
    UnsubAck {
        id: u16,
        codes: Vec<UnsubscribeAckReason>,
    },
    Pong,
    /// The proof was right.
    Authenticated {
        method: &'static str,
    },
    Publish(Box<Down>),
    Disconnect(DisconnectReasonCode, Option<String>),
}

/// What the server grants in its CONNACK.
#[derive(Debug)]
pub struct Accepted {
    pub session_present: bool,
    pub receive_max: u16,
    pub packet_max: u32,
    pub topic_alias_max: u16,
    /// Set when it differs from what the client asked for.
    pub keep_alive: Option<u16>,
    pub expiry_seconds: Option<u32>,
    /// The method of the client's enhanced authentication.
    pub authentication: Option<&'static str>,
}

/// A PUBLISH to the client, at QoS 0 or 1.
#[derive(Debug)]
pub struct Down {
    /// Zero at QoS 0.
    pub id: u16,
    pub dup: bool,
    pub topic: String,
    pub payload: Vec<u8>,
    pub content_type: &'static str,
    pub expiry_seconds: Option<u32>,
    pub correlation: Option<String>,
    pub redelivery: bool,
}
