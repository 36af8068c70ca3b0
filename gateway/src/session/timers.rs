//! Times that hardly any connection waits for: apart, so that an idle one carries one word for all of them.

use std::{pin::Pin, time::Duration};

use hierarchy_models::Timestamp;
use tokio::time::Sleep;

use super::run::Run;

pub(super) type Timer = Option<Pin<Box<Sleep>>>;

#[derive(Default)]
pub(super) struct Timers {
    /// The client does not read; when this elapses it is given up.
    pub(super) stalled: Timer,
    /// Nothing is read of it until this elapses.
    pub(super) pause: Timer,
    /// How long that is.
    pub(super) paused_for: Duration,
    /// When to look whether the session's time is over, and the time that this was set for.
    pub(super) end: Option<(Timestamp, Pin<Box<Sleep>>)>,
}

impl Run {
    pub(super) fn timers(&mut self) -> &mut Timers {
        self.timers.get_or_insert_default()
    }
}
