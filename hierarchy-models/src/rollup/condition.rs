//! Which twins a definition means: comparisons joined by `and`, `or` and `not`.
//!
//! Two-valued: a comparison with a value that is not there is false, whatever is compared.

use super::{
    ask::Operand,
    subject::{Seen, Subject},
};
use crate::{
    expression::{Literal, Number, Relation},
    id::ModelId,
    value::Value,
};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    Both(Box<(Condition, Condition)>),
    Either(Box<(Condition, Condition)>),
    Not(Box<Condition>),
    Compare(Comparison),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Comparison {
    /// `status == "offline"`.
    Status {
        word: Word,
        is: bool,
    },
    /// `model == "Room"`: of that model, or of one that extends it.
    Model {
        model: ModelId,
        is: bool,
    },
    /// How many alerts stand on the twin.
    Alerts {
        relation: Relation,
        number: Number,
    },
    Value {
        operand: Operand,
        relation: Relation,
        literal: Literal,
    },
}

/// What the status of a twin can be called. Some of them hold at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Word {
    /// Its device is connected.
    Online,
    /// It has a device, which is not connected.
    Offline,
    /// Its device may connect.
    Active,
    Inactive,
    Quarantined,
}

impl Word {
    pub const ALL: [(&'static str, Self); 5] = [
        ("online", Self::Online),
        ("offline", Self::Offline),
        ("active", Self::Active),
        ("inactive", Self::Inactive),
        ("quarantined", Self::Quarantined),
    ];

    pub(crate) fn fits(self, twin: &impl Subject) -> bool {
        match self {
            Self::Online => twin.is_connected(),
            Self::Offline => !twin.is_place() && !twin.is_connected(),
            Self::Active => twin.is_active(),
            Self::Inactive => !twin.is_active(),
            Self::Quarantined => twin.is_quarantined(),
        }
    }
}

impl Condition {
    pub(super) fn holds<S: Subject>(&self, twin: &Seen<'_, S>) -> bool {
        match self {
            Self::Both(two) => two.0.holds(twin) && two.1.holds(twin),
            Self::Either(two) => two.0.holds(twin) || two.1.holds(twin),
            Self::Not(one) => !one.holds(twin),
            Self::Compare(Comparison::Status { word, is }) => word.fits(twin.twin) == *is,
            Self::Compare(Comparison::Model { model, is }) => twin.twin.is_of(model) == *is,
            Self::Compare(Comparison::Alerts { relation, number }) => {
                let alerts: u64 = twin.twin.alerts().iter().sum();
                relation.holds((alerts as f64).partial_cmp(&number.get()))
            }
            Self::Compare(Comparison::Value { operand, relation, literal }) => {
                let value = twin.find(operand).map(|(value, _)| value).filter(|value| **value != Value::Null);
                value.is_some_and(|value| literal.compare(*relation, value))
            }
        }
    }

    /// Whether it looks at what a device measured.
    pub(super) fn reads_values(&self) -> bool {
        match self {
            Self::Both(two) | Self::Either(two) => two.0.reads_values() || two.1.reads_values(),
            Self::Not(one) => one.reads_values(),
            Self::Compare(Comparison::Value { operand, .. }) => operand.is_reading(),
            Self::Compare(_) => false,
        }
    }
}
