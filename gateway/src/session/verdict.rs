//! What a device is told about its message. The one place where a refusal becomes a reason code.

use actors::device::Refusal;
use ntex_mqtt::v5::codec::{DisconnectReasonCode, PublishAckReason as Code};

use super::{answers::Answer, ending::End};
use crate::{
    meters::Outcome,
    wire::{Outbound, Version},
};

/// What is needed to answer a PUBLISH.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Receipt {
    pub(crate) version: Version,
    pub(crate) qos: u8,
    pub(crate) id: u16,
}

impl Receipt {
    pub(crate) fn accepted(self) -> Answer {
        self.say(Code::Success, None)
    }

    /// A bad payload never ends a session. 3.1.1 has no word for it: acknowledged, so that it is not sent for ever.
    pub(crate) fn bad_payload(self, reason: String) -> Answer {
        self.never_again(Code::PayloadFormatInvalid, reason)
    }

    pub(crate) fn not_authorized(self, reason: String) -> Answer {
        match self.version {
            Version::V5 => self.say(Code::NotAuthorized, Some(reason)),
            Version::V3 => Answer::End(End::refused("not_authorized", DisconnectReasonCode::NotAuthorized)),
        }
    }

    pub(crate) fn refused(self, refusal: Refusal) -> Answer {
        let reason = refusal.to_string();
        match refusal {
            Refusal::Invalid { .. } => self.bad_payload(reason),
            Refusal::NotAuthorized { .. } => self.not_authorized(reason),
            Refusal::Quota { .. } | Refusal::StoreFull => self.try_again(Code::QuotaExceeded, reason),
            Refusal::StoreUnavailable => self.try_again(Code::ImplementationSpecificError, reason),
            Refusal::Poisoned { .. } => self.never_again(Code::ImplementationSpecificError, reason),
            Refusal::SessionEnded => Answer::End(End::session_ended()),
        }
    }

    /// 3.1.1 can only withhold the acknowledgement; the device sends again once it has connected again.
    fn try_again(self, code: Code, reason: String) -> Answer {
        match self.version {
            Version::V3 if self.qos > 0 => Answer::End(End::unavailable()),
            _ => self.say(code, Some(reason)),
        }
    }

    fn never_again(self, code: Code, reason: String) -> Answer {
        match self.version {
            Version::V5 => self.say(code, Some(reason)),
            Version::V3 => self.say(Code::Success, None),
        }
    }

    fn say(self, code: Code, reason: Option<String>) -> Answer {
        let id = self.id;
        match self.qos {
            0 => Answer::Nothing,
            1 => Answer::Settle(Outbound::PubAck { id, code, reason }),
            _ if code == Code::Success => Answer::Send(Outbound::PubRec { id, code, reason }),
            _ => Answer::Settle(Outbound::PubRec { id, code, reason }),
        }
    }
}

pub(crate) fn outcome(result: &Result<(), Refusal>) -> Outcome {
    match result {
        Ok(()) => Outcome::Accepted,
        Err(Refusal::Invalid { .. }) => Outcome::BadPayload,
        Err(Refusal::NotAuthorized { .. }) => Outcome::NotAuthorized,
        Err(Refusal::Quota { .. } | Refusal::StoreFull) => Outcome::Quota,
        Err(Refusal::StoreUnavailable) => Outcome::Unavailable,
        Err(Refusal::Poisoned { .. }) => Outcome::Poisoned,
        Err(Refusal::SessionEnded) => Outcome::SessionEnded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(answer: Answer) -> Option<u8> {
        match answer {
            Answer::Send(Outbound::PubRec { code, .. }) | Answer::Settle(Outbound::PubAck { code, .. } | Outbound::PubRec { code, .. }) => {
                Some(code.into())
            }
            _ => None,
        }
    }

    fn refusals() -> [(Refusal, Option<u8>, Option<u8>); 7] {
        let (reason, error) = (String::new, String::new);
        // what v5 reads in PUBACK, what 3.1.1 does; None: the connection ends
        [
            (Refusal::Invalid { reason: reason() }, Some(0x99), Some(0)),
            (Refusal::NotAuthorized { reason: reason() }, Some(0x87), None),
            (Refusal::Quota { limit: "x", detail: reason() }, Some(0x97), None),
            (Refusal::StoreFull, Some(0x97), None),
            (Refusal::StoreUnavailable, Some(0x83), None),
            (Refusal::Poisoned { behaviour: "dtmi:a;1".into(), error: error() }, Some(0x83), Some(0)),
            (Refusal::SessionEnded, None, None),
        ]
    }

    #[test]
    fn every_refusal_has_its_code() {
        for (refusal, v5, v3) in refusals() {
            for qos in [1, 2] {
                let told = |version| code(Receipt { version, qos, id: 7 }.refused(refusal.clone()));
                assert_eq!((told(Version::V5), told(Version::V3)), (v5, v3), "{refusal:?} at QoS {qos}");
            }
        }
    }

    #[test]
    fn nothing_is_said_at_qos_0() {
        for version in [Version::V3, Version::V5] {
            let receipt = Receipt { version, qos: 0, id: 0 };
            assert!(matches!(receipt.accepted(), Answer::Nothing));
            assert!(matches!(receipt.refused(Refusal::StoreFull), Answer::Nothing));
            assert!(matches!(receipt.bad_payload(String::new()), Answer::Nothing));
        }
    }
}
