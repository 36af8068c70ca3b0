//! Rules at work on twins: the book of all rules, and what of them hangs on each twin that one looks at.
//!
//! The book is an immutable set behind a number that is raised with each change. A twin compares that number with the one it last looked
//! at, and only when they differ asks which rules are over it; a twin that none is over pays that comparison and holds nothing.
//! What rules remember is made again from history when it is not in memory (`past`), so neither a restart nor a
//! change of the rules loses a window. What a rule decided is recorded as events in the same turn as the record that caused it.

mod book;
mod effects;
mod facts;
mod follow;
mod hosted;
#[cfg(test)]
mod kept_tests;
mod past;
mod sealed;
mod sweep;
mod trial;
pub mod webhooks;

pub use book::{KIND as RULE_KIND, RuleBook};
pub use follow::{Occasion, follow};
pub use hosted::{Hosted, prepare, recall};
pub use sweep::{sweep, sweep_models, sweep_moved};
pub use trial::{Trial, TrialAlert, TrialOutcome, run as run_trial};
pub use webhooks::KIND as CALL_KIND;
