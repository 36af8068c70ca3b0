//! How much one principal may ask for in a second, and all of them together: so that one script that runs wild is one script's trouble.
//!
//! By `governor` (GCRA): a quota is a rate, and a second's worth of it may come at once. A call beyond it is refused with the time to wait;
//! a job waits that long.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed, keyed::HashMapStateStore},
};

/// Checks between two looks whether principals can be forgotten that have asked for nothing lately.
const SWEEP_EVERY: u64 = 4_096;
/// Principals that are remembered without a look.
const REMEMBERED_MIN: usize = 1_024;

/// A second's worth; `None` is no quota.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rates {
    pub per_principal: Option<NonZeroU32>,
    pub whole: Option<NonZeroU32>,
}

/// `quotas.*`.
#[derive(Debug, Clone, Copy)]
pub struct QuotaSettings {
    /// `quotas.requests_per_principal`, `quotas.requests`.
    pub requests: Rates,
    /// `quotas.commands_per_principal`, `quotas.commands`.
    pub commands: Rates,
    /// `quotas.registrations_per_principal`, `quotas.registrations`.
    pub registrations: Rates,
}

impl Default for QuotaSettings {
    fn default() -> Self {
        let rates = |per_principal, whole| Rates { per_principal: NonZeroU32::new(per_principal), whole: NonZeroU32::new(whole) };
        Self { requests: rates(50_000, 200_000), commands: rates(5_000, 20_000), registrations: rates(5_000, 20_000) }
    }
}

/// One more was asked for than a quota allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// The setting's name.
    pub quota: &'static str,
    /// Until there is room again.
    pub wait: Duration,
}

type Keyed<C> = RateLimiter<String, HashMapStateStore<String>, C, NoOpMiddleware<<C as Clock>::Instant>>;
type Direct<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// The limiters of one sort.
struct Limits<C: Clock> {
    names: [&'static str; 2],
    clock: C,
    each: Option<Keyed<C>>,
    whole: Option<Direct<C>>,
    checks: AtomicU64,
}

impl<C: Clock + Clone> Limits<C> {
    fn new(names: [&'static str; 2], rates: Rates, clock: &C) -> Self {
        let each = rates.per_principal.map(|rate| RateLimiter::new(Quota::per_second(rate), HashMapStateStore::default(), clock.clone()));
        let whole = rates.whole.map(|rate| RateLimiter::direct_with_clock(Quota::per_second(rate), clock.clone()));
        Self { names, clock: clock.clone(), each, whole, checks: AtomicU64::new(0) }
    }

    fn check(&self, principal: &String) -> Result<(), Exceeded> {
        let exceeded = |quota, wait| {
            metrics::counter!("twinfold_quota_refused_total", "quota" => quota).increment(1);
            Exceeded { quota, wait }
        };
        if let Some(each) = &self.each {
            if self.checks.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 && each.len() > REMEMBERED_MIN {
                each.retain_recent();
            }
            each.check_key(principal).map_err(|until| exceeded(self.names[0], until.wait_time_from(self.clock.now())))?;
        }
        match &self.whole {
            Some(whole) => whole.check().map_err(|until| exceeded(self.names[1], until.wait_time_from(self.clock.now()))),
            None => Ok(()),
        }
    }
}

/// One for all workers.
pub struct Quotas<C: Clock = DefaultClock> {
    requests: Limits<C>,
    commands: Limits<C>,
    registrations: Limits<C>,
}

impl Quotas {
    pub fn new(settings: &QuotaSettings) -> Self {
        Self::with_clock(settings, &DefaultClock::default())
    }
}

impl<C: Clock + Clone> Quotas<C> {
    fn with_clock(settings: &QuotaSettings, clock: &C) -> Self {
        let limits = |names, rates| Limits::new(names, rates, clock);
        Self {
            requests: limits(["quotas.requests_per_principal", "quotas.requests"], settings.requests),
            commands: limits(["quotas.commands_per_principal", "quotas.commands"], settings.commands),
            registrations: limits(["quotas.registrations_per_principal", "quotas.registrations"], settings.registrations),
        }
    }

    pub fn request(&self, principal: &String) -> Result<(), Exceeded> {
        self.requests.check(principal)
    }

    pub fn command(&self, principal: &String) -> Result<(), Exceeded> {
        self.commands.check(principal)
    }

    pub fn registration(&self, principal: &String) -> Result<(), Exceeded> {
        self.registrations.check(principal)
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    type Fake = Quotas<FakeRelativeClock>;
    type Check = fn(&Fake, &String) -> Result<(), Exceeded>;

    fn quotas(requests: (u32, u32), commands: (u32, u32), registrations: (u32, u32)) -> (Fake, FakeRelativeClock) {
        let rates = |(each, whole)| Rates { per_principal: NonZeroU32::new(each), whole: NonZeroU32::new(whole) };
        let settings = QuotaSettings { requests: rates(requests), commands: rates(commands), registrations: rates(registrations) };
        let clock = FakeRelativeClock::default();
        (Quotas::with_clock(&settings, &clock), clock)
    }

    /// How many of these are let in.
    fn taken(quotas: &Fake, who: &str, check: Check, times: usize) -> usize {
        (0..times).filter(|_| check(quotas, &who.to_owned()).is_ok()).count()
    }

    #[test]
    fn one_that_runs_wild_is_stopped_and_others_are_not() {
        let (quotas, clock) = quotas((10, 0), (0, 0), (0, 0));
        assert_eq!((taken(&quotas, "a", Quotas::request, 50), taken(&quotas, "b", Quotas::request, 5)), (10, 5));
        let wait = Duration::from_millis(100);
        assert_eq!(quotas.request(&"a".into()), Err(Exceeded { quota: "quotas.requests_per_principal", wait }));
        clock.advance(Duration::from_millis(500));
        assert_eq!(taken(&quotas, "a", Quotas::request, 50), 5);
    }

    #[test]
    fn all_together_have_a_bound_too() {
        let (quotas, _) = quotas((10, 15), (0, 0), (0, 0));
        assert_eq!((taken(&quotas, "a", Quotas::request, 50), taken(&quotas, "b", Quotas::request, 50)), (10, 5));
    }

    #[test]
    fn commands_and_registrations_have_quotas_of_their_own() {
        let (quotas, _) = quotas((0, 0), (3, 0), (0, 4));
        assert_eq!(
            (
                taken(&quotas, "a", Quotas::command, 9),
                taken(&quotas, "a", Quotas::registration, 9),
                taken(&quotas, "a", Quotas::request, 9)
            ),
            (3, 4, 9)
        );
    }

    #[test]
    fn who_asks_for_nothing_any_more_is_forgotten() {
        let (quotas, clock) = quotas((10, 0), (0, 0), (0, 0));
        for n in 0..3_000 {
            assert_eq!(taken(&quotas, &n.to_string(), Quotas::request, 1), 1);
        }
        clock.advance(Duration::from_secs(10));
        for _ in 0..2_000 {
            taken(&quotas, "a", Quotas::request, 1);
        }
        assert!(quotas.requests.each.as_ref().unwrap().len() < 10);
    }
}
