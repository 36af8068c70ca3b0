//! Who is at the door: device keys (derived, not stored), signed tokens, and the API keys of people and systems.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hierarchy_models::{Timestamp, TwinId};
use serde::{Deserialize, Serialize};

use crate::error::TwinError;

/// What a person or a system may do. Each includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Viewer,
    Operator,
    Admin,
}

/// A person or a system, as an API key tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Principal {
    pub id: String,
    pub name: String,
    pub roles: Vec<Role>,
    /// This twin and all below it; everything when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<TwinId>,
    pub created_at: Timestamp,
}

impl Principal {
    pub fn may(&self, role: Role) -> bool {
        self.roles.iter().any(|r| *r >= role)
    }
}

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

/// Cheap to clone.
#[derive(Clone)]
pub struct Identities {
    _inner: Arc<()>,
}

impl Identities {
    /// `master` is the secret that device keys are derived from, `admin_token` the first administrator's key.
    pub fn new(_store: Arc<dyn persistence::Identities>, _documents: Arc<dyn persistence::Store>, _master: [u8; 32], _admin_token: String) -> Self {
        todo!()
    }

    /// Checks a password (a device key or a signed token) at CONNECT.
    pub async fn verify_device(&self, _device: &TwinId, _password: &[u8], _now: Timestamp) -> Result<(), Denied> {
        todo!()
    }

    /// Checks that a device with a client certificate of this common name may connect.
    pub async fn verify_certificate(&self, _device: &TwinId, _common_name: &str) -> Result<(), Denied> {
        todo!()
    }

    /// A signed token for a device, good for `lifetime`.
    pub async fn issue_token(&self, _device: &TwinId, _lifetime: Duration, _now: Timestamp) -> Result<String, TwinError> {
        todo!()
    }

    /// The person or system behind a bearer key.
    pub async fn principal(&self, _bearer: &str) -> Result<Option<Principal>, TwinError> {
        todo!()
    }

    /// Makes an API key; it is returned once and only its hash is kept.
    pub async fn create_principal(&self, _name: &str, _roles: Vec<Role>, _scope: Option<TwinId>, _now: Timestamp) -> Result<(Principal, String), TwinError> {
        todo!()
    }

    pub async fn principals(&self) -> Result<Vec<Principal>, TwinError> {
        todo!()
    }

    pub async fn delete_principal(&self, _id: &str) -> Result<bool, TwinError> {
        todo!()
    }

    #[allow(dead_code)]
    fn unused(_: BTreeMap<String, String>) {}
}
