//! What a twin says to other twins.

use std::time::Duration;

use hierarchy_models::{Name, TwinId, Value};

/// A command to another twin, sent once the turn is durable.
#[derive(Debug, Clone, PartialEq)]
pub struct Outbound {
    pub to: TwinId,
    pub name: Name,
    pub payload: Value,
    pub ttl: Duration,
}
