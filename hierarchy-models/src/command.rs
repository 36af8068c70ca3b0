//! A command's life: queued → delivered → completed | failed | expired | cancelled, each change with its time.

use serde::{Deserialize, Serialize};

use crate::{
    id::{CommandId, Name, TwinId},
    time::Timestamp,
    value::Value,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CommandState {
    Queued,
    Delivered,
    Completed,
    Failed,
    Expired,
    Cancelled,
}

impl CommandState {
    /// Nothing follows an end.
    pub fn is_end(self) -> bool {
        !matches!(self, Self::Queued | Self::Delivered)
    }

    /// Whether a command may go from `self` to `next`. Delivered to delivered is a redelivery.
    pub fn may_become(self, next: Self) -> bool {
        !self.is_end() && next != Self::Queued
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Delivered => "delivered",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What the device answered. 2xx completes the command, anything else fails it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandResult {
    pub status: u16,
    #[serde(default)]
    pub payload: Value,
}

impl CommandResult {
    pub fn end(&self) -> CommandState {
        if (200..300).contains(&self.status) { CommandState::Completed } else { CommandState::Failed }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    pub id: CommandId,
    pub name: Name,
    pub payload: Value,
    pub state: CommandState,
    /// When it ends unanswered: time of acceptance plus the time to live.
    pub expires_at: Timestamp,
    pub queued_at: Timestamp,
    /// First delivery.
    pub delivered_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// Times it was handed to a session; above 1 it was redelivered.
    pub deliveries: u32,
    pub result: Option<CommandResult>,
    /// The caller's `Idempotency-Key`, when it gave one.
    pub idempotency_key: Option<Name>,
    /// Who sent it, for the audit trail: a principal's name, or `twin:ID`.
    pub sender: Name,
}

/// A command that one twin sends to another.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboundCommand {
    pub to: TwinId,
    pub name: Name,
    pub payload: Value,
    /// When it ends, sent or not.
    pub expires_at: Timestamp,
}

impl OutboundCommand {
    /// What makes it one command at its target, however often it is sent: who asked for it, and with which event.
    pub fn idempotency_key(sender: &TwinId, queued: u64) -> Name {
        format!("{sender}#{queued}").into()
    }
}
