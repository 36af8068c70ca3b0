//! MQTT 5.0 packets to and from the session's vocabulary.

use std::{
    num::{NonZeroU16, NonZeroU32},
    time::Duration,
};

use ntex::util::{ByteString, Bytes};
use ntex_mqtt::{
    QoS,
    error::DecodeError,
    v5::codec::{
        self, Auth, AuthReasonCode, ConnectAck, Decoded, Disconnect, DisconnectReasonCode, Encoded, Packet, PublishAck, PublishAck2,
        PublishAck2Reason, PublishAckReason, PublishProperties, SubscribeAck, UnsubscribeAck,
    },
};

use super::{Accepted, Authentication, Down, Hello, Inbound, Outbound, Publish, Version, WillMessage};

/// Longest reason string: what a person reads, not a dump.
const REASON_BYTES_MAX: usize = 512;

pub(super) fn read(decoded: Decoded) -> Result<Inbound, DecodeError> {
    Ok(match decoded {
        Decoded::Publish(p, payload, _) => Inbound::Publish(Publish {
            id: p.packet_id.map_or(0, NonZeroU16::get),
            qos: p.qos.into(),
            retain: p.retain,
            topic: p.topic,
            alias: p.properties.topic_alias.map(NonZeroU16::get),
            content_type: p.properties.content_type,
            payload,
        }),
        Decoded::PayloadChunk(..) => return Err(DecodeError::UnexpectedPayload),
        Decoded::Packet(packet, _) => match packet {
            Packet::Connect(c) => Inbound::Connect(Box::new(hello(*c))),
            Packet::PublishAck(a) => Inbound::PubAck { id: a.packet_id.get(), refused: u8::from(a.reason_code) >= 0x80 },
            Packet::PublishRelease(r) => Inbound::PubRel { id: r.packet_id.get() },
            Packet::Subscribe(s) => Inbound::Subscribe {
                id: s.packet_id.get(),
                filters: s.topic_filters.into_iter().map(|(filter, options)| (filter, options.qos.into())).collect(),
                has_identifier: s.id.is_some(),
            },
            Packet::Unsubscribe(u) => Inbound::Unsubscribe { id: u.packet_id.get(), filters: u.topic_filters },
            Packet::PingRequest => Inbound::Ping,
            Packet::Disconnect(d) => Inbound::Disconnect {
                keeps_will: d.reason_code != DisconnectReasonCode::NormalDisconnection,
                expiry_seconds: d.session_expiry_interval_secs,
            },
            Packet::Auth(auth) => Inbound::Auth {
                again: auth.reason_code == AuthReasonCode::ReAuth,
                proof: Authentication { method: auth.auth_method, data: auth.auth_data },
            },
            Packet::PublishReceived(_) => Inbound::Unexpected("PUBREC"),
            Packet::PublishComplete(_) => Inbound::Unexpected("PUBCOMP"),
            Packet::ConnectAck(_) => Inbound::Unexpected("CONNACK"),
            Packet::SubscribeAck(_) => Inbound::Unexpected("SUBACK"),
            Packet::UnsubscribeAck(_) => Inbound::Unexpected("UNSUBACK"),
            Packet::PingResponse => Inbound::Unexpected("PINGRESP"),
        },
    })
}

fn hello(c: codec::Connect) -> Hello {
    let seconds = |s: u32| Duration::from_secs(s.into());
    Hello {
        version: Version::V5,
        client_id: c.client_id,
        user_name: c.username,
        password: c.password,
        clean_start: c.clean_start,
        keep_alive: c.keep_alive,
        expiry: Some(seconds(c.session_expiry_interval_secs)),
        receive_max: c.receive_max.map_or(u16::MAX, NonZeroU16::get),
        packet_max: c.max_packet_size.map(NonZeroU32::get),
        will: c.last_will.map(|w| WillMessage {
            topic: w.topic,
            payload: w.message,
            content_type: w.content_type,
            retain: w.retain,
            delay: seconds(w.will_delay_interval_sec.unwrap_or(0)),
        }),
        authentication: (c.auth_method.is_some() || c.auth_data.is_some())
            .then_some(Authentication { method: c.auth_method, data: c.auth_data }),
    }
}

