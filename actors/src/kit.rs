//! Behaviours under test: the twin's own core (the same `decide` and `apply` as in the server) with a hand-moved clock, and without
//! network, store or thread.
//!
//! [`TwinTestKit`] is one twin with one behaviour, [`TreeTestKit`] a site: its twins send each other commands, and its roll-ups are
//! folded. Both panic, with the line of the test, when a behaviour fails where the test did not ask whether it would.

mod assertions;
mod effect;
mod feed;
mod handled;
mod replay;
mod seat;
#[cfg(test)]
mod tests;
mod tree;
mod twin;

pub use effect::Effect;
pub use handled::Handled;
pub use tree::TreeTestKit;
pub use twin::TwinTestKit;

use hierarchy_models::Timestamp;

/// When a kit's clock starts: 2026-01-01T00:00:00Z.
const START_MS: i64 = 1_767_225_600_000;
/// Wakes in one advance of the clock; one more is a timer that never comes to rest.
const WAKES_MAX: usize = 100_000;

fn start() -> Timestamp {
    Timestamp::from_millis_clamped(START_MS)
}
