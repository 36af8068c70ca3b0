//! Tokens that an identity provider signs (OpenID Connect, RFC 9068): who it says somebody is, we believe; what that one may do here,
//! its principal's grants say, and the roles that the provider puts into the token.
//!
//! The provider's keys are kept. They are fetched again when they are old, and when a token names one that is not among them, but no
//! sooner than `REFRESH_MIN` after the last try: nobody makes this server a hammer with made-up tokens. While the provider does not
//! answer, the keys that are known go on, up to `KEYS_STALE_MAX`.

mod claims;
mod fetch;
mod jose;
mod jwks;

#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc, time::Duration};

use hierarchy_models::Timestamp;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Mutex as AsyncMutex;

pub use claims::Verified;
pub use jose::looks_like_one;

use super::{
    Refused,
    keys::{self, Hash},
};
use claims::Claims;
use jwks::Keys;

/// Tokens whose signature was verified and need not be again.
const VERIFIED_MAX: usize = 10_000;
/// The provider is asked at most once in this time.
const REFRESH_MIN: Duration = Duration::from_secs(10);
/// Keys that are older are fetched again.
const KEYS_OLD: Duration = Duration::from_secs(600);
/// Keys that are older are not used any more.
const KEYS_STALE_MAX: Duration = Duration::from_secs(24 * 3600);

/// Whom to believe.
#[derive(Debug, Clone, PartialEq)]
pub struct OidcSettings {
    /// `auth.oidc.issuer`: as it stands in `iss`.
    pub issuer: String,
    /// `auth.oidc.audience`: what `aud` must name.
    pub audience: String,
    /// `auth.oidc.jwks_url`: where its keys are; found from the issuer when absent.
    pub jwks_url: Option<String>,
    /// `auth.oidc.roles_claim`: the claim that names roles, `realm_access.roles` say. Without it a token says who somebody is, and what
    /// that one may is granted here.
    pub roles_claim: Option<String>,
}

/// Keys that come over the wire in clear can be anybody's; a provider on this machine needs no wire.
pub fn check_url(url: &str) -> Result<(), String> {
    let local = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
    let is_local = local.iter().any(|start| url.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/'])));
    if url.starts_with("https://") || is_local { Ok(()) } else { Err(format!("{url:?} does not begin with https://")) }
}

struct Held {
    keys: Arc<Keys>,
    since: Timestamp,
    /// Signatures that these keys verified.
    verified: Mutex<HashMap<Hash, Arc<Verified>>>,
}

pub struct Provider {
    settings: OidcSettings,
    held: RwLock<Option<Arc<Held>>>,
    /// The last try, whatever came of it. Who fetches has it alone.
    tried: AsyncMutex<Option<Timestamp>>,
}

impl Provider {
    pub fn new(settings: OidcSettings) -> Self {
        Self { settings, held: RwLock::default(), tried: AsyncMutex::default() }
    }

    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<Verified>, Refused> {
        let verified = self.known(token, now).await?;
        verified.check_time(now)?;
        Ok(verified)
    }

    /// The token's content, once its signature was good, whatever the time.
    async fn known(&self, token: &str, now: Timestamp) -> Result<Arc<Verified>, Refused> {
        let hash = keys::sha256(token);
        let mut held = self.held.read().clone();
        if held.as_ref().is_none_or(|held| now.since(held.since) >= KEYS_OLD) {
            held = self.refresh(now).await;
        }
        if let Some(found) = held.as_ref().and_then(|held| held.verified.lock().get(&hash).cloned()) {
            return Ok(found);
        }
        let parsed = jose::parse(token).ok_or(Refused::Unknown)?;
        if !held.as_ref().is_some_and(|held| held.keys.has_one_for(&parsed)) {
            // The provider may have begun to sign with another.
            held = self.refresh(now).await;
        }
        let held = held.ok_or(Refused::NoProvider)?;
        if !held.keys.verify(&parsed) {
            return Err(Refused::Unknown);
        }
        let claims: Claims = parsed.claims().ok_or(Refused::Unknown)?;
        let verified = Arc::new(claims.accept(&self.settings)?);
        let mut all = held.verified.lock();
        if all.len() >= VERIFIED_MAX {
            all.clear();
        }
        all.insert(hash, verified.clone());
        Ok(verified)
    }

    /// The keys after a try to fetch them, or as they were when it is too soon for one or it fails.
    async fn refresh(&self, now: Timestamp) -> Option<Arc<Held>> {
        let mut tried = self.tried.lock().await;
        let usable = || self.held.read().clone().filter(|held| now.since(held.since) < KEYS_STALE_MAX);
        if tried.is_some_and(|last| now.since(last) < REFRESH_MIN) {
            return usable();
        }
        *tried = Some(now);
        let settings = self.settings.clone();
        let fetched = tokio::task::spawn_blocking(move || fetch::keys(&settings)).await;
        match fetched.unwrap_or_else(|panic| Err(panic.to_string())) {
            Ok(keys) => {
                metrics::counter!("twinfold_oidc_fetches_total", "outcome" => "done").increment(1);
                let keys = Arc::new(keys);
                // Signatures of keys that are gone are not believed any longer.
                let before = self.held.read().clone().filter(|held| held.keys == keys);
                let verified = before.map(|held| std::mem::take(&mut *held.verified.lock())).unwrap_or_default();
                *self.held.write() = Some(Arc::new(Held { keys, since: now, verified: Mutex::new(verified) }));
            }
            Err(error) => {
                metrics::counter!("twinfold_oidc_fetches_total", "outcome" => "failed").increment(1);
                tracing::warn!(issuer = %self.settings.issuer, %error, "the identity provider's keys cannot be fetched");
            }
        }
        usable()
    }
}
