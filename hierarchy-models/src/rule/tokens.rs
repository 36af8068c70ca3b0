//! An expression's words. Just enough of CEL's grammar to find window functions, names and numbers in it; whether the whole is a
//! sentence is for CEL's own parser to say.

use super::error::TextError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Name,
    /// A whole number without a sign.
    Int,
    /// Any other number, in a form that CEL knows.
    Number,
    /// A number with units of time behind it, such as `10m` or `1h30m`.
    Duration,
    Text,
    /// One byte of punctuation.
    Mark(u8),
}

/// A word and the bytes it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    pub from: usize,
    pub to: usize,
}

impl Token {
    pub fn of<'a>(&self, text: &'a str) -> &'a str {
        &text[self.from..self.to]
    }

    pub fn is(&self, mark: u8) -> bool {
        self.kind == Kind::Mark(mark)
    }
}

pub fn tokens(text: &str) -> Result<Vec<Token>, TextError> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let from = at;
        let kind = match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b'\x0c' => {
                at += 1;
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at = text[at..].find('\n').map_or(bytes.len(), |n| at + n);
                continue;
            }
            b'"' | b'\'' => {
                at = text_end(text, at, false)?;
                Kind::Text
            }
            b'0'..=b'9' => {
                let kind;
                (kind, at) = number(text, at)?;
                kind
            }
            b'.' if bytes.get(at + 1).is_some_and(u8::is_ascii_digit) && !follows_name(&found, from) => {
                at = fraction(bytes, at);
                Kind::Number
            }
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                at = run(bytes, at, |b| b == b'_' || b.is_ascii_alphanumeric());
                let is_quoted = matches!(bytes.get(at), Some(b'"' | b'\''));
                match &text[from..at] {
                    prefix @ ("r" | "R" | "b" | "B" | "rb" | "br" | "Rb" | "bR" | "rB" | "Br" | "RB" | "BR") if is_quoted => {
                        at = text_end(text, at, prefix.contains(['r', 'R']))?;
                        Kind::Text
                    }
                    _ => Kind::Name,
                }
            }
            b if b.is_ascii() && !b.is_ascii_control() => {
                at += 1;
                Kind::Mark(b)
            }
            _ => return Err(TextError::at(text, at, format!("{:?} does not belong here", text[at..].chars().next().unwrap_or_default()))),
        };
        found.push(Token { kind, from, to: at });
    }
    Ok(found)
}

/// Whether a dot here selects a member rather than begins a number.
fn follows_name(found: &[Token], at: usize) -> bool {
    found.last().is_some_and(|last| last.to == at && matches!(last.kind, Kind::Name | Kind::Mark(b')' | b']')))
}

fn run(bytes: &[u8], from: usize, is_in: impl Fn(u8) -> bool) -> usize {
    from + bytes[from..].iter().take_while(|b| is_in(**b)).count()
}

fn digits(bytes: &[u8], from: usize) -> usize {
    run(bytes, from, |b| b.is_ascii_digit())
}

/// The end of `.5e-3`, from the dot or from the exponent.
fn fraction(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    if bytes.get(at) == Some(&b'.') {
        at = digits(bytes, at + 1);
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let end = digits(bytes, at + 1 + sign);
        if end > at + 1 + sign {
            at = end;
        }
    }
    at
}

fn number(text: &str, from: usize) -> Result<(Kind, usize), TextError> {
    let bytes = text.as_bytes();
    if bytes[from] == b'0' && matches!(bytes.get(from + 1), Some(b'x' | b'X')) {
        return Ok((Kind::Number, run(bytes, from + 2, |b| b.is_ascii_alphanumeric())));
    }
    let whole = digits(bytes, from);
    let end = match bytes.get(whole) {
        Some(b'.') if bytes.get(whole + 1).is_some_and(u8::is_ascii_digit) => fraction(bytes, whole),
        Some(b'e' | b'E') => fraction(bytes, whole),
        _ => whole,
    };
    let letters = run(bytes, end, |b| b.is_ascii_alphanumeric());
    match &text[end..letters] {
        "" if end == whole => Ok((Kind::Int, end)),
        "" => Ok((Kind::Number, end)),
        "u" | "U" => Ok((Kind::Number, letters)),
        _ if end == whole => Ok((Kind::Duration, letters)),
        other => Err(TextError::at(text, end, format!("{other:?} cannot stand behind a number"))),
    }
}

fn text_end(text: &str, from: usize, is_raw: bool) -> Result<usize, TextError> {
    let bytes = text.as_bytes();
    let quote = bytes[from];
    let thrice = [quote; 3];
    let end: &[u8] = if bytes[from..].starts_with(&thrice) { &thrice } else { &thrice[..1] };
    let mut at = from + end.len();
    while at < bytes.len() {
        if bytes[at..].starts_with(end) {
            return Ok(at + end.len());
        }
        at += if bytes[at] == b'\\' && !is_raw { 2 } else { 1 };
    }
    Err(TextError::at(text, from, "this text has no closing quote"))
}

/// Milliseconds of `10m`, `500ms`, `1h30m`; units are `d`, `h`, `m`, `s`, `ms`.
pub fn duration_ms(text: &str) -> Option<i64> {
    let (mut total, mut rest) = (0i64, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[letters..];
    }
    (total > 0).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<(Kind, &str)> {
        tokens(text).unwrap().into_iter().map(|t| (t.kind, t.of(text))).collect()
    }

    #[test]
    fn names_numbers_durations_and_texts_are_told_apart() {
        use Kind::*;
        let found = words("avg(t_1, 1h30m)>=2 && 'a\\'b'!=r\"\\\" // end\n || .5e-1<7u*1.5 x.y[0]");
        let kinds: Vec<Kind> = found.iter().map(|(kind, _)| *kind).filter(|kind| !matches!(kind, Mark(_))).collect();
        assert_eq!(kinds, [Name, Name, Duration, Int, Text, Text, Number, Number, Number, Name, Name, Int]);
        assert!(found.contains(&(Text, "'a\\'b'")) && found.contains(&(Text, "r\"\\\"")) && found.contains(&(Number, ".5e-1")));
    }

    #[test]
    fn a_fault_is_found_by_line_and_column() {
        let fault = |text: &str| tokens(text).map(drop).map_err(|e| (e.line, e.column)).unwrap_err();
        assert_eq!(fault("a >\n  'open"), (2, 3));
        assert_eq!(fault("ä > 1"), (1, 1));
        assert_eq!(fault("'ä' + 1.5kg"), (1, 10));
    }

    #[test]
    fn a_duration_has_units() {
        for (text, ms) in [("10m", 600_000), ("500ms", 500), ("1h30m", 5_400_000), ("2d", 172_800_000), ("1s", 1_000)] {
            assert_eq!(duration_ms(text), Some(ms), "{text}");
        }
        for bad in ["0s", "10", "10x", "m", "1h30", "99999999999999999999d", "9999999999999999d", ""] {
            assert_eq!(duration_ms(bad), None, "{bad}");
        }
    }
}
