//! Comparisons, and what values are compared with.

use std::cmp::Ordering;

use crate::{id::Name, value::Value};

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
    pub fn holds(self, order: Option<Ordering>) -> bool {
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
    /// Whether the value stands so to this. Values of different kinds are not equal, and cannot be ordered.
    pub fn compare(&self, relation: Relation, value: &Value) -> bool {
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
