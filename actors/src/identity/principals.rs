//! API keys of people and systems: `tw_ID_SECRET`, of which the store has the SHA-256 only.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use hierarchy_models::{Timestamp, TwinId};
use parking_lot::RwLock;
use ring::{
    digest,
    rand::{SecureRandom, SystemRandom},
};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::{Identities, Principal, Role};
use crate::error::TwinError;

pub(crate) const KIND: &str = "principal";
/// Principals there may be.
pub const PRINCIPALS_MAX: usize = 10_000;
/// Principals listed at once from the store.
const LISTED_AT_ONCE: usize = 1_000;

#[derive(Serialize, Deserialize)]
struct Stored {
    principal: Principal,
    sha256: String,
}

type Hash = [u8; digest::SHA256_OUTPUT_LEN];

/// What a request asks for, in the form in which it is compared and handed out.
struct Known {
    principal: Arc<Principal>,
    sha256: Hash,
}

pub struct Principals {
    admin: Arc<Known>,
    /// What was read of the store: one process owns it, and it writes through here.
    known: RwLock<HashMap<String, Arc<Known>>>,
    /// Counts withdrawals, under the lock of `known`.
    withdrawals: AtomicU64,
}

fn sha256(text: &str) -> Hash {
    let mut hash = [0; digest::SHA256_OUTPUT_LEN];
    hash.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    hash
}

impl Known {
    fn new(principal: Principal, sha256: Hash) -> Arc<Self> {
        Arc::new(Self { principal: Arc::new(principal), sha256 })
    }

    /// The principal, if this is its key.
    fn opened_by(&self, bearer: &str) -> Option<Arc<Principal>> {
        // With the processor's own instructions a hash takes less than what it would save to keep the key itself in memory.
        let opens = bool::from(self.sha256.ct_eq(&sha256(bearer)));
        opens.then(|| self.principal.clone())
    }
}

impl Principals {
    pub fn new(admin_token: &str) -> Self {
        let principal =
            Principal { id: "admin".into(), name: "admin".into(), roles: vec![Role::Admin], scope: None, created_at: Timestamp::EPOCH };
        let admin = Known::new(principal, sha256(admin_token));
        Self { admin, known: RwLock::default(), withdrawals: AtomicU64::new(0) }
    }
}

impl Identities {
    /// The person or system behind a bearer key.
    pub async fn principal(&self, bearer: &str) -> Result<Option<Arc<Principal>>, TwinError> {
        let principals = &self.inner.principals;
        if let Some(admin) = principals.admin.opened_by(bearer) {
            return Ok(Some(admin));
        }
        let Some(id) = bearer.strip_prefix("tw_").and_then(|rest| rest.split('_').next()) else { return Ok(None) };
        if id.len() > 64 {
            return Ok(None);
        }
        if let Some(known) = principals.known.read().get(id) {
            return Ok(known.opened_by(bearer));
        }
        Ok(self.read_principal(id).await?.and_then(|known| known.opened_by(bearer)))
    }

    async fn read_principal(&self, id: &str) -> Result<Option<Arc<Known>>, TwinError> {
        let before = self.inner.principals.withdrawals.load(Ordering::SeqCst);
        let Some(body) = self.inner.documents.document(KIND, id).await? else { return Ok(None) };
        let read = parse(&body)?.known()?;
        let mut known = self.inner.principals.known.write();
        // What was withdrawn while it was being read must not come back; then the next look-up reads again.
        if before == self.inner.principals.withdrawals.load(Ordering::SeqCst) {
            known.insert(id.into(), read.clone());
            return Ok(Some(read));
        }
        Ok(None)
    }

