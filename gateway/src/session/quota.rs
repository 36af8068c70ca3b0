//! How fast one connection may send: beyond it nothing is read of it for a while, and its socket pushes back.
//!
//! Nothing is refused, so nothing is lost. What was read is counted once for all that a wake-up read.

use std::{
    future::Future,
    task::{Context, Poll},
    time::Duration,
};

use actors::rate::{Bucket, Rate};
use tokio::time::{Instant, sleep};

use super::run::Run;

/// Its keep-alive must not run out on the other side because of a single packet that is larger than what a second allows.
const PAUSE_MAX: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Quota {
    messages: Bucket,
    bytes: Bucket,
}

impl Run {
    /// Whether nothing is to be read now.
    pub(super) fn poll_pause(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(timers) = &mut self.timers else { return false };
        let Some(pause) = &mut timers.pause else { return false };
        if pause.as_mut().poll(cx) == Poll::Pending {
            return true;
        }
        timers.pause = None;
        // It was not silent: nobody listened.
        self.last_read = Instant::now();
        false
    }

    /// Counts what was read just now.
    pub(super) fn charge(&mut self, packets: usize, bytes: usize) {
        let house = &self.session.house;
        let now = self.last_read.duration_since(house.opened_at);
        let of = |bucket: &mut Bucket, per_second: u64, units: usize| match per_second {
            0 => Duration::ZERO,
            per_second => bucket.charge(Rate::per_second(per_second), units as u64, now),
        };
        let messages = of(&mut self.quota.messages, house.settings.device_messages_per_second, packets);
        let bytes = of(&mut self.quota.bytes, house.settings.device_bytes_per_second, bytes);
        let wait = messages.max(bytes);
        if wait.is_zero() {
            return;
        }
        house.meters.slowed(if messages >= bytes { "messages" } else { "bytes" });
        self.timers().pause = Some(Box::pin(sleep(wait.min(PAUSE_MAX))));
    }
}
