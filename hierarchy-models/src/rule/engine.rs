//! The rules of one twin at work: records and time in, turned rules out. The same for readings as they come and for history.

use std::{sync::Arc, time::Duration};

use super::{
    cel::Answer,
    memory::{Facts, Memory},
    program::{Program, Reads},
    spec::CompiledRule,
};
use crate::{
    id::Name,
    time::Timestamp,
    value::{Map, Value},
};

/// Values that go with an alert, at most.
const DETAILS_MAX: usize = 16;

/// A rule whose condition came true, or was cleared.
#[derive(Debug, Clone)]
pub struct Turned {
    pub rule: Arc<CompiledRule>,
    pub on: bool,
    pub at: Timestamp,
    /// Of each action the text that it asks for, when it came true.
    pub texts: Vec<String>,
    /// The values that the rule looks at, as they were.
    pub values: Map,
}

#[derive(Debug, Clone)]
struct Running {
    rule: Arc<CompiledRule>,
    on: bool,
    /// When it came true last.
    on_at: Timestamp,
}

/// What cannot be seen from the outside, for counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Evaluations of a rule.
    pub evaluations: u64,
    /// Those that came to no answer: a value was missing, or of the wrong kind.
    pub errors: u64,
    /// Records that came later than the bound allows and were left out.
    pub late: u64,
}

#[derive(Debug, Clone)]
pub struct TwinRules {
    running: Vec<Running>,
    memory: Memory,
    due: Option<Timestamp>,
    counts: Counts,
    /// What any of them looks at beside telemetry.
    pub watches_rollups: bool,
}

impl TwinRules {
    /// `is_on` says which of them stand as true already.
    pub fn new(rules: Vec<Arc<CompiledRule>>, is_on: impl Fn(&str) -> bool) -> Self {
        let mut memory = Memory::default();
        for rule in &rules {
            rule.programs().chain(rule.text_programs()).for_each(|program| memory.reserve(program));
        }
        let watches_rollups = rules.iter().any(|rule| looks(rule, &|reads| reads.rollups));
        let running = rules.into_iter().map(|rule| Running { on: is_on(&rule.rule.id), on_at: Timestamp::MIN, rule }).collect();
        Self { running, memory, due: None, counts: Counts::default(), watches_rollups }
    }

    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Takes over what others remember and these ask for too; what is empty there stays as it is here.
    pub fn inherit(&mut self, old: Self) {
        self.memory.inherit(old.memory);
    }

    /// The newest instant that the twin has seen when they come to it.
    pub fn begin_at(&mut self, at: Timestamp) {
        self.memory.anchor(at);
    }

    /// Works out when time will turn one of them, without looking at any.
    pub fn settle(&mut self, facts: &dyn Facts) {
        let programs = self.running.iter().flat_map(|running| running.rule.programs());
        self.due = programs.filter_map(|program| program.due(facts, &self.memory)).min();
    }

    pub fn is_on(&self, rule: &str) -> bool {
        self.running.iter().any(|running| running.on && running.rule.rule.id == rule)
    }

    /// What the rule said last is not to be acted on: it says so again when it is looked at next.
    pub fn take_back(&mut self, turned: &Turned) {
        let said = self.running.iter_mut().filter(|running| Arc::ptr_eq(&running.rule, &turned.rule));
        said.for_each(|running| running.on = !turned.on);
    }

