//! What a behaviour's call may look at, and where it puts what should follow.

use std::time::Duration;

use hierarchy_models::{ModelId, Timestamp, TwinId, limits::COMMAND_TTL_DEFAULT, tree::Path, value::Map};
use serde_json::Value;

use super::{Alert, Children, Error, Known, Result, encoding::from_json};
use crate::kind;

/// What the twin knows, and what should follow. Effects become durable with the event that caused them and the new state, or not
/// at all, and are carried out after that. Of an alert or a timer that is named twice in a turn the last word counts.
pub struct Context<'a, 'b> {
    inner: &'a mut kind::Context<'b>,
    /// Why the turn must fail, when something it asked for cannot be.
    fault: Option<Error>,
}

impl<'a, 'b> Context<'a, 'b> {
    pub(super) fn new(inner: &'a mut kind::Context<'b>) -> Self {
        Self { inner, fault: None }
    }

    pub(super) fn into_fault(self) -> Option<Error> {
        self.fault
    }

    /// The server's time of what happened.
    pub fn now(&self) -> Timestamp {
        self.inner.now()
    }

    pub fn id(&self) -> TwinId {
        self.inner.id().clone()
    }

    pub fn model(&self) -> &'b ModelId {
        &self.inner.twin().model
    }

    /// The twin it stands under; an error for the top of a tree.
    pub fn parent(&self) -> Result<TwinId> {
        self.inner.twin().parent.clone().ok_or_else(|| Error::new(format!("{} has no parent", self.inner.id())))
    }

    /// From the top of its tree down to itself.
    pub fn path(&self) -> &'b Path {
        self.inner.path()
    }

    pub fn is_connected(&self) -> bool {
        self.inner.twin().connection.connected
    }

    /// What is below it, as of the last roll-up tick.
    pub fn children(&self) -> Children<'b> {
        Children::of(self.inner.below())
    }

    /// The last known values, before this message.
    pub fn telemetry(&self) -> Known<'b> {
        Known::slots("telemetry known so far", &self.inner.twin().telemetry)
    }

    /// The reported properties, before this message.
    pub fn reported(&self) -> Known<'b> {
        Known::slots("what was reported so far", &self.inner.twin().reported)
    }

    /// The desired properties, without what this call sets.
    pub fn desired(&self) -> Known<'b> {
        Known::map("what is desired", &self.inner.twin().desired)
    }

    pub fn metadata(&self) -> Known<'b> {
        Known::map("metadata", &self.inner.twin().metadata)
    }

    /// Whether an alert of this name stood before this call.
    pub fn has_alert(&self, name: &str) -> bool {
        self.inner.twin().alerts.iter().any(|alert| alert.name == name)
    }

    /// Raises an alert, or counts it again when it stands.
    pub fn raise(&mut self, alert: Alert) {
        let Alert { name, severity, text, details } = alert;
        if let Some(details) = self.map(Value::Object(details), "an alert's details") {
            self.inner.raise(&name, severity, &text, details);
        }
    }

    /// Clears an alert; nothing happens when it does not stand.
    pub fn clear(&mut self, name: &str) {
        self.inner.clear(name);
    }

    /// Sends a command to any twin: its own device (`cx.id()`), its parent, another. It lives for 60 seconds
    /// (`COMMAND_TTL_DEFAULT`) unless [`Sending::ttl`] says otherwise, and waits in the other twin's inbox for that long; a twin
    /// that does not exist, or whose inbox is full, does not get it, and the log of this twin's events says so.
    pub fn command(&mut self, to: TwinId, name: &str, payload: Value) -> Sending<'_, 'b> {
        let payload = self.value(payload, "a command's payload");
        let is_queued = payload.is_some();
        if let Some(payload) = payload {
            self.inner.command(to, name, payload, COMMAND_TTL_DEFAULT);
        }
        Sending { inner: &mut *self.inner, is_queued }
    }

    /// An event of the twin, for whoever follows it.
    pub fn emit(&mut self, name: &str, payload: Value) {
        if let Some(payload) = self.value(payload, "an event's payload") {
            self.inner.emit(name, payload);
        }
    }

    /// A merge patch of the desired properties, which go down to the device; nothing happens when they are so already.
    pub fn set(&mut self, patch: Value) {
        if let Some(patch) = self.map(patch, "a patch of desired properties") {
            self.inner.set(patch);
        }
    }

    /// Calls [`super::Behaviour::on_timer`] once, after `delay`. Survives restarts. A timer of the same name is replaced.
    pub fn after(&mut self, name: &str, delay: Duration) {
        self.inner.after(name, delay);
    }

    /// Calls [`super::Behaviour::on_timer`] after each `every` (at least 100 ms, `TIMER_EVERY_MIN`). Survives restarts: what came
    /// due while the server was down comes as one call that says how many were missed. Said again with the same period, it keeps
    /// its beat.
    pub fn every(&mut self, name: &str, every: Duration) {
        self.inner.every(name, every);
    }

    /// Forgets a timer; nothing happens when there is none of this name.
    pub fn cancel(&mut self, name: &str) {
        self.inner.cancel(name);
    }

    /// A line in the server's log, written at once, whatever becomes of the turn.
    pub fn log(&self, text: impl std::fmt::Display) {
        tracing::info!(target: "twinfold::behaviour", twin = %self.inner.id(), model = %self.model(), "{text}");
    }

    fn value(&mut self, json: Value, what: &str) -> Option<hierarchy_models::Value> {
        match from_json(json) {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault.get_or_insert_with(|| Error::new(format!("{what}: {error}")));
                None
            }
        }
    }

    fn map(&mut self, json: Value, what: &str) -> Option<Map> {
        let map = self.value(json, what)?.into_map();
        if map.is_none() {
            self.fault.get_or_insert_with(|| Error::new(format!("{what}: must be an object")));
        }
        map
    }
}

/// A command that is on its way; what else is to be said of it.
pub struct Sending<'a, 'b> {
    inner: &'a mut kind::Context<'b>,
    is_queued: bool,
}

impl Sending<'_, '_> {
    /// How long it may wait, for this twin's turn to become durable, for the other one and for its device together; at most 30
    /// days (`COMMAND_TTL_MAX`).
    pub fn ttl(self, ttl: Duration) -> Self {
        if self.is_queued {
            self.inner.live_for(ttl);
        }
        self
    }
}
