//! A twin as the outside reads it. Its JSON form is the document of `GET /api/v1/twins/{id}` and of `devices/{id}/twin`.

mod members;

use hierarchy_models::{
    Alert, AlertId, AlertState, ModelId, Name, Severity, Timestamp, TwinId, Value,
    event::{DisconnectReason, Status},
    tree::Path,
    value::Map,
};
use serde::Serialize;

pub use members::Members;

/// A last known value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ValueView {
    pub value: Value,
    pub at: Timestamp,
    pub received_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConnectionView {
    /// `connected`, `disconnected`, or `never` for a twin that was never connected.
    pub state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Name>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<DisconnectReason>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FoldView {
    pub count: u64,
    pub sum: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avg: Option<f64>,
    pub min: f64,
    pub max: f64,
    pub last: f64,
    pub last_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct AlertCounts {
    pub count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst: Option<Severity>,
}

/// Figures of everything below a twin; for a twin without children, of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct RollupView {
    /// Devices below.
    pub count: u64,
    pub connected: u64,
    pub stale: u64,
    pub quarantined: u64,
    pub alerts: AlertCounts,
    pub values: Members<FoldView>,
}

/// An alert that stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlertView {
    /// What `/alerts/{id}` knows it by.
    pub id: AlertId,
    pub name: Name,
    pub severity: Severity,
    /// `raised` or `acknowledged`.
    pub state: AlertState,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub details: Map,
    pub raised_at: Timestamp,
    pub last_at: Timestamp,
    pub count: u64,
}

impl AlertView {
    pub fn of(twin: &TwinId, alert: &Alert) -> Self {
        let Alert { name, severity, text, details, raised_at, last_at, count, acknowledged, .. } = alert.clone();
        let state = if acknowledged.is_some() { AlertState::Acknowledged } else { AlertState::Raised };
        Self { id: AlertId::of(twin, alert), name, severity, state, text, details, raised_at, last_at, count }
    }
}

/// A message that was refused or that a behaviour failed on, kept for reading.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeptMessage {
    pub at: Timestamp,
    pub what: String,
    pub reason: String,
    /// The first bytes of the payload, as text where it is text.
    pub payload: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SupervisionView {
    /// `running` or `quarantined`.
    pub state: &'static str,
    /// Restarts since the twin was registered.
    pub restarts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub poison: Vec<KeptMessage>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TwinView {
    pub id: TwinId,
    pub model: ModelId,
    pub parent: Option<TwinId>,
    pub path: Path,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<TwinId>,
    pub status: Status,
    /// Raised by every change of metadata, tags, desired state, place, gateway or status; what `If-Match` compares.
    pub version: u64,
    /// Raised by every event of the twin.
    pub seq: u64,
    pub created_at: Timestamp,
    pub connection: ConnectionView,
    pub reported: Members<ValueView>,
    pub telemetry: Members<ValueView>,
    /// With `$version`.
    pub desired: Map,
    pub metadata: Map,
    pub tags: Vec<Name>,
    pub rollups: RollupView,
    pub alerts: Vec<AlertView>,
    pub supervision: SupervisionView,
    pub diagnostics: DiagnosticsView,
}

#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct DiagnosticsView {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<ValueView>,
    /// The last 16 refused messages, newest last.
    pub rejected: Vec<KeptMessage>,
    pub rejected_total: u64,
}
