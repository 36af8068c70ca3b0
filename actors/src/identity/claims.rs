//! Claim codes: what is printed on a device that is registered and belongs to nobody yet, so that whoever holds it may take it.
//!
//! A code opens once, for a while, and for one device; the store has an HMAC of it. Wrong ones are slow: so many a minute a
//! device, and so many in all. A code of a device that is not there is refused like a wrong one.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use hierarchy_models::{Timestamp, TwinId};
use parking_lot::Mutex;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use tokio::sync::Mutex as AsyncMutex;

use super::Identities;
use crate::{
    error::TwinError,
    rate::{Bucket, Rate, Rates},
};

pub(crate) const KIND: &str = "claim";
/// Longest life of a claim code.
pub const CLAIM_LIFETIME_MAX: Duration = Duration::from_secs(3650 * 24 * 3600);
/// Codes that may be tried in a minute, for one device and for all.
const TRIES_PER_MINUTE: u32 = 10;
const TRIES_PER_MINUTE_WHOLE: u32 = 600;
const TRIES_KEYS_MAX: usize = 65_536;
/// Without letters that look like digits.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Of 5 bits each.
const CODE_LETTERS: usize = 16;

#[derive(Serialize, Deserialize)]
struct Claim {
    hash: String,
    kid: u32,
    expires_at: Timestamp,
    /// Where the device stood.
    #[serde(default)]
    parent: Option<TwinId>,
}

/// A code that was made; shown this once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimCode {
    pub code: String,
    pub expires_at: Timestamp,
}

pub struct Claims {
    /// One at a time looks a code up and takes it.
    taking: AsyncMutex<()>,
    tries: Rates,
    whole: Mutex<Bucket>,
}

impl Default for Claims {
    fn default() -> Self {
        let tries = Rates::new(Rate::per_minute(TRIES_PER_MINUTE), TRIES_KEYS_MAX);
        Self { taking: AsyncMutex::default(), tries, whole: Mutex::default() }
    }
}

impl Identities {
    /// Makes a claim code for a device; one that it had is of no use any more.
    pub(crate) async fn create_claim_code(
        &self,
        device: &TwinId,
        parent: Option<TwinId>,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<ClaimCode, TwinError> {
        if lifetime.is_zero() || lifetime > CLAIM_LIFETIME_MAX {
            let reason = format!("must be from 1 to {} seconds", CLAIM_LIFETIME_MAX.as_secs());
            return Err(TwinError::Invalid { pointer: "/expires_in".into(), reason });
        }
        let failed = |_| persistence::Error::Unavailable { doing: "making a claim code", detail: "no randomness".into() };
        let mut bytes = [0; CODE_LETTERS];
        SystemRandom::new().fill(&mut bytes).map_err(failed)?;
        let letters: String = bytes.iter().map(|b| char::from(ALPHABET[usize::from(b % 32)])).collect();
        let (kid, expires_at) = (self.inner.masters.newest(), now.plus(lifetime));
        let hash = BASE64.encode(self.master(kid)?.claim_hash(device, &letters));
        let body = serde_json::to_vec(&Claim { hash, kid, expires_at, parent }).map_err(|e| damaged(e.to_string()))?;
        self.inner.documents.put_document(KIND, device.as_str(), body.into()).await?;
        let groups: Vec<&str> = (0..CODE_LETTERS).step_by(4).map(|at| &letters[at..at + 4]).collect();
        Ok(ClaimCode { code: groups.join("-"), expires_at })
    }

    /// Takes the code of a device, which then opens no more. The caller puts it back with [`Self::return_claim`] when what it
    /// was for fails.
    /// `parent` is where the device stands: a code that was made while it was being moved is for where it stood.
    pub(crate) async fn take_claim(
        &self,
        device: &TwinId,
        parent: Option<&TwinId>,
        code: &str,
        now: Timestamp,
    ) -> Result<bytes::Bytes, TwinError> {
        let since = Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or(0));
        let whole = self.inner.claims.whole.lock().take(Rate::per_minute(TRIES_PER_MINUTE_WHOLE), since);
        if whole.and_then(|()| self.inner.claims.tries.take(device, since)).is_err() {
            metrics::counter!("twinfold_claims_total", "outcome" => "slowed").increment(1);
            return Err(TwinError::Limit { limit: "CLAIM_TRIES_PER_MINUTE", detail: "too many claim codes were tried".into() });
        }
        let wrong = || {
            metrics::counter!("twinfold_claims_total", "outcome" => "wrong").increment(1);
            TwinError::NoSuchClaim
        };
        let _alone = self.inner.claims.taking.lock().await;
        let body = self.inner.documents.document(KIND, device.as_str()).await?.ok_or_else(wrong)?;
        let claim: Claim = serde_json::from_slice(&body).map_err(|e| damaged(e.to_string()))?;
        let hash = BASE64.encode(self.master(claim.kid)?.claim_hash(device, &normal(code)));
        if !bool::from(hash.as_bytes().ct_eq(claim.hash.as_bytes())) || claim.expires_at <= now || claim.parent.as_ref() != parent {
            return Err(wrong());
        }
        // Gone before it has any effect: of two who come with it one is too late.
        if !self.inner.documents.delete_document(KIND, device.as_str()).await? {
            return Err(wrong());
        }
        metrics::counter!("twinfold_claims_total", "outcome" => "claimed").increment(1);
        Ok(body)
    }

    pub(crate) async fn return_claim(&self, device: &TwinId, claim: bytes::Bytes) -> Result<(), TwinError> {
        Ok(self.inner.documents.put_document(KIND, device.as_str(), claim).await?)
    }

    /// A code is for the device as it was, and where it was, when the code was made.
    pub(crate) async fn forget_claim(&self, device: &TwinId) -> Result<(), TwinError> {
        self.inner.documents.delete_document(KIND, device.as_str()).await?;
        Ok(())
    }
}

/// As people type it: in any case, with or without dashes and blanks, letters for the digits they look like.
fn normal(code: &str) -> String {
    let letters = code.chars().filter(|c| !matches!(c, '-' | ' ')).take(2 * CODE_LETTERS);
    letters
        .map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            c => c,
        })
        .collect()
}

fn damaged(detail: String) -> TwinError {
    persistence::Error::Damaged { doing: "reading a claim", detail }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        for typed in ["01AB-CD23-4567-89XZ", "01abcd23456789xz", "oIab cd23 4567 89xz", "0Lab-cd23-4567-89xz"] {
            assert_eq!(normal(typed), "01ABCD23456789XZ", "{typed}");
        }
    }
}
