//! What one twin, or all below one, answer to one ask. Merging is associative and commutative but for the last bits of sums.

use std::hash::{Hash, Hasher};

use super::{Fold, ask::What, sketch::Sketch};

/// An answer: figures, and how many twins were left out of them because they are silent.
#[derive(Debug, Clone, PartialEq)]
pub struct Partial {
    pub stale: u64,
    pub figures: Figures,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Figures {
    Twins(u64),
    /// Info, warning, critical.
    Alerts([u64; 3]),
    Values(Fold),
    Weighted(Box<Weighted>),
    Spread(Sketch),
}

/// What a weighted mean is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weighted {
    /// Of values times weights.
    pub products: Fold,
    pub weights: Fold,
}

impl Partial {
    /// The answer of nobody.
    pub fn none(what: &What) -> Self {
        let figures = match what {
            What::Twins => Figures::Twins(0),
            What::Alerts => Figures::Alerts([0; 3]),
            What::Values(_) => Figures::Values(Fold::EMPTY),
            What::Weighted { .. } => Figures::Weighted(Box::new(Weighted { products: Fold::EMPTY, weights: Fold::EMPTY })),
            What::Spread(_) => Figures::Spread(Sketch::default()),
        };
        Self { stale: 0, figures }
    }

    /// Whether it changes nothing that it is merged into.
    pub fn is_none(&self) -> bool {
        self.stale == 0 && self.count() == 0
    }

    /// Twins in the figures; of alerts, how many alerts.
    pub fn count(&self) -> u64 {
        match &self.figures {
            Figures::Twins(count) => *count,
            Figures::Alerts(counts) => counts.iter().sum(),
            Figures::Values(fold) => fold.count,
            Figures::Weighted(weighted) => weighted.weights.count,
            Figures::Spread(sketch) => sketch.count(),
        }
    }

    /// Joins an answer to the same ask.
    pub fn merge(&mut self, other: &Self) {
        self.stale += other.stale;
        match (&mut self.figures, &other.figures) {
            (Figures::Twins(mine), Figures::Twins(theirs)) => *mine += theirs,
            (Figures::Alerts(mine), Figures::Alerts(theirs)) => mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs),
            (Figures::Values(mine), Figures::Values(theirs)) => *mine = mine.merge(theirs),
            (Figures::Weighted(mine), Figures::Weighted(theirs)) => {
                mine.products = mine.products.merge(&theirs.products);
                mine.weights = mine.weights.merge(&theirs.weights);
            }
            (Figures::Spread(mine), Figures::Spread(theirs)) => mine.add(theirs),
            // Answers to different asks never meet.
            _ => {}
        }
    }

    pub(super) fn print(&self, hasher: &mut impl Hasher) {
        self.stale.hash(hasher);
        match &self.figures {
            Figures::Twins(count) => count.hash(hasher),
            Figures::Alerts(counts) => counts.hash(hasher),
            Figures::Values(fold) => fold.print(hasher),
            Figures::Weighted(weighted) => {
                weighted.products.print(hasher);
                weighted.weights.print(hasher);
            }
            Figures::Spread(sketch) => sketch.print(hasher),
        }
    }
}
