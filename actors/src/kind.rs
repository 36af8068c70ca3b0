//! The seam for behaviours: a kind of twin decides, in pure turns, what follows from what happened.
//!
//! A turn sees the twin as it was before the event and a description of what happens; it returns effects. State and
//! effects commit together, in the same turn of the journal as the event that caused them, or not at all; a command to
//! another twin is one of these effects, and is sent, until it is taken there, once it is durable ([`crate::twin::outbox`]).
//! The built-in kinds ([`builtin`]) use the same seam that solution developers get through [`crate::behaviour`].

pub mod builtin;
mod check;
mod context;
mod inherited;

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc};

use hierarchy_models::{
    Command, CommandResult, CommandState, EventBody, ModelId, Record, Timestamp, Value, event::DisconnectReason, value::Map,
};

pub use context::Context;

use crate::twin::{Surroundings, Timer, TwinState};

/// What happened.
#[derive(Debug)]
pub enum Trigger<'a> {
    Telemetry {
        stream: Option<&'a str>,
        records: &'a [Record],
    },
    Reported {
        patch: &'a Map,
    },
    Event {
        name: &'a str,
        payload: &'a Value,
    },
    Diagnostics {
        payload: &'a Value,
    },
    Connected,
    Disconnected {
        reason: DisconnectReason,
    },
    /// Somebody sends the twin a command. The turn may answer it ([`Context::answer`]); else it waits for the device.
    Command {
        command: &'a Command,
    },
    CommandEnded {
        command: &'a Command,
        state: CommandState,
        result: Option<&'a CommandResult>,
    },
    Timer {
        timer: &'a Timer,
    },
    /// What is below comes to something else than when the kind was told last; see [`Context::below`].
    Children,
}

/// A kind of twin. Turns must be quick and must not block.
pub trait Kind: Send + Sync {
    fn turn(&self, trigger: &Trigger<'_>, cx: &mut Context<'_>) -> Result<(), String>;

    /// The model it was bound to, for whoever reads of its failures; the twin's own when it does not say.
    fn bound_to(&self) -> Option<&'static str> {
        None
    }

    /// Whether it came with the program: such a kind is trusted to be quick, and is not told of its children.
    fn is_built_in(&self) -> bool {
        false
    }
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

    /// The last word on a model counts.
    pub fn bind(&mut self, model: ModelId, kind: Arc<dyn Kind>) {
        self.by_model.insert(model, kind);
    }

    pub fn of(&self, model: &ModelId) -> &Arc<dyn Kind> {
        self.by_model.get(model).unwrap_or(&self.fallback)
    }
}

/// What a turn came to.
#[derive(Debug, Default, PartialEq)]
pub struct Turn {
    pub events: Vec<EventBody>,
    /// The answer to the command the turn was about.
    pub answer: Option<CommandResult>,
}

/// Runs one turn; a panic in it becomes an error, and so does what it asks for beyond a limit.
pub fn run_turn(kind: &dyn Kind, trigger: &Trigger<'_>, here: Surroundings<'_>, twin: &TwinState, now: Timestamp) -> Result<Turn, String> {
    let mut cx = Context::new(here, twin, now);
    // Unwind safety: the context is dropped when the turn panics, and the twin is only lent for reading.
    match std::panic::catch_unwind(AssertUnwindSafe(|| kind.turn(trigger, &mut cx))) {
        Ok(Ok(())) => {
            let turn = cx.into_turn();
            check::check(&turn, twin).map(|()| turn)
        }
        Ok(Err(error)) => Err(error),
        Err(panic) => Err(panic_text(&*panic)),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", text.unwrap_or("no message"))
}
