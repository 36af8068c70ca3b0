//! What a parent asks of its children beside what all twins tell, and who of them has not answered yet.

use std::sync::Arc;

use super::Aggregate;
use crate::{
    id::TwinId,
    rollup::{
        answers::{Answered, Answers},
        ask::{Ask, Asks},
        figures::Partial,
        results::Results,
        subject::{Seen, Subject},
    },
};

/// A child that has not answered all that it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    pub child: TwinId,
    /// How often it was heard until now, so that an answer from before does not take the place of what it said since.
    pub heard: u16,
}

impl Aggregate {
    /// Asks this of all children from now on: each is awaited until it answers. What was answered to the same asks before stands.
    pub fn ask(&mut self, asks: Option<Arc<Asks>>) {
        let is_same = match (self.asks(), &asks) {
            (None, None) => true,
            (Some(former), Some(asks)) => Arc::ptr_eq(former, asks),
            _ => false,
        };
        if !is_same {
            let former = self.answered.take();
            self.answered = asks.map(|asks| Box::new(Answered::new(asks, former)));
            self.await_all();
        }
    }

    /// As if nobody had answered; what was answered stands until then.
    pub fn await_all(&mut self) {
        self.children.values_mut().for_each(|child| child.awaited = true);
        self.awaited = self.children.len() as u32;
    }

    /// What is asked of the children.
    pub fn asks(&self) -> Option<&Arc<Asks>> {
        self.answered.as_deref().map(Answered::asks)
    }

    pub fn awaits_any(&self) -> bool {
        self.awaited > 0
    }

    /// Who has not answered what is asked now. O(children) when there is anyone.
    pub fn awaited(&self) -> Vec<Awaited> {
        if self.awaited == 0 {
            return Vec::new();
        }
        let awaited = self.children.iter().filter(|(_, child)| child.awaited);
        awaited.map(|(id, child)| Awaited { child: id.clone(), heard: child.heard }).collect()
    }

    /// Whether the child has said nothing since.
    pub fn still_awaits(&self, awaited: &Awaited) -> bool {
        self.children.get(&awaited.child).is_some_and(|child| child.heard == awaited.heard)
    }

    /// What all children come to; `None` when that is not asked of them.
    pub fn answered(&self, ask: &Ask) -> Option<Partial> {
        self.answered.as_deref().and_then(|answered| answered.total(ask))
    }

    /// What a twin and all below it answer to `asked`, `results` being its own defined roll-ups.
    pub fn answers(&self, asked: &Arc<Asks>, twin: &impl Subject, results: &Results) -> Answers {
        let seen = Seen { twin, results };
        let mut partials = Vec::new();
        for (place, ask) in asked.iter().enumerate() {
            let below = if ask.goes_deeper() { self.answered(ask) } else { None };
            let both = match (seen.answer(ask), below) {
                (Some(mut own), Some(below)) => {
                    own.merge(&below);
                    Some(own)
                }
                (own, below) => own.or(below),
            };
            // There are at most ROLLUP_ASKS_MAX.
            partials.extend(both.filter(|both| !both.is_none()).map(|both| (place as u16, both)));
        }
        Answers::new(asked.clone(), partials)
    }

    /// Whether the child is awaited still.
    pub(super) fn take_answers(&mut self, slot: u32, answers: Option<&Answers>, is_stale: bool) -> bool {
        match self.answered.as_deref_mut() {
            Some(answered) => !answered.take(slot as usize, answers, is_stale),
            None => answers.is_some(),
        }
    }
}
