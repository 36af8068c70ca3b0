//! A parent's view of its children, and what they come to.

mod asked;

use std::{collections::BTreeMap, time::Duration};

use super::{Contribution, Counts, Fold, answers::Answered, child::Child, column::Column};
use crate::{
    id::{Name, TwinId},
    limits::ROLLUP_NAMES_MAX,
    time::Timestamp,
};

pub use asked::Awaited;

/// A parent's view of its children. Their values lie in the columns alone, a child says only which.
#[derive(Debug, Clone, Default)]
pub struct Aggregate {
    children: BTreeMap<TwinId, Child>,
    free: Vec<u32>,
    next_slot: u32,
    counts: Counts,
    /// The place of each name among the columns.
    names: BTreeMap<Name, u16>,
    columns: Vec<Option<Named>>,
    /// What it asks of them beyond that, when it asks anything.
    answered: Option<Box<Answered>>,
    /// Children that have not answered all of it.
    awaited: u32,
}

#[derive(Debug, Clone)]
struct Named {
    name: Name,
    column: Column,
}

impl Aggregate {
    /// Nothing below.
    pub const EMPTY: Self = Self {
        children: BTreeMap::new(),
        free: Vec::new(),
        next_slot: 0,
        counts: Counts::NONE,
        names: BTreeMap::new(),
        columns: Vec::new(),
        answered: None,
        awaited: 0,
    };

    pub fn is_empty(&self) -> bool {
        self.children.is_empty()
    }

    /// Whether a child below could still fall silent.
    pub fn has_fresh_leaf(&self) -> bool {
        self.children.values().any(|c| !c.stale && c.last_seen.is_some())
    }

    /// Takes a child's newest contribution in the place of its former one.
    pub fn update(&mut self, child: &TwinId, contribution: Contribution, stale_after: Duration, now: Timestamp) {
        let Contribution { counts, mut values, last_seen, answers } = contribution;
        let stale = is_stale(last_seen, stale_after, now);
        if stale {
            values.clear();
        }
        let mut next = match self.children.remove(child) {
            Some(former) => {
                self.counts.subtract(&former.counts());
                self.awaited -= u32::from(former.awaited);
                former
            }
            None => Child::new(self.slot()),
        };
        next.tell(&counts, last_seen, stale);
        self.counts.add(&next.counts());
        self.place(&mut next, values);
        next.awaited = self.take_answers(next.slot, answers.as_deref(), stale);
        self.awaited += u32::from(next.awaited);
        self.children.insert(child.clone(), next);
    }

