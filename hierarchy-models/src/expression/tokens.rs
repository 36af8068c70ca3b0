//! The words of an expression, each with the column it begins at, counted in characters from 1.

use smol_str::SmolStr;

use super::SyntaxError;

#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// A letter or `_`, then letters, digits, `_` and `-`.
    Word(SmolStr),
    /// What stands in quotes, without them.
    Text(SmolStr),
    Number(f64),
    /// Punctuation, and comparisons.
    Sign(&'static str),
    End,
}

/// The longer ones first.
const SIGNS: [&str; 18] = ["==", "!=", "<=", ">=", "&&", "||", "(", ")", "[", "]", ",", ".", ":", "<", ">", "!", "-", "+"];

impl Token {
    /// As an error names it.
    pub fn named(&self) -> String {
        match self {
            Self::Word(word) => format!("{word:?}"),
            Self::Text(text) => format!("the text {text:?}"),
            Self::Number(number) => format!("the number {number}"),
            Self::Sign(sign) => format!("\"{sign}\""),
            Self::End => "the end".into(),
        }
    }
}

/// All tokens of a text, [`Token::End`] last.
pub fn tokens(text: &str) -> Result<Vec<(usize, Token)>, SyntaxError> {
    let mut all = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let column = text[..text.len() - rest.len()].chars().count() + 1;
        let Some(first) = rest.chars().next() else {
            all.push((column, Token::End));
            return Ok(all);
        };
        let (token, behind) = if first.is_alphabetic() || first == '_' {
            word(rest)
        } else if first == '"' || first == '\'' {
            quoted(rest, first).map_err(|reason| SyntaxError { column, reason: reason.into() })?
        } else if first.is_ascii_digit() {
            number(rest).ok_or_else(|| SyntaxError { column, reason: "this is not a number".into() })?
        } else {
            let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
            let sign = sign.ok_or_else(|| SyntaxError { column, reason: format!("{first:?} means nothing here") })?;
            (Token::Sign(sign), &rest[sign.len()..])
        };
        all.push((column, token));
        rest = behind;
    }
}

fn word(text: &str) -> (Token, &str) {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-')).unwrap_or(text.len());
    (Token::Word(text[..end].into()), &text[end..])
}

fn quoted(text: &str, quote: char) -> Result<(Token, &str), &'static str> {
    let mut inside = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some((_, escaped @ ('\\' | '"' | '\''))) => inside.push(escaped),
                _ => return Err("in a text, a backslash stands before a quote or a backslash only"),
            },
            c if c == quote => return Ok((Token::Text(inside.into()), &text[at + 1..])),
            c => inside.push(c),
        }
    }
    Err("the text has no closing quote")
}

/// Digits, with a fraction and an exponent if there are any; signs stand for themselves.
fn number(text: &str) -> Option<(Token, &str)> {
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let mut end = digits(text);
    if let Some(fraction) = text[end..].strip_prefix('.').filter(|f| f.starts_with(|c: char| c.is_ascii_digit())) {
        end += 1 + digits(fraction);
    }
    if let Some(exponent) = text[end..].strip_prefix(['e', 'E']) {
        let sign = usize::from(exponent.starts_with(['+', '-']));
        end += 1 + sign + digits(&exponent[sign..]);
    }
    let number = text[..end].parse().ok().filter(|number: &f64| number.is_finite())?;
    Some((Token::Number(number), &text[end..]))
}
