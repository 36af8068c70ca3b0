//! The answers of all children of a twin to what it asks of them, and what they come to.
//!
//! Whole numbers are added and taken away again, which is exact; sums of readings stand in the same trees as all folds do.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use super::{
    Fold,
    ask::{Ask, Asks, What},
    column::Column,
    figures::{Figures, Partial, Weighted},
    sketch::Sketch,
};

/// What one twin, with all that is below it, answers to what it is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    asks: Arc<Asks>,
    /// By the places of the asks, in order; of those that it has an answer to.
    partials: Vec<(u16, Partial)>,
}

impl Answers {
    pub(super) fn new(asks: Arc<Asks>, partials: Vec<(u16, Partial)>) -> Self {
        Self { asks, partials }
    }

    fn get(&self, place: usize) -> Option<&Partial> {
        let at = self.partials.binary_search_by_key(&place, |(known, _)| usize::from(*known)).ok()?;
        Some(&self.partials[at].1)
    }

    pub(super) fn print(&self, hasher: &mut impl Hasher) {
        for (place, partial) in &self.partials {
            place.hash(hasher);
            partial.print(hasher);
        }
    }
}

/// A column for each ask.
#[derive(Debug, Clone)]
pub struct Answered {
    asks: Arc<Asks>,
    columns: Vec<AnswerColumn>,
}

impl Answered {
    /// What was answered before to the same asks stays.
    pub fn new(asks: Arc<Asks>, mut former: Option<Box<Self>>) -> Self {
        let column = |ask: &Ask| match former.as_deref_mut().and_then(|former| Some((former.asks.place(ask)?, former))) {
            Some((place, former)) => std::mem::replace(&mut former.columns[place], AnswerColumn::new(&What::Twins)),
            None => AnswerColumn::new(&ask.what),
        };
        let columns = asks.iter().map(column).collect();
        Self { asks, columns }
    }

    pub fn asks(&self) -> &Arc<Asks> {
        &self.asks
    }

    /// Takes what the child in this slot answers; whether that answers just what is asked. Of a child that was asked something else
    /// what it answered before stands where it says nothing. What a silent one measured is left out.
    pub fn take(&mut self, slot: usize, answers: Option<&Answers>, is_stale: bool) -> bool {
        let in_step = answers.is_some_and(|answers| Arc::ptr_eq(&answers.asks, &self.asks));
        for (place, (ask, column)) in self.asks.iter().zip(&mut self.columns).enumerate() {
            let silent = is_stale && ask.reads_values();
            let asked_as = if in_step { Some(place) } else { answers.and_then(|answers| answers.asks.place(ask)) };
            match asked_as {
                Some(place) => column.set(slot, answers.and_then(|answers| answers.get(place)), silent),
                None if silent => column.silence(slot),
                None => {}
            }
        }
        in_step
    }

    /// The child in this slot has been silent for too long.
    pub fn silence(&mut self, slot: usize) {
        let reading = self.asks.iter().zip(&mut self.columns).filter(|(ask, _)| ask.reads_values());
        reading.for_each(|(_, column)| column.silence(slot));
    }

    pub fn clear(&mut self, slot: usize) {
        self.columns.iter_mut().for_each(|column| column.set(slot, None, false));
    }

    /// What all children come to; `None` when that is not asked.
    pub fn total(&self, ask: &Ask) -> Option<Partial> {
        self.asks.place(ask).map(|place| self.columns[place].total())
    }

    pub fn heap_bytes(&self) -> usize {
        self.columns.iter().map(|column| size_of::<AnswerColumn>() + column.heap_bytes()).sum()
    }
}

/// The answers to one ask.
#[derive(Debug, Clone)]
struct AnswerColumn {
    stale: Tally,
    figures: Slots,
}

#[derive(Debug, Clone)]
enum Slots {
    Twins(Tally),
    Alerts(Box<[Tally; 3]>),
    Values(Column),
    /// Products and weights.
    Weighted(Box<(Column, Column)>),
    Spread {
        sketches: Vec<Sketch>,
        total: Sketch,
    },
}

/// Whole numbers by slot, and their sum. No tree has four thousand million twins.
#[derive(Debug, Clone, Default)]
struct Tally {
    numbers: Vec<u32>,
    total: u64,
}

impl Tally {
    fn get(&self, slot: usize) -> u64 {
        self.numbers.get(slot).copied().unwrap_or(0).into()
    }

    fn set(&mut self, slot: usize, number: u64) {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        if slot >= self.numbers.len() {
            if number == 0 {
                return;
            }
            self.numbers.resize(slot + 1, 0);
        }
        let former = std::mem::replace(&mut self.numbers[slot], number);
        self.total = self.total - u64::from(former) + u64::from(number);
    }

    fn heap_bytes(&self) -> usize {
        self.numbers.capacity() * size_of::<u32>()
    }
}

