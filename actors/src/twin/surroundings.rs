//! What a twin sees beside its own state: who it is, where it stands, what is below it.

use hierarchy_models::{TwinId, rollup::Aggregate, tree::Path};

#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    pub id: &'a TwinId,
    pub path: &'a Path,
    /// What its children come to, as of the last roll-up tick.
    pub below: &'a Aggregate,
}
