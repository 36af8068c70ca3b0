//! The seam for behaviours: a kind of twin decides, in pure turns, what follows from what happened.
//!
//! A turn sees the twin as it was before the event and a description of what happens; it returns effects. State and
//! effects commit together, in the same turn of the journal as the event that caused them, or not at all. The one
//! exception is a command to another twin: it is sent once the turn is durable, and lost if the process dies in between.
//! The built-in kinds ([`builtin`]) use the same seam that solution developers get.

pub mod builtin;

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use hierarchy_models::{
    CommandState, EventBody, ModelId, Name, Record, Severity, Timestamp, TwinId, Value,
    event::DisconnectReason,
    limits::{BEHAVIOUR_BYTES_MAX, EFFECTS_PER_TURN_MAX},
    value::{DEPTH_MAX, Map},
};

use crate::{
    alerts::{Says, raised},
    twin::TwinState,
};

/// What happened.
#[derive(Debug)]
pub enum Trigger<'a> {
    Telemetry { stream: Option<&'a str>, records: &'a [Record] },
    Reported { patch: &'a Map },
    Event { name: &'a str, payload: &'a Value },
    Diagnostics { payload: &'a Value },
    Connected,
    Disconnected { reason: DisconnectReason },
    CommandEnded { name: &'a str, state: CommandState },
    Timer { name: &'a str },
}

/// A command to another twin, sent once the turn is durable.
#[derive(Debug, Clone, PartialEq)]
pub struct Outbound {
    pub to: TwinId,
    pub name: Name,
    pub payload: Value,
    pub ttl: Duration,
}

/// What a turn may look at, and where it puts what should follow.
pub struct Context<'a> {
    twin: &'a TwinState,
    now: Timestamp,
    pub(crate) events: Vec<EventBody>,
    pub(crate) outbound: Vec<Outbound>,
}

impl<'a> Context<'a> {
    pub fn new(twin: &'a TwinState, now: Timestamp) -> Self {
        Self { twin, now, events: Vec::new(), outbound: Vec::new() }
    }

    /// The twin before this event.
    pub fn twin(&self) -> &TwinState {
        self.twin
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Raises an alert, or counts it again when it stands.
    pub fn raise(&mut self, name: &str, severity: Severity, text: &str, details: Map) {
        let says = Says { name, severity, text, details, at: self.now, source: "behaviour", cause: self.twin.seq + 1 };
        if let Some(alert) = raised(&self.twin.alerts, says) {
            self.events.push(EventBody::AlertRaised(Box::new(alert)));
        }
    }

    /// Clears an alert; nothing happens when it does not stand.
    pub fn clear(&mut self, name: &str) {
        if self.twin.alerts.iter().any(|a| a.name == name) {
            self.events.push(EventBody::AlertCleared { name: name.into() });
        }
    }

    pub fn emit(&mut self, name: &str, payload: Value) {
        self.events.push(EventBody::Emitted { name: name.into(), payload });
    }

    /// A merge patch of the twin's desired properties.
    pub fn set(&mut self, patch: Map) {
        self.events.push(EventBody::DesiredPatched { patch });
    }

    /// Calls back with [`Trigger::Timer`] after `delay`; survives restarts. One timer of each name.
    pub fn after(&mut self, name: &str, delay: Duration) {
        self.events.push(EventBody::TimerSet { name: name.into(), due: self.now.plus(delay) });
    }

    pub fn command(&mut self, to: TwinId, name: &str, payload: Value, ttl: Duration) {
        self.outbound.push(Outbound { to, name: name.into(), payload, ttl });
    }

    /// Replaces the behaviour's own state.
    pub fn save(&mut self, state: Value) {
        self.events.push(EventBody::BehaviourState { state });
    }
}

/// A kind of twin. Turns must be quick and must not block.
pub trait Kind: Send + Sync {
    fn turn(&self, trigger: &Trigger<'_>, cx: &mut Context<'_>) -> Result<(), String>;
}

/// The kinds by model.
#[derive(Clone)]
pub struct Kinds {
    by_model: HashMap<ModelId, Arc<dyn Kind>>,
    fallback: Arc<dyn Kind>,
}

impl Kinds {
    /// The built-in kinds; a model nobody bound behaves like `Device`.
    pub fn built_in() -> Self {
        builtin::kinds()
    }

    pub fn bind(&mut self, model: ModelId, kind: Arc<dyn Kind>) {
        self.by_model.insert(model, kind);
    }

    pub fn of(&self, model: &ModelId) -> &Arc<dyn Kind> {
        self.by_model.get(model).unwrap_or(&self.fallback)
    }
}

/// Runs one turn; a panic in it becomes an error.
pub fn run_turn(
    kind: &dyn Kind,
    trigger: &Trigger<'_>,
    twin: &TwinState,
    now: Timestamp,
) -> Result<(Vec<EventBody>, Vec<Outbound>), String> {
    let mut cx = Context::new(twin, now);
    // Unwind safety: the context is dropped when the turn panics, and the twin is only lent for reading.
    match std::panic::catch_unwind(AssertUnwindSafe(|| kind.turn(trigger, &mut cx))) {
        Ok(Ok(())) => check_effects(&cx).map(|()| (cx.events, cx.outbound)),
        Ok(Err(error)) => Err(error),
        Err(panic) => Err(panic_text(&*panic)),
    }
}

/// A turn that asks for too much fails as a whole.
fn check_effects(cx: &Context<'_>) -> Result<(), String> {
    if cx.events.len() + cx.outbound.len() > EFFECTS_PER_TURN_MAX {
        return Err(format!("EFFECTS_PER_TURN_MAX is reached: {} effects", cx.events.len() + cx.outbound.len()));
    }
    let values = cx.events.iter().filter_map(|event| match event {
        EventBody::BehaviourState { state: value } | EventBody::Emitted { payload: value, .. } => Some(value),
        _ => None,
    });
    for value in values.chain(cx.outbound.iter().map(|o| &o.payload)) {
        if value.depth() > DEPTH_MAX {
            return Err(format!("DEPTH_MAX is reached: a value nested deeper than {DEPTH_MAX} levels"));
        }
        if value.heap_bytes() > BEHAVIOUR_BYTES_MAX {
            return Err(format!("BEHAVIOUR_BYTES_MAX is reached: a value of {} bytes", value.heap_bytes()));
        }
    }
    Ok(())
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", text.unwrap_or("no message"))
}
