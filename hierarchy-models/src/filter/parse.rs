//! Filters as text, read by hand. An error points at the column it was found at.

use super::{Field, Filter, Part, Test};
use crate::{
    expression::{Cursor, Literal, Parsed, Relation, SyntaxError, Token},
    id::{Name, TwinId},
    limits::{FILTER_COMPARISONS_MAX, FILTER_NESTING_MAX, FILTER_PATH_NAMES_MAX, FILTER_TEXT_BYTES_MAX},
    rollup::Word,
    time::Timestamp,
};

const FIELDS: &str =
    "id, model, status, connection, parent, gateway, path, created_at, alerts, metadata.NAME, values.NAME, telemetry.NAME or reported.NAME";
const CONNECTIONS: [(&str, Word); 2] = [("connected", Word::Online), ("disconnected", Word::Offline)];
const PARTS: [(&str, Part); 3] = [("startsWith", Part::Start), ("endsWith", Part::End), ("contains", Part::Anywhere)];

pub fn filter(text: &str) -> Parsed<Filter> {
    if text.len() > FILTER_TEXT_BYTES_MAX {
        let reason = format!("the filter takes {} bytes; at most {FILTER_TEXT_BYTES_MAX} are allowed", text.len());
        return Err(SyntaxError { column: 1, reason });
    }
    let mut parser = Parser { cursor: Cursor::new(text)?, comparisons: 0 };
    let filter = parser.any(0)?;
    parser.cursor.expect_end()?;
    Ok(filter)
}

/// What a comparison can begin with.
#[derive(Debug, PartialEq)]
pub enum Named {
    Model,
    Status,
    Connection,
    CreatedAt,
    Alerts,
    Field(Field),
}

/// The name of what is compared or sorted by; `known` are those that may stand here, for the error.
pub fn field(cursor: &mut Cursor, known: &str) -> Parsed<Named> {
    let Token::Word(word) = cursor.peek().clone() else { return cursor.wanted(known) };
    let column = cursor.column();
    let of_names: Option<fn(Vec<Name>) -> Field> = match word.as_str() {
        "metadata" => Some(Field::Metadata),
        "telemetry" => Some(Field::Telemetry),
        "reported" => Some(Field::Reported),
        "values" => Some(Field::Values),
        _ => None,
    };
    if let Some(of_names) = of_names {
        cursor.take();
        return Ok(Named::Field(of_names(names(cursor)?)));
    }
    let named = match word.as_str() {
        "id" => Named::Field(Field::Id),
        "parent" => Named::Field(Field::Parent),
        "gateway" => Named::Field(Field::Gateway),
        "path" => Named::Field(Field::Path),
        "model" => Named::Model,
        "status" => Named::Status,
        "connection" => Named::Connection,
        "created_at" => Named::CreatedAt,
        "alerts" => Named::Alerts,
        "tags" => return cursor.fail("a tag is asked for by tag(\"x\"), has(tags, \"x\") or \"x\" in tags"),
        other => {
            let reason = format!("{other:?} is not known here; there are {known}. A value is written metadata.{other} or values.{other}");
            return Err(SyntaxError { column, reason });
        }
    };
    cursor.take();
    Ok(named)
}

/// `.a.b`, up to what is called as a function.
fn names(cursor: &mut Cursor) -> Parsed<Vec<Name>> {
    let mut names = Vec::new();
    loop {
        if names.is_empty() {
            cursor.expect(".")?;
        } else if !matches!(cursor.peek(), Token::Sign(".")) || cursor.is_call_behind() {
            return Ok(names);
        } else {
            cursor.take();
        }
        if names.len() == FILTER_PATH_NAMES_MAX {
            return cursor.fail(format!("at most {FILTER_PATH_NAMES_MAX} names follow one another"));
        }
        names.push(cursor.name()?);
    }
}

struct Parser {
    cursor: Cursor,
    comparisons: usize,
}

impl Parser {
    fn any(&mut self, depth: usize) -> Parsed<Filter> {
        let mut parts = vec![self.all(depth)?];
        while self.cursor.accept_word("or") || self.cursor.accept("||") {
            parts.push(self.all(depth)?);
        }
        Ok(one_or(parts, Filter::Any))
    }

