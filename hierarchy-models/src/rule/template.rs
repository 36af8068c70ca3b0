//! An alert's text with expressions in braces: `{temperature} °C in {metadata.room}`. `{{` and `}}` are braces; `{value}` is the value
//! that the condition names first.

use super::{
    cel::Answer,
    error::TextError,
    memory::{Facts, Memory},
    program::Program,
};
use crate::{
    id::Name,
    limits::{ALERT_TEXT_BYTES_MAX, RULE_TEXT_BYTES_MAX, WINDOWS_PER_RULE_MAX},
};

#[derive(Debug)]
enum Part {
    Words(String),
    Value(Program),
}

#[derive(Debug)]
pub struct Template(Vec<Part>);

impl Template {
    pub fn compile(text: &str, when: &Program) -> Result<Self, TextError> {
        if text.len() > RULE_TEXT_BYTES_MAX {
            return Err(TextError::at(text, RULE_TEXT_BYTES_MAX, format!("longer than {RULE_TEXT_BYTES_MAX} bytes")));
        }
        let mut parts = Vec::new();
        let (mut words, mut at) = (String::new(), 0);
        while let Some(c) = text[at..].chars().next() {
            let rest = &text[at..];
            if rest.starts_with("{{") || rest.starts_with("}}") {
                words.push(c);
                at += 2;
            } else if c == '}' {
                return Err(TextError::at(text, at, "a brace that opens nothing; write }} for one that stands for itself"));
            } else if c == '{' {
                let end = rest
                    .find('}')
                    .ok_or_else(|| TextError::at(text, at, "this brace is not closed; write {{ for one that stands for itself"))?;
                if !words.is_empty() {
                    parts.push(Part::Words(std::mem::take(&mut words)));
                }
                parts.push(Part::Value(placeholder(text, at + 1, at + end, when)?));
                at += end + 1;
            } else {
                words.push(c);
                at += c.len_utf8();
            }
        }
        if !words.is_empty() {
            parts.push(Part::Words(words));
        }
        if parts.iter().filter(|part| matches!(part, Part::Value(_))).count() > WINDOWS_PER_RULE_MAX {
            return Err(TextError::at(text, 0, format!("more than {WINDOWS_PER_RULE_MAX} placeholders")));
        }
        Ok(Self(parts))
    }

    pub fn programs(&self) -> impl Iterator<Item = &Program> {
        self.0.iter().filter_map(|part| if let Part::Value(program) = part { Some(program) } else { None })
    }

    pub fn names(&self) -> impl Iterator<Item = Name> {
        self.programs().flat_map(Program::names)
    }

    /// The text as things are now; what is missing shows as `?`.
    pub fn write(&self, facts: &dyn Facts, memory: &mut Memory) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Words(words) => text.push_str(words),
                Part::Value(program) => match program.run(facts, memory) {
                    Ok(Answer::Number(n)) => text.push_str(&number(n)),
                    Ok(Answer::Text(t)) => text.push_str(&t),
                    Ok(Answer::Bool(b)) => text.push_str(if b { "true" } else { "false" }),
                    Ok(Answer::Other) | Err(_) => text.push('?'),
                },
            }
        }
        text.truncate(text.floor_char_boundary(ALERT_TEXT_BYTES_MAX));
        text
    }
}

fn placeholder(text: &str, from: usize, to: usize, when: &Program) -> Result<Program, TextError> {
    let inner = &text[from..to];
    if inner.trim() == "value"
        && let Some(name) = when.first_name().filter(|name| name != "value")
        && !name.contains(['"', '\\'])
    {
        return Program::compile(&format!("values[\"{name}\"]"));
    }
    Program::compile(inner).map_err(|error| {
        let here = TextError::at(text, from, error.reason);
        let column = if error.line == 1 { here.column + error.column - 1 } else { error.column };
        TextError { line: here.line + error.line - 1, column, reason: here.reason }
    })
}

/// At most three decimals.
fn number(n: f64) -> String {
    let text = format!("{n:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
