//! MQTT 3.1.1 packets to and from the session's vocabulary. What 3.1.1 cannot say is left out.

use std::{num::NonZeroU16, time::Duration};

use ntex::util::{ByteString, Bytes};
use ntex_mqtt::{
    QoS,
    error::DecodeError,
    v3::codec::{self, ConnectAck, ConnectAckReason, Decoded, Encoded, Packet, SubscribeReturnCode},
    v5::codec::{ConnectAckReason as Reason, SubscribeAckReason},
};

use super::{Down, Hello, Inbound, Outbound, Publish, Version, WillMessage};

pub(super) fn read(decoded: Decoded) -> Result<Inbound, DecodeError> {
    Ok(match decoded {
        Decoded::Publish(p, payload, _) => Inbound::Publish(Publish {
            id: p.packet_id.map_or(0, NonZeroU16::get),
            qos: p.qos.into(),
            retain: p.retain,
            topic: p.topic,
            alias: None,
            content_type: None,
            payload,
        }),
        Decoded::PayloadChunk(..) => return Err(DecodeError::UnexpectedPayload),
        Decoded::Packet(packet, _) => match packet {
            Packet::Connect(c) => Inbound::Connect(Box::new(hello(*c))),
            Packet::PublishAck { packet_id } => Inbound::PubAck { id: packet_id.get(), refused: false },
            Packet::PublishRelease { packet_id } => Inbound::PubRel { id: packet_id.get() },
            Packet::Subscribe { packet_id, topic_filters } => Inbound::Subscribe {
                id: packet_id.get(),
                filters: topic_filters.into_iter().map(|(filter, qos)| (filter, qos.into())).collect(),
                has_identifier: false,
            },
            Packet::Unsubscribe { packet_id, topic_filters } => Inbound::Unsubscribe { id: packet_id.get(), filters: topic_filters },
            Packet::PingRequest => Inbound::Ping,
            Packet::Disconnect => Inbound::Disconnect { keeps_will: false, expiry_seconds: None },
            Packet::PublishReceived { .. } => Inbound::Unexpected("PUBREC"),
            Packet::PublishComplete { .. } => Inbound::Unexpected("PUBCOMP"),
            Packet::ConnectAck(_) => Inbound::Unexpected("CONNACK"),
            Packet::SubscribeAck { .. } => Inbound::Unexpected("SUBACK"),
            Packet::UnsubscribeAck { .. } => Inbound::Unexpected("UNSUBACK"),
            Packet::PingResponse => Inbound::Unexpected("PINGRESP"),
        },
    })
}

fn hello(c: codec::Connect) -> Hello {
    Hello {
        version: Version::V3,
        client_id: c.client_id,
        user_name: c.username,
        password: c.password,
        clean_start: c.clean_session,
        keep_alive: c.keep_alive,
        expiry: c.clean_session.then_some(Duration::ZERO),
        receive_max: u16::MAX,
        packet_max: None,
        will: c.last_will.map(|w| WillMessage {
            topic: w.topic,
            payload: w.message,
            content_type: None,
            retain: w.retain,
            delay: Duration::ZERO,
        }),
        authentication: None,
    }
}

/// `None` for what 3.1.1 does not have.
pub(super) fn write(item: Outbound) -> Option<Encoded> {
    let packet = match item {
        Outbound::ConnAck(a) => {
            Packet::ConnectAck(ConnectAck { session_present: a.session_present, return_code: ConnectAckReason::ConnectionAccepted })
        }
        Outbound::Refuse(reason, _) => Packet::ConnectAck(ConnectAck { session_present: false, return_code: return_code(reason) }),
        Outbound::PubAck { id, .. } => Packet::PublishAck { packet_id: NonZeroU16::new(id)? },
        Outbound::PubRec { id, .. } => Packet::PublishReceived { packet_id: NonZeroU16::new(id)? },
        Outbound::PubComp { id, .. } => Packet::PublishComplete { packet_id: NonZeroU16::new(id)? },
        Outbound::SubAck { id, codes } => {
            Packet::SubscribeAck { packet_id: NonZeroU16::new(id)?, status: codes.into_iter().map(sub_code).collect() }
        }
        Outbound::UnsubAck { id, .. } => Packet::UnsubscribeAck { packet_id: NonZeroU16::new(id)? },
        Outbound::Pong => Packet::PingResponse,
        Outbound::Publish(down) => return Some(publish(*down)),
        Outbound::Disconnect(..) | Outbound::Authenticated { .. } => return None,
    };
    Some(Encoded::Packet(packet))
}

fn return_code(reason: Reason) -> ConnectAckReason {
    match reason {
        Reason::ClientIdentifierNotValid => ConnectAckReason::IdentifierRejected,
        Reason::BadUserNameOrPassword => ConnectAckReason::BadUserNameOrPassword,
        Reason::NotAuthorized | Reason::BadAuthenticationMethod => ConnectAckReason::NotAuthorized,
        Reason::UnsupportedProtocolVersion => ConnectAckReason::UnacceptableProtocolVersion,
        _ => ConnectAckReason::ServiceUnavailable,
    }
}

fn sub_code(code: SubscribeAckReason) -> SubscribeReturnCode {
    match code {
        SubscribeAckReason::GrantedQos0 => SubscribeReturnCode::Success(QoS::AtMostOnce),
        SubscribeAckReason::GrantedQos1 => SubscribeReturnCode::Success(QoS::AtLeastOnce),
        SubscribeAckReason::GrantedQos2 => SubscribeReturnCode::Success(QoS::ExactlyOnce),
        _ => SubscribeReturnCode::Failure,
    }
}

fn publish(down: Down) -> Encoded {
    let packet_id = NonZeroU16::new(down.id);
    let head = codec::Publish {
        dup: down.dup && packet_id.is_some(),
        retain: false,
        qos: if packet_id.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce },
        topic: ByteString::from(down.topic),
        packet_id,
        payload_size: down.payload.len() as u32,
    };
    Encoded::Publish(head, Some(Bytes::from(down.payload)))
}
