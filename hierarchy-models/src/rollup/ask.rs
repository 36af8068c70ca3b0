//! What a definition asks of the twins below: whom, for what, and under which condition. Equal asks of several twins are one.

use crate::id::{ModelId, Name};

use super::{condition::Condition, definition::RollupSet};
use crate::limits::ROLLUP_ASKS_MAX;

/// How far down an ask goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// The next level only.
    Children,
    /// All below that are not places.
    Devices,
    /// All below.
    Twins,
}

/// Who is asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    pub reach: Reach,
    /// Only twins of this model, or of one that extends it; places too, then.
    pub of: Option<ModelId>,
}

/// Where a value is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Among the twin's own defined roll-ups, then its telemetry, its reported properties, its metadata.
    Any,
    Telemetry,
    Reported,
    Metadata,
    Rollups,
}

/// A value of a twin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Operand {
    pub source: Source,
    pub name: Name,
}

impl Operand {
    /// Whether it may be what a device measured, which is worth nothing once the device is silent.
    pub fn is_reading(&self) -> bool {
        !matches!(self.source, Source::Metadata | Source::Rollups)
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// How many there are.
    Twins,
    /// The alerts that stand on them.
    Alerts,
    /// The fold of one value.
    Values(Operand),
    /// The same, each value times its weight.
    Weighted { value: Operand, weight: Operand },
    /// How many values there are of which size.
    Spread(Operand),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ask {
    pub scope: Scope,
    pub what: What,
    pub only: Option<Condition>,
}

impl Ask {
    /// Whether the answer of a silent device is left out and counted as stale. How many devices are offline is still to be told when
    /// they are silent; what they measured is not.
    pub fn reads_values(&self) -> bool {
        let of_what = match &self.what {
            What::Twins | What::Alerts => false,
            What::Values(value) | What::Spread(value) => value.is_reading(),
            What::Weighted { value, weight } => value.is_reading() || weight.is_reading(),
        };
        of_what || self.only.as_ref().is_some_and(Condition::reads_values)
    }

    /// Whether twins further down answer too.
    pub fn goes_deeper(&self) -> bool {
        self.scope.reach != Reach::Children
    }
}

/// All that is asked of the children of one twin. In order, none twice; shared by all of them.
#[derive(Debug, PartialEq, Eq)]
pub struct Asks(Box<[Ask]>);

impl Asks {
    /// What a twin asks of its children: what it defines itself, and what it is asked that goes deeper. `None` when that is nothing.
    pub fn below(asked: Option<&Self>, defined: Option<&RollupSet>) -> Option<Self> {
        let own = defined.into_iter().flat_map(RollupSet::iter).map(|definition| &definition.ask);
        let inherited = asked.into_iter().flat_map(Self::iter).filter(|ask| ask.goes_deeper());
        let mut all: Vec<Ask> = own.chain(inherited).cloned().collect();
        all.sort_unstable();
        all.dedup();
        debug_assert!(all.len() <= ROLLUP_ASKS_MAX, "a tree has so many levels and each so many definitions");
        all.truncate(ROLLUP_ASKS_MAX);
        (!all.is_empty()).then(|| Self(all.into()))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Ask> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, place: usize) -> Option<&Ask> {
        self.0.get(place)
    }

    pub fn place(&self, ask: &Ask) -> Option<usize> {
        self.0.binary_search(ask).ok()
    }
}
