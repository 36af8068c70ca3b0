//! SUBSCRIBE and UNSUBSCRIBE: which of a twin's downlink goes to this connection.

use std::rc::Rc;

use actors::device::Refusal;
use hierarchy_models::TwinId;
use ntex::util::ByteString;
use ntex_mqtt::v5::codec::{SubscribeAckReason as Code, UnsubscribeAckReason};

use super::{answers::Answer, ending::End, state::Session};
use crate::{dialects::TopicError, wire::Outbound};

/// Commands may come twice after a lost connection, marked as such; a grant of QoS 2 would promise that they do not.
const QOS_GRANTED_MAX: u8 = 1;

/// Durable at the twin when the SUBACK goes out; what the twin sends for it waits in the queue until then.
pub(crate) async fn subscribe(session: Rc<Session>, id: u16, filters: Vec<(ByteString, u8)>) -> Answer {
    let mut codes = Vec::with_capacity(filters.len());
    for (filter, qos) in filters {
        let code = match one(&session, &filter, Some(qos.min(QOS_GRANTED_MAX))).await {
            Ok(_) if qos == 0 => Code::GrantedQos0,
            Ok(_) => Code::GrantedQos1,
            Err(Fault::Topic(TopicError::Malformed)) => Code::TopicFilterInvalid,
            Err(Fault::Topic(TopicError::Shared)) => Code::SharedSubscriptionNotSupported,
            Err(Fault::Topic(TopicError::Unknown) | Fault::Refusal(Refusal::NotAuthorized { .. })) => Code::NotAuthorized,
            Err(Fault::Refusal(Refusal::Quota { .. } | Refusal::StoreFull)) => Code::QuotaExceeded,
            Err(Fault::Refusal(Refusal::SessionEnded)) => return Answer::End(End::session_ended()),
            Err(Fault::Refusal(_)) => Code::ImplementationSpecificError,
        };
        let meters = &session.house.meters;
        match code {
            Code::GrantedQos0 | Code::GrantedQos1 => meters.subscriptions_granted.increment(1),
            _ => meters.subscriptions_refused.increment(1),
        }
        if code == Code::NotAuthorized {
            session.refused("SUBSCRIBE", "topic", &filter);
        }
        codes.push(code);
    }
    Answer::Subscribed(Outbound::SubAck { id, codes })
}

pub(crate) async fn unsubscribe(session: Rc<Session>, id: u16, filters: Vec<ByteString>) -> Answer {
    let mut codes = Vec::with_capacity(filters.len());
    for filter in filters {
        codes.push(match one(&session, &filter, None).await {
            Ok(true) => UnsubscribeAckReason::Success,
            Ok(false) | Err(Fault::Topic(TopicError::Unknown | TopicError::Shared)) => UnsubscribeAckReason::NoSubscriptionExisted,
            Err(Fault::Topic(TopicError::Malformed)) => UnsubscribeAckReason::TopicFilterInvalid,
            Err(Fault::Refusal(Refusal::NotAuthorized { .. })) => UnsubscribeAckReason::NotAuthorized,
            Err(Fault::Refusal(Refusal::SessionEnded)) => return Answer::End(End::session_ended()),
            Err(Fault::Refusal(_)) => UnsubscribeAckReason::ImplementationSpecificError,
        });
    }
    Answer::Send(Outbound::UnsubAck { id, codes })
}

enum Fault {
    Topic(TopicError),
    Refusal(Refusal),
}

/// Sets one subscription, or removes it, and tells whether one stood there before. The session's own view changes at
/// once, so that two SUBSCRIBEs in flight add up; it goes back when the twin refuses.
async fn one(session: &Session, filter: &str, qos: Option<u8>) -> Result<bool, Fault> {
    let wanted = session.dialect().wanted(filter).map_err(Fault::Topic)?;
    let target = TwinId::new(wanted.device).map_err(|_| Fault::Topic(TopicError::Unknown))?;
    if qos.is_some() && !session.scope.get().subscribe {
        return Err(Fault::Topic(TopicError::Unknown));
    }
    let (own, what) = (&session.device, wanted.downstream);
    let remembered = session.subscribed.borrow().may_be_remembered(own, &target);
    if remembered {
        let earlier = session.twin.subscriptions_of(&target).await;
        session.subscribed.borrow_mut().remember(&target, earlier);
    }
    let existed = session.subscribed.borrow().qos(own, &target, what).is_some();
    if qos.is_none() && !existed {
        return Ok(false);
    }
    let (before, now) = session.subscribed.borrow_mut().set(own, &target, what, qos);
    match session.twin.subscribe(&target, now).await {
        Ok(()) => Ok(existed),
        Err(refusal) => {
            session.subscribed.borrow_mut().set(own, &target, what, before);
            Err(Fault::Refusal(refusal))
        }
    }
}
