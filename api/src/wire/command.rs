//! A command as people and systems read it.

use hierarchy_models::{Command, CommandState, Timestamp, Value};
use serde::Serialize;
use serde_json::Number;
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Command)]
pub struct CommandDocument {
    #[schema(example = "01998f3e-8d7c-7cc1-a8f8-0c4b3c9f2b11")]
    pub id: String,
    #[schema(example = "ventilate")]
    pub name: String,
    #[schema(value_type = serde_json::Value)]
    pub payload: Value,
    #[schema(value_type = described::State)]
    pub state: CommandState,
    /// Seconds from acceptance to expiry.
    #[schema(value_type = f64)]
    pub ttl: Number,
    #[schema(value_type = String, format = DateTime)]
    pub queued_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// First delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    pub delivered_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    pub ended_at: Option<Timestamp>,
    /// Times it was handed to a session; above 1 it was redelivered.
    pub deliveries: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub result: Option<ResultDocument>,
    /// The name of who sent it.
    pub sender: String,
}

/// What the device answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CommandResult)]
pub struct ResultDocument {
    #[schema(example = 200)]
    pub status: u16,
    #[schema(value_type = serde_json::Value)]
    pub payload: Value,
}

mod described {
    #[derive(utoipa::ToSchema)]
    #[schema(as = CommandState, rename_all = "lowercase")]
    #[allow(dead_code)]
    pub enum State {
        Queued,
        Delivered,
        Completed,
        Failed,
        Expired,
        Cancelled,
    }
}

impl From<Command> for CommandDocument {
    fn from(command: Command) -> Self {
        Self {
            id: command.id.to_string(),
            name: command.name.to_string(),
            payload: command.payload,
            state: command.state,
            ttl: seconds(command.expires_at.as_millis() - command.queued_at.as_millis()),
            queued_at: command.queued_at,
            expires_at: command.expires_at,
            delivered_at: command.delivered_at,
            ended_at: command.ended_at,
            deliveries: command.deliveries,
            result: command.result.map(|r| ResultDocument { status: r.status, payload: r.payload }),
            sender: command.sender.to_string(),
        }
    }
}

/// Whole seconds as a whole number.
fn seconds(ms: i64) -> Number {
    let fraction = (ms % 1000 != 0).then(|| Number::from_f64(ms as f64 / 1000.0)).flatten();
    fraction.unwrap_or_else(|| Number::from(ms / 1000))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hierarchy_models::{CommandId, CommandResult};
    use serde_json::json;

    use super::*;

    fn command() -> Command {
        Command {
            id: CommandId::new("c-1").unwrap(),
            name: "ventilate".into(),
            payload: [("level", 2i64)].into_iter().collect(),
            state: CommandState::Queued,
            expires_at: Timestamp::EPOCH.plus(Duration::from_secs(60)),
            queued_at: Timestamp::EPOCH,
            delivered_at: None,
            ended_at: None,
            deliveries: 0,
            result: None,
            idempotency_key: Some("secret of the caller".into()),
            sender: "ann".into(),
        }
    }

    #[test]
    fn what_has_not_happened_is_absent() {
        let document = serde_json::to_value(CommandDocument::from(command())).unwrap();
        let want = json!({
            "id": "c-1", "name": "ventilate", "payload": {"level": 2}, "state": "queued", "ttl": 60,
            "queued_at": "1970-01-01T00:00:00.000Z", "expires_at": "1970-01-01T00:01:00.000Z", "deliveries": 0, "sender": "ann",
        });
        assert_eq!(document, want);
    }

    #[test]
    fn an_ended_command_carries_the_answer() {
        let ended = Command {
            state: CommandState::Completed,
            ended_at: Some(Timestamp::EPOCH),
            expires_at: Timestamp::EPOCH.plus(Duration::from_millis(1500)),
            result: Some(CommandResult { status: 200, payload: Value::from("ok") }),
            ..command()
        };
        let document = serde_json::to_value(CommandDocument::from(ended)).unwrap();
        assert_eq!(document["result"], json!({"status": 200, "payload": "ok"}));
        assert_eq!(document["ttl"], 1.5);
    }
}