    /// Makes an API key; it is returned once and only its hash is kept.
    pub async fn create_principal(
        &self,
        name: &str,
        roles: Vec<Role>,
        scope: Option<TwinId>,
        now: Timestamp,
    ) -> Result<(Principal, String), TwinError> {
        let invalid = |pointer: &str, reason: &str| TwinError::Invalid { pointer: pointer.into(), reason: reason.into() };
        if name.is_empty() || name.len() > 128 || name.chars().any(char::is_control) {
            return Err(invalid("/name", "a name has 1 to 128 bytes and no control characters"));
        }
        if roles.is_empty() {
            return Err(invalid("/roles", "at least one of viewer, operator, admin"));
        }
        if self.principals().await?.len() >= PRINCIPALS_MAX {
            let detail = format!("{PRINCIPALS_MAX} principals");
            return Err(TwinError::Limit { limit: "PRINCIPALS_MAX", detail });
        }
        let id = uuid::Uuid::now_v7().simple().to_string();
        let mut secret = [0; 32];
        let failed = |_| persistence::Error::Unavailable { doing: "making an API key", detail: "no randomness".into() };
        SystemRandom::new().fill(&mut secret).map_err(failed)?;
        let key = format!("tw_{id}_{}", BASE64.encode(secret));
        let principal = Principal { id: id.clone(), name: name.into(), roles, scope, created_at: now };
        let hash = sha256(&key);
        let stored = Stored { principal: principal.clone(), sha256: BASE64.encode(hash) };
        let body = serde_json::to_vec(&stored).map_err(|e| invalid("", &e.to_string()))?;
        self.inner.documents.put_document(KIND, &id, body.into()).await?;
        self.inner.principals.known.write().insert(id, Known::new(principal.clone(), hash));
        Ok((principal, key))
    }

    pub async fn principals(&self) -> Result<Vec<Principal>, TwinError> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let page = self.inner.documents.documents(KIND, after, LISTED_AT_ONCE).await?;
            let complete = page.len() < LISTED_AT_ONCE;
            after = page.last().map(|d| d.id.clone());
            for document in page {
                all.push(parse(&document.body)?.principal);
            }
            if complete {
                return Ok(all);
            }
        }
    }

    pub async fn delete_principal(&self, id: &str) -> Result<bool, TwinError> {
        let there = self.inner.documents.delete_document(KIND, id).await?;
        let mut known = self.inner.principals.known.write();
        self.inner.principals.withdrawals.fetch_add(1, Ordering::SeqCst);
        known.remove(id);
        Ok(there)
    }
}

impl Stored {
    fn known(self) -> Result<Arc<Known>, TwinError> {
        let hash = BASE64.decode(&self.sha256).ok().and_then(|hash| Hash::try_from(hash).ok());
        let sha256 = hash.ok_or_else(|| damaged("its hash is not one".into()))?;
        Ok(Known::new(self.principal, sha256))
    }
}

fn parse(body: &[u8]) -> Result<Stored, TwinError> {
    serde_json::from_slice(body).map_err(|e| damaged(e.to_string()))
}

fn damaged(detail: String) -> TwinError {
    persistence::Error::Damaged { doing: "reading a principal", detail }.into()
}

#[cfg(test)]
mod tests {
    use persistence::{Documents, MemoryStore};

    use super::*;

    fn identities(store: &Arc<MemoryStore>) -> Identities {
        Identities::new(store.clone(), store.clone(), [7; 32], "admin".into())
    }

    #[tokio::test]
    async fn a_key_outlives_a_restart_and_no_other_key_of_its_id_opens() {
        let store = Arc::new(MemoryStore::default());
        let (made, key) = identities(&store).create_principal("desk", vec![Role::Viewer], None, Timestamp::EPOCH).await.unwrap();
        let restarted = identities(&store);
        // Once read of the store, once known.
        for _ in 0..2 {
            assert_eq!(restarted.principal(&format!("{key}x")).await.unwrap(), None);
            assert_eq!(restarted.principal(&format!("tw_{}_", made.id)).await.unwrap(), None);
            assert_eq!(*restarted.principal(&key).await.unwrap().unwrap(), made);
            assert_eq!(restarted.principal(&key[..key.len() - 1]).await.unwrap(), None);
            assert_eq!(restarted.principal(&key.to_uppercase().replace("TW_", "tw_")).await.unwrap(), None);
        }
        assert!(restarted.delete_principal(&made.id).await.unwrap());
        assert_eq!(restarted.principal(&key).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_damaged_principal_is_an_error_and_opens_nothing() {
        let store = Arc::new(MemoryStore::default());
        let (made, key) = identities(&store).create_principal("desk", vec![Role::Viewer], None, Timestamp::EPOCH).await.unwrap();
        let body = serde_json::to_vec(&Stored { principal: made.clone(), sha256: "short".into() }).unwrap();
        store.put_document(KIND, &made.id, body.into()).await.unwrap();
        assert!(matches!(identities(&store).principal(&key).await, Err(TwinError::Store(persistence::Error::Damaged { .. }))));
    }
}
