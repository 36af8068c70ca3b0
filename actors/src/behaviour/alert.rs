//! An alert as a behaviour raises it.

use hierarchy_models::Severity;
use serde_json::Value;

/// An alert to be raised with [`super::Context::raise`]. A twin has one of each name: raising it again counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    pub(super) name: String,
    pub(super) severity: Severity,
    pub(super) text: String,
    pub(super) details: serde_json::Map<String, Value>,
}

impl Alert {
    fn new(name: impl Into<String>, severity: Severity) -> Self {
        Self { name: name.into(), severity, text: String::new(), details: serde_json::Map::new() }
    }

    pub fn info(name: impl Into<String>) -> Self {
        Self::new(name, Severity::Info)
    }

    pub fn warning(name: impl Into<String>) -> Self {
        Self::new(name, Severity::Warning)
    }

    pub fn critical(name: impl Into<String>) -> Self {
        Self::new(name, Severity::Critical)
    }

    /// What a person reads; cut at 1024 bytes (`ALERT_TEXT_BYTES_MAX`).
    pub fn text(self, text: impl Into<String>) -> Self {
        Self { text: text.into(), ..self }
    }

    /// A detail by name.
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.details.insert(name.into(), value.into());
        self
    }
}
