//! Definitions as text, read by hand: `docs/rollups.md` has the grammar. An error points at the column it was found at.

#[cfg(test)]
mod tests;

use std::ops::{Deref, DerefMut};

use super::{
    ask::{Ask, Operand, Reach, Scope, Source, What},
    condition::{Comparison, Condition, Word},
    definition::Figure,
};
use crate::{
    expression::{Cursor, Literal, Parsed, Relation, SyntaxError, Token},
    limits::{ROLLUP_COMPARISONS_MAX, ROLLUP_NESTING_MAX, ROLLUP_TEXT_BYTES_MAX},
};

const FIGURES: &str = "count, sum, avg, min, max, last, percentile and worst";
const REACHES: [(&str, Reach); 3] = [("children", Reach::Children), ("devices", Reach::Devices), ("twins", Reach::Twins)];
const SOURCES: [(&str, Source); 4] =
    [("telemetry", Source::Telemetry), ("reported", Source::Reported), ("metadata", Source::Metadata), ("rollups", Source::Rollups)];

/// Reads one definition.
pub fn definition(text: &str) -> Result<(Figure, Ask), SyntaxError> {
    if text.len() > ROLLUP_TEXT_BYTES_MAX {
        let reason = format!("the text takes {} bytes; at most {ROLLUP_TEXT_BYTES_MAX} are allowed", text.len());
        return Err(SyntaxError { column: 1, reason });
    }
    let mut parser = Parser { cursor: Cursor::new(text)?, comparisons: 0 };
    let definition = parser.definition()?;
    parser.expect_end()?;
    Ok(definition)
}

struct Parser {
    cursor: Cursor,
    comparisons: usize,
}

impl Deref for Parser {
    type Target = Cursor;
    fn deref(&self) -> &Cursor {
        &self.cursor
    }
}

impl DerefMut for Parser {
    fn deref_mut(&mut self) -> &mut Cursor {
        &mut self.cursor
    }
}

impl Parser {
    fn definition(&mut self) -> Parsed<(Figure, Ask)> {
        let Token::Word(figure) = self.peek().clone() else { return self.wanted(&format!("one of {FIGURES}")) };
        let simple = [("sum", Figure::Sum), ("avg", Figure::Avg), ("min", Figure::Min), ("max", Figure::Max), ("last", Figure::Last)];
        if let Some(figure) = self.one_of(&simple) {
            self.expect("(")?;
            return self.of_values(figure);
        }
        match figure.as_str() {
            "count" | "percentile" | "worst" => {
                self.take();
                self.expect("(")?;
            }
            _ => return self.fail(format!("{figure:?} is no figure; there are {FIGURES}")),
        }
        match figure.as_str() {
            "count" => self.count(),
            "worst" => self.worst(),
            _ => self.percentile(),
        }
    }

    fn of_values(&mut self, figure: Figure) -> Parsed<(Figure, Ask)> {
        let (scope, value) = self.scoped_value()?;
        let mut what = What::Values(value.clone());
        let has_more = self.accept(",");
        let column = self.column();
        if has_more && self.accept_word("weight") {
            if figure != Figure::Avg {
                return Err(SyntaxError { column, reason: "only avg takes a weight".into() });
            }
            self.expect(":")?;
            let column = self.column();
            let (of, weight) = self.scoped_value()?;
            if of != scope {
                return Err(SyntaxError { column, reason: "the weight must be of the same twins as the value".into() });
            }
            what = What::Weighted { value, weight };
            self.accept(",");
        }
        self.finish(figure, scope, what)
    }

    fn percentile(&mut self) -> Parsed<(Figure, Ask)> {
        let (scope, value) = self.scoped_value()?;
        self.expect(",")?;
        let Token::Number(percent) = *self.peek() else { return self.wanted("a number from 0 to 100") };
        if !(0.0..=100.0).contains(&percent) {
            return self.fail("a percentile lies from 0 to 100");
        }
        self.take();
        self.accept(",");
        self.finish(Figure::Percentile(percent), scope, What::Spread(value))
    }

    fn count(&mut self) -> Parsed<(Figure, Ask)> {
        let all_devices = Scope { reach: Reach::Devices, of: None };
        let is_bare = matches!(self.peek(), Token::Sign(")")) || matches!(self.peek(), Token::Word(word) if word == "where");
        if is_bare {
            return self.finish(Figure::Count, all_devices, What::Twins);
        }
        let scope = self.scope()?;
        let what = if self.accept(".") { What::Values(self.operand()?) } else { What::Twins };
        self.accept(",");
        self.finish(Figure::Count, scope, what)
    }

