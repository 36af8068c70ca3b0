//! A session that is good for a while, and a token that makes it good for longer.
//!
//! MQTT 5 has a packet for it (AUTH, 4.12.1) that wants an authentication method named in the CONNECT; a device that speaks
//! 3.1.1, or named none, publishes the token on a topic of its own. Either way messages go on meanwhile, and a token that is
//! wrong ends the session: whoever sends one is not who the session was opened for.

use std::{
    future::Future,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use actors::identity::{Denied, Scope};
use hierarchy_models::Timestamp;
use ntex::util::Bytes;
use ntex_mqtt::v5::codec::DisconnectReasonCode as Code;
use tokio::time::sleep;

use super::{answers::Answer, ending::End, run::Run, state::Session, verdict::Receipt};
use crate::{
    dialects::Subject,
    wire::{Authentication, Outbound},
};

/// The method of enhanced authentication: its data is a token.
pub(crate) const METHOD: &str = "twinfold-token";
/// A clock may be moved: it is looked at again at least this often.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(3_600);

/// Whether a message on this subject is within the scope.
pub(crate) fn may_say(scope: Scope, subject: &Subject<'_>) -> bool {
    match subject {
        Subject::Token => true,
        // Who receives commands may answer them, and ask what it is to receive.
        Subject::Result { .. } | Subject::Get => scope.publish || scope.subscribe,
        _ => scope.publish,
    }
}

/// Takes the token, or says how the session ends.
async fn renew(session: &Session, token: &[u8]) -> Result<(), End> {
    let now = session.house.twins.clock().now();
    let renewed = session.house.twins.identities().renew(&session.device, token, now).await;
    let meters = &session.house.meters;
    match renewed {
        Ok(verified) => {
            meters.renewal("renewed");
            // More than the session was opened with would need what it has not asked for since: another connection.
            session.scope.set(verified.scope.within(session.opened_with));
            session.until.set(verified.until.unwrap_or(Timestamp::MAX));
            Ok(())
        }
        Err(denied @ Denied::Unavailable) => {
            meters.renewal(denied.label());
            Err(End::unavailable())
        }
        Err(denied) => {
            meters.renewal(denied.label());
            tracing::info!(device = %session.device, why = denied.label(), "a session was not renewed");
            session.denied("RENEW", ("device", session.device.as_str()), denied.label());
            Err(End::refused("renewal", Code::NotAuthorized))
        }
    }
}

/// An AUTH of a session that was opened with [`METHOD`].
pub(crate) async fn by_packet(session: Rc<Session>, token: Bytes) -> Answer {
    match renew(&session, &token).await {
        Ok(()) => Answer::Send(Outbound::Authenticated { method: METHOD }),
        Err(end) => Answer::End(end),
    }
}

/// A PUBLISH on `devices/{id}/token`.
pub(crate) async fn by_message(session: &Session, receipt: Receipt, token: &[u8]) -> Answer {
    match renew(session, token).await {
        Ok(()) => receipt.accepted(),
        Err(end) => Answer::End(end),
    }
}

/// The token in an AUTH, or how the session ends (MQTT 5, 4.12.1: the same method, and only where CONNECT named one).
pub(crate) fn token_of(session: &Session, again: bool, proof: Authentication) -> Result<Bytes, End> {
    if !session.renews || !again {
        return Err(End::refused("auth", Code::ProtocolError));
    }
    if proof.method.as_deref() != Some(METHOD) {
        return Err(End::refused("auth_method", Code::BadAuthenticationMethod));
    }
    proof.data.ok_or_else(|| End::refused("renewal", Code::NotAuthorized))
}

impl Run {
    /// Ready when the session's time is over.
    pub(super) fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let until = self.session.until.get();
        if until == Timestamp::MAX {
            return Poll::Pending;
        }
        loop {
            if let Some((of, sleep)) = &mut self.timers().end
                && *of == until
                && sleep.as_mut().poll(cx).is_pending()
            {
                return Poll::Pending;
            }
            let now = self.session.house.twins.clock().now();
            if until <= now {
                return Poll::Ready(End::time_over());
            }
            self.timers().end = Some((until, Box::pin(sleep(until.since(now).min(LOOK_EVERY_MAX)))));
        }
    }
}
