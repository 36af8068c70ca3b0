//! Who is at the devices' door: their keys, tokens, certificates and passwords. People and systems: [`crate::access`].
//!
//! A device's key is an HMAC of its name under a master key, so that nothing secret about a device is at rest and a
//! reconnect storm costs a third of a microsecond a device; resetting raises the generation that goes into it. Slow
//! password hashes are for secrets that people choose; these are 256 random bits.

mod claims;
mod credentials;
#[cfg(test)]
mod device_tests;
mod enrolments;
mod masters;
mod passwords;
mod sealing;
mod spooling;
mod tokens;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use hierarchy_models::{Timestamp, TwinId};
use persistence::Identity;
use subtle::ConstantTimeEq;

use crate::{access::Access, error::TwinError};

pub(crate) use claims::KIND as CLAIM_KIND;
pub use claims::{CLAIM_LIFETIME_MAX, ClaimCode};
pub use credentials::{CERTIFICATES_MAX, CredentialsPatch, CredentialsView, KEY_BYTES, KEY_SLOTS_MAX, NewCredentials};
pub(crate) use enrolments::KIND as ENROLMENT_KIND;
pub use enrolments::{ENROLMENTS_MAX, Enrolment, EnrolmentKind, NewEnrolment, Newcomer, Signers};
pub use masters::{FIRST_KID, MASTER_KEYS_MAX, Masters};
pub use passwords::{PASSWORD_BYTES, PASSWORD_TRIES_PER_MINUTE, PASSWORDS_CACHED_MAX, PASSWORDS_WAITING_MAX};
pub use persistence::Thumbprint;
pub use tokens::{CLOCK_SKEW_MAX, NoScope, Scope, TOKEN_LIFETIME_MAX};

/// Why a device was not let in. The device is told one thing for nearly all of them; the log and the metrics tell which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("no such device")]
    Unknown,
    #[error("wrong key")]
    WrongKey,
    #[error("the token or the certificate has expired")]
    Expired,
    #[error("the token is not for connecting")]
    WrongScope,
    #[error("the device is not active")]
    Inactive,
    #[error("the enrolment does not take it")]
    NotEnrolled,
    /// It may try again in a while.
    #[error("too many passwords were tried")]
    TooManyTries,
    #[error("too many passwords are being checked")]
    Busy,
    #[error("the identity store is not available")]
    Unavailable,
}

impl Denied {
    /// For the metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Unknown => "unknown_device",
            Self::WrongKey => "wrong_key",
            Self::Expired => "expired",
            Self::WrongScope => "wrong_scope",
            Self::Inactive => "inactive",
            Self::NotEnrolled => "not_enrolled",
            Self::TooManyTries => "too_many_tries",
            Self::Busy => "busy",
            Self::Unavailable => "identities_unavailable",
        }
    }
}

/// Which credentials a device had when it proved who it is; any change of them makes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof(u64);

impl Proof {
    fn of(identity: &Identity) -> Self {
        let Identity { device, generation, kid, slots, sealed, certificates, password, enabled: _, gateway: _ } = identity;
        let mut hasher = DefaultHasher::new();
        (device, generation, kid, slots, password).hash(&mut hasher);
        for key in sealed {
            (&key.slot, &key.nonce, &key.sealed).hash(&mut hasher);
        }
        for own in certificates {
            (&own.slot, own.sha256).hash(&mut hasher);
        }
        Self(hasher.finish())
    }
}

/// A device that has proved who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    pub proof: Proof,
    pub scope: Scope,
    /// When its session ends by itself.
    pub until: Option<Timestamp>,
}

/// A client certificate whose key the peer has shown to hold, and that is within its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    pub sha256: Thumbprint,
    pub not_after: Timestamp,
    /// Its common name, when the authorities that speak for devices vouch for it and have not revoked it.
    pub vouched_for: Option<String>,
}

