//! Enrolments: devices that nobody has registered and that register themselves the first time they connect.
//!
//! A device shows that it belongs: its password is an HMAC of its id under the enrolment's key (burnt in by whoever made
//! it), or its certificate is signed by the enrolment's authority. What it becomes, and where, the enrolment says. An id
//! that was ever registered is not enrolled: a device that was removed, or whose credentials were reset, stays out.

use std::{collections::HashMap, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use hierarchy_models::{ModelId, Name, Timestamp, TwinId};
use parking_lot::{Mutex, RwLock};
use persistence::Thumbprint;
use ring::hmac;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use tokio::sync::Mutex as AsyncMutex;

use super::{Denied, Identities};
use crate::{
    error::TwinError,
    rate::{Bucket, Rate},
};

pub(crate) const KIND: &str = "enrolment";
/// Enrolments there may be.
pub const ENROLMENTS_MAX: usize = 256;
/// Authorities of one enrolment.
pub const AUTHORITIES_MAX: usize = 8;
/// A password of a newcomer: `twe_ENROLMENT.MAC`.
const PREFIX: &str = "twe_";
const ID_BYTES_MAX: usize = 64;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnrolmentKind {
    /// Devices know an HMAC of their id under the enrolment's key.
    Key,
    /// Devices have a certificate of one of these authorities (DER, in base64), whose common name is their id.
    Certificate { authorities: Vec<String> },
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewEnrolment {
    pub kind: EnrolmentKind,
    pub enabled: bool,
    pub model: ModelId,
    pub parent: Option<TwinId>,
    pub tags: Vec<Name>,
    /// Ids begin with this.
    pub id_prefix: String,
    /// Devices it registers at most, in all.
    pub devices_max: u64,
    pub per_minute_max: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Enrolment {
    pub id: Name,
    #[serde(flatten)]
    pub asked: NewEnrolment,
    /// Devices it has registered.
    pub registered: u64,
    kid: u32,
    generation: u32,
}

/// A device that nobody knows and that an enrolment speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Newcomer {
    Key { enrolment: Name, password: String },
    Certificate { enrolment: Name, sha256: Thumbprint },
}

impl Newcomer {
    pub fn enrolment(&self) -> &Name {
        match self {
            Self::Key { enrolment, .. } | Self::Certificate { enrolment, .. } => enrolment,
        }
    }
}

/// Who signs the devices of a certificate enrolment, and how their ids begin.
#[derive(Debug, Clone, PartialEq)]
pub struct Signers {
    pub enrolment: Name,
    pub id_prefix: String,
    /// DER.
    pub authorities: Vec<Vec<u8>>,
}

type Authorities = Arc<Vec<Signers>>;

#[derive(Default)]
pub struct Enrolments {
    /// One at a time changes or counts.
    changing: AsyncMutex<()>,
    rates: Mutex<HashMap<Name, Bucket>>,
    /// Of the certificate enrolments that are enabled; read again after a change.
    authorities: RwLock<Option<Authorities>>,
}

impl Identities {
    /// Through [`crate::Twins::put_enrolment`], which sees to the place.
    pub async fn put_enrolment(&self, id: &str, asked: NewEnrolment, new_key: bool) -> Result<(Enrolment, Option<String>), TwinError> {
        check(id, &asked)?;
        let _alone = self.inner.enrolments.changing.lock().await;
        let before = self.enrolment(id).await?;
        if before.is_none() && self.enrolments().await?.len() >= ENROLMENTS_MAX {
            return Err(TwinError::Limit { limit: "ENROLMENTS_MAX", detail: format!("{ENROLMENTS_MAX} enrolments") });
        }
        let is_keyed = asked.kind == EnrolmentKind::Key;
        let was_keyed = before.as_ref().is_some_and(|b| b.asked.kind == EnrolmentKind::Key);
        let fresh_key = is_keyed && (new_key || !was_keyed);
        let (kid, generation, registered) = match &before {
            // Random, so that the key of a former enrolment of this id does not come back.
            None => (self.inner.masters.newest(), random_generation()?, 0),
            Some(b) if fresh_key => (self.inner.masters.newest(), random_generation()?, b.registered),
            Some(b) => (b.kid, b.generation, b.registered),
        };
        let enrolment = Enrolment { id: id.into(), asked, registered, kid, generation };
        self.write(&enrolment).await?;
        *self.inner.enrolments.authorities.write() = None;
        let key = if fresh_key { Some(BASE64.encode(self.enrolment_key(&enrolment)?)) } else { None };
        Ok((enrolment, key))
    }

    async fn write(&self, enrolment: &Enrolment) -> Result<(), TwinError> {
        let body = serde_json::to_vec(enrolment).map_err(|e| damaged(e.to_string()))?;
        Ok(self.inner.documents.put_document(KIND, &enrolment.id, body.into()).await?)
    }

    fn enrolment_key(&self, enrolment: &Enrolment) -> Result<hmac::Tag, TwinError> {
        Ok(self.master(enrolment.kid)?.enrolment_key(&enrolment.id, enrolment.generation))
    }

    pub async fn enrolment(&self, id: &str) -> Result<Option<Enrolment>, TwinError> {
        let body = self.inner.documents.document(KIND, id).await?;
        body.map(|body| parse(&body)).transpose()
    }

    /// All of them, by id.
    pub async fn enrolments(&self) -> Result<Vec<Enrolment>, TwinError> {
        let all = self.inner.documents.documents(KIND, None, ENROLMENTS_MAX).await?;
        all.iter().map(|document| parse(&document.body)).collect()
    }

    pub async fn delete_enrolment(&self, id: &str) -> Result<bool, TwinError> {
        let _alone = self.inner.enrolments.changing.lock().await;
        let there = self.inner.documents.delete_document(KIND, id).await?;
        *self.inner.enrolments.authorities.write() = None;
        self.inner.enrolments.rates.lock().remove(id);
        Ok(there)
    }

    /// Authorities (DER) of the certificate enrolments that are enabled. The same `Arc` for as long as nothing changes.
    pub async fn enrolment_authorities(&self) -> Result<Authorities, TwinError> {
        if let Some(known) = self.inner.enrolments.authorities.read().clone() {
            return Ok(known);
        }
        let _alone = self.inner.enrolments.changing.lock().await;
        let mut all = Vec::new();
        for enrolment in self.enrolments().await? {
            if let EnrolmentKind::Certificate { authorities } = &enrolment.asked.kind
                && enrolment.asked.enabled
            {
                let authorities = authorities.iter().filter_map(|der| BASE64.decode(der).ok()).collect();
                all.push(Signers { enrolment: enrolment.id, id_prefix: enrolment.asked.id_prefix, authorities });
            }
        }
        let all = Arc::new(all);
        *self.inner.enrolments.authorities.write() = Some(all.clone());
        Ok(all)
    }

    /// Whether the password of a device that is not registered is one of an enrolment.
    pub async fn newcomer(&self, device: &TwinId, password: &[u8]) -> Result<Newcomer, Denied> {
        let text = std::str::from_utf8(password).map_err(|_| Denied::Unknown)?;
        let (id, mac) = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('.')).ok_or(Denied::Unknown)?;
        let mac = BASE64.decode(mac).map_err(|_| Denied::Unknown)?;
        if !is_id(id) {
            return Err(Denied::Unknown);
        }
        let unavailable = |error| {
            tracing::error!(%device, %error, "an enrolment cannot be read");
            Denied::Unavailable
        };
        let enrolment = self.enrolment(id).await.map_err(unavailable)?.ok_or(Denied::Unknown)?;
        if enrolment.asked.kind != EnrolmentKind::Key {
            return Err(Denied::Unknown);
        }
        let key = self.enrolment_key(&enrolment).map_err(unavailable)?;
        let right = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()), device.as_str().as_bytes());
        if !bool::from(right.as_ref().ct_eq(&mac)) {
            return Err(Denied::WrongKey);
        }
        Ok(Newcomer::Key { enrolment: id.into(), password: text.to_owned() })
    }

    /// `true` for a device that was never registered, `false` for one with an identity and no twin, whose registration was cut off. Refuses one that
    /// was put out: its identity is closed, or gone.
    pub(crate) async fn may_be_new(&self, device: &TwinId) -> Result<bool, Denied> {
        let unavailable = |error: persistence::Error| {
            tracing::error!(%device, %error, "an identity cannot be read");
            Denied::Unavailable
        };
        if self.inner.store.next_generation(device).await.map_err(unavailable)? == 1 {
            return Ok(true);
        }
        match self.inner.store.identity(device).await.map_err(unavailable)? {
            Some(identity) if identity.enabled => Ok(false),
            _ => {
                tracing::info!(%device, "a device that was registered before was not enrolled");
                Err(Denied::NotEnrolled)
            }
        }
    }

    /// Counts a newcomer in, if its enrolment takes it. One whose registration was cut off was counted before.
    pub(crate) async fn admit(&self, device: &TwinId, enrolment: &str, now: Timestamp) -> Result<Enrolment, Denied> {
        let unavailable = |error| {
            tracing::error!(%device, %error, "an enrolment cannot be read");
            Denied::Unavailable
        };
        let _alone = self.inner.enrolments.changing.lock().await;
        let mut enrolment = self.enrolment(enrolment).await.map_err(unavailable)?.ok_or(Denied::NotEnrolled)?;
        let asked = &enrolment.asked;
        let is_new = self.may_be_new(device).await?;
        let why_not = if !asked.enabled {
            Some("it is disabled")
        } else if !device.as_str().starts_with(&asked.id_prefix) {
            Some("the id does not begin with its prefix")
        } else if is_new && enrolment.registered >= asked.devices_max {
            Some("it has registered as many devices as it may")
        } else {
            None
        };
        if let Some(why) = why_not {
            tracing::info!(%device, enrolment = %enrolment.id, why, "a device was not enrolled");
            return Err(Denied::NotEnrolled);
        }
        let since = Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or(0));
        let rate = Rate::per_minute(asked.per_minute_max);
        if self.inner.enrolments.rates.lock().entry(enrolment.id.clone()).or_default().take(rate, since).is_err() {
            tracing::info!(%device, enrolment = %enrolment.id, "an enrolment is slowed down");
            return Err(Denied::Busy);
        }
        if is_new {
            enrolment.registered += 1;
            self.write(&enrolment).await.map_err(unavailable)?;
        }
        Ok(enrolment)
    }
}

