//! How often something may happen: a bucket that fills with what is done and drains as time passes.
//!
//! Pure: time is handed in, as a distance from any fixed moment. `governor` was the alternative: its keyed limiter never
//! shrinks by itself, and its clock is its own. A bucket here is 8 bytes and a few additions, so that every connection can have two.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    time::Duration,
};

use parking_lot::Mutex;

/// So many a second, and so many at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    per_second: f32,
    burst: f32,
}

impl Rate {
    /// What a second allows may come at once.
    pub fn per_second(units: u64) -> Self {
        Self { per_second: units.max(1) as f32, burst: units.max(1) as f32 }
    }

    /// What a minute allows may come at once.
    pub fn per_minute(units: u32) -> Self {
        let units = units.max(1) as f32;
        Self { per_second: units / 60.0, burst: units }
    }

    pub fn with_burst(self, burst: u64) -> Self {
        Self { burst: burst.max(1) as f32, ..self }
    }

    /// To the millisecond.
    fn time_for(self, units: f32) -> Duration {
        Duration::from_millis((units.max(0.0) / self.per_second * 1_000.0).round() as u64)
    }
}

/// What is lost where a level is a small number of units.
const ROUNDING: f32 = 0.001;

/// How much of a [`Rate`] is used up; empty at first.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bucket {
    level: f32,
    /// In milliseconds, of which the lower half is enough: what lies in the other half of a round of 49 days is the past.
    drained_at: u32,
}

impl Bucket {
    fn drain(&mut self, rate: Rate, now: Duration) {
        let now = now.as_millis() as u32;
        let passed = now.wrapping_sub(self.drained_at);
        if i32::try_from(passed).is_ok() {
            self.level = (self.level - passed as f32 / 1_000.0 * rate.per_second).max(0.0);
        }
        self.drained_at = now;
    }

    /// Takes one unit, or says when there is room for it.
    pub fn take(&mut self, rate: Rate, now: Duration) -> Result<(), Duration> {
        self.drain(rate, now);
        if self.level + 1.0 <= rate.burst + ROUNDING {
            self.level += 1.0;
            return Ok(());
        }
        Err(rate.time_for(self.level + 1.0 - rate.burst))
    }

    /// Lets go of what lies further in the future than this: what many did at once is not paid for by all of them for ever.
    pub fn forgive(&mut self, rate: Rate, beyond: Duration) {
        self.level = self.level.min(rate.burst + rate.per_second * beyond.as_secs_f32());
    }

    /// Takes what has happened already; how long nothing more should.
    pub fn charge(&mut self, rate: Rate, units: u64, now: Duration) -> Duration {
        self.drain(rate, now);
        self.level += units as f32;
        rate.time_for(self.level - rate.burst)
    }
}

/// A bucket for each of many, of whom those who are at rest are forgotten.
pub struct Rates {
    rate: Rate,
    keys_max: usize,
    hasher: RandomState,
    buckets: Mutex<HashMap<u64, Bucket>>,
}

impl Rates {
    pub fn new(rate: Rate, keys_max: usize) -> Self {
        Self { rate, keys_max: keys_max.max(1), hasher: RandomState::new(), buckets: Mutex::default() }
    }

    pub fn take(&self, key: impl Hash, now: Duration) -> Result<(), Duration> {
        let key = self.hasher.hash_one(key);
        let mut buckets = self.buckets.lock();
        if buckets.len() >= self.keys_max && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| {
                bucket.drain(self.rate, now);
                bucket.level > 0.0
            });
            // More at work at once than it has room for: it begins anew rather than grow.
            if buckets.len() >= self.keys_max {
                buckets.clear();
            }
        }
        buckets.entry(key).or_default().take(self.rate, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_small_and_outlives_a_round_of_its_clock() {
        assert_eq!(size_of::<Bucket>(), 8);
        let (rate, mut bucket) = (Rate::per_second(1), Bucket::default());
        let end = u64::from(u32::MAX);
        assert_eq!(bucket.charge(rate, 3, ms(end - 500)), ms(2_000));
        assert_eq!(bucket.charge(rate, 0, ms(end + 501)), ms(999));
    }

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let rate = Rate::per_second(10).with_burst(3);
        let mut bucket = Bucket::default();
        for _ in 0..3 {
            assert_eq!(bucket.take(rate, ms(1_000)), Ok(()));
        }
        assert_eq!(bucket.take(rate, ms(1_000)), Err(ms(100)));
        assert!(bucket.take(rate, ms(1_099)).is_err());
        assert_eq!(bucket.take(rate, ms(1_100)), Ok(()));
        assert!(bucket.take(rate, ms(500)).is_err(), "a clock that goes back gives nothing");
    }

    #[test]
    fn what_has_happened_is_paid_for_by_waiting() {
        let rate = Rate::per_second(1_000);
        let mut bucket = Bucket::default();
        assert_eq!(bucket.charge(rate, 1_000, ms(0)), ms(0));
        assert_eq!(bucket.charge(rate, 500, ms(0)), ms(500));
        assert_eq!(bucket.charge(rate, 0, ms(500)), ms(0));
        assert_eq!(bucket.charge(rate, 10_000, ms(600_000)), ms(9_000), "larger than a burst is slow and not for ever");
    }

    #[test]
    fn a_debt_is_forgiven_beyond_a_bound() {
        let (rate, mut bucket) = (Rate::per_second(1_000), Bucket::default());
        assert_eq!(bucket.charge(rate, 1_000_000, ms(0)), ms(999_000));
        bucket.forgive(rate, ms(10_000));
        assert_eq!(
            (bucket.charge(rate, 0, ms(0)), bucket.charge(rate, 0, ms(4_000)), bucket.charge(rate, 0, ms(60_000))),
            (ms(10_000), ms(6_000), ms(0))
        );
    }

    #[test]
    fn each_key_has_its_own_and_those_at_rest_are_forgotten() {
        let rates = Rates::new(Rate::per_minute(1), 2);
        assert!(rates.take("a", ms(0)).is_ok() && rates.take("b", ms(0)).is_ok());
        assert!(rates.take("a", ms(30_000)).is_err());
        assert!(rates.take("c", ms(60_000)).is_ok());
        assert_eq!(rates.buckets.lock().len(), 1, "a and b were at rest");
        assert!(rates.take("c", ms(60_001)).is_err());
    }
}
