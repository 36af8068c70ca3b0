//! API keys: `tw_ID_SECRET`, of which the store has the SHA-256 only. The prefix is one that secret scanners can look for.
//!
//! A fast hash is right: the secret is 256 random bits and not a word that somebody chose. With the processor's own instructions it
//! takes less than what it would save to keep the key itself in memory.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use ring::{
    digest,
    rand::{SecureRandom, SystemRandom},
};
use subtle::ConstantTimeEq;

use crate::error::TwinError;

pub type Hash = [u8; digest::SHA256_OUTPUT_LEN];

/// Bytes of the id in a key at most.
const ID_BYTES_MAX: usize = 64;

pub fn sha256(text: &str) -> Hash {
    let mut hash = [0; digest::SHA256_OUTPUT_LEN];
    hash.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    hash
}

pub fn are_equal(a: &Hash, b: &Hash) -> bool {
    bool::from(a.ct_eq(b))
}

/// The principal that a key says it is of.
pub fn principal_of(key: &str) -> Option<&str> {
    key.strip_prefix("tw_")?.split('_').next().filter(|id| (1..=ID_BYTES_MAX).contains(&id.len()))
}

/// 256 random bits as text.
pub fn secret() -> Result<String, TwinError> {
    let mut secret = [0; 32];
    let failed = |_| persistence::Error::Unavailable { doing: "making a secret", detail: "no randomness".into() };
    SystemRandom::new().fill(&mut secret).map_err(failed)?;
    Ok(BASE64.encode(secret))
}

/// A new key of a principal.
pub fn make(principal: &str) -> Result<String, TwinError> {
    Ok(format!("tw_{principal}_{}", secret()?))
}

pub fn written(hash: &Hash) -> String {
    BASE64.encode(hash)
}

pub fn read(text: &str) -> Option<Hash> {
    BASE64.decode(text).ok().and_then(|hash| Hash::try_from(hash).ok())
}