fn is_id(id: &str) -> bool {
    (1..=ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn check(id: &str, asked: &NewEnrolment) -> Result<(), TwinError> {
    let invalid = |pointer: &str, reason: String| Err(TwinError::Invalid { pointer: pointer.into(), reason });
    if !is_id(id) {
        return invalid("/id", format!("an enrolment's id has 1 to {ID_BYTES_MAX} letters, digits, '-' and '_'"));
    }
    if let EnrolmentKind::Certificate { authorities } = &asked.kind
        && !(1..=AUTHORITIES_MAX).contains(&authorities.len())
    {
        return invalid("/authorities", format!("from 1 to {AUTHORITIES_MAX} certificates"));
    }
    if !asked.id_prefix.is_empty() && TwinId::new(&asked.id_prefix).is_err() {
        return invalid("/id_prefix", "no id begins like this".into());
    }
    if asked.devices_max == 0 || asked.per_minute_max == 0 {
        let which = if asked.devices_max == 0 { "/devices_max" } else { "/per_minute_max" };
        return invalid(which, "must be at least 1; `enabled` turns an enrolment off".into());
    }
    Ok(())
}

fn random_generation() -> Result<u32, TwinError> {
    let mut bytes = [0; 4];
    let failed = |_| persistence::Error::Unavailable { doing: "making an enrolment key", detail: "no randomness".into() };
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes).map_err(failed)?;
    Ok(u32::from_be_bytes(bytes))
}

fn parse(body: &[u8]) -> Result<Enrolment, TwinError> {
    serde_json::from_slice(body).map_err(|e| damaged(e.to_string()))
}

fn damaged(detail: String) -> TwinError {
    persistence::Error::Damaged { doing: "reading an enrolment", detail }.into()
}
