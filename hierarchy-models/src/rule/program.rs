//! An expression, compiled: window functions are found and replaced by variables that are filled before each run, the rest is CEL.

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use super::{
    cel::{Answer, Compiled, Scope},
    error::TextError,
    memory::{Facts, Memory},
    tokens::{Kind, Token, duration_ms, tokens},
};
use crate::{
    id::Name,
    limits::{RULE_DEPTH_MAX, RULE_MACROS_MAX, RULE_TEXT_BYTES_MAX, WINDOW_MAX, WINDOWS_PER_RULE_MAX},
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

const FIGURES: [(&str, Figure); 6] = [
    ("avg", Figure::Avg),
    ("min", Figure::Min),
    ("max", Figure::Max),
    ("count", Figure::Count),
    ("rate", Figure::Rate),
    ("stddev", Figure::Stddev),
];

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
    bare: BTreeSet<Name>,
    /// Last known values as `values.NAME`.
    members: BTreeSet<Name>,
    /// `values` as a whole.
    pub all_values: bool,
    pub reported: bool,
    pub metadata: bool,
    pub rollups: bool,
    model: bool,
    id: bool,
}

#[derive(Debug)]
pub struct Program {
    source: Arc<str>,
    compiled: Compiled,
    terms: Vec<Term>,
    reads: Reads,
}

const FUNCTIONS: [&str; 13] = ["has", "size", "string", "double", "int", "max", "min", "abs", "floor", "ceil", "round", "sqrt", "mod"];
const METHODS: [&str; 5] = ["contains", "startsWith", "endsWith", "matches", "size"];
const MACROS: [&str; 5] = ["all", "exists", "exists_one", "map", "filter"];

/// The name of a term's variable; no device would call a value that.
fn variable(n: usize) -> String {
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
                Term::Window { name, .. } | Term::Absent { name, .. } => drop(names.insert(name.clone())),
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

/// Brackets that do not match are found here, with a better word than a grammar has for them.
fn check_brackets(text: &str, tokens: &[Token]) -> Result<(), TextError> {
    let mut open: Vec<&Token> = Vec::new();
    for token in tokens {
        let Kind::Mark(mark) = token.kind else { continue };
        match mark {
            b'(' | b'[' | b'{' => open.push(token),
            b')' | b']' | b'}' => {
                let wanted = open.pop().map(|t| t.of(text));
                if !matches!((wanted, mark), (Some("("), b')') | (Some("["), b']') | (Some("{"), b'}')) {
                    return Err(TextError::at(text, token.from, format!("{:?} closes nothing", token.of(text))));
                }
            }
            _ => {}
        }
        if open.len() > RULE_DEPTH_MAX {
            return Err(TextError::at(text, token.from, format!("more than {RULE_DEPTH_MAX} levels of brackets")));
        }
    }
    match open.last() {
        Some(token) => Err(TextError::at(text, token.from, format!("{:?} is not closed", token.of(text)))),
        None => Ok(()),
    }
}

/// The text as CEL is to read it, and where each of its bytes comes from.
struct Rewrite<'a> {
    text: &'a str,
    out: String,
    from: Vec<usize>,
    terms: Vec<Term>,
    reads: Reads,
}

