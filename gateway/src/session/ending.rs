//! The end of a connection: what the client is told, what the twin is told, and whether the will is sent.

use std::{rc::Rc, time::Duration};

use actors::device::CloseReason;
use hierarchy_models::event::DisconnectReason;
use ntex_mqtt::v5::codec::DisconnectReasonCode as Code;

use super::{state::Session, wills::LastWill};

/// How long a server that stops waits for messages in work, so that they are acknowledged before it says goodbye.
pub(crate) const FAREWELL_MAX: Duration = Duration::from_secs(2);
/// How long messages that were in work may take to be done with before their session is closed over them.
pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Why and how a connection ends.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) reason: DisconnectReason,
    /// For the metrics and the log.
    pub(crate) label: &'static str,
    /// The v5 DISCONNECT; 3.1.1 servers just close.
    pub(crate) say: Option<(Code, Option<String>)>,
    pub(crate) keeps_will: bool,
    /// A session expiry that the client changed its mind to.
    pub(crate) expiry_seconds: Option<u32>,
}

impl End {
    fn new(reason: DisconnectReason, label: &'static str, say: Option<Code>) -> Self {
        Self { reason, label, say: say.map(|code| (code, None)), keeps_will: true, expiry_seconds: None }
    }

    pub(crate) fn goodbye(keeps_will: bool, expiry_seconds: Option<u32>) -> Self {
        Self { keeps_will, expiry_seconds, ..Self::new(DisconnectReason::Goodbye, "goodbye", None) }
    }

    pub(crate) fn lost(label: &'static str) -> Self {
        Self::new(DisconnectReason::Lost, label, None)
    }

    pub(crate) fn keep_alive() -> Self {
        Self::new(DisconnectReason::Lost, "keep_alive", Some(Code::KeepAliveTimeout))
    }

    /// The device broke the protocol, a limit, or what it is allowed to do.
    pub(crate) fn refused(label: &'static str, code: Code) -> Self {
        Self::new(DisconnectReason::Refused, label, Some(code))
    }

    pub(crate) fn because(mut self, why: impl Into<String>) -> Self {
        if let Some((_, reason)) = &mut self.say {
            *reason = Some(why.into());
        }
        self
    }

    /// Messages cannot be kept now: without an acknowledgement the device sends them again on its next connection.
    pub(crate) fn unavailable() -> Self {
        Self::new(DisconnectReason::Refused, "unavailable", Some(Code::ImplementationSpecificError))
    }

    pub(crate) fn closed(reason: CloseReason) -> Self {
        match reason {
            CloseReason::TakenOver => Self::new(DisconnectReason::TakenOver, "taken_over", Some(Code::SessionTakenOver)),
            // Nothing of who was shut out is heard after it.
            CloseReason::Revoked => {
                Self { keeps_will: false, ..Self::new(DisconnectReason::Revoked, "revoked", Some(Code::AdministrativeAction)) }
            }
            // the device did nothing to deserve its will, and reads by 0x8B that it should come back
            CloseReason::ServerStops => {
                Self { keeps_will: false, ..Self::new(DisconnectReason::ServerStopped, "server_stops", Some(Code::ServerShuttingDown)) }
            }
        }
    }

    /// What it was opened with is good no more (MQTT 5: the maximum connection time authorized is exceeded).
    pub(crate) fn time_over() -> Self {
        Self::new(DisconnectReason::Revoked, "credentials_expired", Some(Code::MaximumConnectTime))
    }

    /// The twin says that this session is over.
    pub(crate) fn session_ended() -> Self {
        Self::new(DisconnectReason::TakenOver, "session_ended", Some(Code::SessionTakenOver))
    }
}

/// Closes the session at its twin, and sends the will now or later.
pub(crate) async fn close(session: Rc<Session>, end: &End, will: Option<LastWill>) {
    let (house, device) = (session.house.clone(), session.device.clone());
    let expiry = end.expiry_seconds.map(|s| s.min(u32::try_from(house.settings.session_expiry_max.as_secs()).unwrap_or(u32::MAX)));
    // whoever took over came back in time for a will that waits
    let came_back = end.reason == DisconnectReason::TakenOver;
    let mut will = will.filter(|will| end.keeps_will && (will.delay.is_zero() || !came_back));
    if let (Some(will), Some(0)) = (&mut will, expiry) {
        // the session ends now, and with it the wait
        will.delay = Duration::ZERO;
    }
    // a will that waits may never be sent, so it is not yet part of what happened
    let said = will.as_ref().filter(|w| w.delay.is_zero()).map(LastWill::record);
    match Rc::try_unwrap(session) {
        Ok(session) => match expiry {
            Some(expiry) => session.twin.close_with_expiry(end.reason, said, expiry).await,
            None => session.twin.close(end.reason, said).await,
        },
        Err(_) => tracing::error!(%device, "a session was still in use when it ended"),
    }
    match will {
        Some(will) if will.delay.is_zero() => will.send(&house).await,
        Some(will) => house.wills.schedule(&house, &device, will),
        None => {}
    }
}
