//! PUBLISH and PUBREL: from a packet to a durable message, and to the answer.

use std::{future::poll_fn, rc::Rc, task::Poll};

use actors::device::Refusal;
use bytes::Bytes;
use hierarchy_models::{
    DeviceMessage, TwinId,
    event::{Encoding, Raw},
};
use ntex_mqtt::v5::codec::DisconnectReasonCode;

use super::{
    answers::Answer,
    ending::End,
    renewal,
    state::{KEPT_TOPIC_CHARS, Session},
    verdict::{Receipt, outcome},
};
use crate::{
    codec::PayloadError,
    dialects::{Subject, TopicError, Uplink},
    meters::Outcome,
    wire::{Outbound, Publish},
};

/// A PUBLISH as far as it can be judged without its twin.
pub(crate) enum Heard {
    /// Of a child; `None`: of the session's own device.
    Message(Option<TwinId>, DeviceMessage),
    /// A payload that cannot be read; `None`: of the session's own device.
    Unreadable(Option<TwinId>, PayloadError),
    /// A token by which the session goes on.
    Token,
    Refused(Answer),
}

pub(crate) fn hear(session: &Session, receipt: Receipt, publish: &Publish) -> Heard {
    let uplink = match session.dialect().uplink(&publish.topic) {
        Ok(uplink) => uplink,
        Err(TopicError::Malformed) => {
            return Heard::Refused(Answer::End(End::refused("topic_malformed", DisconnectReasonCode::TopicNameInvalid)));
        }
        Err(e) => return Heard::Refused(refuse_topic(session, receipt, publish, &e.to_string())),
    };
    let own = uplink.device == session.device.as_str();
    let about_children = matches!(uplink.subject, Subject::Attach { .. } | Subject::Detach { .. });
    if about_children && !own {
        return Heard::Refused(refuse_topic(session, receipt, publish, "only the device itself may say this"));
    }
    if !renewal::may_say(session.scope.get(), &uplink.subject) {
        return Heard::Refused(refuse_topic(session, receipt, publish, "the scope of the token does not hold this"));
    }
    if matches!(uplink.subject, Subject::Token) {
        return if own { Heard::Token } else { Heard::Refused(refuse_topic(session, receipt, publish, "a session renews only itself")) };
    }
    let child = if own { None } else { TwinId::new(uplink.device).ok() };
    match (read(session, &uplink, publish), child) {
        (Ok(message), child) => Heard::Message(child, message),
        (Err(error), child) => Heard::Unreadable(child, error),
    }
}

/// Does with it what takes waiting, and says what became of it. Everything up to the twin's mailbox happens in the first
/// poll, which is what keeps messages in order.
pub(crate) async fn work(session: Rc<Session>, receipt: Receipt, publish: Publish, heard: Heard) -> Answer {
    let meters = &session.house.meters;
    let answer = match heard {
        Heard::Message(child, message) => return send(session, receipt, child, message).await,
        Heard::Unreadable(child, error) => {
            meters.publish("unreadable", Outcome::BadPayload);
            meters.payload_rejected(error.kind);
            keep_unreadable(&session, receipt, child.as_ref().unwrap_or(&session.device), &publish, error).await
        }
        Heard::Token => renewal::by_message(&session, receipt, &publish.payload).await,
        Heard::Refused(answer) => answer,
    };
    decided(&session, receipt);
    answer
}

/// A message of the session's own device or, with `child`, of that, waited for.
pub(crate) async fn send(session: Rc<Session>, receipt: Receipt, child: Option<TwinId>, message: DeviceMessage) -> Answer {
    let kind = message.kind();
    let packet = (receipt.qos == 2).then_some(receipt.id);
    let target = child.as_ref().unwrap_or(&session.device);
    let _turn = session.turn(target).await;
    let result = session.twin.send(target, message, packet).await;
    settled(&session, receipt, target, kind, result)
}

/// What a message came to.
pub(crate) fn settled(session: &Session, receipt: Receipt, target: &TwinId, kind: &'static str, result: Result<(), Refusal>) -> Answer {
    session.house.meters.publish(kind, outcome(&result));
    let answer = conclude(session, receipt, target, result);
    decided(session, receipt);
    answer
}