    fn all(&mut self, depth: usize) -> Parsed<Filter> {
        let mut parts = vec![self.one(depth)?];
        while self.cursor.accept_word("and") || self.cursor.accept("&&") {
            parts.push(self.one(depth)?);
        }
        Ok(one_or(parts, Filter::All))
    }

    fn one(&mut self, depth: usize) -> Parsed<Filter> {
        if depth > FILTER_NESTING_MAX {
            return self.cursor.fail(format!("a filter is nested at most {FILTER_NESTING_MAX} deep"));
        }
        if self.cursor.accept_word("not") || self.cursor.accept("!") {
            return Ok(Filter::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.cursor.accept("(") {
            let inside = self.any(depth + 1)?;
            self.cursor.expect(")")?;
            return Ok(inside);
        }
        self.count()?;
        let Token::Word(word) = self.cursor.peek().clone() else { return self.tag_first() };
        let is_call = matches!(self.cursor.peek_second(), Some(Token::Sign("(")));
        if is_call { self.call(&word) } else { self.comparison() }
    }

    fn count(&mut self) -> Parsed<()> {
        self.comparisons += 1;
        if self.comparisons > FILTER_COMPARISONS_MAX {
            return self.cursor.fail(format!("a filter has at most {FILTER_COMPARISONS_MAX} comparisons"));
        }
        Ok(())
    }

    /// `"x" in tags`.
    fn tag_first(&mut self) -> Parsed<Filter> {
        if !matches!(self.cursor.peek(), Token::Text(_)) {
            return self.cursor.wanted("a comparison");
        }
        let tag = self.text()?;
        if !(self.cursor.accept_word("in") && self.cursor.accept_word("tags")) {
            return self.cursor.wanted("\"in tags\"");
        }
        Ok(Filter::Test(Test::Tag(tag)))
    }

    fn text(&mut self) -> Parsed<Name> {
        let Token::Text(text) = self.cursor.peek().clone() else { return self.cursor.wanted("a text in quotes") };
        self.cursor.take();
        Ok(text)
    }

    fn call(&mut self, function: &str) -> Parsed<Filter> {
        const KNOWN: &str = "tag, has, exists, under, isA, startsWith, endsWith and contains";
        let part = PARTS.into_iter().find(|(name, _)| *name == function).map(|(_, part)| part);
        if part.is_none() && !["tag", "has", "exists", "under", "isA"].contains(&function) {
            return self.cursor.fail(format!("there is no function {function:?}; there are {KNOWN}"));
        }
        self.cursor.take();
        self.cursor.expect("(")?;
        let test = match (function, part) {
            (_, Some(part)) => {
                let field = self.readable()?;
                self.cursor.expect(",")?;
                Test::Text { field, part, text: self.text()? }
            }
            ("tag", _) => Test::Tag(self.text()?),
            ("under", _) => Test::Under(self.twin()?),
            ("isA", _) => Test::Model(vec![self.cursor.model()?]),
            ("has", _) if self.cursor.accept_word("tags") => {
                self.cursor.expect(",")?;
                Test::Tag(self.text()?)
            }
            _ => Test::Exists(self.readable()?),
        };
        self.cursor.expect(")")?;
        Ok(Filter::Test(test))
    }

    fn twin(&mut self) -> Parsed<TwinId> {
        let column = self.cursor.column();
        let text = self.text()?;
        TwinId::new(text).map_err(|error| SyntaxError { column, reason: error.to_string() })
    }

    /// What can be there or not, or hold a text.
    fn readable(&mut self) -> Parsed<Field> {
        const KNOWN: &str = "id, parent, gateway, path, metadata.NAME, values.NAME, telemetry.NAME or reported.NAME";
        let column = self.cursor.column();
        match field(&mut self.cursor, KNOWN)? {
            Named::Field(field) => Ok(field),
            _ => Err(SyntaxError { column, reason: format!("{KNOWN} must stand here") }),
        }
    }

    fn comparison(&mut self) -> Parsed<Filter> {
        match field(&mut self.cursor, FIELDS)? {
            Named::Model => self.equal_to(|p| Ok(Test::Model(vec![p.cursor.model()?]))),
            Named::Status => self.equal_to(|p| p.word(&Word::ALL, "status")),
            Named::Connection => self.equal_to(|p| p.word(&CONNECTIONS, "connection")),
            Named::CreatedAt => {
                let Some(relation) = self.cursor.relation() else { return self.cursor.wanted("a comparison") };
                Ok(Filter::Test(Test::Created { relation, at: self.time()? }))
            }
            Named::Alerts => {
                let Some(relation) = self.cursor.relation() else { return self.cursor.wanted("a comparison") };
                let Some(number) = self.cursor.number()? else { return self.cursor.wanted("a number") };
                Ok(Filter::Test(Test::Alerts { relation, number }))
            }
            Named::Field(field) => self.of_field(field),
        }
    }

    /// `== x`, `!= x`, `in [x, y]` of what every twin has.
    fn equal_to(&mut self, mut one: impl FnMut(&mut Self) -> Parsed<Test>) -> Parsed<Filter> {
        if self.cursor.accept_word("in") {
            return self.list(|p| one(p).map(Filter::Test));
        }
        let is = self.cursor.equality()?;
        let test = Filter::Test(one(self)?);
        Ok(if is { test } else { Filter::Not(Box::new(test)) })
    }

    /// `[x, y]`: one of them.
    fn list(&mut self, mut one: impl FnMut(&mut Self) -> Parsed<Filter>) -> Parsed<Filter> {
        self.cursor.expect("[")?;
        let mut any = vec![one(self)?];
        while self.cursor.accept(",") {
            self.count()?;
            any.push(one(self)?);
        }
        self.cursor.expect("]")?;
        Ok(one_or(any, Filter::Any))
    }

    fn word(&mut self, known: &[(&str, Word)], what: &str) -> Parsed<Test> {
        let Token::Text(text) = self.cursor.peek() else { return self.cursor.wanted(&format!("a {what} in quotes")) };
        let Some((_, word)) = known.iter().find(|(known, _)| *known == text.as_str()) else {
            let known: Vec<&str> = known.iter().map(|(known, _)| *known).collect();
            return self.cursor.fail(format!("{text:?} is no {what}; there are {}", known.join(", ")));
        };
        self.cursor.take();
        Ok(Test::Status(*word))
    }

    /// A day begins at midnight UTC.
    fn time(&mut self) -> Parsed<Timestamp> {
        let Token::Text(text) = self.cursor.peek().clone() else { return self.cursor.wanted("a time in quotes") };
        let day = || format!("{text}T00:00:00Z").parse::<Timestamp>().ok();
        match text.parse::<Timestamp>().or_else(|error| day().ok_or(error)) {
            Ok(at) => {
                self.cursor.take();
                Ok(at)
            }
            Err(error) => self.cursor.fail(error.to_string()),
        }
    }

    fn of_field(&mut self, field: Field) -> Parsed<Filter> {
        if self.cursor.accept(".") {
            let Some(part) = self.cursor.one_of(&PARTS) else { return self.cursor.wanted("startsWith, endsWith or contains") };
            self.cursor.expect("(")?;
            let text = self.text()?;
            self.cursor.expect(")")?;
            return Ok(Filter::Test(Test::Text { field, part, text }));
        }
        if self.cursor.accept_word("in") {
            return self.list(|p| Ok(equal(field.clone(), p.literal_for(&field)?)));
        }
        match self.cursor.relation() {
            Some(relation) => {
                let literal = self.literal_for(&field)?;
                Ok(Filter::Test(Test::Compare { field, relation, literal }))
            }
            None if is_of_registry(&field) => self.cursor.wanted("a comparison"),
            None => Ok(equal(field, Literal::Bool(true))),
        }
    }

    /// What is never anything but a text is compared with nothing else.
    fn literal_for(&mut self, field: &Field) -> Parsed<Literal> {
        if is_of_registry(field) { self.text().map(Literal::Text) } else { self.cursor.literal() }
    }
}

fn is_of_registry(field: &Field) -> bool {
    matches!(field, Field::Id | Field::Parent | Field::Gateway | Field::Path)
}

fn equal(field: Field, literal: Literal) -> Filter {
    Filter::Test(Test::Compare { field, relation: Relation::Equal, literal })
}

fn one_or(mut parts: Vec<Filter>, many: fn(Vec<Filter>) -> Filter) -> Filter {
    if parts.len() == 1 { parts.remove(0) } else { many(parts) }
}
