//! The master keys, by their `kid`, and what is derived from each for one purpose.
//!
//! A device's keys are an HMAC of its name under the master key its identity names. A newer master serves whoever is
//! registered or reset from then on; the older ones go on for the others, so that a rotation cuts nobody off.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use hierarchy_models::TwinId;
use ring::hmac;

use super::sealing::Sealing;

const TENANT: &str = "default";
/// The `kid` of the first master key.
pub const FIRST_KID: u32 = 1;
/// Master keys there may be.
pub const MASTER_KEYS_MAX: usize = 64;

/// All master keys of a server. There is always one.
pub struct Masters {
    newest: u32,
    by_kid: BTreeMap<u32, Master>,
}

pub struct Master {
    device_keys: hmac::Key,
    tokens: hmac::Key,
    enrolments: hmac::Key,
    claims: hmac::Key,
    pub sealing: Sealing,
}

impl Masters {
    pub fn new(first: [u8; 32]) -> Self {
        Self { newest: FIRST_KID, by_kid: [(FIRST_KID, Master::new(&first))].into() }
    }

    /// Adds one; the highest `kid` is what new keys are derived from.
    pub fn with(mut self, kid: u32, secret: [u8; 32]) -> Self {
        self.by_kid.insert(kid, Master::new(&secret));
        self.newest = self.newest.max(kid);
        self
    }

    pub fn newest(&self) -> u32 {
        self.newest
    }

    pub fn get(&self, kid: u32) -> Option<&Master> {
        let master = self.by_kid.get(&kid);
        if master.is_none() {
            tracing::error!(kid, "the master key that an identity names is not here; restore its file");
            metrics::counter!("twinfold_master_keys_missing_total").increment(1);
        }
        master
    }
}

impl Master {
    fn new(secret: &[u8; 32]) -> Self {
        let master = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derive = |purpose: &str| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&master, purpose.as_bytes()).as_ref());
        Self {
            device_keys: derive("twinfold device keys v1"),
            tokens: derive("twinfold device tokens v1"),
            enrolments: derive("twinfold enrolment keys v1"),
            claims: derive("twinfold claim codes v1"),
            sealing: Sealing::new(hmac::sign(&master, b"twinfold sealed keys v1").as_ref()),
        }
    }

    /// The key of one slot.
    pub fn device_key(&self, device: &TwinId, generation: u64, slot: &str) -> String {
        BASE64.encode(sign(&self.device_keys, &[TENANT, device.as_str(), &generation.to_string(), slot]))
    }

    pub fn token_signature(&self, device: &TwinId, generation: u64, expires: u64, scope: &str) -> hmac::Tag {
        sign(&self.tokens, &[TENANT, device.as_str(), &generation.to_string(), &expires.to_string(), scope])
    }

    pub fn enrolment_key(&self, enrolment: &str, generation: u32) -> hmac::Tag {
        sign(&self.enrolments, &[TENANT, enrolment, &generation.to_string()])
    }

    pub fn claim_hash(&self, device: &TwinId, code: &str) -> hmac::Tag {
        sign(&self.claims, &[TENANT, device.as_str(), code])
    }
}

/// Each part's length goes before it, so that no two lists of parts read the same.
fn sign(key: &hmac::Key, parts: &[&str]) -> hmac::Tag {
    let mut signer = hmac::Context::with_key(key);
    for part in parts {
        signer.update(&(part.len() as u32).to_be_bytes());
        signer.update(part.as_bytes());
    }
    signer.sign()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_derived_once_is_derived_for_ever() {
        // What devices in the field hold: this text may never change.
        let masters = Masters::new([7; 32]);
        let key = masters.get(1).unwrap().device_key(&TwinId::new("d").unwrap(), 1, "primary");
        assert_eq!(key, "pAXB_C5ZLSlI2nwvhNObvzNCLWIhIGWykJLTUAdmMXo");
        assert!(masters.get(2).is_none());
    }

    #[test]
    fn parts_cannot_be_shifted_into_one_another() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"k");
        assert_ne!(sign(&key, &["ab", "c"]).as_ref(), sign(&key, &["a", "bc"]).as_ref());
    }
}
