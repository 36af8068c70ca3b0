//! Schemas of documents that others own (the runtime's twin view) or that are read member by member (request bodies).
//!
//! Nothing here is ever built: these types exist for the OpenAPI document. Tests hold them against what is really
//! written and read.

#![allow(dead_code)]

mod devices;
mod parameters;

use std::collections::BTreeMap;

pub use devices::*;
pub use parameters::*;
use serde_json::Value;
use utoipa::ToSchema;

/// One event of the live stream, as its lines say.
#[derive(ToSchema)]
pub struct LiveMessage {
    /// `state`, `event`, `alert`, `command`; `live` when the first state is complete, `reset` when the stream begins anew.
    #[schema(example = "state", nullable = false)]
    event: Option<String>,
    /// Where to go on from, for `Last-Event-ID`.
    #[schema(nullable = false)]
    id: Option<String>,
    /// JSON.
    data: String,
}

/// RFC 9457 problem details.
#[derive(ToSchema)]
pub struct Problem {
    /// Stable; what a program should look at.
    #[schema(example = "urn:twinfold:problem:no-such-twin")]
    r#type: String,
    title: String,
    #[schema(example = 404)]
    status: u16,
    /// For people.
    detail: String,
    /// RFC 6901 pointer to the member of the body at fault.
    #[schema(nullable = false)]
    pointer: Option<String>,
    /// The query parameter at fault.
    #[schema(nullable = false)]
    parameter: Option<String>,
    /// The header field at fault.
    #[schema(nullable = false)]
    header: Option<String>,
}

/// A last known value.
#[derive(ToSchema)]
pub struct LastValue {
    value: Value,
    #[schema(format = DateTime)]
    at: String,
    #[schema(format = DateTime)]
    received_at: String,
}

#[derive(ToSchema)]
pub struct Connection {
    /// `connected`, `disconnected` or `never`.
    state: String,
    #[schema(format = DateTime, nullable = false)]
    since: Option<String>,
    #[schema(nullable = false)]
    protocol: Option<String>,
    #[schema(nullable = false)]
    remote: Option<String>,
    #[schema(format = DateTime, nullable = false)]
    last_seen: Option<String>,
    #[schema(nullable = false)]
    reason: Option<String>,
}

/// The fold of one numeric value over all twins below.
#[derive(ToSchema)]
pub struct Fold {
    count: u64,
    sum: f64,
    #[schema(nullable = false)]
    avg: Option<f64>,
    min: f64,
    max: f64,
    last: f64,
    #[schema(format = DateTime)]
    last_at: String,
}

#[derive(ToSchema)]
pub struct AlertCounts {
    count: u64,
    #[schema(nullable = false)]
    worst: Option<String>,
}

/// Figures of everything below a twin; for a twin without children, of itself.
#[derive(ToSchema)]
pub struct Rollups {
    /// Devices below.
    count: u64,
    connected: u64,
    stale: u64,
    quarantined: u64,
    alerts: AlertCounts,
    values: BTreeMap<String, Fold>,
    /// What the twin and its model define, by name; absent when they define nothing.
    #[schema(nullable = false)]
    defined: Option<BTreeMap<String, super::rollups::DefinedRollup>>,
}

#[derive(ToSchema)]
pub struct Alert {
    /// What `/alerts/{aid}` knows it by.
    id: String,
    name: String,
    /// `info`, `warning` or `critical`.
    severity: String,
    /// `raised` or `acknowledged`.
    state: String,
    #[schema(nullable = false)]
    text: Option<String>,
    #[schema(nullable = false, value_type = Option<Object>)]
    details: Option<Value>,
    #[schema(format = DateTime)]
    raised_at: String,
    #[schema(format = DateTime)]
    last_at: String,
    count: u64,
}

/// A message that was refused or that a behaviour failed on, kept for reading.
#[derive(ToSchema)]
pub struct KeptMessage {
    #[schema(format = DateTime)]
    at: String,
    what: String,
    reason: String,
    payload: String,
}

#[derive(ToSchema)]
pub struct Supervision {
    /// `running` or `quarantined`.
    state: String,
    restarts: u64,
    #[schema(nullable = false)]
    error: Option<String>,
    poison: Vec<KeptMessage>,
}

#[derive(ToSchema)]
pub struct Diagnostics {
    #[schema(nullable = false)]
    last: Option<LastValue>,
    /// The last 16 refused messages, newest last.
    rejected: Vec<KeptMessage>,
    rejected_total: u64,
}

/// The whole twin.
#[derive(ToSchema)]
pub struct Twin {
    id: String,
    model: String,
    #[schema(nullable)]
    parent: Option<String>,
    /// The ids from the root down to the twin, joined by `/`.
    path: String,
    #[schema(nullable = false)]
    gateway: Option<String>,
    /// `active` or `inactive`.
    status: String,
    /// Raised by every change of metadata, tags, desired state, place, gateway or status; what `If-Match` compares.
    version: u64,
    /// Raised by every event of the twin.
    seq: u64,
    #[schema(format = DateTime)]
    created_at: String,
    connection: Connection,
    reported: BTreeMap<String, LastValue>,
    telemetry: BTreeMap<String, LastValue>,
    /// With `$version`.
    #[schema(value_type = Object)]
    desired: Value,
    #[schema(value_type = Object)]
    metadata: Value,
    tags: Vec<String>,
    rollups: Rollups,
    alerts: Vec<Alert>,
    supervision: Supervision,
    diagnostics: Diagnostics,
}

/// The whole twin and its keys, which are shown this once.
#[derive(ToSchema)]
pub struct RegisteredTwin {
    #[serde(flatten)]
    twin: Twin,
    #[schema(example = json!({"primary": "…", "secondary": "…"}))]
    keys: BTreeMap<String, String>,
}