fn put(column: &mut Column, slot: usize, fold: Fold) {
    if column.get(slot) != fold {
        column.set(slot, fold);
    }
}

impl AnswerColumn {
    fn new(what: &What) -> Self {
        let figures = match what {
            What::Twins => Slots::Twins(Tally::default()),
            What::Alerts => Slots::Alerts(Box::default()),
            What::Values(_) => Slots::Values(Column::new()),
            What::Weighted { .. } => Slots::Weighted(Box::new((Column::new(), Column::new()))),
            What::Spread(_) => Slots::Spread { sketches: Vec::new(), total: Sketch::default() },
        };
        Self { stale: Tally::default(), figures }
    }

    fn set(&mut self, slot: usize, partial: Option<&Partial>, is_silent: bool) {
        let left_out = is_silent && partial.is_some_and(|partial| partial.count() > 0);
        self.stale.set(slot, partial.map_or(0, |partial| partial.stale) + u64::from(left_out));
        self.put(slot, partial.filter(|_| !is_silent).map(|partial| &partial.figures));
    }

    /// Leaves out what is in a slot, and counts it as stale. Only twins without others below them fall silent.
    fn silence(&mut self, slot: usize) {
        if self.has(slot) {
            self.put(slot, None);
            self.stale.set(slot, self.stale.get(slot) + 1);
        }
    }

    fn has(&self, slot: usize) -> bool {
        match &self.figures {
            Slots::Twins(tally) => tally.get(slot) > 0,
            Slots::Alerts(tallies) => tallies.iter().any(|tally| tally.get(slot) > 0),
            Slots::Values(column) => column.get(slot).count > 0,
            Slots::Weighted(columns) => columns.1.get(slot).count > 0,
            Slots::Spread { sketches, .. } => sketches.get(slot).is_some_and(|sketch| !sketch.is_empty()),
        }
    }

    fn put(&mut self, slot: usize, figures: Option<&Figures>) {
        match (&mut self.figures, figures) {
            (Slots::Twins(tally), Some(Figures::Twins(count))) => tally.set(slot, *count),
            (Slots::Twins(tally), _) => tally.set(slot, 0),
            (Slots::Alerts(tallies), figures) => {
                let counts = if let Some(Figures::Alerts(counts)) = figures { *counts } else { [0; 3] };
                tallies.iter_mut().zip(counts).for_each(|(tally, count)| tally.set(slot, count));
            }
            (Slots::Values(column), Some(Figures::Values(fold))) => put(column, slot, *fold),
            (Slots::Values(column), _) => put(column, slot, Fold::EMPTY),
            (Slots::Weighted(columns), figures) => {
                let (products, weights) = match figures {
                    Some(Figures::Weighted(weighted)) => (weighted.products, weighted.weights),
                    _ => (Fold::EMPTY, Fold::EMPTY),
                };
                put(&mut columns.0, slot, products);
                put(&mut columns.1, slot, weights);
            }
            (Slots::Spread { sketches, total }, figures) => {
                let next = if let Some(Figures::Spread(sketch)) = figures { sketch.clone() } else { Sketch::default() };
                if slot >= sketches.len() {
                    if next.is_empty() {
                        return;
                    }
                    sketches.resize_with(slot + 1, Sketch::default);
                }
                if sketches[slot] != next {
                    total.subtract(&sketches[slot]);
                    total.add(&next);
                    sketches[slot] = next;
                }
            }
        }
    }

    fn total(&self) -> Partial {
        let figures = match &self.figures {
            Slots::Twins(tally) => Figures::Twins(tally.total),
            Slots::Alerts(tallies) => Figures::Alerts([tallies[0].total, tallies[1].total, tallies[2].total]),
            Slots::Values(column) => Figures::Values(column.total()),
            Slots::Weighted(columns) => Figures::Weighted(Box::new(Weighted { products: columns.0.total(), weights: columns.1.total() })),
            Slots::Spread { total, .. } => Figures::Spread(total.clone()),
        };
        Partial { stale: self.stale.total, figures }
    }

    fn heap_bytes(&self) -> usize {
        let figures = match &self.figures {
            Slots::Twins(tally) => tally.heap_bytes(),
            Slots::Alerts(tallies) => size_of::<[Tally; 3]>() + tallies.iter().map(Tally::heap_bytes).sum::<usize>(),
            Slots::Values(column) => column.heap_bytes(),
            Slots::Weighted(columns) => size_of::<(Column, Column)>() + columns.0.heap_bytes() + columns.1.heap_bytes(),
            Slots::Spread { sketches, total } => {
                let each = sketches.iter().map(|sketch| size_of::<Sketch>() + sketch.heap_bytes()).sum::<usize>();
                each + total.heap_bytes()
            }
        };
        self.stale.heap_bytes() + figures
    }
}
