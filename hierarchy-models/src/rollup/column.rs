//! The folds of one name over all children of a parent: a change of one walks one path to the root.
//!
//! A device's fold is one reading, so its leaf is a number and a time, a third of a fold. Leaves stand in blocks, and only blocks have nodes above them: to fold
//! a block anew reads one or two cache lines, and a tree over single leaves would be as large again as all of them.

use super::Fold;
use crate::time::Timestamp;

const BLOCK: usize = 8;
/// A column grows by this part of itself at least, so that a thousand new children do not move it a thousand times.
const GROWTH: usize = 8;

#[derive(Debug, Clone)]
pub struct Column {
    leaves: Leaves,
    /// A binary tree in an array: the total at 1, the folds of the blocks in the second half.
    nodes: Vec<Fold>,
}

#[derive(Debug, Clone)]
enum Leaves {
    Readings(Vec<Reading>),
    /// Once one child is more than a reading: a place, with all that is below it.
    Folds(Vec<Fold>),
}

/// The fold of one reading, or of none.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Reading {
    value: f64,
    /// Milliseconds since 1970; no time for no reading.
    at: i64,
}

impl Reading {
    const NONE: Self = Self { value: 0.0, at: i64::MIN };

    /// `None` when the fold is of several.
    fn of(fold: &Fold) -> Option<Self> {
        let bits = fold.last.to_bits();
        match fold.count {
            0 => Some(Self::NONE),
            1 if [fold.sum, fold.min, fold.max].iter().all(|n| n.to_bits() == bits) => {
                Some(Self { value: fold.last, at: fold.last_at.as_millis() })
            }
            _ => None,
        }
    }

    fn fold(self) -> Fold {
        if self.at == i64::MIN { Fold::EMPTY } else { Fold::of(self.value, Timestamp::from_millis_clamped(self.at)) }
    }
}

impl Leaves {
    fn len(&self) -> usize {
        match self {
            Self::Readings(readings) => readings.len(),
            Self::Folds(folds) => folds.len(),
        }
    }

    fn get(&self, slot: usize) -> Fold {
        match self {
            Self::Readings(readings) => readings.get(slot).map_or(Fold::EMPTY, |reading| reading.fold()),
            Self::Folds(folds) => folds.get(slot).copied().unwrap_or(Fold::EMPTY),
        }
    }

    fn set(&mut self, slot: usize, fold: Fold) {
        match (&mut *self, Reading::of(&fold)) {
            (Self::Readings(readings), Some(reading)) => readings[slot] = reading,
            (Self::Folds(folds), _) => folds[slot] = fold,
            (Self::Readings(readings), None) => {
                let mut folds: Vec<Fold> = readings.iter().map(|reading| reading.fold()).collect();
                folds[slot] = fold;
                *self = Self::Folds(folds);
            }
        }
    }

    fn grow(&mut self, len: usize) {
        fn to<T: Copy>(leaves: &mut Vec<T>, len: usize, none: T) {
            leaves.reserve_exact(len - leaves.len());
            leaves.resize(len, none);
        }
        match self {
            Self::Readings(readings) => to(readings, len, Reading::NONE),
            Self::Folds(folds) => to(folds, len, Fold::EMPTY),
        }
    }

    fn block(&self, block: usize) -> Fold {
        let span = block * BLOCK..(block + 1) * BLOCK;
        match self {
            Self::Readings(readings) => readings[span].iter().fold(Fold::EMPTY, |all, reading| all.merge(&reading.fold())),
            Self::Folds(folds) => folds[span].iter().fold(Fold::EMPTY, |all, fold| all.merge(fold)),
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Self::Readings(readings) => readings.capacity() * size_of::<Reading>(),
            Self::Folds(folds) => folds.capacity() * size_of::<Fold>(),
        }
    }
}

impl Column {
    pub fn new() -> Self {
        Self { leaves: Leaves::Readings(Vec::new()), nodes: Vec::new() }
    }

    pub fn get(&self, slot: usize) -> Fold {
        self.leaves.get(slot)
    }

    /// [`Fold::EMPTY`] takes the slot's fold away.
    pub fn set(&mut self, slot: usize, fold: Fold) {
        if slot >= self.leaves.len() {
            self.grow(slot + 1);
        }
        self.leaves.set(slot, fold);
        let mut node = self.nodes.len() / 2 + slot / BLOCK;
        self.nodes[node] = self.leaves.block(slot / BLOCK);
        while node > 1 {
            node /= 2;
            self.nodes[node] = self.nodes[2 * node].merge(&self.nodes[2 * node + 1]);
        }
    }

    fn grow(&mut self, leaves: usize) {
        let blocks = leaves.max(self.leaves.len() + self.leaves.len() / GROWTH).div_ceil(BLOCK);
        self.leaves.grow(blocks * BLOCK);
        self.nodes = vec![Fold::EMPTY; 2 * blocks];
        for block in 0..blocks {
            self.nodes[blocks + block] = self.leaves.block(block);
        }
        for node in (1..blocks).rev() {
            self.nodes[node] = self.nodes[2 * node].merge(&self.nodes[2 * node + 1]);
        }
    }

    pub fn total(&self) -> Fold {
        self.nodes.get(1).copied().unwrap_or(Fold::EMPTY)
    }

    pub fn heap_bytes(&self) -> usize {
        self.leaves.heap_bytes() + self.nodes.capacity() * size_of::<Fold>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fold() -> impl Strategy<Value = Fold> {
        let at = |ms: i64| Timestamp::from_millis(ms).unwrap();
        prop_oneof![
            3 => (-1000i32..1000, 0i64..50).prop_map(move |(value, ms)| Fold::of(value.into(), at(ms))),
            1 => Just(Fold::EMPTY),
            1 => (-1000i32..1000, -1000i32..1000, 0i64..50).prop_map(move |(a, b, ms)| Fold::of(a.into(), at(ms)).merge(&Fold::of(b.into(), at(7)))),
        ]
    }

    proptest! {
        #[test]
        fn the_total_is_the_fold_of_all_leaves(steps in prop::collection::vec((0usize..70, fold()), 1..150)) {
            let (mut column, mut naive) = (Column::new(), [Fold::EMPTY; 70]);
            for (slot, fold) in steps {
                column.set(slot, fold);
                naive[slot] = fold;
                prop_assert_eq!(column.get(slot), fold);
                // Whole numbers, so that the order in which they are added does not show.
                prop_assert_eq!(column.total(), naive.iter().fold(Fold::EMPTY, |all, fold| all.merge(fold)));
            }
            prop_assert!((0..70).all(|slot| column.get(slot) == naive[slot]));
        }
    }

    #[test]
    fn the_earliest_time_is_a_time_and_not_none() {
        let mut column = Column::new();
        column.set(0, Fold::of(-0.0, Timestamp::MIN));
        assert_eq!((column.total().count, column.get(0).last.is_sign_negative()), (1, true));
    }

    #[test]
    fn a_hundred_devices_take_thirty_bytes_each() {
        let mut column = Column::new();
        (0..100).for_each(|slot| column.set(slot, Fold::of(1.0, Timestamp::EPOCH)));
        assert!(column.heap_bytes() <= 100 * 30, "{} bytes", column.heap_bytes());
    }
}