    fn slot(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.next_slot += 1;
            self.next_slot - 1
        })
    }

    pub fn remove(&mut self, child: &TwinId) {
        let Some(mut former) = self.children.remove(child) else { return };
        self.counts.subtract(&former.counts());
        self.awaited -= u32::from(former.awaited);
        self.place(&mut former, Vec::new());
        if let Some(answered) = &mut self.answered {
            answered.clear(former.slot as usize);
        }
        self.free.push(former.slot);
    }

    /// Marks children that have been silent too long; whether there were any.
    /// O(children): called about once a tenth of the stale bound, not once a reading.
    pub fn sweep(&mut self, stale_after: Duration, now: Timestamp) -> bool {
        let silent = self.children.iter().filter(|(_, c)| !c.stale && is_stale(c.last_seen, stale_after, now));
        let gone: Vec<TwinId> = silent.map(|(id, _)| id.clone()).collect();
        for id in &gone {
            if let Some(mut child) = self.children.remove(id) {
                self.counts.subtract(&child.counts());
                child.stale = true;
                self.counts.add(&child.counts());
                self.place(&mut child, Vec::new());
                if let Some(answered) = &mut self.answered {
                    answered.silence(child.slot as usize);
                }
                self.children.insert(id.clone(), child);
            }
        }
        !gone.is_empty()
    }

    /// Puts a child's values into the columns, in the place of those that it has there. They are in the order of their names.
    fn place(&mut self, child: &mut Child, values: Vec<(Name, Fold)>) {
        let former = std::mem::take(&mut child.columns);
        let named = |place: &u16| self.columns[usize::from(*place)].as_ref().map(|named| &named.name);
        let same = |(place, (name, fold)): (&u16, &(Name, Fold))| fold.count > 0 && named(place) == Some(name);
        let as_before = former.len() == values.len() && former.iter().zip(&values).all(same);
        child.unplaced = Box::default();
        if as_before {
            for (place, (_, fold)) in former.iter().zip(&values) {
                self.set(*place, child.slot, *fold);
            }
            child.columns = former;
            return;
        }
        for place in former {
            let has = |name: &Name| values.binary_search_by(|(n, _)| n.cmp(name)).is_ok();
            if self.columns[usize::from(place)].as_ref().is_some_and(|named| !has(&named.name)) {
                self.set(place, child.slot, Fold::EMPTY);
            }
        }
        let (mut columns, mut unplaced) = (Vec::with_capacity(values.len()), Vec::new());
        for (name, fold) in values.into_iter().filter(|(_, fold)| fold.count > 0) {
            match self.names.get(&name).copied().or_else(|| self.found(&name)) {
                Some(place) => {
                    self.set(place, child.slot, fold);
                    columns.push(place);
                }
                None => unplaced.push((name, fold)),
            }
        }
        child.columns = columns.into();
        child.unplaced = unplaced.into();
    }

    fn set(&mut self, place: u16, slot: u32, fold: Fold) {
        let Some(named) = &mut self.columns[usize::from(place)] else { return };
        let slot = slot as usize;
        if named.column.get(slot) != fold {
            named.column.set(slot, fold);
        }
        if named.column.total().count == 0 {
            self.names.remove(&named.name);
            self.columns[usize::from(place)] = None;
        }
    }

    /// A place for a name that had none until now, when there is room: who has it already counts too.
    fn found(&mut self, name: &Name) -> Option<u16> {
        if self.names.len() >= ROLLUP_NAMES_MAX {
            return None;
        }
        let place = self.columns.iter().position(Option::is_none).unwrap_or(self.columns.len());
        let mut column = Column::new();
        for child in self.children.values_mut() {
            if let Some(fold) = child.take_unplaced(name) {
                column.set(child.slot as usize, fold);
                let columns = &self.columns;
                let behind = |other: &u16| columns[usize::from(*other)].as_ref().is_some_and(|named| named.name < *name);
                let at = child.columns.partition_point(behind);
                let mut all = std::mem::take(&mut child.columns).into_vec();
                all.insert(at, place as u16);
                child.columns = all.into();
            }
        }
        if place == self.columns.len() {
            self.columns.push(None);
        }
        self.columns[place] = Some(Named { name: name.clone(), column });
        // There are no more places than names.
        self.names.insert(name.clone(), place as u16);
        Some(place as u16)
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    pub fn value(&self, name: &str) -> Fold {
        self.names.get(name).map_or(Fold::EMPTY, |place| self.total(*place))
    }

    fn total(&self, place: u16) -> Fold {
        self.columns[usize::from(place)].as_ref().map_or(Fold::EMPTY, |named| named.column.total())
    }

    pub fn values(&self) -> impl Iterator<Item = (&Name, Fold)> {
        self.names.iter().map(|(name, place)| (name, self.total(*place)))
    }

    /// The parent's own contribution: `own` (its own values, alerts, connection) and all that is below.
    pub fn contribution(&self, own: Contribution) -> Contribution {
        if self.is_empty() {
            return own;
        }
        let mut counts = own.counts;
        counts.add(&self.counts);
        let mut below = self.values().peekable();
        let mut values = Vec::with_capacity(self.names.len() + own.values.len());
        for (name, fold) in own.values {
            while let Some((before, total)) = below.next_if(|(other, _)| **other < name) {
                values.push((before.clone(), total));
            }
            let same = below.next_if(|(other, _)| **other == name);
            values.push((name, same.map_or(fold, |(_, total)| total.merge(&fold))));
        }
        values.extend(below.map(|(name, total)| (name.clone(), total)));
        Contribution { counts, values, last_seen: None, answers: own.answers }
    }

    /// Bytes held, to the nearest guess: what the memory budget counts.
    pub fn heap_bytes(&self) -> usize {
        let children: usize = self.children.values().map(Child::heap_bytes).sum();
        let columns: usize = self.columns.iter().flatten().map(|named| named.column.heap_bytes() + 2 * size_of::<Named>()).sum();
        let answered = self.answered.as_deref().map_or(0, |answered| size_of::<Answered>() + answered.heap_bytes());
        children + columns + answered
    }
}

