//! Making, listing and removing people and systems.

use hierarchy_models::{
    Name, Timestamp, TwinId,
    limits::{GRANTS_PER_PRINCIPAL_MAX, KEY_LIFETIME_MAX, NAME_BYTES_MAX, PRINCIPALS_MAX},
};
use serde::Serialize;

use super::{Access, book::Entry, grants::Grant, keys, stored};
use crate::error::TwinError;

pub(super) const KIND: &str = "principal";

/// A person or a system.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Principal {
    pub id: String,
    pub name: String,
    pub created_at: Timestamp,
    /// When its key ends; never, when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The `sub` of the tokens that an identity provider signs for it. Then it has no key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    pub grants: Vec<Grant>,
}

/// One that is to be made.
#[derive(Debug, Clone, Default)]
pub struct NewPrincipal {
    pub name: String,
    pub roles: Vec<Name>,
    /// Where the roles hold; everywhere when absent.
    pub scope: Option<TwinId>,
    pub expires_at: Option<Timestamp>,
    pub subject: Option<String>,
}

fn invalid(pointer: &str, reason: impl Into<String>) -> TwinError {
    TwinError::Invalid { pointer: pointer.into(), reason: reason.into() }
}

fn check_name(text: &str, pointer: &str) -> Result<(), TwinError> {
    let ok = (1..=NAME_BYTES_MAX).contains(&text.trim().len()) && text.len() <= NAME_BYTES_MAX && !text.chars().any(char::is_control);
    if ok { Ok(()) } else { Err(invalid(pointer, format!("must be 1 to {NAME_BYTES_MAX} bytes without control characters"))) }
}

impl Access {
    /// Makes a principal with one grant for each role. Its key is returned once and only a hash of it is kept; one with a subject
    /// has none.
    pub async fn create_principal(&self, new: NewPrincipal, now: Timestamp) -> Result<(Principal, Option<String>), TwinError> {
        check_name(&new.name, "/name")?;
        if let Some(subject) = &new.subject {
            check_name(subject, "/subject")?;
        }
        if new.expires_at.is_some_and(|end| end <= now || end > now.plus(KEY_LIFETIME_MAX)) {
            return Err(invalid("/expires_in", format!("must be from 1 to {} seconds", KEY_LIFETIME_MAX.as_secs())));
        }
        if new.roles.len() > GRANTS_PER_PRINCIPAL_MAX {
            return Err(invalid("/roles", format!("must be at most {GRANTS_PER_PRINCIPAL_MAX} roles")));
        }
        let _alone = self.writing.lock().await;
        {
            let book = self.book.read();
            if let Some(at) = new.roles.iter().position(|role| !book.roles.contains_key(role)) {
                return Err(TwinError::UnknownRole { role: new.roles[at].clone(), pointer: format!("/roles/{at}") });
            }
            if new.subject.as_ref().is_some_and(|subject| book.by_subject.contains_key(subject)) {
                return Err(TwinError::SubjectTaken);
            }
            if book.principals.len() >= PRINCIPALS_MAX {
                return Err(TwinError::Limit { limit: "PRINCIPALS_MAX", detail: format!("{PRINCIPALS_MAX} principals") });
            }
        }
        let id = uuid::Uuid::now_v7().simple().to_string();
        let key = if new.subject.is_none() { Some(keys::make(&id)?) } else { None };
        let grants = new.roles.into_iter().zip(0..).map(|(role, n)| Grant::new(&id, n, role, new.scope.clone(), now)).collect::<Vec<_>>();
        let made = grants.len() as u64;
        let principal = Principal { id, name: new.name, created_at: now, expires_at: new.expires_at, subject: new.subject, grants };
        self.put(Entry::new(principal.clone(), key.as_deref().map(keys::sha256), made)).await?;
        Ok((principal, key))
    }

    /// The caller has `writing`.
    pub(super) async fn put(&self, entry: Entry) -> Result<(), TwinError> {
        self.documents.put_document(KIND, &entry.principal.id, stored::write(&entry)?).await?;
        self.book.write().put(entry);
        self.changed();
        Ok(())
    }

    /// By id, ascending.
    pub fn principals(&self) -> Vec<Principal> {
        self.book.read().principals.values().map(|entry| entry.principal.clone()).collect()
    }

    pub fn principal(&self, id: &str) -> Option<Principal> {
        self.book.read().principals.get(id).map(|entry| entry.principal.clone())
    }

    /// Removes a principal: its key opens nothing any more, and its grants are gone.
    pub async fn delete_principal(&self, id: &str) -> Result<(), TwinError> {
        let _alone = self.writing.lock().await;
        if self.principal(id).is_none() {
            return Err(TwinError::NoSuchPrincipal(id.into()));
        }
        self.documents.delete_document(KIND, id).await?;
        self.book.write().remove(id);
        self.changed();
        Ok(())
    }
}
