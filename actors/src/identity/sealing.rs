//! Keys brought from outside, encrypted at rest: ChaCha20-Poly1305 under a key derived from the master key, with the
//! device and the slot as additional data, so that a sealed key opens only where it was put.

use hierarchy_models::TwinId;
use persistence::SealedKey;
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};

use crate::error::TwinError;

pub struct Sealing {
    key: LessSafeKey,
}

fn place(device: &TwinId, slot: &str) -> Vec<u8> {
    format!("{}:{device}:{slot}", device.as_str().len()).into_bytes()
}

impl Sealing {
    /// `secret` is 32 bytes.
    pub fn new(secret: &[u8]) -> Self {
        let key = UnboundKey::new(&CHACHA20_POLY1305, secret).expect("an HMAC-SHA256 tag has the length of the key");
        Self { key: LessSafeKey::new(key) }
    }

    pub fn seal(&self, device: &TwinId, slot: &str, key: &[u8]) -> Result<SealedKey, TwinError> {
        let failed = |_| persistence::Error::Unavailable { doing: "sealing a key", detail: "no randomness".into() };
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(failed)?;
        let mut sealed = key.to_vec();
        let aad = Aad::from(place(device, slot));
        self.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed).map_err(failed)?;
        Ok(SealedKey { slot: slot.into(), nonce: nonce.to_vec(), sealed })
    }

    /// The nonce goes before what is sealed.
    pub fn seal_at(&self, aad: &str, clear: Vec<u8>) -> Result<Vec<u8>, TwinError> {
        let failed = |_| persistence::Error::Unavailable { doing: "sealing", detail: "no randomness".into() };
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(failed)?;
        let mut sealed = clear;
        self.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut sealed).map_err(failed)?;
        Ok([&nonce[..], &sealed].concat())
    }

    pub fn open_at(&self, aad: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut bytes = sealed.to_vec();
        self.key.open_in_place(nonce, Aad::from(aad), &mut bytes).ok().map(|clear| clear.to_vec())
    }

    pub fn open(&self, device: &TwinId, key: &SealedKey) -> Option<Vec<u8>> {
        let nonce = Nonce::try_assume_unique_for_key(&key.nonce).ok()?;
        let mut bytes = key.sealed.clone();
        let clear = self.key.open_in_place(nonce, Aad::from(place(device, &key.slot)), &mut bytes).ok()?;
        Some(clear.to_vec())
    }
}
