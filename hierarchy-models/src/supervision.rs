//! How often a twin may fall before it is put aside, as in OTP: so many restarts within so long.

use std::{collections::VecDeque, time::Duration};

use crate::time::Timestamp;

/// The parent's patience with one child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Restarts allowed within `window`; one more quarantines.
    pub restarts_max: u32,
    pub window: Duration,
    /// Pause before the first restart; doubled for each that follows within the window.
    pub backoff: Duration,
    pub backoff_max: Duration,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self { restarts_max: 5, window: Duration::from_secs(60), backoff: Duration::from_millis(10), backoff_max: Duration::from_secs(5) }
    }
}

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    RestartAfter(Duration),
    Quarantine { restarts: u32 },
}

/// The recent restarts of one twin, kept by its parent.
#[derive(Debug, Clone, Default)]
pub struct RestartWindow {
    at: VecDeque<Timestamp>,
}

impl RestartWindow {
    pub fn failed(&mut self, policy: &RestartPolicy, now: Timestamp) -> Verdict {
        while self.at.front().is_some_and(|first| now.since(*first) > policy.window) {
            self.at.pop_front();
        }
        let restarts = u32::try_from(self.at.len()).unwrap_or(u32::MAX);
        if restarts >= policy.restarts_max {
            self.at.clear();
            return Verdict::Quarantine { restarts };
        }
        self.at.push_back(now);
        let pause = policy.backoff.saturating_mul(1u32 << restarts.min(16));
        Verdict::RestartAfter(pause.min(policy.backoff_max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_restart_too_many_within_the_window_quarantines() {
        let policy = RestartPolicy::default();
        let mut window = RestartWindow::default();
        let start = Timestamp::EPOCH;
        for n in 0..policy.restarts_max {
            let pause = window.failed(&policy, start);
            assert_eq!(pause, Verdict::RestartAfter(policy.backoff * (1 << n)));
        }
        assert_eq!(window.failed(&policy, start), Verdict::Quarantine { restarts: policy.restarts_max });
    }

    #[test]
    fn old_restarts_are_forgiven() {
        let policy = RestartPolicy::default();
        let mut window = RestartWindow::default();
        for n in 0..100u64 {
            let now = Timestamp::EPOCH.plus(Duration::from_secs(n * 13));
            assert!(matches!(window.failed(&policy, now), Verdict::RestartAfter(_)), "restart {n}");
        }
    }
}
