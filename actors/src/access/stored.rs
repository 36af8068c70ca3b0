//! How principals and roles are written down. A principal is one document with its grants in it, so that it is made, and goes, at once.

use hierarchy_models::{Name, Timestamp, TwinId, access::Role};
use serde::{Deserialize, Serialize};

use super::{book::Entry, grants::Grant, keys, principals::Principal};
use crate::error::TwinError;

#[derive(Serialize, Deserialize)]
struct Document {
    principal: Written,
    /// Absent when it has no key of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    /// Grants it ever had: a number is not given twice.
    #[serde(default)]
    grants_made: u64,
}

#[derive(Serialize, Deserialize)]
struct Written {
    id: String,
    name: String,
    created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(default)]
    grants: Vec<Grant>,
    /// An earlier form: these roles, all over one place.
    #[serde(default, skip_serializing)]
    roles: Vec<Name>,
    #[serde(default, skip_serializing)]
    scope: Option<TwinId>,
}

pub fn write(entry: &Entry) -> Result<bytes::Bytes, TwinError> {
    let Principal { id, name, created_at, expires_at, subject, grants } = entry.principal.clone();
    let principal = Written { id, name, created_at, expires_at, subject, grants, roles: Vec::new(), scope: None };
    let document = Document { principal, sha256: entry.sha256.as_ref().map(keys::written), grants_made: entry.grants_made };
    written(&document)
}

pub fn principal(body: &[u8]) -> Result<Entry, TwinError> {
    let Document { principal, sha256, mut grants_made } = serde_json::from_slice(body).map_err(|e| damaged(e.to_string()))?;
    let Written { id, name, created_at, expires_at, subject, mut grants, roles, scope } = principal;
    for role in roles {
        grants.push(Grant::new(&id, grants_made, role, scope.clone(), created_at));
        grants_made += 1;
    }
    let hash = sha256.map(|text| keys::read(&text).ok_or_else(|| damaged("its hash is not one".into()))).transpose()?;
    Ok(Entry::new(Principal { id, name, created_at, expires_at, subject, grants }, hash, grants_made))
}

pub fn write_role(role: &Role) -> Result<bytes::Bytes, TwinError> {
    written(role)
}

pub fn role(body: &[u8]) -> Result<Role, TwinError> {
    serde_json::from_slice(body).map_err(|e| damaged(e.to_string()))
}

fn written(document: &impl Serialize) -> Result<bytes::Bytes, TwinError> {
    serde_json::to_vec(document).map(Into::into).map_err(|e| damaged(e.to_string()))
}

fn damaged(detail: String) -> TwinError {
    persistence::Error::Damaged { doing: "reading a principal", detail }.into()
}
