//! Who is at the devices' door: device keys (derived, not stored) and signed tokens. People and systems: [`crate::access`].
//!
//! A device's key is an HMAC of its name under the master key, so that nothing secret about a device is at rest and a
//! reconnect storm costs a third of a microsecond a device; resetting raises the generation that goes into it. Slow
//! password hashes are for secrets that people choose; these are 256 random bits.

mod sealing;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use hierarchy_models::{Timestamp, TwinId};
use persistence::Identity;
use ring::hmac;
use subtle::ConstantTimeEq;

use crate::{access::Access, error::TwinError};

/// Why a device was not let in. The device is told one thing for all of them; the log and the metrics tell which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("no such device")]
    Unknown,
    #[error("wrong key")]
    WrongKey,
    #[error("the token has expired")]
    Expired,
    #[error("the device is not active")]
    Inactive,
    #[error("the identity store is not available")]
    Unavailable,
}

/// Key slots a device may have.
pub const KEY_SLOTS_MAX: usize = 16;
/// Bytes of a key that is brought from outside: at least, at most.
pub const KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=256;
/// Longest life of a device token.
pub const TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);
const TENANT: &str = "default";
const KID: u32 = 1;

struct Inner {
    store: Arc<dyn persistence::Identities>,
    access: Access,
    device_keys: hmac::Key,
    tokens: hmac::Key,
    sealing: sealing::Sealing,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Identities {
    inner: Arc<Inner>,
}

impl Identities {
    /// `master` is the secret that device keys are derived from, `admin_token` the first administrator's key.
    pub fn new(
        store: Arc<dyn persistence::Identities>,
        documents: Arc<dyn persistence::Store>,
        master: [u8; 32],
        admin_token: String,
    ) -> Self {
        let master = hmac::Key::new(hmac::HMAC_SHA256, &master);
        let derive = |purpose: &str| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&master, purpose.as_bytes()).as_ref());
        Self {
            inner: Arc::new(Inner {
                store,
                access: Access::new(documents, &admin_token),
                device_keys: derive("twinfold device keys v1"),
                tokens: derive("twinfold device tokens v1"),
                sealing: sealing::Sealing::new(hmac::sign(&master, b"twinfold sealed keys v1").as_ref()),
            }),
        }
    }

    /// People and systems, who come through the other door.
    pub fn access(&self) -> &Access {
        &self.inner.access
    }

    /// The derived key of one slot: each part's length goes before it, so that no two sets of parts read the same.
    fn derived_key(&self, device: &TwinId, generation: u64, slot: &str) -> String {
        let mut signer = hmac::Context::with_key(&self.inner.device_keys);
        for part in [TENANT, device.as_str(), &generation.to_string(), slot] {
            signer.update(&(part.len() as u32).to_be_bytes());
            signer.update(part.as_bytes());
        }
        BASE64.encode(signer.sign())
    }

    fn token_signature(&self, device: &TwinId, generation: u64, expires: u64) -> Vec<u8> {
        let text = format!("{}:{}:{generation}:{expires}", device.as_str().len(), device);
        hmac::sign(&self.inner.tokens, text.as_bytes()).as_ref().to_vec()
    }

    async fn load(&self, device: &TwinId) -> Result<Identity, Denied> {
        match self.inner.store.identity(device).await {
            Ok(Some(identity)) if identity.enabled => Ok(identity),
            Ok(Some(_)) => Err(Denied::Inactive),
            Ok(None) => Err(Denied::Unknown),
            Err(error) => {
                tracing::error!(%device, %error, "an identity cannot be read");
                Err(Denied::Unavailable)
            }
        }
    }

    /// Checks a password (a device key or a signed token) at CONNECT; the generation of the credentials it belongs to.
    pub async fn verify_device(&self, device: &TwinId, password: &[u8], now: Timestamp) -> Result<u64, Denied> {
        let identity = self.load(device).await?;
        if let Some(token) = std::str::from_utf8(password).ok().and_then(|p| p.strip_prefix("twt_")) {
            return self.verify_token(device, &identity, token, now).map(|()| identity.generation);
        }
        // Every slot is compared, so that the time taken does not tell which one came near.
        let mut matched = false;
        for slot in &identity.slots {
            let key = self.derived_key(device, identity.generation, slot);
            matched |= bool::from(key.as_bytes().ct_eq(password));
        }
        for sealed in &identity.sealed {
            if let Some(key) = self.inner.sealing.open(device, sealed) {
                matched |= bool::from(key.as_slice().ct_eq(password));
            }
        }
        if matched { Ok(identity.generation) } else { Err(Denied::WrongKey) }
    }

    fn verify_token(&self, device: &TwinId, identity: &Identity, token: &str, now: Timestamp) -> Result<(), Denied> {
        let (expires, signature) = token.split_once('.').ok_or(Denied::WrongKey)?;
        let expires: u64 = expires.parse().map_err(|_| Denied::WrongKey)?;
        let signature = BASE64.decode(signature).map_err(|_| Denied::WrongKey)?;
        let right = self.token_signature(device, identity.generation, expires);
        if !bool::from(right.as_slice().ct_eq(&signature)) {
            return Err(Denied::WrongKey);
        }
        let end = Timestamp::from_millis_clamped(i64::try_from(expires.saturating_mul(1000)).unwrap_or(i64::MAX));
        if end <= now { Err(Denied::Expired) } else { Ok(()) }
    }

    /// Checks that a device with a client certificate of this common name may connect.
    pub async fn verify_certificate(&self, device: &TwinId, common_name: &str) -> Result<u64, Denied> {
        let identity = self.load(device).await?;
        if common_name == device.as_str() { Ok(identity.generation) } else { Err(Denied::WrongKey) }
    }

    /// Whether credentials of this generation still open the door.
    pub async fn is_current(&self, device: &TwinId, generation: u64) -> bool {
        self.load(device).await.is_ok_and(|identity| identity.generation == generation)
    }

    /// A signed token for a device, good for `lifetime`.
    pub async fn issue_token(&self, device: &TwinId, lifetime: Duration, now: Timestamp) -> Result<String, TwinError> {
        if lifetime.is_zero() || lifetime > TOKEN_LIFETIME_MAX {
            let reason = format!("must be from 1 to {} seconds", TOKEN_LIFETIME_MAX.as_secs());
            return Err(TwinError::Invalid { pointer: "/expires_in".into(), reason });
        }
        let identity = self.inner.store.identity(device).await?.ok_or_else(|| TwinError::NoSuchTwin(device.clone()))?;
        let expires = (now.plus(lifetime).as_millis() / 1000).max(0) as u64;
        let signature = BASE64.encode(self.token_signature(device, identity.generation, expires));
        Ok(format!("twt_{expires}.{signature}"))
    }

    /// Gives a new device its identity; its keys, which are shown once. `keys`: slots, with a value when brought from outside.
    pub(crate) async fn enrol(
        &self,
        device: &TwinId,
        keys: Option<BTreeMap<String, Option<String>>>,
    ) -> Result<(u64, BTreeMap<String, String>), TwinError> {
        let generation = self.inner.store.next_generation(device).await?;
        let asked = keys.unwrap_or_else(|| ["primary", "secondary"].map(|slot| (slot.into(), None)).into());
        check_keys(&asked)?;
        let (mut slots, mut sealed, mut shown) = (Vec::new(), Vec::new(), BTreeMap::new());
        for (slot, key) in asked {
            let key = match key {
                Some(key) => {
                    sealed.push(self.inner.sealing.seal(device, &slot, key.as_bytes())?);
                    key
                }
                None => {
                    slots.push(slot.clone());
                    self.derived_key(device, generation, &slot)
                }
            };
            shown.insert(slot, key);
        }
        let identity = Identity { device: device.clone(), enabled: true, generation, kid: KID, slots, sealed };
        self.inner.store.put_identities(vec![identity]).await?;
        Ok((generation, shown))
    }

    pub(crate) async fn enable(&self, device: &TwinId, enabled: bool) -> Result<(), TwinError> {
        let found = self.inner.store.identity(device).await?;
        let identity = found.ok_or_else(|| TwinError::NoSuchTwin(device.clone()))?;
        Ok(self.inner.store.put_identities(vec![Identity { enabled, ..identity }]).await?)
    }

    /// Derives every slot anew; keys brought from outside are replaced by derived ones.
    pub(crate) async fn reset(&self, device: &TwinId) -> Result<BTreeMap<String, String>, TwinError> {
        let found = self.inner.store.identity(device).await?;
        let identity = found.ok_or_else(|| TwinError::NoSuchTwin(device.clone()))?;
        let generation = identity.generation + 1;
        let brought = identity.sealed.into_iter().map(|s| s.slot);
        let slots: Vec<String> = identity.slots.into_iter().chain(brought).collect();
        let shown = slots.iter().map(|slot| (slot.clone(), self.derived_key(device, generation, slot))).collect();
        let fresh = Identity { device: device.clone(), enabled: identity.enabled, generation, kid: KID, slots, sealed: vec![] };
        self.inner.store.put_identities(vec![fresh]).await?;
        Ok(shown)
    }

    pub(crate) async fn forget(&self, device: &TwinId) -> Result<(), TwinError> {
        Ok(self.inner.store.delete_identity(device).await?)
    }
}

