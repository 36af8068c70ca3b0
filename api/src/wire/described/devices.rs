//! Schemas of what opens the door for devices: credentials, tokens, claims, enrolments.

#![allow(dead_code)]

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

#[derive(ToSchema)]
pub struct Keys {
    keys: BTreeMap<String, String>,
}

#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Seconds.
    #[schema(default = 3600, maximum = 86400, minimum = 1)]
    expires_in: Option<u64>,
    /// Some of `connect`, `publish` and `subscribe` (commands and desired state), with blanks between them; all when absent.
    #[schema(example = "connect publish")]
    scope: Option<String>,
}

#[derive(ToSchema)]
pub struct Token {
    token: String,
    expires_in: u64,
    #[schema(format = DateTime)]
    expires_at: String,
    scope: String,
}

/// New credentials in place of all there were.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialsReset {
    /// As at a registration; when absent, the slots there were, each with a new derived key.
    keys: Option<Value>,
    certificates: Option<BTreeMap<String, String>>,
    #[schema(min_length = 8, max_length = 256)]
    password: Option<String>,
}

/// A merge patch of credentials: `null` removes.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialsChange {
    /// A key brought from outside, or `{}` for a new random one.
    #[schema(value_type = Option<Object>)]
    keys: Option<Value>,
    /// SHA-256 (hexadecimal) by slot.
    certificates: Option<BTreeMap<String, Option<String>>>,
    #[schema(min_length = 8, max_length = 256)]
    password: Option<String>,
}

#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewClaimCode {
    /// Seconds; a year when absent.
    #[schema(default = 31536000, maximum = 315360000, minimum = 1)]
    expires_in: Option<u64>,
}

#[derive(ToSchema)]
pub struct ClaimCode {
    #[schema(example = "7K2M-9QXR-04TB-HZ3W")]
    code: String,
    #[schema(format = DateTime)]
    expires_at: String,
}

#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    id: String,
    /// In any case, with or without dashes.
    code: String,
    /// Where the device goes.
    parent: String,
}

#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEnrolment {
    /// `key`: a device's password is `twe_ENROLMENT.MAC`, where MAC is the HMAC-SHA256 of its id under the enrolment's key, in
    /// base64url without padding. `certificate`: its certificate names it and is signed by one of `authorities`.
    #[schema(example = "key")]
    by: String,
    /// Certificates in PEM; for `certificate` only.
    authorities: Option<String>,
    enabled: Option<bool>,
    /// What its devices become.
    #[schema(example = "Device")]
    model: String,
    /// Where they go.
    parent: Option<String>,
    tags: Option<Vec<String>>,
    /// Their ids begin with this.
    id_prefix: Option<String>,
    /// Devices it registers at most.
    #[schema(default = 100000, minimum = 1)]
    devices_max: Option<u64>,
    #[schema(default = 600, minimum = 1, maximum = 1000000)]
    per_minute_max: Option<u32>,
    /// Makes another key; the one before enrols nobody any more. For `key` only.
    new_key: Option<bool>,
}

/// The enrolment, with its key when that is new.
#[derive(ToSchema)]
pub struct PutEnrolment {
    #[serde(flatten)]
    enrolment: crate::wire::enrolment::EnrolmentDocument,
    /// 32 bytes in base64url without padding, shown this once.
    #[schema(nullable = false)]
    key: Option<String>,
}
