//! How fast one connection, and all of them together, may send: beyond it nothing is read for a while, and sockets push back.
//!
//! Nothing is refused, so nothing is lost. What was read is counted once for all that a wake-up read.

use std::{
    future::Future,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use actors::rate::{Bucket, Rate};
use tokio::time::sleep;

use super::run::Run;
use crate::Settings;

/// Its keep-alive must not run out on the other side because of a single packet that is larger than what a second allows.
const PAUSE_MAX: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(crate) struct Quota {
    messages: Bucket,
    bytes: Bucket,
}

/// Charges what was sent; how long nothing more should be read. A rate of 0 is no bound.
fn charge(bucket: &mut Bucket, per_second: u64, units: usize, now: Duration) -> Duration {
    if per_second == 0 { Duration::ZERO } else { bucket.charge(Rate::per_second(per_second), units as u64, now) }
}

/// What all connections send together.
#[derive(Default)]
pub(crate) struct Whole(Mutex<Quota>);

impl Whole {
    fn is_bounded(settings: &Settings) -> bool {
        settings.messages_per_second > 0 || settings.bytes_per_second > 0
    }

    /// Charges what one of them sent, or nothing, to ask; which bound is exceeded, and how long nothing should be read of anybody.
    fn charge(&self, settings: &Settings, (packets, bytes): (usize, usize), now: Duration) -> (&'static str, Duration) {
        let (per_second, bytes_per_second) = (settings.messages_per_second, settings.bytes_per_second);
        if !Self::is_bounded(settings) {
            return ("", Duration::ZERO);
        }
        let mut quota = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let messages = charge(&mut quota.messages, per_second, packets, now);
        let of_bytes = charge(&mut quota.bytes, bytes_per_second, bytes, now);
        quota.messages.forgive(Rate::per_second(per_second), PAUSE_MAX);
        quota.bytes.forgive(Rate::per_second(bytes_per_second), PAUSE_MAX);
        if messages >= of_bytes { ("all_messages", messages) } else { ("all_bytes", of_bytes) }
    }
}

impl Run {
    /// Whether nothing is to be read now.
    pub(super) fn poll_pause(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(timers) = &mut self.timers
            && let Some(pause) = &mut timers.pause
        {
            if pause.as_mut().poll(cx) == Poll::Pending {
                return true;
            }
            timers.pause = None;
            // It was not silent for so long: nobody listened.
            self.last_read += std::mem::take(&mut timers.paused_for);
        }
        // Others may have used up what all of them have.
        let house = &self.session.house;
        if !Whole::is_bounded(&house.settings) {
            return false;
        }
        let (what, wait) = house.whole.charge(&house.settings, (0, 0), house.opened_at.elapsed());
        if wait.is_zero() {
            return false;
        }
        self.slow_down(what, wait);
        self.timers().pause.as_mut().is_some_and(|pause| pause.as_mut().poll(cx) == Poll::Pending)
    }

    /// Counts what was read just now.
    pub(super) fn charge(&mut self, packets: usize, bytes: usize) {
        let house = &self.session.house;
        let now = self.last_read.duration_since(house.opened_at);
        let messages = charge(&mut self.quota.messages, house.settings.device_messages_per_second, packets, now);
        let of_bytes = charge(&mut self.quota.bytes, house.settings.device_bytes_per_second, bytes, now);
        let own = if messages >= of_bytes { ("messages", messages) } else { ("bytes", of_bytes) };
        let whole = house.whole.charge(&house.settings, (packets, bytes), now);
        let (what, wait) = if own.1 >= whole.1 { own } else { whole };
        if !wait.is_zero() {
            self.slow_down(what, wait);
        }
    }

    fn slow_down(&mut self, what: &'static str, wait: Duration) {
        self.session.house.meters.slowed(what);
        let pause = wait.min(PAUSE_MAX);
        let timers = self.timers();
        timers.paused_for = pause;
        timers.pause = Some(Box::pin(sleep(pause)));
    }
}
