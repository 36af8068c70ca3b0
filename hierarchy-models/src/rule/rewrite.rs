//! Finds the window functions and names in a text and writes it anew for CEL, so that what CEL says of it can be told of the text itself.

use std::ops::Range;

use super::{
    cel::Compiled,
    error::TextError,
    program::{Figure, Program, Reads, Term, variable},
    tokens::{Kind, Token, duration_ms},
};
use crate::{
    id::Name,
    limits::{RULE_DEPTH_MAX, RULE_MACROS_MAX, WINDOW_MAX},
};

const FIGURES: [(&str, Figure); 6] = [
    ("avg", Figure::Avg),
    ("min", Figure::Min),
    ("max", Figure::Max),
    ("count", Figure::Count),
    ("rate", Figure::Rate),
    ("stddev", Figure::Stddev),
];

const FUNCTIONS: [&str; 13] = ["has", "size", "string", "double", "int", "max", "min", "abs", "floor", "ceil", "round", "sqrt", "mod"];
const METHODS: [&str; 5] = ["contains", "startsWith", "endsWith", "matches", "size"];
const MACROS: [&str; 5] = ["all", "exists", "exists_one", "map", "filter"];

/// Brackets that do not match are found here, with a better word than a grammar has for them.
pub(super) fn check_brackets(text: &str, tokens: &[Token]) -> Result<(), TextError> {
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
pub(super) struct Rewrite<'a> {
    text: &'a str,
    out: String,
    from: Vec<usize>,
    terms: Vec<Term>,
    reads: Reads,
}

impl<'a> Rewrite<'a> {
    pub(super) fn new(text: &'a str) -> Self {
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
    pub(super) fn compile(mut self, range: Range<usize>, tokens: &[Token]) -> Result<Program, TextError> {
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
            let in_line =
                self.out[line_start.min(self.out.len())..].char_indices().nth(fault.column).map_or(self.out.len(), |(n, _)| line_start + n);
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
                [dot, member, ..] if dot.is(b'.') && member.kind == Kind::Name => {
                    reads.members.insert(member.of(self.text).into());
                }
                [open, member, close, ..] if open.is(b'[') && member.kind == Kind::Text && close.is(b']') => {
                    reads.members.insert(unquoted(member.of(self.text)).into());
                }
                _ => reads.all_values = true,
            },
            "reported" => reads.reported = true,
            "metadata" => reads.metadata = true,
            "rollups" => reads.rollups = true,
            "model" => reads.model = true,
            "id" => reads.id = true,
            name => {
                reads.bare.insert(name.into());
            }
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
        let length_ms = duration_ms(duration.of(self.text)).filter(|ms| *ms <= WINDOW_MAX.as_millis() as i64).ok_or_else(|| {
            self.fault(duration.from, "a duration is a number with d, h, m, s or ms behind it, more than 0 and at most 31d")
        })?;
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
