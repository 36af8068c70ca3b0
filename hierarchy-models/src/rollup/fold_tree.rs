//! The folds of one name over all children of a parent: a change of one walks one path to the root.

use super::Fold;

/// Folds of one name over all children: a complete binary tree in an array, leaves in its second half.
#[derive(Debug, Clone)]
pub struct FoldTree {
    nodes: Vec<Fold>,
}

impl FoldTree {
    pub fn with_capacity(leaves: usize) -> Self {
        Self { nodes: vec![Fold::EMPTY; leaves.next_power_of_two().max(1) * 2] }
    }

    fn leaves(&self) -> usize {
        self.nodes.len() / 2
    }

    pub fn get(&self, slot: usize) -> Fold {
        if slot < self.leaves() { self.nodes[self.leaves() + slot] } else { Fold::EMPTY }
    }

    pub fn set(&mut self, slot: usize, fold: Fold) {
        if slot >= self.leaves() {
            let mut larger = Self::with_capacity(slot + 1);
            let first = larger.leaves();
            larger.nodes[first..first + self.leaves()].copy_from_slice(&self.nodes[self.leaves()..]);
            for node in (1..larger.leaves()).rev() {
                larger.nodes[node] = larger.nodes[2 * node].merge(&larger.nodes[2 * node + 1]);
            }
            *self = larger;
        }
        let mut node = self.leaves() + slot;
        self.nodes[node] = fold;
        while node > 1 {
            node /= 2;
            self.nodes[node] = self.nodes[2 * node].merge(&self.nodes[2 * node + 1]);
        }
    }

    pub fn total(&self) -> Fold {
        self.nodes[1.min(self.nodes.len() - 1)]
    }

    pub fn heap_bytes(&self) -> usize {
        self.nodes.len() * size_of::<Fold>()
    }
}
