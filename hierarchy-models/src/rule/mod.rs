//! Rules: a condition over a twin's values, roll-ups and windows of time, and what follows when it comes true.
//!
//! `spec` is a rule as it is written, `program` its expressions, `engine` the rules of one twin at work on records and time. Pure, as all
//! here: the time is that of the records, and what a rule remembers can be made again from them.

mod cel;
mod engine;
mod error;
mod memory;
mod program;
mod rewrite;
mod spec;
mod template;
mod tokens;
mod window;

#[cfg(test)]
mod tests;

pub use cel::Answer;
pub use engine::{Counts, Turned, TwinRules};
pub use error::{RuleError, TextError};
pub use memory::{Facts, Memory, See};
pub use program::{Program, Reads, Term};
pub use spec::{Action, CompiledRule, Rule, SECRET_BYTES_MAX, SECRET_BYTES_MIN, Target, source_of, ttl_default};
pub use template::Template;
