//! Time for loads: schedules that do not bend when the server is slow, and a timer fine enough to keep them.
//!
//! The runtime's own timer counts in milliseconds, which would then be the latency that is measured; spinning would take one
//! of the server's cores. A timer of the kernel (`timerfd`) wakes within some tens of microseconds and costs nothing between.

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime};
use tokio::io::unix::AsyncFd;

use crate::Result;

/// Messages that fall due within this time are sent in one wake-up.
const GRAIN: Duration = Duration::from_micros(50);

pub struct Timer(AsyncFd<OwnedFd>);

impl Timer {
    // Deprecated because one could close the descriptor behind its back; this one is owned and never handed out.
    #[allow(deprecated)]
    pub fn new() -> Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        Ok(Self(AsyncFd::new(timerfd_create(TimerfdClockId::Monotonic, flags)?)?))
    }

    /// Sleeps until then, though never shorter than the grain: others on this thread must have their turn.
    pub async fn until(&mut self, then: Instant) -> Result<()> {
        let left = then.saturating_duration_since(Instant::now()).max(GRAIN);
        let once = Timespec { tv_sec: left.as_secs().try_into()?, tv_nsec: left.subsec_nanos().into() };
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &Itimerspec { it_interval: never, it_value: once })?;
        let mut ready = self.0.readable().await?;
        let mut count = [0; 8];
        // Read so that it is not ready for ever; that it may not be ready yet after all does no harm.
        let _ = rustix::io::read(self.0.get_ref(), &mut count);
        ready.clear_ready();
        Ok(())
    }
}

/// When messages should leave: a Poisson process, as many devices that know nothing of each other make it.
pub struct Schedule {
    next: Instant,
    end: Instant,
    mean: f64,
    random: Random,
}

impl Schedule {
    /// Two with different seeds know nothing of each other.
    pub fn new(rate: f64, begin: Instant, length: Duration, seed: u64) -> Self {
        Self { next: begin, end: begin + length, mean: 1.0 / rate, random: Random::new(seed) }
    }

    /// The intended time of the next message, if it has come.
    pub fn due(&mut self, now: Instant) -> Option<Instant> {
        let due = self.next;
        if due > now || self.is_over() {
            return None;
        }
        self.next += Duration::from_secs_f64(-(1.0 - self.random.unit()).ln() * self.mean);
        Some(due)
    }

    pub fn next(&self) -> Instant {
        self.next
    }

    pub fn is_over(&self) -> bool {
        self.next >= self.end
    }
}

/// Marsaglia's xorshift: the same sequence in every run, so that peers are asked for the same.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// In [0, 1).
    pub fn unit(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn below(&mut self, n: u64) -> u64 {
        (self.unit() * n as f64) as u64
    }

    /// A rank below `n` with Zipf's law, exponent 1: the inverse of its continuous form, near enough and without a table.
    pub fn zipf(&mut self, n: u64) -> u64 {
        ((((n + 1) as f64).powf(self.unit())) as u64 - 1).min(n - 1)
    }
}

/// One microsecond to two minutes, three digits.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 120_000_000, 3).unwrap_or_else(|e| unreachable!("fixed bounds: {e}"))
}

pub fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_holds_its_rate_however_late_it_is_asked() {
        let begin = Instant::now();
        let mut schedule = Schedule::new(10_000.0, begin, Duration::from_secs(10), 0);
        let late = begin + Duration::from_secs(60);
        let (mut count, mut last) = (0, begin);
        while let Some(due) = schedule.due(late) {
            assert!(due >= last && due < begin + Duration::from_secs(10));
            (count, last) = (count + 1, due);
        }
        assert!((98_000..102_000).contains(&count), "{count}");
    }

    #[test]
    fn zipf_halves_with_the_rank() {
        let mut random = Random::new(1);
        let mut counts = [0u32; 1_000];
        (0..200_000).for_each(|_| counts[random.zipf(1_000) as usize] += 1);
        let ratio = f64::from(counts[0]) / f64::from(counts[1]);
        assert!((1.5..2.0).contains(&ratio), "{ratio}");
        assert!(counts.iter().rev().take(100).sum::<u32>() > 0, "the last are spoken for too");
    }
}
