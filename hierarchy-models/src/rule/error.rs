//! Why a rule cannot be: what is wrong, and where in which text.

/// A fault in an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {reason}")]
pub struct TextError {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub reason: String,
}

impl TextError {
    /// `at` is a byte of `text`, or its end.
    pub fn at(text: &str, at: usize, reason: impl Into<String>) -> Self {
        let before = &text[..text.floor_char_boundary(at.min(text.len()))];
        let line_start = before.rfind('\n').map_or(0, |n| n + 1);
        Self { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1, reason: reason.into() }
    }
}

/// A fault in a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// `member` is the JSON pointer to the text.
    #[error("{error}")]
    Text { member: String, error: TextError },
    #[error("{reason}")]
    Member { member: String, reason: String },
}
