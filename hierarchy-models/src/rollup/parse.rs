//! Definitions as text, read by hand: `docs/rollups.md` has the grammar. An error points at the column it was found at.

#[cfg(test)]
mod tests;

use super::{
    ask::{Ask, Operand, Reach, Scope, Source, What},
    condition::{Comparison, Condition, Literal, Number, Relation, Word},
    definition::Figure,
    tokens::{Token, tokens},
};
use crate::{
    id::{ModelId, Name},
    limits::{NAME_BYTES_MAX, ROLLUP_COMPARISONS_MAX, ROLLUP_NESTING_MAX, ROLLUP_TEXT_BYTES_MAX},
    model,
};

/// Why a text is no definition. The column is counted in characters from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {reason}")]
pub struct SyntaxError {
    pub column: usize,
    pub reason: String,
}

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
    let mut parser = Parser { tokens: tokens(text)?, next: 0, comparisons: 0 };
    let definition = parser.definition()?;
    parser.expect_end()?;
    Ok(definition)
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    comparisons: usize,
}

type Parsed<T> = Result<T, SyntaxError>;

impl Parser {
    /// The last token is the end, and stays.
    fn peek(&self) -> &Token {
        &self.tokens[self.next].1
    }

    fn column(&self) -> usize {
        self.tokens[self.next].0
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    fn fail<T>(&self, reason: impl Into<String>) -> Parsed<T> {
        Err(SyntaxError { column: self.column(), reason: reason.into() })
    }

    fn wanted<T>(&self, what: &str) -> Parsed<T> {
        self.fail(format!("{what} must stand here, not {}", self.peek().named()))
    }

    fn accept(&mut self, sign: &str) -> bool {
        let is_it = matches!(self.peek(), Token::Sign(found) if *found == sign);
        if is_it {
            self.take();
        }
        is_it
    }

    fn accept_word(&mut self, word: &str) -> bool {
        let is_it = matches!(self.peek(), Token::Word(found) if found == word);
        if is_it {
            self.take();
        }
        is_it
    }

    fn expect(&mut self, sign: &str) -> Parsed<()> {
        if self.accept(sign) { Ok(()) } else { self.wanted(&format!("\"{sign}\"")) }
    }

    fn expect_end(&self) -> Parsed<()> {
        if *self.peek() == Token::End { Ok(()) } else { self.wanted("the end") }
    }

    /// One of the words of `table`, if that is next.
    fn one_of<T: Copy>(&mut self, table: &[(&str, T)]) -> Option<T> {
        let Token::Word(word) = self.peek() else { return None };
        let found = table.iter().find(|(known, _)| *known == word.as_str()).map(|(_, meant)| *meant)?;
        self.take();
        Some(found)
    }

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

    fn model(&mut self) -> Parsed<ModelId> {
        let Token::Text(text) = self.peek().clone() else { return self.wanted("a model in quotes") };
        match model::resolve(&text) {
            Ok(model) => {
                self.take();
                Ok(model)
            }
            Err(error) => self.fail(error.to_string()),
        }
    }

    fn scoped_value(&mut self) -> Parsed<(Scope, Operand)> {
        let scope = self.scope()?;
        self.expect(".")?;
        Ok((scope, self.operand()?))
    }

    fn operand(&mut self) -> Parsed<Operand> {
        let is_dotted = matches!(self.tokens.get(self.next + 1), Some((_, Token::Sign("."))));
        let source = if is_dotted { self.one_of(&SOURCES) } else { None };
        if is_dotted && source.is_none() {
            return self.fail("before another name stands telemetry, reported, metadata or rollups");
        }
        if source.is_some() {
            self.expect(".")?;
        }
        Ok(Operand { source: source.unwrap_or(Source::Any), name: self.name()? })
    }

    fn name(&mut self) -> Parsed<Name> {
        let (Token::Word(name) | Token::Text(name)) = self.peek().clone() else { return self.wanted("the name of a value") };
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return self.fail(format!("a name has 1 to {NAME_BYTES_MAX} bytes"));
        }
        self.take();
        Ok(name)
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

    fn equality(&mut self) -> Parsed<bool> {
        if self.accept("==") {
            return Ok(true);
        }
        if self.accept("!=") { Ok(false) } else { self.wanted("\"==\" or \"!=\"") }
    }

    fn relation(&mut self) -> Option<Relation> {
        use Relation::*;
        let all = [("==", Equal), ("!=", NotEqual), ("<=", LessOrEqual), (">=", GreaterOrEqual), ("<", Less), (">", Greater)];
        all.into_iter().find(|(sign, _)| self.accept(sign)).map(|(_, relation)| relation)
    }

    fn number(&mut self) -> Parsed<Option<Number>> {
        let is_negative = self.accept("-");
        if let Token::Number(number) = *self.peek() {
            self.take();
            return Ok(Some(Number::new(if is_negative { -number } else { number })));
        }
        if is_negative { self.wanted("a number") } else { Ok(None) }
    }

    fn literal(&mut self) -> Parsed<Literal> {
        if let Some(number) = self.number()? {
            return Ok(Literal::Number(number));
        }
        let literal = match self.peek() {
            Token::Text(text) => Literal::Text(text.clone()),
            Token::Word(word) if word == "true" => Literal::Bool(true),
            Token::Word(word) if word == "false" => Literal::Bool(false),
            _ => return self.wanted("a text in quotes, a number, true or false"),
        };
        self.take();
        Ok(literal)
    }
}
