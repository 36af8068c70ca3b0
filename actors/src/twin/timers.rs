//! A twin's timers: when they are due, what a repeating one makes of the time that went by.

use std::time::Duration;

use hierarchy_models::{Name, Timestamp};

/// A timer that is set. A twin has one of each name.
#[derive(Debug, Clone, PartialEq)]
pub struct Timer {
    pub name: Name,
    pub due: Timestamp,
    /// Repeats after this long.
    pub every: Option<Duration>,
}

impl Timer {
    /// Whole periods that have gone by since it was due, without a call.
    pub fn missed(&self, now: Timestamp) -> u64 {
        let periods = |every: Duration| now.since(self.due).as_millis() / every.as_millis().max(1);
        self.every.map_or(0, |every| u64::try_from(periods(every)).unwrap_or(u64::MAX))
    }

    /// The timer after it has fired at `now`: due at the first of its times that is still to come; `None` when it was for once.
    pub fn after_firing(self, now: Timestamp) -> Option<Self> {
        let every = self.every?;
        let past = u32::try_from(self.missed(now).saturating_add(1)).unwrap_or(u32::MAX);
        Some(Self { due: self.due.plus(every.saturating_mul(past)), ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000).unwrap()
    }

    #[test]
    fn a_timer_that_repeats_keeps_its_beat_and_counts_what_it_missed() {
        let timer = Timer { name: "look".into(), due: at(60), every: Some(Duration::from_secs(60)) };
        for (now, missed, due) in [(60, 0, 120), (61, 0, 120), (119, 0, 120), (120, 1, 180), (3_605, 59, 3_660)] {
            assert_eq!(timer.missed(at(now)), missed, "at {now} s");
            assert_eq!(timer.clone().after_firing(at(now)).unwrap().due, at(due), "at {now} s");
        }
        let once = Timer { every: None, ..timer };
        assert_eq!((once.missed(at(9_999)), once.after_firing(at(9_999))), (0, None));
    }
}
