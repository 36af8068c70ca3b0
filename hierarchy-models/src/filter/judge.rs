//! Holds a filter against a twin: its row alone, or its row and its state.

use super::{Field, Filter, Part, Test};
use crate::{
    expression::Literal,
    id::{ModelId, Name, TwinId},
    rollup::{Source, Subject, Word},
    time::Timestamp,
    tree::Path,
    value::{Map, Value},
};

/// What the registry knows of a twin.
#[derive(Debug, Clone, Copy)]
pub struct Registered<'a> {
    pub id: &'a TwinId,
    pub model: &'a ModelId,
    pub parent: Option<&'a TwinId>,
    pub gateway: Option<&'a TwinId>,
    /// Its device may connect.
    pub is_active: bool,
    pub metadata: &'a Map,
    pub tags: &'a [Name],
    pub created_at: Timestamp,
    pub path: &'a Path,
}

/// In this order: of several that must all hold the least counts, of several of which one must hold the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    No,
    /// The twin's state decides.
    Open,
    Yes,
}

impl Verdict {
    fn of(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }

    fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Open => Self::Open,
            Self::Yes => Self::No,
        }
    }
}

impl Filter {
    /// What the row alone says.
    pub fn judge(&self, twin: &Registered<'_>) -> Verdict {
        self.verdict(twin, None::<&Nobody>)
    }

    /// Whether the twin is meant, its state known.
    pub fn holds(&self, twin: &Registered<'_>, state: &impl Subject) -> bool {
        self.verdict(twin, Some(state)) == Verdict::Yes
    }

    fn verdict(&self, twin: &Registered<'_>, state: Option<&impl Subject>) -> Verdict {
        match self {
            Self::All(parts) => parts.iter().map(|part| part.verdict(twin, state)).min().unwrap_or(Verdict::Yes),
            Self::Any(parts) => parts.iter().map(|part| part.verdict(twin, state)).max().unwrap_or(Verdict::No),
            Self::Not(one) => one.verdict(twin, state).not(),
            Self::Test(test) => test.holds(twin, state).map_or(Verdict::Open, Verdict::of),
        }
    }
}

impl Test {
    /// `None` when the state is not known and needed.
    fn holds(&self, twin: &Registered<'_>, state: Option<&impl Subject>) -> Option<bool> {
        Some(match self {
            Self::Model(models) => models.iter().any(|model| model == twin.model),
            Self::Status(Word::Active) => twin.is_active,
            Self::Status(Word::Inactive) => !twin.is_active,
            Self::Status(word) => word.fits(state?),
            Self::Created { relation, at } => relation.holds(Some(twin.created_at.cmp(at))),
            Self::Alerts { relation, number } => {
                let alerts: u64 = state?.alerts().iter().sum();
                relation.holds((alerts as f64).partial_cmp(&number.get()))
            }
            Self::Tag(tag) => twin.tags.contains(tag),
            Self::Under(top) => twin.id != top && twin.path.contains(top),
            Self::Exists(Field::Id | Field::Path) => true,
            Self::Exists(field) => field.text(twin).is_some() || field.value(twin, state)?.is_some(),
            Self::Compare { field, relation, literal } => match (field.text(twin), literal) {
                (Some(text), Literal::Text(literal)) => relation.holds(Some(text.cmp(literal.as_str()))),
                (Some(_), _) => false,
                (None, _) => field.value(twin, state)?.is_some_and(|value| literal.compare(*relation, value)),
            },
            Self::Text { field, part, text } => match field.text(twin) {
                Some(whole) => part.is_in(whole, text),
                None => field.value(twin, state)?.and_then(Value::as_str).is_some_and(|whole| part.is_in(whole, text)),
            },
        })
    }
}

impl Part {
    fn is_in(self, whole: &str, text: &str) -> bool {
        match self {
            Self::Start => whole.starts_with(text),
            Self::End => whole.ends_with(text),
            Self::Anywhere => whole.contains(text),
        }
    }
}

/// The value that these names lead to, null being none.
pub fn find<'a>(map: &'a Map, names: &[Name]) -> Option<&'a Value> {
    let (first, rest) = names.split_first()?;
    walk(map.get(first)?, rest)
}

fn walk<'a>(value: &'a Value, names: &[Name]) -> Option<&'a Value> {
    names.iter().try_fold(value, |value, name| value.get(name)).filter(|value| **value != Value::Null)
}

impl Field {
    /// What of the registry is a text always.
    fn text<'a>(&self, twin: &Registered<'a>) -> Option<&'a str> {
        match self {
            Self::Id => Some(twin.id.as_str()),
            Self::Parent => twin.parent.map(TwinId::as_str),
            Self::Gateway => twin.gateway.map(TwinId::as_str),
            Self::Path => Some(twin.path.as_str()),
            _ => None,
        }
    }

    /// The outer `None` when the state is not known and needed.
    fn value<'a>(&self, twin: &Registered<'a>, state: Option<&'a impl Subject>) -> Option<Option<&'a Value>> {
        let of_state = |source, names: &[Name]| {
            let (first, rest) = names.split_first()?;
            walk(state?.value(source, first)?.0, rest)
        };
        match self {
            Self::Id | Self::Parent | Self::Gateway | Self::Path => Some(None),
            Self::Metadata(names) => Some(find(twin.metadata, names)),
            _ if state.is_none() => None,
            Self::Telemetry(names) => Some(of_state(Source::Telemetry, names)),
            Self::Reported(names) => Some(of_state(Source::Reported, names)),
            Self::Values(names) => Some(of_state(Source::Telemetry, names).or_else(|| of_state(Source::Reported, names))),
        }
    }
}

/// Stands where no state is known; nothing is ever asked of it.
struct Nobody;

impl Subject for Nobody {
    fn is_place(&self) -> bool {
        false
    }
    fn is_of(&self, _: &ModelId) -> bool {
        false
    }
    fn is_active(&self) -> bool {
        false
    }
    fn is_connected(&self) -> bool {
        false
    }
    fn is_quarantined(&self) -> bool {
        false
    }
    fn alerts(&self) -> [u64; 3] {
        [0; 3]
    }
    fn value(&self, _: Source, _: &str) -> Option<(&Value, Timestamp)> {
        None
    }
}
