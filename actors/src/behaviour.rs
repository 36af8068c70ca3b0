//! Behaviours: what a kind of twin makes of what happens to it, in plain Rust.
//!
//! A behaviour is a type. Its value is the twin's own state: it is lent to one call at a time, stored with the twin when a call
//! has changed it, and is there again after any restart. A call gets what happened and a [`Context`]: what else the twin knows,
//! and what should follow. State and effects become durable together with the event that caused them, or not at all, and nothing
//! is carried out before that. So a call that fails, by an `Err` or by a panic, has done nothing.
//!
//! What every device does stays, whatever is bound to its model: a connection that ends without a goodbye raises the alert
//! `connection-lost`, the event `alarm` raises one by its name, `alarm-cleared` clears it.

mod access;
mod alert;
mod bound;
mod context;
mod encoding;
mod error;
mod inputs;

use serde::{Serialize, de::DeserializeOwned};

pub use access::Known;
pub use alert::Alert;
pub use context::{Context, Sending};
pub use error::{Error, Result};
pub use inputs::{Children, Command, CommandEnded, Connection, Event, Reply, Reported, Telemetry, Timer};
pub use serde_json::{Value, json};

pub(crate) use bound::{Bound, load};
pub(crate) use encoding::{from_json, to_json};

/// What a kind of twin makes of what happens to it. All calls are optional; each gets the state as the last one left it.
///
/// Calls must be quick (`twins.turn_budget`, 50 ms unless set otherwise) and must not block: they share a thread with other twins.
/// An `Err` or a panic costs the one message; the twin is read back from what is durable, and one that fails again and again is
/// quarantined: it goes on recording, and its behaviour does not run until a person releases it. Bounds of one call: 64 effects
/// (`EFFECTS_PER_TURN_MAX`), a state or payload of 64 KiB (`BEHAVIOUR_BYTES_MAX`), nested 32 levels deep (`DEPTH_MAX`); beyond
/// them it fails as a whole.
#[allow(unused_variables)]
pub trait Behaviour: Clone + Default + Serialize + DeserializeOwned + Send + 'static {
    /// The model whose twins behave so: a DTMI, or the short name of a built-in one such as `Room`.
    const MODEL: &'static str;

    /// Of the form of the state; at least 1. Raise it when an older state cannot be read any more, and write [`Self::migrate`].
    const VERSION: u32 = 1;

    /// The state of an earlier version in today's form.
    fn migrate(from: u32, old: Value) -> Result<Self> {
        Err(Error::new(format!("the state is of version {from}, and nothing says how to bring it to version {}", Self::VERSION)))
    }

    /// A record of telemetry: one call for each, in the order of the message, all in one turn.
    fn on_telemetry(&mut self, t: &Telemetry<'_>, cx: &mut Context<'_, '_>) -> Result<()> {
        Ok(())
    }

    /// The device has reported properties.
    fn on_reported(&mut self, r: &Reported<'_>, cx: &mut Context<'_, '_>) -> Result<()> {
        Ok(())
    }

    /// Somebody sends the twin a command. Answered, it ends here; passed on, it waits for the device until its time to live is
    /// over. An `Err` refuses it: it was never taken.
    fn on_command(&mut self, c: &Command<'_>, cx: &mut Context<'_, '_>) -> Result<Reply> {
        Ok(Reply::PassOn)
    }

    /// The device has answered a command.
    fn on_command_ended(&mut self, c: &CommandEnded<'_>, cx: &mut Context<'_, '_>) -> Result<()> {
        Ok(())
    }

    /// A special event of the device, such as an alarm.
    fn on_event(&mut self, e: &Event<'_>, cx: &mut Context<'_, '_>) -> Result<()> {
        Ok(())
    }

    /// A timer that [`Context::after`] or [`Context::every`] has set is due, or was due while the server was down.
    fn on_timer(&mut self, t: &Timer<'_>, cx: &mut Context<'_, '_>) -> Result<()> {
        Ok(())
    }

    /// What is below comes to something else: at most once a roll-up tick, and once after a start.
    fn on_children(&mut self, below: &Children<'_>, cx: &mut Context<'_, '_>) -> Result<()> {
        Ok(())
    }

    /// The device came or went.
    fn on_connection(&mut self, c: &Connection, cx: &mut Context<'_, '_>) -> Result<()> {
        Ok(())
    }
}

impl crate::kind::Kinds {
    /// Binds a behaviour to its model.
    pub fn bind_behaviour<B: Behaviour>(&mut self) -> Result<()> {
        if B::VERSION == 0 {
            return Err(Error::new(format!("the behaviour of {} is of version 0; the first is 1", B::MODEL)));
        }
        self.bind(hierarchy_models::model::resolve(B::MODEL)?, std::sync::Arc::new(Bound::<B>::new()));
        Ok(())
    }
}
