//! What a behaviour's call asked for, as a test reads it.

use std::time::Duration;

use hierarchy_models::{Event, EventBody, Severity, Timestamp};
use serde_json::Value;

use crate::behaviour::to_json;

/// What a behaviour asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Raised {
        name: String,
        severity: Severity,
        text: String,
        details: Value,
    },
    Cleared {
        name: String,
    },
    /// A command to a twin.
    Command {
        to: String,
        name: String,
        payload: Value,
        ttl: Duration,
    },
    /// A command that was sent to this twin, answered.
    Answered {
        name: String,
        status: u16,
        payload: Value,
    },
    Emitted {
        name: String,
        payload: Value,
    },
    /// A merge patch of desired properties.
    Set {
        patch: Value,
    },
    /// `cx.after`.
    After {
        name: String,
        delay: Duration,
    },
    /// `cx.every`.
    Every {
        name: String,
        every: Duration,
    },
    Cancelled {
        name: String,
    },
}

impl Effect {
    /// What the events of a turn say that its behaviour asked for.
    pub(super) fn of(events: &[Event]) -> Vec<Self> {
        let commanded = events.iter().find_map(|event| match &event.body {
            EventBody::CommandQueued(command) => Some(command.name.as_str()),
            _ => None,
        });
        events.iter().filter_map(|event| Self::of_one(&event.body, event.received_at, commanded)).collect()
    }

    fn of_one(body: &EventBody, now: Timestamp, commanded: Option<&str>) -> Option<Self> {
        let map = |map: &hierarchy_models::Map| to_json(&hierarchy_models::Value::from(map.clone()));
        Some(match body {
            EventBody::AlertRaised(alert) => Self::Raised {
                name: alert.name.to_string(),
                severity: alert.severity,
                text: alert.text.clone(),
                details: map(&alert.details),
            },
            EventBody::AlertCleared { name } => Self::Cleared { name: name.to_string() },
            EventBody::OutboundQueued(command) => Self::Command {
                to: command.to.to_string(),
                name: command.name.to_string(),
                payload: to_json(&command.payload),
                ttl: command.expires_at.since(now),
            },
            EventBody::CommandEnded { result: Some(result), .. } => {
                Self::Answered { name: commanded?.to_owned(), status: result.status, payload: to_json(&result.payload) }
            }
            EventBody::Emitted { name, payload } => Self::Emitted { name: name.to_string(), payload: to_json(payload) },
            EventBody::DesiredPatched { patch } => Self::Set { patch: map(patch) },
            EventBody::TimerSet { name, due } => Self::After { name: name.to_string(), delay: due.since(now) },
            EventBody::TimerRepeats { name, every, .. } => Self::Every { name: name.to_string(), every: *every },
            EventBody::TimerCancelled { name } => Self::Cancelled { name: name.to_string() },
            _ => return None,
        })
    }
}
