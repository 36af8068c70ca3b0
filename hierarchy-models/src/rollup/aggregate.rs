//! A parent's view of its children, and what they come to.

use std::{collections::BTreeMap, time::Duration};

use super::{Contribution, Counts, Fold, fold_tree::FoldTree};
use crate::{
    id::{Name, TwinId},
    limits::ROLLUP_NAMES_MAX,
    time::Timestamp,
};

#[derive(Debug, Clone)]
struct Child {
    slot: usize,
    contribution: Contribution,
    stale: bool,
}

impl Child {
    /// What counts of this child now.
    fn counts(&self) -> Counts {
        let mut counts = self.contribution.counts;
        if self.stale {
            counts.stale += 1;
        }
        counts
    }
}

/// A parent's view of its children.
#[derive(Debug, Clone, Default)]
pub struct Aggregate {
    children: BTreeMap<TwinId, Child>,
    free: Vec<usize>,
    next_slot: usize,
    counts: Counts,
    names: BTreeMap<Name, FoldTree>,
}

impl Aggregate {
    /// Nothing below.
    pub const EMPTY: Self =
        Self { children: BTreeMap::new(), free: Vec::new(), next_slot: 0, counts: Counts::NONE, names: BTreeMap::new() };

    pub fn is_empty(&self) -> bool {
        self.children.is_empty()
    }

    /// Whether a child below could still fall silent.
    pub fn has_fresh_leaf(&self) -> bool {
        self.children.values().any(|c| !c.stale && c.contribution.last_seen.is_some())
    }

    /// Takes a child's newest contribution in the place of its former one.
    pub fn update(&mut self, child: &TwinId, contribution: Contribution, stale_after: Duration, now: Timestamp) {
        let stale = is_stale(&contribution, stale_after, now);
        let next = Child { slot: 0, contribution, stale };
        self.replace(child, Some(next));
    }

    pub fn remove(&mut self, child: &TwinId) {
        self.replace(child, None);
    }

    /// Marks children that have been silent too long; the earliest instant at which another could become so.
    /// O(children): called about once a tenth of the stale bound, not once a reading.
    pub fn sweep(&mut self, stale_after: Duration, now: Timestamp) -> bool {
        let gone: Vec<TwinId> = self
            .children
            .iter()
            .filter(|(_, c)| !c.stale && is_stale(&c.contribution, stale_after, now))
            .map(|(id, _)| id.clone())
            .collect();
        for id in &gone {
            if let Some(child) = self.children.get(id).cloned() {
                self.replace(id, Some(Child { stale: true, ..child }));
            }
        }
        !gone.is_empty()
    }

    fn replace(&mut self, id: &TwinId, next: Option<Child>) {
        let former = self.children.remove(id);
        if let Some(former) = &former {
            self.counts.subtract(&former.counts());
        }
        let slot = match &former {
            Some(former) => former.slot,
            None => self.free.pop().unwrap_or_else(|| {
                self.next_slot += 1;
                self.next_slot - 1
            }),
        };
        let live = next.as_ref().filter(|c| !c.stale).map(|c| c.contribution.values.as_slice()).unwrap_or_default();
        if let Some(former) = former.as_ref().filter(|c| !c.stale) {
            for (name, _) in &former.contribution.values {
                if live.binary_search_by(|(n, _)| n.cmp(name)).is_err()
                    && let Some(tree) = self.names.get_mut(name)
                {
                    tree.set(slot, Fold::EMPTY);
                    if tree.total().count == 0 {
                        self.names.remove(name);
                    }
                }
            }
        }
        for (name, fold) in live {
            if let Some(tree) = self.names.get_mut(name) {
                if tree.get(slot) != *fold {
                    tree.set(slot, *fold);
                }
            } else if self.names.len() < ROLLUP_NAMES_MAX {
                let mut tree = FoldTree::with_capacity(self.next_slot);
                // A name that had no place until now: who has it already counts too.
                for other in self.children.values().filter(|c| !c.stale) {
                    let values = &other.contribution.values;
                    if let Ok(i) = values.binary_search_by(|(n, _)| n.cmp(name)) {
                        tree.set(other.slot, values[i].1);
                    }
                }
                tree.set(slot, *fold);
                self.names.insert(name.clone(), tree);
            }
        }
        match next {
            Some(mut child) => {
                child.slot = slot;
                self.counts.add(&child.counts());
                self.children.insert(id.clone(), child);
            }
            None => self.free.push(slot),
        }
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    pub fn value(&self, name: &str) -> Fold {
        self.names.get(name).map_or(Fold::EMPTY, FoldTree::total)
    }

    pub fn values(&self) -> impl Iterator<Item = (&Name, Fold)> {
        self.names.iter().map(|(name, tree)| (name, tree.total()))
    }

    /// The parent's own contribution: `own` (its own values, alerts, connection) and all that is below.
    pub fn contribution(&self, own: Contribution) -> Contribution {
        let mut counts = own.counts;
        counts.add(&self.counts);
        let mut values: BTreeMap<Name, Fold> = self.values().map(|(n, f)| (n.clone(), f)).collect();
        for (name, fold) in own.values {
            let slot = values.entry(name).or_insert(Fold::EMPTY);
            *slot = slot.merge(&fold);
        }
        let last_seen = if self.is_empty() { own.last_seen } else { None };
        Contribution { counts, values: values.into_iter().collect(), last_seen }
    }

    /// Bytes held, to the nearest guess: what the memory budget counts.
    pub fn heap_bytes(&self) -> usize {
        let children: usize = self.children.values().map(|c| 200 + c.contribution.values.len() * size_of::<(Name, Fold)>()).sum();
        children + self.names.values().map(|t| t.heap_bytes() + 64).sum::<usize>()
    }
}

fn is_stale(contribution: &Contribution, stale_after: Duration, now: Timestamp) -> bool {
    contribution.last_seen.is_some_and(|seen| now.since(seen) > stale_after)
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
}
