//! What a behaviour is told.

use hierarchy_models::{
    self as domain, CommandId, CommandResult, CommandState, Record, Severity, Timestamp,
    event::DisconnectReason,
    rollup::{Aggregate, Fold},
    value::Map,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Result,
    access::{Source, typed_access},
    encoding::{decode, to_json},
};

/// One record: named values of one instant.
pub struct Telemetry<'a> {
    pub(super) stream: Option<&'a str>,
    pub(super) record: &'a Record,
}

typed_access!(Telemetry);

impl<'a> Telemetry<'a> {
    fn source(&self) -> Source<'a> {
        Source { what: "telemetry", values: &self.record.values }
    }

    /// When the device says it was measured; the time of receipt when it does not say.
    pub fn at(&self) -> Timestamp {
        self.record.at
    }

    /// The last level of the topic `…/telemetry/{stream}`.
    pub fn stream(&self) -> Option<&'a str> {
        self.stream
    }

    /// Names and values, in the order they came.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Value)> + use<'a> {
        self.record.values.iter().map(|(name, value)| (name.as_str(), to_json(value)))
    }
}

/// What the device has reported: a merge patch, or all of it.
pub struct Reported<'a> {
    pub(super) patch: &'a Map,
}

typed_access!(Reported);

impl<'a> Reported<'a> {
    fn source(&self) -> Source<'a> {
        Source { what: "what was reported", values: self.patch }
    }

    /// Whether the device has removed this property.
    pub fn removed(&self, name: &str) -> bool {
        self.patch.get(name) == Some(&domain::Value::Null)
    }
}

/// A special event of the device.
pub struct Event<'a> {
    pub(super) name: &'a str,
    pub(super) payload: &'a domain::Value,
}

typed_access!(Event);

impl<'a> Event<'a> {
    fn source(&self) -> Source<'a> {
        Source { what: "the event", values: self.payload }
    }

    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The whole payload as a type of one's own; a [`Value`] takes anything.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T> {
        decode(self.payload)
    }
}

/// A command that somebody sends the twin.
pub struct Command<'a> {
    pub(super) command: &'a domain::Command,
}

typed_access!(Command);

impl<'a> Command<'a> {
    fn source(&self) -> Source<'a> {
        Source { what: "the command", values: &self.command.payload }
    }

    pub fn id(&self) -> &'a CommandId {
        &self.command.id
    }

    pub fn name(&self) -> &'a str {
        &self.command.name
    }

    /// The whole payload as a type of one's own; a [`Value`] takes anything.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T> {
        decode(&self.command.payload)
    }

    /// A principal's name, or `twin:ID`.
    pub fn sender(&self) -> &'a str {
        &self.command.sender
    }

    pub fn expires_at(&self) -> Timestamp {
        self.command.expires_at
    }
}

/// What becomes of a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// It waits for the device.
    PassOn,
    /// Done, with this answer.
    Completed(Value),
    /// Not to be done; `status` as in HTTP, and one from 200 to 299 counts as 500.
    Failed { status: u16, payload: Value },
}

impl Reply {
    pub fn completed(payload: Value) -> Self {
        Self::Completed(payload)
    }

    pub fn failed(status: u16, payload: Value) -> Self {
        Self::Failed { status, payload }
    }
}

/// A command that the device has answered.
pub struct CommandEnded<'a> {
    pub(super) command: &'a domain::Command,
    pub(super) state: CommandState,
    pub(super) result: Option<&'a CommandResult>,
}

impl<'a> CommandEnded<'a> {
    pub fn id(&self) -> &'a CommandId {
        &self.command.id
    }

    pub fn name(&self) -> &'a str {
        &self.command.name
    }

    pub fn is_completed(&self) -> bool {
        self.state == CommandState::Completed
    }

    /// As in HTTP; 2xx completes a command.
    pub fn status(&self) -> Option<u16> {
        self.result.map(|r| r.status)
    }

    /// The device's answer as a type of one's own; a [`Value`] takes anything.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T> {
        decode(self.result.map_or(&domain::Value::Null, |r| &r.payload))
    }
}

/// A timer that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timer<'a> {
    pub name: &'a str,
    /// When it was to fire.
    pub due: Timestamp,
    /// Of a timer that repeats: whole periods that went by since then without a call, as the server was down.
    pub missed: u64,
}

/// The device's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    Connected,
    Disconnected { reason: DisconnectReason },
}

/// What is below a twin, at any depth, comes to. Silent devices are counted in `stale`, and their values left out.
#[derive(Clone, Copy)]
pub struct Children<'a> {
    below: &'a Aggregate,
}

impl<'a> Children<'a> {
    pub(crate) fn of(below: &'a Aggregate) -> Self {
        Self { below }
    }
}

impl Children<'_> {
    /// Twins below that are not places.
    pub fn devices(&self) -> u64 {
        self.below.counts().devices
    }

    pub fn connected(&self) -> u64 {
        self.below.counts().connected
    }

    /// Devices silent for longer than `rollup.stale_after`.
    pub fn stale(&self) -> u64 {
        self.below.counts().stale
    }

    pub fn quarantined(&self) -> u64 {
        self.below.counts().quarantined
    }

    /// Alerts that stand below.
    pub fn alerts(&self) -> u64 {
        self.below.counts().alerts()
    }

    pub fn worst_alert(&self) -> Option<Severity> {
        self.below.counts().worst()
    }

    fn fold(&self, name: &str) -> Option<Fold> {
        Some(self.below.value(name)).filter(|fold| fold.count > 0)
    }

    /// Devices that have this value as a number.
    pub fn count(&self, name: &str) -> u64 {
        self.fold(name).map_or(0, |fold| fold.count)
    }

    pub fn avg(&self, name: &str) -> Option<f64> {
        self.fold(name)?.avg()
    }

    pub fn sum(&self, name: &str) -> Option<f64> {
        self.fold(name).map(|fold| fold.sum)
    }

    pub fn min(&self, name: &str) -> Option<f64> {
        self.fold(name).map(|fold| fold.min)
    }

    pub fn max(&self, name: &str) -> Option<f64> {
        self.fold(name).map(|fold| fold.max)
    }

    /// The value that was measured last, and when.
    pub fn last(&self, name: &str) -> Option<(f64, Timestamp)> {
        self.fold(name).map(|fold| (fold.last, fold.last_at))
    }
}