/// The whole twin and what is under it.
#[derive(ToSchema)]
pub struct Tree {
    #[serde(flatten)]
    twin: Twin,
    #[schema(no_recursion)]
    children: Vec<Tree>,
    /// Children that the depth or the limit of nodes left out.
    children_left_out: u64,
}

macro_rules! pages {
    ($($name:ident of $item:ty),*) => {$(
        /// One page; `cursor` asks for the next one and is absent on the last.
        #[derive(ToSchema)]
        pub struct $name {
            items: Vec<$item>,
            #[schema(nullable = false)]
            cursor: Option<String>,
        }
    )*};
}
pages!(
    TwinPage of super::twin::ListItem,
    CommandPage of super::command::CommandDocument,
    EventPage of super::event::EventDocument,
    PrincipalPage of Principal,
    GrantPage of Grant,
    AuditPage of super::audit::AuditDocument,
    RolePage of super::role::RoleDocument,
    ModelPage of super::model::ModelSummary,
    AlertPage of super::alert::AlertDocument,
    RulePage of super::rule::RuleDocument,
    JobPage of super::job::JobDocument,
    EnrolmentPage of super::enrolment::EnrolmentDocument
);

/// Raw values, or buckets when `every` was given.
#[derive(ToSchema)]
#[serde(untagged)]
pub enum HistoryPageItem {
    Raw(super::history::ItemDocument),
    Bucket(super::history::BucketDocument),
}
pages!(HistoryPage of HistoryPageItem);

#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// Letters, digits, `-`, `_`, `.`, `:` and `@`; assigned when absent.
    #[schema(max_length = 128)]
    id: Option<String>,
    /// A DTMI, or the short name of a built-in model: `Site`, `Building`, `Floor`, `Room`, `Device`, `Gateway`, or one of
    /// the common devices that `GET /models` lists. A model that is not known is taken and like `Device`.
    #[schema(example = "Room")]
    model: String,
    parent: Option<String>,
    /// The twin of the gateway that speaks for this device.
    gateway: Option<String>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    tags: Option<Vec<String>>,
    /// Names of key slots, or a map of them to keys brought from outside (`null`: derived). `primary` and `secondary` when absent.
    keys: Option<Value>,
    /// SHA-256 (hexadecimal) of client certificates that are the device's own, by slot.
    certificates: Option<BTreeMap<String, String>>,
    /// A password that a person chose; only its hash is kept.
    #[schema(min_length = 8, max_length = 256)]
    password: Option<String>,
}

/// An RFC 7396 merge patch.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TwinPatch {
    #[schema(value_type = Option<Object>, nullable = false)]
    metadata: Option<Value>,
    #[schema(value_type = Option<Object>, nullable = false)]
    desired: Option<Value>,
    /// Replaces all tags; `null` removes them. Needs the right to write, as metadata and desired do.
    tags: Option<Vec<String>>,
    /// Moves the twin; `null` makes it a root. Needs the right to provision.
    parent: Option<String>,
    /// Needs the right to provision.
    gateway: Option<String>,
    /// Another model, which must be known: a newer version, say. Needs the right to provision.
    #[schema(nullable = false)]
    model: Option<String>,
}

#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCommand {
    /// One MQTT topic level: no `/`, `+`, `#` or control characters.
    #[schema(max_length = 128, example = "ventilate")]
    name: String,
    payload: Option<Value>,
    /// Seconds to live, fractions allowed.
    #[schema(default = 60, maximum = 2592000, exclusive_minimum = 0)]
    ttl: Option<f64>,
    /// Seconds to wait for the device's answer.
    #[schema(maximum = 60, minimum = 0)]
    wait: Option<f64>,
}

#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPrincipal {
    #[schema(max_length = 128)]
    name: String,
    /// `viewer`, `operator`, `admin`, or a role of your own. Either this or `roles`.
    role: Option<String>,
    roles: Option<Vec<String>>,
    /// Where the roles hold: this twin and all below it; everywhere when absent.
    scope: Option<String>,
    /// Seconds until the key ends; never when absent.
    #[schema(minimum = 1)]
    expires_in: Option<u64>,
    /// The `sub` of the tokens that an identity provider signs for it; then there is no key.
    #[schema(max_length = 128)]
    subject: Option<String>,
}

/// A person or a system.
#[derive(ToSchema)]
pub struct Principal {
    id: String,
    name: String,
    #[schema(format = DateTime)]
    created_at: String,
    /// When its key ends.
    #[schema(format = DateTime, nullable = false)]
    expires_at: Option<String>,
    #[schema(nullable = false)]
    subject: Option<String>,
    /// Those that the caller sees.
    grants: Vec<Grant>,
}

/// A role over a twin and all below it, or over everything.
#[derive(ToSchema)]
pub struct Grant {
    id: String,
    principal: String,
    role: String,
    #[schema(nullable = false)]
    under: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
}

#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGrant {
    principal: String,
    role: String,
    /// This twin and all below it; everything when absent.
    under: Option<String>,
}

#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleBody {
    /// `read`, `command`, `acknowledge`, `write`, `rules`, `provision`, `models`, `sinks`, `principals`, `audit`.
    rights: Vec<String>,
}

/// The principal and its key, which is shown this once. One with a subject has none.
#[derive(ToSchema)]
pub struct CreatedPrincipal {
    #[serde(flatten)]
    principal: Principal,
    #[schema(nullable = false)]
    key: Option<String>,
}

#[derive(ToSchema)]
pub struct Health {
    #[schema(example = "ok")]
    status: String,
}