impl<'a> Rewrite<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, out: String::new(), from: Vec::new(), terms: Vec::new(), reads: Reads::default() }
    }

    fn fault(&self, at: usize, reason: impl Into<String>) -> TextError {
        TextError::at(self.text, at, reason)
    }

    fn copy(&mut self, range: Range<usize>) {
        self.out.push_str(&self.text[range.clone()]);
        self.from.extend(range);
    }

    /// Writes something else in the place of what begins at `at`.
    fn write(&mut self, words: &str, at: usize) {
        self.out.push_str(words);
        self.from.extend(std::iter::repeat_n(at, words.len()));
    }

    /// `tokens` are those of `range`.
    fn compile(mut self, range: Range<usize>, tokens: &[Token]) -> Result<Program, TextError> {
        if tokens.is_empty() {
            return Err(self.fault(range.start, "an expression is missing"));
        }
        let (mut n, mut at, mut macros) = (0, range.start, 0);
        while let Some(token) = tokens.get(n) {
            self.copy(at..token.from);
            at = token.to;
            let before = n.checked_sub(1).map(|n| tokens[n]);
            let next = tokens.get(n + 1).copied();
            let is_call = next.is_some_and(|t| t.is(b'('));
            let is_member = before.is_some_and(|t| t.is(b'.'));
            n += 1;
            match token.kind {
                Kind::Name if is_call && !is_member => {
                    if let Some((term, used)) = self.window(token, &tokens[n..])? {
                        self.write(&variable(self.terms.len()), token.from);
                        self.terms.push(term);
                        n += used;
                        at = tokens[n - 1].to;
                        continue;
                    }
                    let name = token.of(self.text);
                    if !FUNCTIONS.contains(&name) {
                        return Err(self.fault(token.from, format!("there is no function {name:?}")));
                    }
                    self.copy(token.from..token.to);
                }
                Kind::Name if is_call => {
                    let name = token.of(self.text);
                    macros += usize::from(MACROS.contains(&name));
                    if macros > RULE_MACROS_MAX {
                        return Err(self.fault(token.from, format!("more than {RULE_MACROS_MAX} of {}", MACROS.join(", "))));
                    }
                    if !METHODS.contains(&name) && !MACROS.contains(&name) {
                        return Err(self.fault(token.from, format!("there is no method {name:?}")));
                    }
                    self.copy(token.from..token.to);
                }
                Kind::Name => {
                    if !is_member {
                        self.read(token, &tokens[n..]);
                    }
                    self.copy(token.from..token.to);
                }
                Kind::Int => {
                    self.copy(token.from..token.to);
                    let is_index = before.is_some_and(|t| t.is(b'['))
                        && n >= 3
                        && matches!(tokens[n - 3].kind, Kind::Name | Kind::Text | Kind::Mark(b')' | b']'));
                    if !is_index {
                        self.write(".0", token.from);
                    }
                }
                Kind::Duration => return Err(self.fault(token.from, "a duration stands only at the end of a window function")),
                Kind::Mark(b'%') => return Err(self.fault(token.from, "numbers here have fractions: write mod(a, b)")),
                Kind::Number | Kind::Text | Kind::Mark(_) => self.copy(token.from..token.to),
            }
        }
        let compiled = Compiled::new(&self.out).map_err(|fault| {
            let line_start = self.out.split_inclusive('\n').take(fault.line - 1).map(str::len).sum::<usize>();
            let in_line = self.out[line_start.min(self.out.len())..].char_indices().nth(fault.column).map_or(self.out.len(), |(n, _)| line_start + n);
            let at = self.from.get(in_line).copied().unwrap_or(range.end);
            TextError::at(self.text, at, fault.reason)
        })?;
        let source = self.text[range].trim().into();
        Ok(Program { source, compiled, terms: self.terms, reads: self.reads })
    }

    /// Notes what a name that is no member and no function stands for.
    fn read(&mut self, token: &Token, rest: &[Token]) {
        let reads = &mut self.reads;
        match token.of(self.text) {
            "true" | "false" | "null" | "in" => {}
            "values" => match rest {
                [dot, member, ..] if dot.is(b'.') && member.kind == Kind::Name => drop(reads.members.insert(member.of(self.text).into())),
                [open, member, close, ..] if open.is(b'[') && member.kind == Kind::Text && close.is(b']') => {
                    drop(reads.members.insert(unquoted(member.of(self.text)).into()));
                }
                _ => reads.all_values = true,
            },
            "reported" => reads.reported = true,
            "metadata" => reads.metadata = true,
            "rollups" => reads.rollups = true,
            "model" => reads.model = true,
            "id" => reads.id = true,
            name => drop(reads.bare.insert(name.into())),
        }
    }

    /// The term of a window function whose name is `token`, and how many tokens behind that it takes.
    fn window(&mut self, token: &Token, rest: &[Token]) -> Result<Option<(Term, usize)>, TextError> {
        let name = token.of(self.text);
        let figure = FIGURES.iter().find(|(known, _)| *known == name).map(|(_, figure)| *figure);
        if figure.is_none() && name != "for" && name != "absent" {
            return Ok(None);
        }
        // Brackets match: that was looked at.
        let (mut depth, mut comma, mut end) = (0, None, 0);
        for (n, t) in rest.iter().enumerate() {
            match t.kind {
                Kind::Mark(b'(' | b'[' | b'{') => depth += 1,
                Kind::Mark(b')' | b']' | b'}') => depth -= 1,
                Kind::Mark(b',') if depth == 1 => comma = Some(n),
                _ => {}
            }
            if depth == 0 {
                end = n;
                break;
            }
        }
        let duration = comma.filter(|comma| *comma + 2 == end).map(|comma| &rest[comma + 1]).filter(|t| t.kind == Kind::Duration);
        let (Some(comma), Some(duration)) = (comma, duration) else {
            // The other `min` and `max`, of several numbers.
            if matches!(name, "min" | "max") {
                return Ok(None);
            }
            let what = if name == "for" { "a condition" } else { "a value" };
            return Err(self.fault(rest[end].from, format!("{name} takes {what} and a duration: {name}(…, 10m)")));
        };
        let length_ms = duration_ms(duration.of(self.text))
            .filter(|ms| *ms <= WINDOW_MAX.as_millis() as i64)
            .ok_or_else(|| self.fault(duration.from, "a duration is a number with d, h, m, s or ms behind it, more than 0 and at most 31d"))?;
        let argument = &rest[1..comma];
        let term = match figure {
            _ if name == "for" => {
                Term::For { condition: Rewrite::new(self.text).compile(rest[0].to..rest[comma].from, argument)?, length_ms }
            }
            None => Term::Absent { name: self.value_name(rest[0].to, argument)?, length_ms },
            Some(figure) => Term::Window { figure, name: self.value_name(rest[0].to, argument)?, length_ms },
        };
        Ok(Some((term, end + 1)))
    }

    /// `temperature`, `values.temperature`, `values["flow rate"]`.
    fn value_name(&self, at: usize, argument: &[Token]) -> Result<Name, TextError> {
        let of = |t: &Token| t.of(self.text);
        match argument {
            [name] if name.kind == Kind::Name => Ok(of(name).into()),
            [values, dot, name] if of(values) == "values" && dot.is(b'.') && name.kind == Kind::Name => Ok(of(name).into()),
            [values, open, name, close] if of(values) == "values" && open.is(b'[') && name.kind == Kind::Text && close.is(b']') => {
                Ok(unquoted(of(name)).into())
            }
            _ => Err(self.fault(argument.first().map_or(at, |t| t.from), "a window is over one value of the twin, named here")),
        }
    }
}

/// The content of a plain text literal.
fn unquoted(literal: &str) -> &str {
    literal.trim_start_matches(['r', 'R']).trim_matches(['"', '\''])
}
