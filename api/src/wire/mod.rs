//! The JSON documents of this API that are not the runtime's own views, one file for each thing they describe.
//!
//! They stand here and not in the domain: a domain type that serialises itself for one edge cannot be changed without
//! asking that edge's clients.

pub mod alert;
pub mod audit;
pub mod command;
pub mod credentials;
pub mod described;
pub mod enrolment;
pub mod event;
pub mod history;
pub mod job;
pub mod model;
pub mod role;
pub mod rollups;
pub mod rule;
pub mod rule_body;
pub mod tree;
pub mod twin;

use serde::Serialize;

use crate::query::Page;

/// One page of a list.
#[derive(Debug, Serialize)]
pub struct PageDocument<T> {
    pub items: Vec<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// The document of a page, each item turned by `document`.
pub fn page<T, U: Serialize>(page: Page<T>, document: impl FnMut(T) -> U) -> PageDocument<U> {
    PageDocument { items: page.items.into_iter().map(document).collect(), cursor: page.cursor }
}
