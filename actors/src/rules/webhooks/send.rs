//! One call: the body, its signature, the answer. Blocks, so it runs on a thread for that.
//!
//! `ureq`, which the command line has already: no pool of our own runtime's time, and its resolver can be put in the place of which the
//! guard stands. Redirects are not followed: they would lead past it.

use std::time::Duration;

use hierarchy_models::{Timestamp, Value};
use ring::hmac;
use ureq::{Agent, unversioned::transport::DefaultConnector};

use super::{Call, guard::Guarded};
use crate::outgoing;

const SIGNATURE: &str = "Twinfold-Signature";

#[derive(Clone)]
pub struct Sender {
    agent: Agent,
}

impl Sender {
    pub fn new(allow_private: bool, timeout: Duration) -> Self {
        Self { agent: Agent::with_parts(outgoing::config(timeout), DefaultConnector::default(), Guarded { allow_private }) }
    }

    /// Any 2xx is a yes. The error is for the log.
    pub fn send(&self, url: &str, secret: Option<&str>, call: &Call, now: Timestamp) -> Result<(), String> {
        let body = body_of(call);
        let mut request = self.agent.post(url).header("content-type", "application/json").header("idempotency-key", &call.key);
        if let Some(secret) = secret {
            request = request.header(SIGNATURE, signature(secret, now, &body));
        }
        let answer = request.send(&body[..]).map_err(|e| e.to_string())?;
        if answer.status().is_success() { Ok(()) } else { Err(format!("it answered {}", answer.status())) }
    }
}

/// The same bytes each time: the receiver may compare.
fn body_of(call: &Call) -> Vec<u8> {
    let mut body = call.payload.clone().into_map().unwrap_or_default();
    body.insert("id".into(), Value::from(call.key.as_str()));
    serde_json::to_vec(&body).unwrap_or_default()
}

/// `t=SECONDS,v1=HEX`: HMAC-SHA256 with the secret over `SECONDS.BODY`, so that an old call cannot be passed off as a new one.
fn signature(secret: &str, now: Timestamp, body: &[u8]) -> String {
    let seconds = now.as_millis().div_euclid(1_000);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut signed = hmac::Context::with_key(&key);
    signed.update(format!("{seconds}.").as_bytes());
    signed.update(body);
    let hex: String = signed.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},v1={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_one_that_anybody_would_compute() {
        // printf '1372896000.{"a":1}' | openssl dgst -sha256 -hmac 0123456789abcdef
        let at = Timestamp::from_millis(1_372_896_000_999).unwrap();
        let signed = signature("0123456789abcdef", at, br#"{"a":1}"#);
        assert_eq!(signed, "t=1372896000,v1=1ecb514fde9a68da938b45ffae91d6ea2ee782a8714a58d7ade44510a41c6a58");
    }
}
