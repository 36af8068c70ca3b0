//! How long a turn takes its thread, and when that is a fault of the behaviour and not of a busy machine.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// A turn that worked for less than its budget but stood for this many budgets waits for something, which it must not.
const STANDING_BUDGETS_MAX: u32 = 20;

/// Measures one turn. The thread's own time is asked for only where a behaviour could overrun, as it costs a system call.
pub struct Stopwatch {
    started: Instant,
    worked_before: Option<Duration>,
}

impl Stopwatch {
    pub fn start(is_behaviour: bool) -> Self {
        Self { worked_before: is_behaviour.then(thread_time), started: Instant::now() }
    }

    /// How long it took, and for a behaviour whether it is to blame for it.
    pub fn stop(&self, budget: Duration) -> Lap {
        let took = self.started.elapsed();
        let Some(before) = self.worked_before.filter(|_| took > budget) else { return Lap { took, is_overrun: false } };
        let worked = thread_time().saturating_sub(before);
        Lap { took, is_overrun: is_overrun(took, worked, budget) }
    }
}

pub struct Lap {
    pub took: Duration,
    pub is_overrun: bool,
}

/// A thread that had to wait for a processor did not work meanwhile.
fn is_overrun(took: Duration, worked: Duration, budget: Duration) -> bool {
    worked > budget || took > budget.saturating_mul(STANDING_BUDGETS_MAX)
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_machine_is_not_the_behaviours_fault() {
        let ms = Duration::from_millis;
        assert!(!is_overrun(ms(300), ms(4), ms(50)), "the thread waited for a processor");
        assert!(is_overrun(ms(60), ms(55), ms(50)), "it worked for longer than it may");
        assert!(is_overrun(ms(1_001), ms(0), ms(50)), "it waited for something");
    }

    #[test]
    fn a_turn_within_its_budget_asks_the_kernel_nothing_more() {
        let lap = Stopwatch::start(true).stop(Duration::from_secs(3600));
        assert!(!lap.is_overrun);
        assert!(!Stopwatch::start(false).stop(Duration::ZERO).is_overrun, "what came with the program is trusted");
    }

    #[test]
    fn a_thread_that_works_is_seen_to_work() {
        let watch = Stopwatch::start(true);
        let budget = Duration::from_millis(2);
        let mut sum = 0u64;
        while thread_time() < watch.worked_before.unwrap() + 2 * budget {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(watch.stop(budget).is_overrun);
    }
}