    fn worst(&mut self) -> Parsed<(Figure, Ask)> {
        let mut scope = Scope { reach: Reach::Twins, of: None };
        if !matches!(self.peek(), Token::Word(word) if word == "alerts") {
            scope = self.scope()?;
            self.expect(".")?;
        }
        if !self.accept_word("alerts") {
            return self.wanted("\"alerts\"");
        }
        self.accept(",");
        self.finish(Figure::Worst, scope, What::Alerts)
    }

    fn finish(&mut self, figure: Figure, scope: Scope, what: What) -> Parsed<(Figure, Ask)> {
        let only = if self.accept_word("where") { Some(self.either(0)?) } else { None };
        self.expect(")")?;
        Ok((figure, Ask { scope, what, only }))
    }

    fn scope(&mut self) -> Parsed<Scope> {
        let Some(reach) = self.one_of(&REACHES) else { return self.wanted("children, devices or twins") };
        let mut of = None;
        if self.accept("(") {
            if !self.accept_word("of") {
                return self.wanted("\"of\"");
            }
            of = Some(self.model()?);
            self.expect(")")?;
        }
        Ok(Scope { reach, of })
    }

    fn scoped_value(&mut self) -> Parsed<(Scope, Operand)> {
        let scope = self.scope()?;
        self.expect(".")?;
        Ok((scope, self.operand()?))
    }

    fn operand(&mut self) -> Parsed<Operand> {
        let is_dotted = matches!(self.peek_second(), Some(Token::Sign(".")));
        let source = if is_dotted { self.one_of(&SOURCES) } else { None };
        if is_dotted && source.is_none() {
            return self.fail("before another name stands telemetry, reported, metadata or rollups");
        }
        if source.is_some() {
            self.expect(".")?;
        }
        Ok(Operand { source: source.unwrap_or(Source::Any), name: self.name()? })
    }

    fn either(&mut self, depth: usize) -> Parsed<Condition> {
        let mut all = self.both(depth)?;
        while self.accept_word("or") || self.accept("||") {
            all = Condition::Either(Box::new((all, self.both(depth)?)));
        }
        Ok(all)
    }

    fn both(&mut self, depth: usize) -> Parsed<Condition> {
        let mut all = self.one(depth)?;
        while self.accept_word("and") || self.accept("&&") {
            all = Condition::Both(Box::new((all, self.one(depth)?)));
        }
        Ok(all)
    }

    fn one(&mut self, depth: usize) -> Parsed<Condition> {
        if depth > ROLLUP_NESTING_MAX {
            return self.fail(format!("a condition is nested at most {ROLLUP_NESTING_MAX} deep"));
        }
        if self.accept_word("not") || self.accept("!") {
            return Ok(Condition::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.accept("(") {
            let inside = self.either(depth + 1)?;
            self.expect(")")?;
            return Ok(inside);
        }
        self.comparisons += 1;
        if self.comparisons > ROLLUP_COMPARISONS_MAX {
            return self.fail(format!("a condition has at most {ROLLUP_COMPARISONS_MAX} comparisons"));
        }
        Ok(Condition::Compare(self.comparison()?))
    }

    fn comparison(&mut self) -> Parsed<Comparison> {
        match self.peek() {
            Token::Word(word) if word == "status" => self.status(),
            Token::Word(word) if word == "model" => {
                self.take();
                let is = self.equality()?;
                Ok(Comparison::Model { model: self.model()?, is })
            }
            Token::Word(word) if word == "alerts" => {
                self.take();
                let Some(relation) = self.relation() else { return self.wanted("a comparison") };
                let Some(number) = self.number()? else { return self.wanted("a number") };
                Ok(Comparison::Alerts { relation, number })
            }
            _ => {
                let operand = self.operand()?;
                match self.relation() {
                    Some(relation) => Ok(Comparison::Value { operand, relation, literal: self.literal()? }),
                    None => Ok(Comparison::Value { operand, relation: Relation::Equal, literal: Literal::Bool(true) }),
                }
            }
        }
    }

    fn status(&mut self) -> Parsed<Comparison> {
        self.take();
        let is = self.equality()?;
        let Token::Text(text) = self.peek() else { return self.wanted("a status in quotes") };
        let Some((_, word)) = Word::ALL.into_iter().find(|(known, _)| *known == text.as_str()) else {
            let known: Vec<&str> = Word::ALL.iter().map(|(known, _)| *known).collect();
            let reason = format!("{text:?} is no status; there are {}. A value named status is written in quotes", known.join(", "));
            return self.fail(reason);
        };
        self.take();
        Ok(Comparison::Status { word, is })
    }
}
