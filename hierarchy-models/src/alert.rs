//! Alerts that stand on a twin.

use serde::{Deserialize, Serialize};

use crate::{id::Name, time::Timestamp, value::Map};

/// How bad it is; the order is the order of the variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

/// One open alert. A twin has at most one of each name; raising it again counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    pub name: Name,
    pub severity: Severity,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub details: Map,
    pub raised_at: Timestamp,
    pub last_at: Timestamp,
    pub count: u64,
}
