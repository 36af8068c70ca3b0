//! What opens the door for a device: given at its registration, changed one by one, or replaced as a whole.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use hierarchy_models::TwinId;
use persistence::{Identity, OwnCertificate, Thumbprint};
use ring::rand::{SecureRandom, SystemRandom};

use super::{
    Identities,
    passwords::{PASSWORD_BYTES, Passwords},
    tokens,
};
use crate::error::TwinError;

/// Key slots a device may have.
pub const KEY_SLOTS_MAX: usize = 16;
/// Bytes of a key that is brought from outside: at least, at most.
pub const KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=256;
/// Certificates of its own that a device may have: one to use, one to come, and some more.
pub const CERTIFICATES_MAX: usize = 8;
const SLOT_BYTES_MAX: usize = 64;

/// What a device is given. Without anything said of keys these are derived: at a registration `primary` and `secondary`, at a
/// reset those it has.
#[derive(Clone, Default)]
pub struct NewCredentials {
    /// Key slots; one with a value is a key brought from outside, one without is derived.
    pub keys: Option<BTreeMap<String, Option<String>>>,
    pub certificates: BTreeMap<String, Thumbprint>,
    /// Chosen by a person.
    pub password: Option<String>,
}

impl NewCredentials {
    fn has_others(&self) -> bool {
        !self.certificates.is_empty() || self.password.is_some()
    }
}

/// A change of single credentials; the others go on. Of a value `None` removes.
#[derive(Clone, Default)]
pub struct CredentialsPatch {
    /// `Some(None)`: a new random key.
    pub keys: BTreeMap<String, Option<Option<String>>>,
    pub certificates: BTreeMap<String, Option<Thumbprint>>,
    pub password: Option<Option<String>>,
}

/// What a device has, without anything secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialsView {
    /// Raised by a reset.
    pub generation: u64,
    /// Names of its keys.
    pub keys: Vec<String>,
    pub certificates: BTreeMap<String, Thumbprint>,
    pub has_password: bool,
}

impl Identities {
    /// Gives a new device its identity: its generation, and its keys, which are shown once.
    pub(crate) async fn enrol(
        &self,
        device: &TwinId,
        credentials: NewCredentials,
        gateway: Option<TwinId>,
    ) -> Result<(u64, BTreeMap<String, String>), TwinError> {
        let generation = self.inner.store.next_generation(device).await?;
        if generation > 1 {
            // A code for a former device of this name, should its removal have been cut off.
            self.forget_claim(device).await?;
        }
        let fresh = Identity { gateway, ..Identity::new(device.clone(), generation, self.inner.masters.newest()) };
        let defaults = ["primary", "secondary"].map(String::from);
        let (identity, shown) = self.equip(fresh, credentials, &defaults).await?;
        self.inner.store.put_identities(vec![identity]).await?;
        Ok((generation, shown))
    }

    /// Replaces everything: what opened the door before opens it no more.
    pub(crate) async fn reset(&self, device: &TwinId, credentials: NewCredentials) -> Result<BTreeMap<String, String>, TwinError> {
        let before = self.known(device).await?;
        let fresh = Identity {
            enabled: before.enabled,
            gateway: before.gateway,
            ..Identity::new(device.clone(), before.generation + 1, self.inner.masters.newest())
        };
        let mut slots: Vec<String> = before.slots.into_iter().chain(before.sealed.into_iter().map(|s| s.slot)).collect();
        if slots.is_empty() && !credentials.has_others() {
            slots = ["primary", "secondary"].map(String::from).into();
        }
        let (identity, shown) = self.equip(fresh, credentials, &slots).await?;
        self.inner.store.put_identities(vec![identity]).await?;
        Ok(shown)
    }

