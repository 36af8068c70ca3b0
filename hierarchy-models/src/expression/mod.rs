//! What the expressions that are read here have in common: tokens, comparisons, errors. Definitions of roll-ups and filters are built of it,
//! so that who knows one knows the other; rules say the same things in CEL, which has a grammar of its own (`rule::tokens` only finds
//! places in it).

mod compare;
mod cursor;
mod tokens;

pub use compare::{Literal, Number, Relation};
pub(crate) use cursor::{Cursor, Parsed};
pub(crate) use tokens::Token;

/// Why a text is no expression. The column is counted in characters from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {reason}")]
pub struct SyntaxError {
    pub column: usize,
    pub reason: String,
}