pub(super) fn write(item: Outbound) -> Encoded {
    Encoded::Packet(match item {
        Outbound::ConnAck(accepted) => Packet::ConnectAck(Box::new(connack(&accepted))),
        Outbound::Refuse(reason_code, why) => Packet::ConnectAck(Box::new(ConnectAck {
            reason_code,
            reason_string: Some(ByteString::from_static(why)),
            ..ConnectAck::default()
        })),
        Outbound::PubAck { id, code, reason } => Packet::PublishAck(puback(id, code, reason)),
        Outbound::PubRec { id, code, reason } => Packet::PublishReceived(puback(id, code, reason)),
        Outbound::PubComp { id, known } => Packet::PublishComplete(PublishAck2 {
            packet_id: packet_id(id),
            reason_code: if known { PublishAck2Reason::Success } else { PublishAck2Reason::PacketIdNotFound },
            properties: Vec::new(),
            reason_string: None,
        }),
        Outbound::SubAck { id, codes } => {
            Packet::SubscribeAck(SubscribeAck { packet_id: packet_id(id), properties: Vec::new(), reason_string: None, status: codes })
        }
        Outbound::UnsubAck { id, codes } => {
            Packet::UnsubscribeAck(UnsubscribeAck { packet_id: packet_id(id), properties: Vec::new(), reason_string: None, status: codes })
        }
        Outbound::Pong => Packet::PingResponse,
        Outbound::Authenticated { method } => Packet::Auth(Auth { auth_method: Some(ByteString::from_static(method)), ..Auth::default() }),
        Outbound::Publish(down) => return publish(*down),
        Outbound::Disconnect(code, reason) => Packet::Disconnect(Disconnect::new(code).reason_string(reason.map(reason_string))),
    })
}

fn connack(a: &Accepted) -> ConnectAck {
    ConnectAck {
        session_present: a.session_present,
        session_expiry_interval_secs: a.expiry_seconds,
        receive_max: NonZeroU16::new(a.receive_max).unwrap_or(NonZeroU16::MAX),
        max_qos: QoS::ExactlyOnce,
        max_packet_size: Some(a.packet_max),
        topic_alias_max: a.topic_alias_max,
        retain_available: false,
        wildcard_subscription_available: true,
        subscription_identifiers_available: false,
        shared_subscription_available: false,
        server_keepalive_sec: a.keep_alive,
        auth_method: a.authentication.map(ByteString::from_static),
        ..ConnectAck::default()
    }
}

/// Packet ids that are answered came in a packet, where zero is malformed; so the fallback is never used.
fn packet_id(id: u16) -> NonZeroU16 {
    NonZeroU16::new(id).unwrap_or(NonZeroU16::MIN)
}

fn puback(id: u16, reason_code: PublishAckReason, reason: Option<String>) -> PublishAck {
    PublishAck { packet_id: packet_id(id), reason_code, properties: Vec::new(), reason_string: reason.map(reason_string) }
}

fn reason_string(mut reason: String) -> ByteString {
    reason.retain(|c| !c.is_control());
    reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    ByteString::from(reason)
}

fn publish(down: Down) -> Encoded {
    let text = ByteString::from;
    let head = codec::Publish {
        dup: down.dup && down.id != 0,
        retain: false,
        qos: if down.id != 0 { QoS::AtLeastOnce } else { QoS::AtMostOnce },
        packet_id: NonZeroU16::new(down.id),
        topic: text(down.topic),
        payload_size: down.payload.len() as u32,
        properties: PublishProperties {
            content_type: Some(ByteString::from_static(down.content_type)),
            is_utf8_payload: true,
            message_expiry_interval: down.expiry_seconds.and_then(NonZeroU32::new),
            correlation_data: down.correlation.map(|id| Bytes::from(id.into_bytes())),
            user_properties: if down.redelivery { vec![(text("redelivery".into()), text("true".into()))] } else { Vec::new() },
            ..PublishProperties::default()
        },
    };
    Encoded::Publish(head, Some(Bytes::from(down.payload)))
}