    async fn equip(
        &self,
        mut identity: Identity,
        credentials: NewCredentials,
        slots: &[String],
    ) -> Result<(Identity, BTreeMap<String, String>), TwinError> {
        let has_others = credentials.has_others();
        let NewCredentials { keys, certificates, password } = credentials;
        if keys.as_ref().is_some_and(|keys| keys.is_empty() && !has_others) {
            return Err(invalid("/keys".into(), format!("from 1 to {KEY_SLOTS_MAX} keys, or other credentials")));
        }
        let asked = keys.unwrap_or_else(|| slots.iter().map(|slot| (slot.clone(), None)).collect());
        check_keys(asked.iter().map(|(slot, key)| (slot, key.as_deref())))?;
        check_certificates(certificates.keys())?;
        let master = self.master(identity.kid)?;
        let mut shown = BTreeMap::new();
        for (slot, key) in asked {
            let key = match key {
                Some(key) => {
                    identity.sealed.push(master.sealing.seal(&identity.device, &slot, key.as_bytes())?);
                    key
                }
                None => {
                    identity.slots.push(slot.clone());
                    master.device_key(&identity.device, identity.generation, &slot)
                }
            };
            shown.insert(slot, key);
        }
        identity.certificates = certificates.into_iter().map(|(slot, sha256)| OwnCertificate { slot, sha256 }).collect();
        identity.password = hashed(&self.inner.passwords, password).await?;
        Ok((identity, shown))
    }

    /// New keys, which are shown once, and whether something that opened the door does so no more.
    pub(crate) async fn change(&self, device: &TwinId, patch: CredentialsPatch) -> Result<(BTreeMap<String, String>, bool), TwinError> {
        let before = self.known(device).await?;
        let CredentialsPatch { keys, certificates, password } = patch;
        check_keys(keys.iter().filter_map(|(slot, key)| Some((slot, key.as_ref()?.as_deref()))))?;
        check_certificates(certificates.keys())?;
        let (mut after, mut shown) = (before.clone(), BTreeMap::new());
        let master = self.master(before.kid)?;
        for (slot, key) in keys {
            after.slots.retain(|s| *s != slot);
            after.sealed.retain(|s| s.slot != slot);
            // Derived anew it would be the key it was.
            let Some(key) = key.map(|key| key.map_or_else(random_key, Ok)).transpose()? else { continue };
            after.sealed.push(master.sealing.seal(device, &slot, key.as_bytes())?);
            shown.insert(slot, key);
        }
        for (slot, sha256) in certificates {
            after.certificates.retain(|own| own.slot != slot);
            after.certificates.extend(sha256.map(|sha256| OwnCertificate { slot, sha256 }));
        }
        if let Some(password) = password {
            after.password = hashed(&self.inner.passwords, password).await?;
        }
        if after.slots.len() + after.sealed.len() > KEY_SLOTS_MAX {
            return Err(invalid("/keys".into(), format!("would be more than {KEY_SLOTS_MAX} keys")));
        }
        if after.certificates.len() > CERTIFICATES_MAX {
            return Err(invalid("/certificates".into(), format!("would be more than {CERTIFICATES_MAX} certificates")));
        }
        let withdraws = before.slots.iter().any(|slot| !after.slots.contains(slot))
            || before.sealed.iter().any(|key| !after.sealed.contains(key))
            || before.certificates.iter().any(|own| !after.certificates.iter().any(|a| a.sha256 == own.sha256))
            || (before.password.is_some() && before.password != after.password);
        self.inner.store.put_identities(vec![after]).await?;
        Ok((shown, withdraws))
    }

    pub async fn credentials(&self, device: &TwinId) -> Result<CredentialsView, TwinError> {
        let identity = self.known(device).await?;
        let sealed = identity.sealed.into_iter().map(|key| key.slot);
        Ok(CredentialsView {
            generation: identity.generation,
            keys: identity.slots.into_iter().chain(sealed).collect(),
            certificates: identity.certificates.into_iter().map(|own| (own.slot, own.sha256)).collect(),
            has_password: identity.password.is_some(),
        })
    }

    pub(crate) async fn enable(&self, device: &TwinId, enabled: bool) -> Result<(), TwinError> {
        let identity = self.known(device).await?;
        Ok(self.inner.store.put_identities(vec![Identity { enabled, ..identity }]).await?)
    }

