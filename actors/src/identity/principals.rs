//! API keys of people and systems: `tw_ID_SECRET`, of which the store has the SHA-256 only.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
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

const KIND: &str = "principal";
/// Principals there may be.
pub const PRINCIPALS_MAX: usize = 10_000;
/// Principals listed at once from the store.
const LISTED_AT_ONCE: usize = 1_000;

#[derive(Serialize, Deserialize, Clone)]
struct Stored {
    principal: Principal,
    sha256: String,
}

pub struct Principals {
    admin_sha256: String,
    /// What was read of the store: one process owns it, and it writes through here.
    known: RwLock<HashMap<String, Stored>>,
    /// Counts withdrawals, under the lock of `known`.
    withdrawals: AtomicU64,
}

fn sha256(text: &str) -> String {
    BASE64.encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

impl Principals {
    pub fn new(admin_token: &str) -> Self {
        Self { admin_sha256: sha256(admin_token), known: RwLock::default(), withdrawals: AtomicU64::new(0) }
    }
}

impl Identities {
    /// The person or system behind a bearer key.
    pub async fn principal(&self, bearer: &str) -> Result<Option<Principal>, TwinError> {
        let principals = &self.inner.principals;
        let hash = sha256(bearer);
        if same(&hash, &principals.admin_sha256) {
            return Ok(Some(Principal {
                id: "admin".into(),
                name: "admin".into(),
                roles: vec![Role::Admin],
                scope: None,
                created_at: Timestamp::EPOCH,
            }));
        }
        let Some(id) = bearer.strip_prefix("tw_").and_then(|rest| rest.split('_').next()) else { return Ok(None) };
        if id.len() > 64 {
            return Ok(None);
        }
        let known = principals.known.read().get(id).cloned();
        let stored = match known {
            Some(stored) => Some(stored),
            None => self.read_principal(id).await?,
        };
        Ok(stored.filter(|s| same(&s.sha256, &hash)).map(|s| s.principal))
    }

    async fn read_principal(&self, id: &str) -> Result<Option<Stored>, TwinError> {
        let before = self.inner.principals.withdrawals.load(Ordering::SeqCst);
        let Some(body) = self.inner.documents.document(KIND, id).await? else { return Ok(None) };
        let stored = parse(&body)?;
        let mut known = self.inner.principals.known.write();
        // What was withdrawn while it was being read must not come back; then the next look-up reads again.
        if before == self.inner.principals.withdrawals.load(Ordering::SeqCst) {
            known.insert(id.into(), stored.clone());
            return Ok(Some(stored));
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
        let stored = Stored { principal: principal.clone(), sha256: sha256(&key) };
        let body = serde_json::to_vec(&stored).map_err(|e| invalid("", &e.to_string()))?;
        self.inner.documents.put_document(KIND, &id, body.into()).await?;
        self.inner.principals.known.write().insert(id, stored);
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

fn parse(body: &[u8]) -> Result<Stored, TwinError> {
    serde_json::from_slice(body).map_err(|e| persistence::Error::Damaged { doing: "reading a principal", detail: e.to_string() }.into())
}
