//! The rules that hang on one twin in memory, and how they come to be there.

use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use hierarchy_models::{
    Timestamp,
    event::SEQ_BITS,
    rule::{CompiledRule, TwinRules},
};

use super::{
    facts::Then,
    past::{Filling, Past, Source, Wanted},
};
use crate::body::SharedBody;

/// Absent on a twin that no rule looks at.
#[derive(Default)]
pub struct Hosted {
    /// Of the book, when the scope was last looked up.
    generation: u64,
    pub(super) held: Option<Box<Held>>,
}

pub struct Held {
    pub rules: TwinRules,
    pub compiled: Vec<Arc<CompiledRule>>,
    /// How far the time of its records lies behind the server's: what a timer adds to the time of the records.
    pub lag_ms: i64,
    /// Nothing has looked at the twin since they came.
    pub is_new: bool,
}

impl Hosted {
    pub fn has_any(&self) -> bool {
        self.held.is_some()
    }

    /// Whether a change of the figures below must be looked at: a rule does, or nobody knows yet whether one does.
    pub fn watches_rollups(&self, generation: u64) -> bool {
        self.generation != generation || self.held.as_deref().is_some_and(|held| held.rules.watches_rollups)
    }

    /// The scope is looked up again at the next turn. What the rules remember stays.
    pub fn forget_scope(&mut self) {
        self.generation = u64::MAX;
    }

    /// When the rules want to be asked, by the server's time.
    pub fn wake_at(&self) -> Option<Timestamp> {
        let held = self.held.as_deref()?;
        let due = held.rules.due()?.as_millis();
        Some(Timestamp::from_millis_clamped(due.saturating_add(held.lag_ms)))
    }

    pub fn heap_bytes(&self) -> usize {
        self.held.as_deref().map_or(0, |held| size_of::<Held>() + held.rules.heap_bytes() + held.compiled.capacity() * 8)
    }
}

/// Brings a twin's rules up to the book. `None` when it can go on at once, which is nearly always; else what must be read from history
/// first, for [`recall`].
pub fn prepare(body: &SharedBody) -> Option<LocalBoxFuture<'static, Past>> {
    let generation = {
        let b = body.borrow();
        let generation = b.runtime().rules.generation();
        if b.rules.generation == generation || !b.state.registered || b.suspect {
            return None;
        }
        generation
    };
    let (wanted, newest) = {
        let mut guard = body.borrow_mut();
        let b = &mut *guard;
        let (rules, known) = (b.runtime().rules.set(), b.runtime().models.known());
        let compiled = rules.over(&known, &b.state.model, &b.path);
        b.rules.generation = generation;
        let old = b.rules.held.take();
        // One that stands as true and looks at this twin no more has yet to be ended.
        if compiled.is_empty() && b.state.rules_on().is_empty() {
            return None;
        }
        let state = &b.state;
        let mut rules = TwinRules::new(compiled.clone(), |id| state.rules_on().iter().any(|(rule, _)| rule == id));
        let wanted = Wanted::of(&rules, &compiled, old.as_deref().map(|old| &old.rules), |name| state.telemetry.knows(name));
        let newest = state.telemetry.iter().map(|(_, slot)| slot).max_by_key(|slot| slot.at);
        let lag_ms = match (&old, newest) {
            (Some(old), _) => old.lag_ms,
            (None, Some(slot)) => (slot.received_at.as_millis() - slot.at.as_millis()).max(0),
            (None, None) => 0,
        };
        let newest = newest.map(|slot| slot.at);
        if let Some(old) = old {
            rules.inherit(old.rules);
        }
        rules.begin_at(newest.unwrap_or(Timestamp::MIN));
        b.rules.held = Some(Box::new(Held { rules, compiled, lag_ms, is_new: true }));
        (wanted, newest?)
    };
    if wanted.is_empty() {
        return None;
    }
    let (runtime, lane, id, after_seq) = {
        let b = body.borrow();
        (b.runtime().clone(), b.host().lane.clone(), b.id.clone(), b.state.seq >> SEQ_BITS << SEQ_BITS)
    };
    let body = body.clone();
    Some(Box::pin(async move {
        // What is applied and not durable yet is not in history.
        lane.barrier(&body).await;
        let late_max = runtime.settings.rules_late_max;
        Source { store: &*runtime.store, twin: &id, after_seq, newest, late_max }.read(wanted).await
    }))
}

/// Gives the rules what history has. What they remember by themselves stands.
pub fn recall(body: &SharedBody, past: Past) {
    let mut guard = body.borrow_mut();
    let b = &mut *guard;
    let Some(mut held) = b.rules.held.take() else { return };
    for Filling { name, length_ms, samples } in past.fillings {
        held.rules.fill(&name, length_ms, samples);
    }
    if !past.records.is_empty() {
        let mut followed = TwinRules::new(held.compiled.clone(), |_| false);
        let mut facts = Then::new(b.id.as_str(), &b.state, Default::default());
        let late_max = b.runtime().settings.rules_late_max;
        let mut ignored = Vec::new();
        for record in past.records {
            followed.record(record.at, &record.values, &mut facts, late_max, &mut ignored);
            ignored.clear();
        }
        held.rules.follow_on(followed);
    }
    b.rules.held = Some(held);
}