struct Inner {
    store: Arc<dyn persistence::Identities>,
    documents: Arc<dyn persistence::Store>,
    masters: Masters,
    passwords: passwords::Passwords,
    enrolments: enrolments::Enrolments,
    claims: claims::Claims,
    access: Access,
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
        Self::with_masters(store, documents, Masters::new(master), admin_token)
    }

    /// The same, with master keys that were added since.
    pub fn with_masters(
        store: Arc<dyn persistence::Identities>,
        documents: Arc<dyn persistence::Store>,
        masters: Masters,
        admin_token: String,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                access: Access::new(documents.clone(), &admin_token),
                documents,
                masters,
                passwords: passwords::Passwords::new(),
                enrolments: enrolments::Enrolments::default(),
                claims: claims::Claims::default(),
            }),
        }
    }

    /// People and systems, who come through the other door.
    pub fn access(&self) -> &Access {
        &self.inner.access
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

    /// Checks a password at CONNECT: a device key, a signed token, or a password that a person chose.
    pub async fn verify_device(&self, device: &TwinId, password: &[u8], now: Timestamp) -> Result<Verified, Denied> {
        let identity = self.load(device).await?;
        let proof = Proof::of(&identity);
        if let Some(token) = token_in(password) {
            let (scope, until) = self.verify_token(&identity, token, now)?;
            return if scope.connect { Ok(Verified { proof, scope, until: Some(until) }) } else { Err(Denied::WrongScope) };
        }
        let verified = Verified { proof, scope: Scope::ALL, until: None };
        if self.is_key(&identity, password)? {
            return Ok(verified);
        }
        let Some(stored) = &identity.password else { return Err(Denied::WrongKey) };
        let right = self.inner.passwords.verify(device, identity.generation, stored, password, now).await?;
        if right { Ok(verified) } else { Err(Denied::WrongKey) }
    }

    /// Every slot is compared, so that the time taken does not tell which one came near.
    fn is_key(&self, identity: &Identity, password: &[u8]) -> Result<bool, Denied> {
        if identity.slots.is_empty() && identity.sealed.is_empty() {
            return Ok(false);
        }
        let master = self.inner.masters.get(identity.kid).ok_or(Denied::Unavailable)?;
        let mut matched = false;
        for slot in &identity.slots {
            let key = master.device_key(&identity.device, identity.generation, slot);
            matched |= bool::from(key.as_bytes().ct_eq(password));
        }
        for sealed in &identity.sealed {
            if let Some(key) = master.sealing.open(&identity.device, sealed) {
                matched |= bool::from(key.as_slice().ct_eq(password));
            }
        }
        Ok(matched)
    }

    fn verify_token(&self, identity: &Identity, token: &str, now: Timestamp) -> Result<(Scope, Timestamp), Denied> {
        let master = self.inner.masters.get(identity.kid).ok_or(Denied::Unavailable)?;
        tokens::verify(master, &identity.device, identity.generation, token, now)
    }

    /// Checks a token by which a session that is open goes on. It need not be one for connecting.
    pub async fn renew(&self, device: &TwinId, token: &[u8], now: Timestamp) -> Result<Verified, Denied> {
        let identity = self.load(device).await?;
        let (scope, until) = self.verify_token(&identity, token_in(token).ok_or(Denied::WrongKey)?, now)?;
        Ok(Verified { proof: Proof::of(&identity), scope, until: Some(until) })
    }

    /// Checks that a device with this client certificate may connect: it is its own, or authorities vouch for its name.
    pub async fn verify_certificate(&self, device: &TwinId, certificate: &Certificate, now: Timestamp) -> Result<Verified, Denied> {
        let identity = self.load(device).await?;
        let is_own = identity.certificates.iter().any(|own| own.sha256 == certificate.sha256);
        let is_vouched_for = certificate.vouched_for.as_deref() == Some(device.as_str());
        if !(is_own || is_vouched_for) {
            return Err(Denied::WrongKey);
        }
        if certificate.not_after <= now {
            return Err(Denied::Expired);
        }
        Ok(Verified { proof: Proof::of(&identity), scope: Scope::ALL, until: Some(certificate.not_after) })
    }

    /// Whether the credentials of this proof still open the door.
    pub async fn is_current(&self, device: &TwinId, proof: Proof) -> bool {
        self.load(device).await.is_ok_and(|identity| Proof::of(&identity) == proof)
    }

    /// A signed token for a device, good for `lifetime`.
    pub async fn issue_token(&self, device: &TwinId, lifetime: Duration, now: Timestamp) -> Result<String, TwinError> {
        self.issue_scoped_token(device, lifetime, Scope::ALL, now).await
    }

    /// The same, for a part of what a device may do.
    pub async fn issue_scoped_token(&self, device: &TwinId, lifetime: Duration, scope: Scope, now: Timestamp) -> Result<String, TwinError> {
        if lifetime.is_zero() || lifetime > TOKEN_LIFETIME_MAX {
            let reason = format!("must be from 1 to {} seconds", TOKEN_LIFETIME_MAX.as_secs());
            return Err(TwinError::Invalid { pointer: "/expires_in".into(), reason });
        }
        let identity = self.inner.store.identity(device).await?.ok_or_else(|| TwinError::NoSuchTwin(device.clone()))?;
        let expires = (now.plus(lifetime).as_millis() / 1000).max(0) as u64;
        Ok(tokens::sign(self.master(identity.kid)?, device, identity.generation, expires, scope))
    }

    fn master(&self, kid: u32) -> Result<&masters::Master, TwinError> {
        let missing = || persistence::Error::Unavailable { doing: "deriving a key", detail: format!("master key {kid} is not here") };
        Ok(self.inner.masters.get(kid).ok_or_else(missing)?)
    }
}

fn token_in(password: &[u8]) -> Option<&str> {
    std::str::from_utf8(password).ok()?.strip_prefix(tokens::PREFIX)
}
