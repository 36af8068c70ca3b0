//! Grants: a role over a part of the tree. They lie in their principal's document.

use hierarchy_models::{Name, Timestamp, TwinId, limits::GRANTS_PER_PRINCIPAL_MAX};
use serde::{Deserialize, Serialize};

use super::Access;
use crate::error::TwinError;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    pub id: String,
    pub principal: String,
    pub role: Name,
    /// This twin and all below it; everything when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under: Option<TwinId>,
    pub created_at: Timestamp,
}

impl Grant {
    pub(super) fn new(principal: &str, number: u64, role: Name, under: Option<TwinId>, created_at: Timestamp) -> Self {
        Self { id: format!("{principal}-{number}"), principal: principal.into(), role, under, created_at }
    }
}

impl Access {
    /// By principal, then in the order they were made.
    pub fn grants(&self) -> Vec<Grant> {
        self.book.read().principals.values().flat_map(|entry| entry.principal.grants.clone()).collect()
    }

    pub fn grant(&self, id: &str) -> Option<Grant> {
        let (principal, _) = id.rsplit_once('-')?;
        let book = self.book.read();
        book.principals.get(principal)?.principal.grants.iter().find(|grant| grant.id == id).cloned()
    }

    /// Through [`crate::Twins::create_grant`], which sees to the place.
    pub async fn create_grant(&self, principal: &str, role: Name, under: Option<TwinId>, now: Timestamp) -> Result<Grant, TwinError> {
        let _alone = self.writing.lock().await;
        let mut entry = {
            let book = self.book.read();
            if !book.roles.contains_key(&role) {
                return Err(TwinError::UnknownRole { role, pointer: "/role".into() });
            }
            book.principals.get(principal).cloned().ok_or_else(|| TwinError::UnknownPrincipal(principal.into()))?
        };
        if let Some(there) = entry.principal.grants.iter().find(|grant| grant.role == role && grant.under == under) {
            return Ok(there.clone());
        }
        if entry.principal.grants.len() >= GRANTS_PER_PRINCIPAL_MAX {
            let detail = format!("{GRANTS_PER_PRINCIPAL_MAX} grants of this principal");
            return Err(TwinError::Limit { limit: "GRANTS_PER_PRINCIPAL_MAX", detail });
        }
        let grant = Grant::new(principal, entry.grants_made, role, under, now);
        entry.grants_made += 1;
        entry.principal.grants.push(grant.clone());
        self.put(entry).await?;
        Ok(grant)
    }

    pub async fn delete_grant(&self, id: &str) -> Result<(), TwinError> {
        let _alone = self.writing.lock().await;
        let grant = self.grant(id).ok_or_else(|| TwinError::NoSuchGrant(id.into()))?;
        self.take(&grant.principal, |grant| grant.id == id).await
    }

    /// The caller has `writing`.
    async fn take(&self, principal: &str, is_taken: impl Fn(&Grant) -> bool) -> Result<(), TwinError> {
        let entry = self.book.read().principals.get(principal).cloned();
        let Some(mut entry) = entry else { return Ok(()) };
        entry.principal.grants.retain(|grant| !is_taken(grant));
        self.put(entry).await
    }
}
