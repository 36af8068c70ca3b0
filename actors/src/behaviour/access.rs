//! Typed access to values by name; an error names the value, and what it was.

use hierarchy_models::{Timestamp, Value as Stored, value::Map};
use serde_json::Value;

use super::{Error, Result, encoding::to_json};
use crate::twin::slots::Slots;

/// What a type makes of a stored value.
fn number(value: &Stored) -> Option<f64> {
    value.as_f64()
}

fn whole(value: &Stored) -> Option<i64> {
    // Whole numbers up to here are exact in a float.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    match value {
        Stored::Int(i) => Some(*i),
        Stored::Float(f) if f.fract() == 0.0 && f.abs() <= EXACT_MAX => Some(*f as i64),
        _ => None,
    }
}

/// Where values come from: their name in errors, and how one is found.
pub(super) struct Source<'a> {
    pub what: &'static str,
    pub values: &'a dyn Lookup,
}

pub(super) trait Lookup {
    fn find(&self, name: &str) -> Option<&Stored>;
    fn names(&self) -> Vec<&str>;
}

impl Lookup for Map {
    fn find(&self, name: &str) -> Option<&Stored> {
        self.get(name)
    }

    fn names(&self) -> Vec<&str> {
        self.keys().map(|name| name.as_str()).collect()
    }
}

impl Lookup for Vec<(hierarchy_models::Name, Stored)> {
    /// Of a name that stands twice the last counts, as in the twin's last known values.
    fn find(&self, name: &str) -> Option<&Stored> {
        self.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn names(&self) -> Vec<&str> {
        self.iter().map(|(name, _)| name.as_str()).collect()
    }
}

impl Lookup for Slots {
    fn find(&self, name: &str) -> Option<&Stored> {
        self.get(name).map(|slot| &slot.value)
    }

    fn names(&self) -> Vec<&str> {
        self.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// A payload that is not a map has no members.
impl Lookup for Stored {
    fn find(&self, name: &str) -> Option<&Stored> {
        self.get(name)
    }

    fn names(&self) -> Vec<&str> {
        self.as_map().map(Lookup::names).unwrap_or_default()
    }
}

impl<'a> Source<'a> {
    fn opt<T>(&self, name: &str, kind: &str, read: impl Fn(&'a Stored) -> Option<T>) -> Result<Option<T>> {
        match self.values.find(name) {
            None | Some(Stored::Null) => Ok(None),
            Some(value) => match read(value) {
                Some(read) => Ok(Some(read)),
                None => Err(Error::new(format!("{} {name:?} is {}, not {kind}", self.what, described(value)))),
            },
        }
    }

    fn need<T>(&self, name: &str, kind: &str, read: impl Fn(&'a Stored) -> Option<T>) -> Result<T> {
        self.opt(name, kind, read)?.ok_or_else(|| self.missing(name))
    }

    fn missing(&self, name: &str) -> Error {
        let names = self.values.names();
        let there = if names.is_empty() { "nothing is there".to_owned() } else { format!("there are {}", names.join(", ")) };
        Error::new(format!("{} has no {name:?}; {there}", self.what))
    }

    pub fn opt_f64(&self, name: &str) -> Result<Option<f64>> {
        self.opt(name, "a number", number)
    }
    pub fn f64(&self, name: &str) -> Result<f64> {
        self.need(name, "a number", number)
    }
    pub fn opt_i64(&self, name: &str) -> Result<Option<i64>> {
        self.opt(name, "a whole number", whole)
    }
    pub fn i64(&self, name: &str) -> Result<i64> {
        self.need(name, "a whole number", whole)
    }
    pub fn opt_bool(&self, name: &str) -> Result<Option<bool>> {
        self.opt(name, "true or false", Stored::as_bool)
    }
    pub fn bool(&self, name: &str) -> Result<bool> {
        self.need(name, "true or false", Stored::as_bool)
    }
    pub fn opt_str(&self, name: &str) -> Result<Option<&'a str>> {
        self.opt(name, "text", Stored::as_str)
    }
    pub fn str(&self, name: &str) -> Result<&'a str> {
        self.need(name, "text", Stored::as_str)
    }
    pub fn get(&self, name: &str) -> Option<Value> {
        self.values.find(name).map(to_json)
    }
}

/// What a value is, for an error: short whatever it holds.
fn described(value: &Stored) -> String {
    const SHOWN_CHARS_MAX: usize = 40;
    match value {
        Stored::Null => "null".into(),
        Stored::Text(text) => format!("the text {:?}", text.chars().take(SHOWN_CHARS_MAX).collect::<String>()),
        Stored::List(list) => format!("a list of {}", list.len()),
        Stored::Map(map) => format!("a map of {}", map.len()),
        Stored::Bool(b) => b.to_string(),
        Stored::Int(i) => format!("the number {i}"),
        Stored::Float(f) => format!("the number {f}"),
    }
}

/// The readers by name, for each type that has values: `f64` and its like fail when the value is not there or something else,
/// `opt_f64` and its like only when it is something else.
macro_rules! typed_access {
    ($ty:ident) => {
        impl<'a> $ty<'a> {
            pub fn f64(&self, name: &str) -> Result<f64> {
                self.source().f64(name)
            }
            pub fn i64(&self, name: &str) -> Result<i64> {
                self.source().i64(name)
            }
            pub fn bool(&self, name: &str) -> Result<bool> {
                self.source().bool(name)
            }
            pub fn str(&self, name: &str) -> Result<&'a str> {
                self.source().str(name)
            }
            /// `None` when it is not there, or null.
            pub fn opt_f64(&self, name: &str) -> Result<Option<f64>> {
                self.source().opt_f64(name)
            }
            /// `None` when it is not there, or null.
            pub fn opt_i64(&self, name: &str) -> Result<Option<i64>> {
                self.source().opt_i64(name)
            }
            /// `None` when it is not there, or null.
            pub fn opt_bool(&self, name: &str) -> Result<Option<bool>> {
                self.source().opt_bool(name)
            }
            /// `None` when it is not there, or null.
            pub fn opt_str(&self, name: &str) -> Result<Option<&'a str>> {
                self.source().opt_str(name)
            }
            /// The value as it is, whatever it is.
            pub fn get(&self, name: &str) -> Option<Value> {
                self.source().get(name)
            }
            /// The names there are.
            pub fn names(&self) -> Vec<&'a str> {
                self.source().values.names()
            }
        }
    };
}
pub(super) use typed_access;

/// Values that the twin knew before what it is told now.
pub struct Known<'a> {
    source: Source<'a>,
    slots: Option<&'a Slots>,
}

typed_access!(Known);

impl<'a> Known<'a> {
    pub(super) fn slots(what: &'static str, slots: &'a Slots) -> Self {
        Self { source: Source { what, values: slots }, slots: Some(slots) }
    }

    pub(super) fn map(what: &'static str, map: &'a Map) -> Self {
        Self { source: Source { what, values: map }, slots: None }
    }

    fn source(&self) -> &Source<'a> {
        &self.source
    }

    /// When the device measured the value, or the server took it; `None` where it is not there or has no time.
    pub fn at(&self, name: &str) -> Option<Timestamp> {
        Some(self.slots?.get(name)?.at)
    }
}
