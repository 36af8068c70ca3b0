//! Reads tokens one by one, and what every expression has: names, models, comparisons, literals. An error says what should stand where it
//! was found.

use super::{
    SyntaxError,
    compare::{Literal, Number, Relation},
    tokens::{Token, tokens},
};
use crate::{
    id::{ModelId, Name},
    limits::NAME_BYTES_MAX,
    model,
};

pub struct Cursor {
    tokens: Vec<(usize, Token)>,
    next: usize,
}

pub type Parsed<T> = Result<T, SyntaxError>;

impl Cursor {
    pub fn new(text: &str) -> Parsed<Self> {
        Ok(Self { tokens: tokens(text)?, next: 0 })
    }

    /// The last token is the end, and stays.
    pub fn peek(&self) -> &Token {
        &self.tokens[self.next].1
    }

    pub fn column(&self) -> usize {
        self.tokens[self.next].0
    }

    pub fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    pub fn fail<T>(&self, reason: impl Into<String>) -> Parsed<T> {
        Err(SyntaxError { column: self.column(), reason: reason.into() })
    }

    pub fn wanted<T>(&self, what: &str) -> Parsed<T> {
        self.fail(format!("{what} must stand here, not {}", self.peek().named()))
    }

    pub fn accept(&mut self, sign: &str) -> bool {
        let is_it = matches!(self.peek(), Token::Sign(found) if *found == sign);
        if is_it {
            self.take();
        }
        is_it
    }

    pub fn accept_word(&mut self, word: &str) -> bool {
        let is_it = matches!(self.peek(), Token::Word(found) if found == word);
        if is_it {
            self.take();
        }
        is_it
    }

    pub fn expect(&mut self, sign: &str) -> Parsed<()> {
        if self.accept(sign) { Ok(()) } else { self.wanted(&format!("\"{sign}\"")) }
    }

    pub fn expect_end(&self) -> Parsed<()> {
        if *self.peek() == Token::End { Ok(()) } else { self.wanted("the end") }
    }

    /// One of the words of `table`, if that is next.
    pub fn one_of<T: Copy>(&mut self, table: &[(&str, T)]) -> Option<T> {
        let Token::Word(word) = self.peek() else { return None };
        let found = table.iter().find(|(known, _)| *known == word.as_str()).map(|(_, meant)| *meant)?;
        self.take();
        Some(found)
    }

    /// What comes behind the next token.
    pub fn peek_second(&self) -> Option<&Token> {
        self.tokens.get(self.next + 1).map(|(_, token)| token)
    }

    /// Whether behind the sign that is next stands something that is called, as in `.startsWith(`.
    pub fn is_call_behind(&self) -> bool {
        matches!(self.tokens.get(self.next + 1..self.next + 3), Some([(_, Token::Word(_)), (_, Token::Sign("("))]))
    }

    pub fn model(&mut self) -> Parsed<ModelId> {
        let Token::Text(text) = self.peek().clone() else { return self.wanted("a model in quotes") };
        match model::resolve(&text) {
            Ok(model) => {
                self.take();
                Ok(model)
            }
            Err(error) => self.fail(error.to_string()),
        }
    }

    pub fn name(&mut self) -> Parsed<Name> {
        let (Token::Word(name) | Token::Text(name)) = self.peek().clone() else { return self.wanted("the name of a value") };
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return self.fail(format!("a name has 1 to {NAME_BYTES_MAX} bytes"));
        }
        self.take();
        Ok(name)
    }

    pub fn equality(&mut self) -> Parsed<bool> {
        if self.accept("==") {
            return Ok(true);
        }
        if self.accept("!=") { Ok(false) } else { self.wanted("\"==\" or \"!=\"") }
    }

    pub fn relation(&mut self) -> Option<Relation> {
        use Relation::*;
        let all = [("==", Equal), ("!=", NotEqual), ("<=", LessOrEqual), (">=", GreaterOrEqual), ("<", Less), (">", Greater)];
        all.into_iter().find(|(sign, _)| self.accept(sign)).map(|(_, relation)| relation)
    }

    pub fn number(&mut self) -> Parsed<Option<Number>> {
        let is_negative = self.accept("-");
        if let Token::Number(number) = *self.peek() {
            self.take();
            return Ok(Some(Number::new(if is_negative { -number } else { number })));
        }
        if is_negative { self.wanted("a number") } else { Ok(None) }
    }

    pub fn literal(&mut self) -> Parsed<Literal> {
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