    /// What was counted since the last call.
    pub fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }

    /// When they want to be asked again, by the time of the records, whether a record comes or not.
    pub fn due(&self) -> Option<Timestamp> {
        self.due
    }

    /// Fills a window with samples of the past, in any order, without looking at any rule. One that holds any stays as it is.
    pub fn fill(&mut self, name: &str, length_ms: i64, samples: impl IntoIterator<Item = (Timestamp, Value)>) {
        self.memory.fill(name, length_ms, samples);
    }

    /// Takes over since when conditions hold of which nothing is known here, from others that have followed them.
    pub fn follow_on(&mut self, past: Self) {
        self.memory.follow_on(past.memory);
    }

    /// Takes a record. One that is newer than all before it moves time on, and with it whatever was due until then; one that is older
    /// joins the windows, unless it is older than `late_max`.
    pub fn record(&mut self, at: Timestamp, values: &[(Name, Value)], facts: &mut dyn Facts, late_max: Duration, out: &mut Vec<Turned>) {
        if at < self.memory.newest().minus(late_max) {
            self.counts.late += 1;
            facts.take(at, values);
            return;
        }
        self.catch_up(at, facts, out);
        facts.take(at, values);
        self.memory.anchor(at);
        for (name, value) in values {
            self.memory.put(name, at, value);
        }
        self.look(&*facts, out, |rule| {
            values.iter().any(|(name, _)| rule.names().contains(name)) || looks(rule, &|reads| reads.all_values)
        });
    }

    /// Lets time pass without a record.
    pub fn advance(&mut self, to: Timestamp, facts: &dyn Facts, out: &mut Vec<Turned>) {
        self.catch_up(to, facts, out);
        self.memory.advance(to);
    }

    /// Something beside telemetry has changed.
    pub fn changed(&mut self, is: &dyn Fn(&Reads) -> bool, facts: &dyn Facts, out: &mut Vec<Turned>) {
        self.look(facts, out, |rule| looks(rule, is));
    }

    /// Looks at all of them as things are.
    pub fn look_at_all(&mut self, facts: &dyn Facts, out: &mut Vec<Turned>) {
        self.look(facts, out, |_| true);
    }

    /// What was due up to `to`, each at its own instant. Ends: every term is due once until another record comes.
    fn catch_up(&mut self, to: Timestamp, facts: &dyn Facts, out: &mut Vec<Turned>) {
        while let Some(due) = self.due.filter(|due| *due <= to) {
            self.memory.advance(due);
            self.due = None;
            self.look(facts, out, |rule| rule.has_timers());
        }
    }

    fn look(&mut self, facts: &dyn Facts, out: &mut Vec<Turned>, wanted: impl Fn(&CompiledRule) -> bool) {
        let Self { running, memory, counts, .. } = self;
        for running in running.iter_mut().filter(|running| wanted(&running.rule)) {
            counts.evaluations += 1;
            if let Some(turned) = evaluate(running, memory, facts, counts) {
                out.push(turned);
            }
        }
        self.settle(facts);
    }

    pub fn heap_bytes(&self) -> usize {
        size_of::<Self>() + self.running.capacity() * size_of::<Running>() + self.memory.heap_bytes()
    }
}

fn looks(rule: &CompiledRule, is: &dyn Fn(&Reads) -> bool) -> bool {
    rule.programs().any(|program| program.reads(is))
}

/// `None`: it cannot be said.
fn truth(program: &Program, memory: &mut Memory, facts: &dyn Facts) -> Option<bool> {
    match program.run(facts, memory) {
        Ok(Answer::Bool(b)) => Some(b),
        _ => None,
    }
}

/// Both conditions are run each time, so that what they count goes on. What cannot be said turns nothing.
fn evaluate(running: &mut Running, memory: &mut Memory, facts: &dyn Facts, counts: &mut Counts) -> Option<Turned> {
    let rule = running.rule.clone();
    let when = truth(&rule.when, memory, facts);
    let cleared = match &rule.clear {
        Some(clear) => truth(clear, memory, facts),
        None => when.map(|when| !when),
    };
    counts.errors += u64::from(when.is_none() || cleared.is_none());
    let on = match running.on {
        false => when == Some(true) && cleared != Some(true),
        true => cleared != Some(true),
    };
    if on == running.on {
        return None;
    }
    running.on = on;
    // It ends no earlier than it began, wherever time has gone back to.
    let at = if on { memory.now() } else { memory.now().max(running.on_at) };
    running.on_at = at;
    let texts = (0..rule.rule.actions.len()).map(|n| match rule.text(n) {
        Some(text) if on => text.write(facts, memory),
        _ => String::new(),
    });
    let texts = texts.collect();
    let values = rule.names().iter().take(DETAILS_MAX).filter_map(|name| Some((name.clone(), facts.value(name)?.0.clone()))).collect();
    Some(Turned { at, on, texts, values, rule })
}
