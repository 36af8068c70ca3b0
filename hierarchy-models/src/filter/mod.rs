//! Filters: which twins are meant, by what the registry knows of them and by what they last told.
//!
//! `docs/search.md` has the grammar. It is that of the conditions of roll-ups, with what a search wants beside it. A filter is judged in
//! two steps: by the registry's row alone, where an index can answer most of it, and by the twin's state, when the row leaves it open.

mod judge;
mod parse;
mod sort;

#[cfg(test)]
mod tests;

use crate::{
    expression::{Literal, Number, Relation, SyntaxError},
    id::{ModelId, Name, TwinId},
    rollup::Word,
    time::Timestamp,
};

pub use judge::{Registered, Verdict, find};
pub use sort::{Sort, SortBy};

/// A condition over twins. Two-valued: a comparison with a value that is not there is false, whatever is compared.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Test(Test),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// `model == "Room"`, `isA("Room")`: of that model, or of one that extends it. Every model that is meant, once
    /// [`Filter::resolve_models`] has named those that extend it; in order.
    Model(Vec<ModelId>),
    /// `status == "active"`, `connection == "connected"`.
    Status(Word),
    /// `created_at >= "2026-01-01"`.
    Created {
        relation: Relation,
        at: Timestamp,
    },
    /// How many alerts stand on the twin.
    Alerts {
        relation: Relation,
        number: Number,
    },
    /// `tag("x")`.
    Tag(Name),
    /// `under("site-1")`: anywhere below it, itself not included.
    Under(TwinId),
    /// `exists(metadata.x)`: there, and not null.
    Exists(Field),
    Compare {
        field: Field,
        relation: Relation,
        literal: Literal,
    },
    /// `metadata.name.startsWith("x")`.
    Text {
        field: Field,
        part: Part,
        text: Name,
    },
}

/// Where in a text another one is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Start,
    End,
    Anywhere,
}

/// What is compared. Names go into one another, as `metadata.place.floor`.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    Id,
    Parent,
    Gateway,
    Path,
    Metadata(Vec<Name>),
    Telemetry(Vec<Name>),
    Reported(Vec<Name>),
    /// The last known value: of telemetry, else of the reported properties.
    Values(Vec<Name>),
}

impl Field {
    /// Whether only the twin itself knows it.
    pub fn is_state(&self) -> bool {
        matches!(self, Self::Telemetry(_) | Self::Reported(_) | Self::Values(_))
    }
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// The column at fault, and what should stand there.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        parse::filter(text)
    }

    /// Both must hold.
    pub fn and(self, other: Self) -> Self {
        match self {
            Self::All(mut all) => {
                all.push(other);
                Self::All(all)
            }
            one => Self::All(vec![one, other]),
        }
    }

    /// Whether the registry's row is not always enough.
    pub fn reads_state(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::reads_state),
            Self::Not(one) => one.reads_state(),
            Self::Test(Test::Status(word)) => !matches!(word, Word::Active | Word::Inactive),
            Self::Test(Test::Alerts { .. }) => true,
            Self::Test(Test::Exists(field) | Test::Compare { field, .. } | Test::Text { field, .. }) => field.is_state(),
            Self::Test(Test::Model(_) | Test::Created { .. } | Test::Tag(_) | Test::Under(_)) => false,
        }
    }

    /// Names beside each model those that extend it, so that nobody who judges needs to know the models.
    pub fn resolve_models(&mut self, extending: &impl Fn(&ModelId) -> Vec<ModelId>) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter_mut().for_each(|part| part.resolve_models(extending)),
            Self::Not(one) => one.resolve_models(extending),
            Self::Test(Test::Model(models)) => {
                let further: Vec<ModelId> = models.iter().flat_map(extending).collect();
                models.extend(further);
                models.sort();
                models.dedup();
            }
            Self::Test(_) => {}
        }
    }
}
