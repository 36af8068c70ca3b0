//! Which twins a definition means: comparisons joined by `and`, `or` and `not`.
//!
//! Two-valued: a comparison with a value that is not there is false, whatever is compared.

use std::cmp::Ordering;

use super::{
    ask::Operand,
    subject::{Seen, Subject},
};
use crate::{
    id::{ModelId, Name},
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

    fn fits(self, twin: &impl Subject) -> bool {
        match self {
            Self::Online => twin.is_connected(),
            Self::Offline => !twin.is_place() && !twin.is_connected(),
            Self::Active => twin.is_active(),
            Self::Inactive => !twin.is_active(),
            Self::Quarantined => twin.is_quarantined(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Relation {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Relation {
    /// `None`: the two cannot be ordered.
    fn holds(self, order: Option<Ordering>) -> bool {
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::NotEqual => order != Some(Ordering::Equal),
            Self::Less => order == Some(Ordering::Less),
            Self::LessOrEqual => order.is_some_and(Ordering::is_le),
            Self::Greater => order == Some(Ordering::Greater),
            Self::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Literal {
    Bool(bool),
    Number(Number),
    Text(Name),
}

impl Literal {
    fn compare(&self, relation: Relation, value: &Value) -> bool {
        match (self, value) {
            (Self::Text(text), Value::Text(value)) => relation.holds(Some(value.cmp(text))),
            (Self::Bool(bool), Value::Bool(value)) => match relation {
                Relation::Equal => value == bool,
                Relation::NotEqual => value != bool,
                _ => false,
            },
            (Self::Number(number), value) => relation.holds(value.as_f64().and_then(|value| value.partial_cmp(&number.get()))),
            _ => relation == Relation::NotEqual,
        }
    }
}

/// A number that can be told from others bit by bit, so that equal asks are found; finite, and zero has no sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(u64);

impl Number {
    pub fn new(number: f64) -> Self {
        Self((number + 0.0).to_bits())
    }

    pub fn get(self) -> f64 {
        f64::from_bits(self.0)
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