fn is_stale(last_seen: Option<Timestamp>, stale_after: Duration, now: Timestamp) -> bool {
    last_seen.is_some_and(|seen| now.since(seen) > stale_after)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STALE: Duration = Duration::from_secs(60);

    fn id(n: u8) -> TwinId {
        TwinId::new(format!("t{n}")).unwrap()
    }

    #[derive(Debug, Clone)]
    enum Step {
        Report { child: u8, name: u8, value: f64 },
        Drop { child: u8, name: u8 },
        Remove { child: u8 },
        Wait { seconds: u8 },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0u8..20, 0u8..4, -1e6f64..1e6).prop_map(|(child, name, value)| Step::Report { child, name, value }),
            1 => (0u8..20, 0u8..4).prop_map(|(child, name)| Step::Drop { child, name }),
            1 => (0u8..20).prop_map(|child| Step::Remove { child }),
            1 => (0u8..90).prop_map(|seconds| Step::Wait { seconds }),
        ]
    }

    proptest! {
        #[test]
        fn an_incremental_fold_equals_a_recomputation(steps in prop::collection::vec(step(), 1..200)) {
            let mut aggregate = Aggregate::default();
            let mut naive: BTreeMap<u8, (BTreeMap<u8, f64>, Timestamp)> = BTreeMap::new();
            let mut now = Timestamp::EPOCH;
            for step in steps {
                let touched = match step {
                    Step::Report { child, name, value } => {
                        let entry = naive.entry(child).or_insert((BTreeMap::new(), now));
                        entry.0.insert(name, value);
                        entry.1 = now;
                        Some(child)
                    }
                    Step::Drop { child, name } => {
                        if let Some(entry) = naive.get_mut(&child) { entry.0.remove(&name); }
                        Some(child)
                    }
                    Step::Remove { child } => {
                        naive.remove(&child);
                        aggregate.remove(&id(child));
                        None
                    }
                    Step::Wait { seconds } => {
                        now = now.plus(Duration::from_secs(seconds.into()));
                        aggregate.sweep(STALE, now);
                        None
                    }
                };
                if let Some((child, (values, seen))) = touched.and_then(|c| naive.get(&c).map(|v| (c, v))) {
                    let contribution = Contribution {
                        counts: Counts { devices: 1, ..Counts::default() },
                        values: values.iter().map(|(n, v)| (Name::from(format!("n{n}")), Fold::of(*v, *seen))).collect(),
                        last_seen: Some(*seen),
                        answers: None,
                    };
                    aggregate.update(&id(child), contribution, STALE, now);
                }
                let fresh: Vec<_> = naive.values().filter(|(_, seen)| now.since(*seen) <= STALE).collect();
                prop_assert_eq!(aggregate.counts().devices as usize, naive.len());
                prop_assert_eq!(aggregate.counts().stale as usize, naive.len() - fresh.len());
                for name in 0u8..4 {
                    let all: Vec<f64> = fresh.iter().filter_map(|(values, _)| values.get(&name).copied()).collect();
                    let fold = aggregate.value(&format!("n{name}"));
                    prop_assert_eq!(fold.count as usize, all.len());
                    if !all.is_empty() {
                        prop_assert_eq!(fold.min, all.iter().copied().fold(f64::INFINITY, f64::min));
                        prop_assert_eq!(fold.max, all.iter().copied().fold(f64::NEG_INFINITY, f64::max));
                        prop_assert!((fold.sum - all.iter().sum::<f64>()).abs() < 1e-6);
                    }
                }
            }
        }
    }

    #[test]
    fn a_wild_reading_leaves_no_trace_once_withdrawn() {
        let mut aggregate = Aggregate::default();
        let report = |v: f64| Contribution { values: vec![("t".into(), Fold::of(v, Timestamp::EPOCH))], ..Default::default() };
        aggregate.update(&id(1), report(20.0), STALE, Timestamp::EPOCH);
        aggregate.update(&id(2), report(1e300), STALE, Timestamp::EPOCH);
        aggregate.update(&id(2), report(22.0), STALE, Timestamp::EPOCH);
        assert_eq!(aggregate.value("t").avg(), Some(21.0));
    }

    #[test]
    fn a_name_beyond_the_limit_counts_once_there_is_room_for_it() {
        let mut aggregate = Aggregate::default();
        let now = Timestamp::EPOCH;
        let report = |names: &[String]| {
            let mut values: Vec<_> = names.iter().map(|n| (Name::from(n.as_str()), Fold::of(1.0, now))).collect();
            values.sort_by(|a, b| a.0.cmp(&b.0));
            Contribution { values, ..Default::default() }
        };
        let all: Vec<String> = (0..ROLLUP_NAMES_MAX).map(|n| format!("n{n:04}")).collect();
        let late = "m-late".to_owned();
        aggregate.update(&id(1), report(&all), STALE, now);
        aggregate.update(&id(2), report(&[all[0].clone(), late.clone()]), STALE, now);
        aggregate.update(&id(3), report(std::slice::from_ref(&late)), STALE, now);
        assert_eq!((aggregate.values().count(), aggregate.value(&late).count), (ROLLUP_NAMES_MAX, 0));
        aggregate.update(&id(1), report(&all[..10]), STALE, now);
        aggregate.update(&id(3), report(&[late.clone(), "z".to_owned()]), STALE, now);
        assert_eq!((aggregate.value(&late).count, aggregate.value("z").count), (2, 1), "the one who had it before counts, too");
        aggregate.remove(&id(3));
        assert_eq!((aggregate.value(&late).count, aggregate.value("z").count, aggregate.value(&all[0]).count), (1, 0, 2));
        aggregate.update(&id(2), report(&[all[0].clone()]), STALE, now);
        assert_eq!((aggregate.value(&late).count, aggregate.values().count()), (0, 10));
        (1..=2).for_each(|n| aggregate.remove(&id(n)));
        assert_eq!((aggregate.values().count(), aggregate.counts()), (0, Counts::NONE));
    }

    #[test]
    fn a_parents_own_values_join_those_below_in_the_order_of_names() {
        let mut aggregate = Aggregate::default();
        let of = |names: &[(&str, f64)]| {
            let values = names.iter().map(|(n, v)| (Name::from(*n), Fold::of(*v, Timestamp::EPOCH))).collect();
            Contribution { values, last_seen: Some(Timestamp::EPOCH), ..Default::default() }
        };
        assert_eq!(aggregate.contribution(of(&[("a", 1.0)])), of(&[("a", 1.0)]));
        aggregate.update(&id(1), of(&[("b", 2.0), ("d", 3.0)]), STALE, Timestamp::EPOCH);
        let all = aggregate.contribution(of(&[("a", 1.0), ("b", 5.0), ("c", 4.0), ("e", 6.0)]));
        let sums: Vec<_> = all.values.iter().map(|(n, f)| (n.as_str(), f.sum)).collect();
        assert_eq!((sums, all.last_seen), (vec![("a", 1.0), ("b", 7.0), ("c", 4.0), ("d", 3.0), ("e", 6.0)], None));
    }
}
