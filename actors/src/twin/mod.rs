//! The pure core of a twin: what it knows ([`state`], [`slots`]), what it decides ([`decide`]), how an event changes it ([`apply`]).
//!
//! `decide` reads the state and never changes it; `apply` changes it and never decides. No IO, no clock, no threads:
//! the actor shell around it ([`crate::actor`]) does all of that.

pub mod apply;
pub mod command_check;
pub mod decide;
pub mod device_input;
pub mod inbox;
pub mod input;
pub mod live_events;
pub mod outbox;
pub mod refusal;
pub mod slots;
pub mod snapshot;
pub mod state;
pub mod surroundings;
pub mod timers;
pub mod view;

pub use decide::{Decided, Rejection, decide};
pub use inbox::Inbox;
pub use input::{Failure, TwinPatch};
pub use outbox::OutboxEntry;
pub use refusal::Refusal;
pub use state::TwinState;
pub use surroundings::Surroundings;
pub use timers::Timer;
