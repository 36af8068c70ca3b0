//! A telemetry record: named values of one instant, with an optional identity that makes it idempotent.

use crate::{id::Name, time::Timestamp, value::Value};

/// What a device measured at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// When the device says it was measured; the time of receipt when it does not say.
    pub at: Timestamp,
    /// The device's own id of this record: the same id counts once within the dedupe window.
    pub id: Option<Name>,
    pub values: Vec<(Name, Value)>,
}
