//! What became of a command, as a test reads it.

use hierarchy_models::{Command, CommandState};
use serde_json::Value;

use crate::behaviour::to_json;

/// A command of a twin as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Handled {
    pub name: String,
    pub payload: Value,
    pub state: CommandState,
    /// Of the answer, when there is one.
    pub status: Option<u16>,
    /// The answer itself.
    pub answer: Value,
}

impl From<&Command> for Handled {
    fn from(command: &Command) -> Self {
        let result = command.result.as_ref();
        Self {
            name: command.name.to_string(),
            payload: to_json(&command.payload),
            state: command.state,
            status: result.map(|r| r.status),
            answer: result.map_or(Value::Null, |r| to_json(&r.payload)),
        }
    }
}