/// The twin has spoken on a message: at QoS 2 a repetition need not wait for it any more.
fn decided(session: &Session, receipt: Receipt) {
    if receipt.qos == 2 {
        session.exactly_once.borrow_mut().under_way.remove(&receipt.id);
    }
}

fn read(session: &Session, uplink: &Uplink<'_>, publish: &Publish) -> Result<DeviceMessage, PayloadError> {
    // the packet shares a page with its neighbours; what is kept must not hold on to that
    let payload = Bytes::copy_from_slice(&publish.payload);
    session.dialect().message(uplink, publish.content_type.as_deref(), &payload, session.house.twins.clock().now())
}

fn conclude(session: &Session, receipt: Receipt, target: &TwinId, result: Result<(), Refusal>) -> Answer {
    match result {
        Ok(()) => {
            if receipt.qos == 2 {
                session.exactly_once.borrow_mut().taken.insert(receipt.id, true);
            }
            receipt.accepted()
        }
        Err(refusal) => {
            match &refusal {
                Refusal::NotAuthorized { .. } => session.refused("PUBLISH", "device", target.as_str()),
                Refusal::Invalid { reason } => tracing::info!(device = %target, reason, "a message was refused"),
                other => tracing::debug!(device = %target, refusal = %other, "a message was not taken"),
            }
            receipt.refused(refusal)
        }
    }
}

/// A payload that cannot be read is kept in the twin's diagnostics, for whoever mends the device.
async fn keep_unreadable(session: &Session, receipt: Receipt, target: &TwinId, publish: &Publish, error: PayloadError) -> Answer {
    let reason = error.to_string();
    tracing::info!(device = %target, topic = &*publish.topic, reason, "a payload could not be read");
    let raw = Raw { encoding: Encoding::Unknown, bytes: Bytes::copy_from_slice(&publish.payload) };
    let topic = publish.topic.chars().take(KEPT_TOPIC_CHARS).collect();
    let message = DeviceMessage::Unreadable { topic, reason: reason.clone(), raw };
    match session.twin.send(target, message, None).await {
        Err(refusal @ (Refusal::NotAuthorized { .. } | Refusal::SessionEnded)) => conclude(session, receipt, target, Err(refusal)),
        _ => receipt.bad_payload(reason),
    }
}

fn refuse_topic(session: &Session, receipt: Receipt, publish: &Publish, why: &str) -> Answer {
    session.refused("PUBLISH", "topic", &publish.topic);
    session.house.meters.publish("none", Outcome::NotAuthorized);
    receipt.not_authorized(why.to_owned())
}

/// A QoS 2 PUBLISH that came before: acknowledged as it was, or will be, and not handed on again.
pub(crate) async fn repeated(session: Rc<Session>, id: u16) -> Answer {
    session.house.meters.publish("none", Outcome::Repeated);
    until_decided(&session, id).await;
    let receipt = Receipt { version: session.version, qos: 2, id };
    if session.exactly_once.borrow().taken.contains_key(&id) {
        receipt.accepted()
    } else {
        // the first one was refused, and its answer, which stands before this one, said so
        Answer::Nothing
    }
}

/// PUBREL: the handshake of a QoS 2 message ends. Durable before PUBCOMP, lest the packet id be taken for a repetition.
pub(crate) async fn release(session: Rc<Session>, id: u16) -> Answer {
    until_decided(&session, id).await;
    let Some(counted) = session.exactly_once.borrow().taken.get(&id).copied() else {
        return Answer::Send(Outbound::PubComp { id, known: false });
    };
    match session.twin.release(id).await {
        Ok(()) => {
            session.exactly_once.borrow_mut().taken.remove(&id);
            let done = Outbound::PubComp { id, known: true };
            if counted { Answer::Settle(done) } else { Answer::Send(done) }
        }
        Err(Refusal::SessionEnded) => Answer::End(End::session_ended()),
        Err(_) => Answer::End(End::unavailable()),
    }
}

/// Waits until the twin has spoken on this message. Needs no waker: the connection polls all its work whenever some of
/// it moves on, and that message is part of it.
async fn until_decided(session: &Session, id: u16) {
    poll_fn(|_| if session.exactly_once.borrow().under_way.contains(&id) { Poll::Pending } else { Poll::Ready(()) }).await;
}
