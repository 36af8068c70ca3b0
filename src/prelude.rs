//! Everything that a behaviour and its tests are written with: `use twinfold::prelude::*;`.

pub use actors::{
    behaviour::{
        Alert, Behaviour, Children, Command, CommandEnded, Connection, Context, Error, Event, Known, Reply, Reported, Result, Telemetry,
        Timer, Value, json,
    },
    kit::{Effect, Handled, TreeTestKit, TwinTestKit},
};
pub use hierarchy_models::{CommandState, ModelId, Severity, Timestamp, TwinId, event::DisconnectReason};
pub use serde::{Deserialize, Serialize};
pub use std::time::Duration;

pub use crate::builder::Twinfold;
