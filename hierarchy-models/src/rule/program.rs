//! An expression, compiled: window functions are found and replaced by variables that are filled before each run, the rest is CEL.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    cel::{Answer, Compiled, Scope},
    error::TextError,
    memory::{Facts, Memory},
    rewrite::{Rewrite, check_brackets},
    tokens::tokens,
};
use crate::{
    id::Name,
    limits::{RULE_TEXT_BYTES_MAX, WINDOWS_PER_RULE_MAX},
    time::Timestamp,
    value::Value,
};

/// What is asked of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    Avg,
    Min,
    Max,
    Count,
    Rate,
    Stddev,
}

/// A part of an expression that is worked out beside CEL.
#[derive(Debug)]
pub enum Term {
    Window { figure: Figure, name: Name, length_ms: i64 },
    For { condition: Program, length_ms: i64 },
    Absent { name: Name, length_ms: i64 },
}

/// What of a twin an expression looks at.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Reads {
    /// Last known values by their bare names.
    pub(super) bare: BTreeSet<Name>,
    /// Last known values as `values.NAME`.
    pub(super) members: BTreeSet<Name>,
    /// `values` as a whole.
    pub all_values: bool,
    pub reported: bool,
    pub metadata: bool,
    pub rollups: bool,
    pub(super) model: bool,
    pub(super) id: bool,
}

#[derive(Debug)]
pub struct Program {
    pub(super) source: Arc<str>,
    pub(super) compiled: Compiled,
    pub(super) terms: Vec<Term>,
    pub(super) reads: Reads,
}

/// The name of a term's variable; no device would call a value that.
pub(super) fn variable(n: usize) -> String {
    format!("__w{n}")
}

impl Program {
    pub fn compile(text: &str) -> Result<Self, TextError> {
        if text.len() > RULE_TEXT_BYTES_MAX {
            return Err(TextError::at(text, RULE_TEXT_BYTES_MAX, format!("longer than {RULE_TEXT_BYTES_MAX} bytes")));
        }
        let tokens = tokens(text)?;
        check_brackets(text, &tokens)?;
        let program = Rewrite::new(text).compile(0..text.len(), &tokens)?;
        match program.terms_all() {
            n if n > WINDOWS_PER_RULE_MAX => Err(TextError::at(text, 0, format!("more than {WINDOWS_PER_RULE_MAX} window functions"))),
            _ => Ok(program),
        }
    }

    /// The text it was compiled from.
    pub fn source(&self) -> &Arc<str> {
        &self.source
    }

    fn terms_all(&self) -> usize {
        let within = |term: &Term| if let Term::For { condition, .. } = term { 1 + condition.terms_all() } else { 1 };
        self.terms.iter().map(within).sum()
    }

    /// Every term, those within `for` first.
    pub fn each_term<'a>(&'a self, tell: &mut dyn FnMut(&'a Term)) {
        for term in &self.terms {
            if let Term::For { condition, .. } = term {
                condition.each_term(tell);
            }
            tell(term);
        }
    }

    /// Whether `is` holds for what it, or a condition within it, looks at.
    pub fn reads(&self, is: &dyn Fn(&Reads) -> bool) -> bool {
        let within = |term: &Term| matches!(term, Term::For { condition, .. } if condition.reads(is));
        is(&self.reads) || self.terms.iter().any(within)
    }

    /// The names of the telemetry values it looks at, windows included.
    pub fn names(&self) -> BTreeSet<Name> {
        let mut names: BTreeSet<Name> = self.reads.bare.union(&self.reads.members).cloned().collect();
        for term in &self.terms {
            match term {
                Term::Window { name, .. } | Term::Absent { name, .. } => {
                    names.insert(name.clone());
                }
                Term::For { condition, .. } => names.append(&mut condition.names()),
            }
        }
        names
    }

    /// The value it names first, for `{value}` in texts.
    pub fn first_name(&self) -> Option<Name> {
        let names = self.names();
        let place = |name: &Name| self.source.find(name.as_str());
        names.into_iter().min_by_key(|name| place(name).unwrap_or(usize::MAX))
    }

    /// How far back, in milliseconds, a sample can matter.
    pub fn reach_ms(&self) -> i64 {
        let reach = |term: &Term| match term {
            Term::Window { length_ms, .. } | Term::Absent { length_ms, .. } => *length_ms,
            Term::For { condition, length_ms } => length_ms + condition.reach_ms(),
        };
        self.terms.iter().map(reach).max().unwrap_or(0)
    }

    /// Runs it at a moment of the rule's time. An error says what is missing or does not fit.
    pub fn run(&self, facts: &dyn Facts, memory: &mut Memory) -> Result<Answer, String> {
        let mut scope = Scope::new();
        for (n, term) in self.terms.iter().enumerate() {
            match term {
                Term::Window { figure, name, length_ms } => {
                    if let Some(value) = memory.figure(*figure, name, *length_ms) {
                        scope.put_number(&variable(n), value);
                    }
                }
                Term::Absent { name, length_ms } => {
                    let last = facts.value(name).map_or_else(|| facts.since(), |(_, at)| at);
                    scope.put_bool(&variable(n), memory.now().as_millis() - last.as_millis() >= *length_ms);
                }
                Term::For { condition, length_ms } => {
                    let is_so = condition.run(facts, memory) == Ok(Answer::Bool(true));
                    scope.put_bool(&variable(n), memory.hold(&condition.source, is_so, *length_ms));
                }
            }
        }
        self.fill(&mut scope, facts);
        self.compiled.run(&scope)
    }

    fn fill(&self, scope: &mut Scope, facts: &dyn Facts) {
        let reads = &self.reads;
        for name in &reads.bare {
            if let Some((value, _)) = facts.value(name) {
                scope.put(name, value);
            }
        }
        if reads.all_values {
            facts.with_values(&mut |values| scope.put_members("values", &mut *values));
        } else if !reads.members.is_empty() {
            scope.put_members("values", reads.members.iter().filter_map(|name| Some((name.as_str(), facts.value(name)?.0))));
        }
        if reads.reported {
            facts.with_reported(&mut |reported| scope.put_members("reported", &mut *reported));
        }
        if reads.metadata {
            scope.put_members("metadata", facts.metadata().iter().map(|(name, value)| (name.as_str(), value)));
        }
        if reads.rollups {
            scope.put("rollups", &facts.rollups());
        }
        if reads.model {
            scope.put("model", &Value::from(facts.model()));
        }
        if reads.id {
            scope.put("id", &Value::from(facts.id()));
        }
    }

    /// When time alone may change what it says, at the earliest.
    pub fn due(&self, facts: &dyn Facts, memory: &Memory) -> Option<Timestamp> {
        let after = |at: Timestamp, ms: i64| Timestamp::from_millis_clamped(at.as_millis().saturating_add(ms));
        let due = |term: &Term| match term {
            Term::Window { .. } => None,
            Term::Absent { name, length_ms } => Some(after(facts.value(name).map_or_else(|| facts.since(), |(_, at)| at), *length_ms)),
            Term::For { condition, length_ms } => {
                let held = memory.held_since(&condition.source).map(|since| after(since, *length_ms));
                [held, condition.due(facts, memory)].into_iter().flatten().filter(|at| *at > memory.now()).min()
            }
        };
        self.terms.iter().filter_map(due).filter(|at| *at > memory.now()).min()
    }
}
