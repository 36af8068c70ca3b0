//! What the rules of one twin remember: windows of values, and since when conditions hold.

use std::sync::Arc;

use super::{program::Figure, program::Program, program::Term, window::Window};
use crate::{
    id::Name,
    time::Timestamp,
    value::{Map, Value},
};

/// Is shown named values.
pub type See<'s> = dyn for<'a> FnMut(&mut dyn Iterator<Item = (&'a str, &'a Value)>) + 's;

/// What an expression may look at.
pub trait Facts {
    /// A last known value and when it was measured.
    fn value(&self, name: &str) -> Option<(&Value, Timestamp)>;
    fn with_values(&self, see: &mut See<'_>);
    fn with_reported(&self, see: &mut See<'_>);
    fn metadata(&self) -> &Map;
    fn rollups(&self) -> Value;
    fn model(&self) -> &str;
    fn id(&self) -> &str;
    /// A value that never came is absent since then.
    fn since(&self) -> Timestamp;
    /// The values of a record, in the order of their arrival; older ones do not replace newer ones.
    fn take(&mut self, at: Timestamp, values: &[(Name, Value)]);
}

#[derive(Debug, Clone, PartialEq)]
struct Held {
    condition: Arc<str>,
    since: Option<Timestamp>,
}

/// Windows are known by value and length and conditions by their text, so that what two rules share is there once, and what a changed
/// rule still asks for is still there.
#[derive(Debug, Clone, PartialEq)]
pub struct Memory {
    now: Timestamp,
    /// The time of the newest record; `now` runs on with the clock between records.
    newest: Timestamp,
    windows: Vec<(Name, i64, Window)>,
    holds: Vec<Held>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { now: Timestamp::MIN, newest: Timestamp::MIN, windows: Vec::new(), holds: Vec::new() }
    }
}

impl Memory {
    /// The instant at which the rules look.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    pub fn newest(&self) -> Timestamp {
        self.newest
    }

    /// A record says what time it is, when it is the newest: where the clock ran ahead of it, as for a device that sends later what it
    /// kept, time goes back to it.
    pub fn anchor(&mut self, at: Timestamp) {
        if at >= self.newest {
            (self.now, self.newest) = (at, at);
        }
    }

    /// The clock runs on.
    pub fn advance(&mut self, to: Timestamp) {
        self.now = self.now.max(to);
    }

    /// Makes room for what a program needs.
    pub fn reserve(&mut self, program: &Program) {
        program.each_term(&mut |term| match term {
            Term::Window { name, length_ms, .. } => {
                if self.place(name, *length_ms).is_none() {
                    self.windows.push((name.clone(), *length_ms, Window::new(*length_ms)));
                }
            }
            Term::For { condition, .. } => {
                if !self.holds.iter().any(|held| held.condition == *condition.source()) {
                    self.holds.push(Held { condition: condition.source().clone(), since: None });
                }
            }
            Term::Absent { .. } => {}
        });
    }

    /// Takes over what another memory has of what this one has room for.
    pub fn inherit(&mut self, old: Memory) {
        self.advance(old.now);
        self.newest = self.newest.max(old.newest);
        for (name, length_ms, window) in old.windows {
            if let Some(place) = self.place(&name, length_ms).filter(|_| window.newest().is_some()) {
                self.windows[place].2 = window;
            }
        }
        for held in old.holds {
            if let Some(mine) = self.holds.iter_mut().find(|mine| mine.condition == held.condition) {
                mine.since = held.since.or(mine.since);
            }
        }
    }

    pub(super) fn fill(&mut self, name: &str, length_ms: i64, samples: impl IntoIterator<Item = (Timestamp, Value)>) {
        let Some(place) = self.place(name, length_ms) else { return };
        let window = &mut self.windows[place].2;
        if window.newest().is_none() {
            samples.into_iter().filter_map(|(at, value)| Some((at, value.as_f64()?))).for_each(|(at, number)| window.put(at, number));
        }
    }

    /// What holds here is exact, as every record was seen; what others have read of the past may be cut short.
    pub(super) fn follow_on(&mut self, past: Memory) {
        for held in past.holds {
            if let Some(mine) = self.holds.iter_mut().find(|mine| mine.condition == held.condition) {
                mine.since = mine.since.or(held.since);
            }
        }
    }

    fn place(&self, name: &str, length_ms: i64) -> Option<usize> {
        self.windows.iter().position(|(n, l, _)| n == name && *l == length_ms)
    }

    /// What it has room for: a value's name and the length of its window.
    pub fn windows(&self) -> impl Iterator<Item = (&Name, i64)> {
        self.windows.iter().map(|(name, length_ms, _)| (name, *length_ms))
    }

    pub fn conditions(&self) -> impl Iterator<Item = &Arc<str>> {
        self.holds.iter().map(|held| &held.condition)
    }

    /// Takes a sample into every window of that value.
    pub fn put(&mut self, name: &str, at: Timestamp, value: &Value) {
        let Some(number) = value.as_f64() else { return };
        for (_, _, window) in self.windows.iter_mut().filter(|(n, _, _)| n == name) {
            window.put(at, number);
        }
    }

    pub(super) fn figure(&mut self, figure: Figure, name: &str, length_ms: i64) -> Option<f64> {
        let place = self.place(name, length_ms)?;
        let window = &mut self.windows[place].2;
        // What only the clock has left behind may count again, when a record takes time back.
        window.expire(self.newest);
        if figure == Figure::Rate {
            return window.rate(self.now);
        }
        let figures = window.figures(self.now);
        match figure {
            Figure::Count => Some(figures.count as f64),
            _ if figures.count == 0 => None,
            Figure::Avg => figures.avg(),
            Figure::Min => Some(figures.min),
            Figure::Max => Some(figures.max),
            Figure::Stddev => figures.stddev(),
            Figure::Rate => None,
        }
    }

    /// Notes whether a condition holds now; whether it has for long enough.
    pub(super) fn hold(&mut self, condition: &Arc<str>, is_so: bool, length_ms: i64) -> bool {
        let now = self.now;
        let Some(held) = self.holds.iter_mut().find(|held| held.condition == *condition) else { return false };
        held.since = is_so.then(|| held.since.map_or(now, |since| since.min(now)));
        held.since.is_some_and(|since| now.as_millis() - since.as_millis() >= length_ms)
    }

    pub(super) fn held_since(&self, condition: &Arc<str>) -> Option<Timestamp> {
        self.holds.iter().find(|held| held.condition == *condition)?.since
    }

    /// Samples that left a window for want of room.
    pub fn dropped(&self) -> u64 {
        self.windows.iter().map(|(_, _, window)| window.dropped()).sum()
    }

    pub fn heap_bytes(&self) -> usize {
        self.windows.capacity() * size_of::<(Name, i64, Window)>()
            + self.windows.iter().map(|(_, _, window)| window.heap_bytes()).sum::<usize>()
            + self.holds.capacity() * size_of::<Held>()
    }
}