    /// Opens nothing any more; nor does an enrolment take it again.
    pub(crate) async fn close(&self, device: &TwinId) -> Result<(), TwinError> {
        match self.inner.store.identity(device).await? {
            Some(identity) if identity.enabled => {
                Ok(self.inner.store.put_identities(vec![Identity { enabled: false, ..identity }]).await?)
            }
            _ => Ok(()),
        }
    }

    /// Keeps the way from a gateway to its devices.
    pub(crate) async fn set_gateway(&self, device: &TwinId, gateway: Option<TwinId>) -> Result<(), TwinError> {
        match self.inner.store.identity(device).await? {
            Some(identity) if identity.gateway != gateway => {
                Ok(self.inner.store.put_identities(vec![Identity { gateway, ..identity }]).await?)
            }
            _ => Ok(()),
        }
    }

    /// Some of those that name this gateway, behind `after`; none at the end.
    pub(crate) async fn behind_gateway(&self, gateway: &TwinId, after: Option<TwinId>) -> Result<Vec<TwinId>, TwinError> {
        const AT_ONCE: usize = 256;
        Ok(self.inner.store.behind_gateway(gateway, after, AT_ONCE).await?)
    }

    pub(crate) async fn forget(&self, device: &TwinId) -> Result<(), TwinError> {
        self.forget_claim(device).await?;
        Ok(self.inner.store.delete_identity(device).await?)
    }

    async fn known(&self, device: &TwinId) -> Result<Identity, TwinError> {
        self.inner.store.identity(device).await?.ok_or_else(|| TwinError::NoSuchTwin(device.clone()))
    }
}

fn invalid(pointer: String, reason: String) -> TwinError {
    TwinError::Invalid { pointer, reason }
}

fn random_key() -> Result<String, TwinError> {
    let mut key = [0; 32];
    let failed = |_| persistence::Error::Unavailable { doing: "making a key", detail: "no randomness".into() };
    SystemRandom::new().fill(&mut key).map_err(failed)?;
    Ok(BASE64.encode(key))
}

async fn hashed(passwords: &Passwords, password: Option<String>) -> Result<Option<String>, TwinError> {
    let Some(password) = password else { return Ok(None) };
    if !PASSWORD_BYTES.contains(&password.len()) || password.starts_with(tokens::PREFIX) {
        let (least, most) = (PASSWORD_BYTES.start(), PASSWORD_BYTES.end());
        return Err(invalid(
            "/password".into(),
            format!("a password has {least} to {most} bytes and does not begin with {}", tokens::PREFIX),
        ));
    }
    passwords.hash(password).await.map(Some)
}

fn is_slot(slot: &str) -> bool {
    (1..=SLOT_BYTES_MAX).contains(&slot.len()) && slot.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn check_keys<'a>(keys: impl Iterator<Item = (&'a String, Option<&'a str>)>) -> Result<(), TwinError> {
    for (n, (slot, key)) in keys.enumerate() {
        if n >= KEY_SLOTS_MAX {
            return Err(invalid("/keys".into(), format!("at most {KEY_SLOTS_MAX} keys")));
        }
        if !is_slot(slot) {
            return Err(invalid("/keys".into(), format!("{slot:?} is no name for a key: 1 to 64 letters, digits, '-' and '_'")));
        }
        if key.is_some_and(|k| !KEY_BYTES.contains(&k.len()) || k.starts_with(tokens::PREFIX)) {
            let reason = format!("a key has {} to {} bytes and does not begin with twt_", KEY_BYTES.start(), KEY_BYTES.end());
            return Err(invalid(format!("/keys/{slot}"), reason));
        }
    }
    Ok(())
}

fn check_certificates<'a>(slots: impl ExactSizeIterator<Item = &'a String>) -> Result<(), TwinError> {
    if slots.len() > CERTIFICATES_MAX {
        return Err(invalid("/certificates".into(), format!("at most {CERTIFICATES_MAX} certificates")));
    }
    match slots.into_iter().find(|slot| !is_slot(slot)) {
        Some(slot) => {
            let reason = format!("{slot:?} is no name for a certificate: 1 to 64 letters, digits, '-' and '_'");
            Err(invalid("/certificates".into(), reason))
        }
        None => Ok(()),
    }
}