fn check_keys(keys: &BTreeMap<String, Option<String>>) -> Result<(), TwinError> {
    let invalid = |pointer: String, reason: String| Err(TwinError::Invalid { pointer, reason });
    if keys.is_empty() || keys.len() > KEY_SLOTS_MAX {
        return invalid("/keys".into(), format!("from 1 to {KEY_SLOTS_MAX} keys"));
    }
    for (slot, key) in keys {
        if slot.is_empty() || slot.len() > 64 || !slot.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return invalid("/keys".into(), format!("{slot:?} is no name for a key: 1 to 64 letters, digits, '-' and '_'"));
        }
        if key.as_ref().is_some_and(|k| !KEY_BYTES.contains(&k.len()) || k.starts_with("twt_")) {
            let reason = format!("a key has {} to {} bytes and does not begin with twt_", KEY_BYTES.start(), KEY_BYTES.end());
            return invalid(format!("/keys/{slot}"), reason);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use hierarchy_models::TwinId;
    use persistence::MemoryStore;

    use super::*;

    fn identities() -> Identities {
        let store = Arc::new(MemoryStore::default());
        Identities::new(store.clone(), store, [7; 32], "admin".into())
    }

    fn id(text: &str) -> TwinId {
        TwinId::new(text).unwrap()
    }

    const NOW: Timestamp = Timestamp::EPOCH;

    #[tokio::test]
    async fn a_key_opens_its_own_device_only_and_only_until_it_is_reset() {
        let ids = identities();
        let (_, keys) = ids.enrol(&id("a"), None).await.unwrap();
        ids.enrol(&id("b"), None).await.unwrap();
        for slot in ["primary", "secondary"] {
            assert!(ids.verify_device(&id("a"), keys[slot].as_bytes(), NOW).await.is_ok());
            assert_eq!(ids.verify_device(&id("b"), keys[slot].as_bytes(), NOW).await, Err(Denied::WrongKey));
        }
        let fresh = ids.reset(&id("a")).await.unwrap();
        assert_eq!(ids.verify_device(&id("a"), keys["primary"].as_bytes(), NOW).await, Err(Denied::WrongKey));
        assert!(ids.verify_device(&id("a"), fresh["primary"].as_bytes(), NOW).await.is_ok());
        assert_eq!(ids.verify_device(&id("c"), b"x", NOW).await, Err(Denied::Unknown));
    }

    #[tokio::test]
    async fn a_key_of_a_former_device_of_the_same_id_never_works_again() {
        let ids = identities();
        let (_, keys) = ids.enrol(&id("a"), None).await.unwrap();
        ids.forget(&id("a")).await.unwrap();
        ids.enrol(&id("a"), None).await.unwrap();
        assert_eq!(ids.verify_device(&id("a"), keys["primary"].as_bytes(), NOW).await, Err(Denied::WrongKey));
    }

    #[tokio::test]
    async fn a_key_brought_from_outside_works_and_is_not_stored_in_clear() {
        let store = Arc::new(MemoryStore::default());
        let ids = Identities::new(store.clone(), store.clone(), [7; 32], "admin".into());
        let mine = "a-key-that-a-factory-burnt-in";
        let (_, keys) = ids.enrol(&id("a"), Some([("factory".into(), Some(mine.into()))].into())).await.unwrap();
        assert_eq!(keys["factory"], mine);
        assert!(ids.verify_device(&id("a"), mine.as_bytes(), NOW).await.is_ok());
        let stored = persistence::Identities::identity(&*store, &id("a")).await.unwrap().unwrap();
        assert!(!format!("{stored:?}").contains(mine));
        assert!(ids.enrol(&id("b"), Some([("k".into(), Some("short".into()))].into())).await.is_err());
    }

    #[tokio::test]
    async fn a_token_ends_when_it_says() {
        let ids = identities();
        ids.enrol(&id("a"), None).await.unwrap();
        ids.enrol(&id("b"), None).await.unwrap();
        let token = ids.issue_token(&id("a"), Duration::from_secs(600), NOW).await.unwrap();
        assert!(ids.verify_device(&id("a"), token.as_bytes(), NOW).await.is_ok());
        assert_eq!(ids.verify_device(&id("b"), token.as_bytes(), NOW).await, Err(Denied::WrongKey));
        let late = NOW.plus(Duration::from_secs(600));
        assert_eq!(ids.verify_device(&id("a"), token.as_bytes(), late).await, Err(Denied::Expired));
        ids.reset(&id("a")).await.unwrap();
        assert_eq!(ids.verify_device(&id("a"), token.as_bytes(), NOW).await, Err(Denied::WrongKey));
    }
}
