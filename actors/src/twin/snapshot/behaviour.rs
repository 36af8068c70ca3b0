//! What behaviours and rules leave in a twin, as bytes: timers, commands to other twins, rules that are on.

use std::time::Duration;

use hierarchy_models::{Name, Timestamp};
use persistence::{Error, codec::wire};
use prost::Message;

use super::damaged;
use crate::twin::{outbox::OutboxEntry, timers::Timer};

#[derive(Clone, PartialEq, Message)]
pub struct TimerWire {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(sint64, tag = "2")]
    due: i64,
    #[prost(uint64, optional, tag = "3")]
    every_ms: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub struct OutboxWire {
    #[prost(uint64, tag = "1")]
    queued: u64,
    #[prost(message, optional, tag = "2")]
    command: Option<wire::Outbound>,
}

/// A rule that is on, and since when.
#[derive(Clone, PartialEq, Message)]
pub struct RuleWire {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(sint64, tag = "2")]
    since: i64,
}

impl From<&(Name, Timestamp)> for RuleWire {
    fn from((name, since): &(Name, Timestamp)) -> Self {
        Self { name: name.to_string(), since: since.as_millis() }
    }
}

impl From<RuleWire> for (Name, Timestamp) {
    fn from(wire: RuleWire) -> Self {
        (wire.name.into(), Timestamp::from_millis_clamped(wire.since))
    }
}

impl From<&Timer> for TimerWire {
    fn from(timer: &Timer) -> Self {
        let every_ms = timer.every.map(|every| u64::try_from(every.as_millis()).unwrap_or(u64::MAX));
        Self { name: timer.name.to_string(), due: timer.due.as_millis(), every_ms }
    }
}

impl From<TimerWire> for Timer {
    fn from(wire: TimerWire) -> Self {
        let due = Timestamp::from_millis_clamped(wire.due);
        Self { name: wire.name.into(), due, every: wire.every_ms.map(Duration::from_millis) }
    }
}

impl From<&OutboxEntry> for OutboxWire {
    fn from(entry: &OutboxEntry) -> Self {
        Self { queued: entry.queued, command: Some((&entry.command).into()) }
    }
}

impl TryFrom<OutboxWire> for OutboxEntry {
    type Error = Error;

    fn try_from(wire: OutboxWire) -> Result<Self, Error> {
        let command = wire.command.ok_or_else(|| damaged("a command to another twin is missing"))?;
        Ok(Self { queued: wire.queued, command: command.try_into()? })
    }
}
