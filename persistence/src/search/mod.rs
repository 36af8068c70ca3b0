//! Searching the registry, one way for every store.
//!
//! A store keeps *postings*: which twins are of a model, have a tag, a value of metadata (`key`). A filter becomes lists of postings that
//! hold every twin it can mean, and maybe others (`plan`); the lists are walked side by side in the order of their ids (`lists`), and every
//! twin that they have in common is held against the filter by its row (`engine`). So an index that says too much costs time and never a
//! wrong answer, and no store needs a language of its own for filters. Lost: a filter as SQL, which would answer once more what is answered
//! here, in the words of one store.

mod engine;
mod key;
mod lists;
mod place;
mod plan;
mod query;
#[cfg(test)]
mod tests;

pub use engine::{Bounds, search, search_within};
pub use key::{Posting, Prefix, TEXT_BYTES_MAX, postings_of, under, value_key};
pub use lists::{From, Index, List, Span};
pub use place::Place;
pub use query::{RegistryQuery, registered};
