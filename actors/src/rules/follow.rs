//! What a twin's rules make of a turn: they see what was decided, and what they decide commits with it.

use std::{panic::AssertUnwindSafe, time::Instant};

use hierarchy_models::{EventBody, Record, Timestamp, rule::Turned};

use super::{effects, facts::Live, hosted::Held};
use crate::{
    actor::{mark, register_wake},
    body::{Body, SharedBody},
    twin::{Decided, decide::Input},
};

/// What of a turn concerns rules beside its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// Nothing.
    Other,
    /// Time has passed.
    Wake,
    /// Everything is to be looked at: the rules have changed, or the figures below.
    Evaluate,
}

impl Occasion {
    pub fn of(input: &Input) -> Self {
        match input {
            Input::Wake => Self::Wake,
            Input::Evaluate => Self::Evaluate,
            _ => Self::Other,
        }
    }
}

fn stirs(event: &EventBody) -> bool {
    use EventBody::*;
    matches!(event, Telemetry { .. } | ReportedPatched { .. } | ReportedReplaced { .. } | MetadataPatched { .. })
}

/// Adds what the rules make of it. They fail, if they do, by themselves: a panic costs the twin its rules until they change, and a word
/// in the log.
pub fn follow(body: &SharedBody, mut decided: Decided, occasion: Occasion, now: Timestamp) -> Decided {
    if occasion == Occasion::Other && !decided.events.iter().any(stirs) {
        return decided;
    }
    let is_sooner = {
        let mut guard = body.borrow_mut();
        let b = &mut *guard;
        let Some(mut held) = b.rules.held.take() else { return decided };
        let started = Instant::now();
        let worked = std::panic::catch_unwind(AssertUnwindSafe(|| turn(&mut held, b, &decided.events, occasion, now)));
        match worked {
            Ok(turned) => {
                effects::add(b, &mut held, turned, &mut decided);
                note(&mut held, b, started);
                b.rules.held = (!held.compiled.is_empty()).then_some(held);
            }
            Err(_) => {
                tracing::error!(twin = %b.id, "a rule panicked; no rule looks at this twin until the rules change");
                metrics::counter!("twinfold_rule_panics_total").increment(1);
            }
        }
        register_wake(b)
    };
    if is_sooner {
        // So that it is woken after a restart too.
        mark(body);
    }
    decided
}

fn turn(held: &mut Held, b: &Body, events: &[EventBody], occasion: Occasion, now: Timestamp) -> Vec<Turned> {
    let late_max = b.runtime().settings.rules_late_max;
    let mut facts = Live::new(b);
    let mut out = Vec::new();
    if std::mem::take(&mut held.is_new) {
        held.rules.settle(&facts);
    }
    for event in events {
        match event {
            EventBody::Telemetry { records, .. } => {
                let mut records: Vec<&Record> = records.iter().collect();
                records.sort_by_key(|record| record.at);
                for record in records {
                    if record.at >= held.rules.memory().newest() {
                        held.lag_ms = (now.as_millis() - record.at.as_millis()).max(0);
                    }
                    held.rules.record(record.at, &record.values, &mut facts, late_max, &mut out);
                }
            }
            EventBody::ReportedPatched { patch, .. } => {
                facts.patch_reported(patch);
                pass(held, &facts, now, &mut out);
                held.rules.changed(&|reads| reads.reported, &facts, &mut out);
            }
            EventBody::ReportedReplaced { properties, .. } => {
                facts.replace_reported(properties);
                pass(held, &facts, now, &mut out);
                held.rules.changed(&|reads| reads.reported, &facts, &mut out);
            }
            EventBody::MetadataPatched { patch } => {
                facts.patch_metadata(patch);
                pass(held, &facts, now, &mut out);
                held.rules.changed(&|reads| reads.metadata, &facts, &mut out);
            }
            _ => {}
        }
    }
    match occasion {
        Occasion::Other => {}
        Occasion::Wake => pass(held, &facts, now, &mut out),
        Occasion::Evaluate => {
            pass(held, &facts, now, &mut out);
            held.rules.look_at_all(&facts, &mut out);
        }
    }
    out
}

/// Lets the time of the records pass as the server's has.
fn pass(held: &mut Held, facts: &Live<'_>, now: Timestamp, out: &mut Vec<Turned>) {
    let to = Timestamp::from_millis_clamped(now.as_millis() - held.lag_ms);
    held.rules.advance(to, facts, out);
}

fn note(held: &mut Held, b: &Body, started: Instant) {
    let counts = held.rules.take_counts();
    metrics::counter!("twinfold_rule_evaluations_total").increment(counts.evaluations);
    if counts.errors > 0 {
        metrics::counter!("twinfold_rule_errors_total").increment(counts.errors);
    }
    if counts.late > 0 {
        metrics::counter!("twinfold_rule_late_records_total").increment(counts.late);
    }
    let took = started.elapsed();
    if took > b.runtime().settings.turn_budget {
        tracing::warn!(twin = %b.id, ?took, "a twin's rules took longer than twins.turn_budget");
        metrics::counter!("twinfold_turns_over_budget_total").increment(1);
    }
}
