//! A value a device or a person can send: a number stays a number, and what is small stays small.
//!
//! Not `serde_json::Value`: that is 32 bytes a node, keeps names on the heap, and would tie the domain to one wire format.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeMap, ser::SerializeSeq};
use smol_str::SmolStr;

use crate::id::Name;

/// Named values, in the order of their names.
pub type Map = BTreeMap<Name, Value>;

/// Deepest nesting of lists and maps that is accepted from outside.
pub const DEPTH_MAX: usize = 32;

/// 24 bytes; text up to 23 bytes long lies inside.
#[derive(Clone, PartialEq, Default)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    /// Always finite: the codecs refuse NaN and infinities, as JSON does.
    Float(f64),
    Text(SmolStr),
    List(Box<Vec<Value>>),
    Map(Box<Map>),
}

impl Value {
    /// The value as a number, when it is one. Whole numbers beyond 2^53 lose their last digits here, not in the twin.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(i) => Some(*i as f64),
            Self::Float(f) => Some(*f),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(s) => Some(s),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(b) => Some(*b),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(m) => Some(m),
            _ => None,
        }
    }

    pub fn into_map(self) -> Option<Map> {
        match self {
            Self::Map(m) => Some(*m),
            _ => None,
        }
    }

    /// The member `name`, when this is a map that has it.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_map().and_then(|m| m.get(name))
    }

    /// Levels of nesting; 0 for what is neither list nor map.
    pub fn depth(&self) -> usize {
        match self {
            Self::List(l) => 1 + l.iter().map(Value::depth).max().unwrap_or(0),
            Self::Map(m) => 1 + m.values().map(Value::depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// Bytes on the heap, to the nearest guess: what the memory budget counts.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Text(s) if s.is_heap_allocated() => s.len() + 16,
            Self::List(l) => 24 + l.capacity() * size_of::<Value>() + l.iter().map(Value::heap_bytes).sum::<usize>(),
            Self::Map(m) => map_heap_bytes(m) + size_of::<Map>(),
            _ => 0,
        }
    }
}

/// As [`Value::heap_bytes`], for the members of a map.
pub fn map_heap_bytes(m: &Map) -> usize {
    m.iter().map(|(k, v)| 52 + if k.is_heap_allocated() { k.len() + 16 } else { 0 } + v.heap_bytes()).sum()
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(b) => fmt::Debug::fmt(b, f),
            Self::Int(i) => fmt::Debug::fmt(i, f),
            Self::Float(x) => fmt::Debug::fmt(x, f),
            Self::Text(s) => fmt::Debug::fmt(s.as_str(), f),
            Self::List(l) => fmt::Debug::fmt(l, f),
            Self::Map(m) => fmt::Debug::fmt(m, f),
        }
    }
}

impl From<bool> for Value {
    fn from(v: bool) -> Self {
        Self::Bool(v)
    }
}
impl From<i64> for Value {
    fn from(v: i64) -> Self {
        Self::Int(v)
    }
}
impl From<f64> for Value {
    fn from(v: f64) -> Self {
        Self::Float(v)
    }
}
impl From<&str> for Value {
    fn from(v: &str) -> Self {
        Self::Text(v.into())
    }
}
impl From<Map> for Value {
    fn from(v: Map) -> Self {
        Self::Map(Box::new(v))
    }
}
impl From<Vec<Value>> for Value {
    fn from(v: Vec<Value>) -> Self {
        Self::List(Box::new(v))
    }
}
impl<K: Into<Name>, V: Into<Value>> FromIterator<(K, V)> for Value {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(iter: I) -> Self {
        Self::from(iter.into_iter().map(|(k, v)| (k.into(), v.into())).collect::<Map>())
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => s.serialize_unit(),
            Self::Bool(b) => s.serialize_bool(*b),
            Self::Int(i) => s.serialize_i64(*i),
            Self::Float(f) => s.serialize_f64(*f),
            Self::Text(t) => s.serialize_str(t),
            Self::List(l) => {
                let mut seq = s.serialize_seq(Some(l.len()))?;
                for v in l.iter() {
                    seq.serialize_element(v)?;
                }
                seq.end()
            }
            Self::Map(m) => {
                let mut map = s.serialize_map(Some(m.len()))?;
                for (k, v) in m.iter() {
                    map.serialize_entry(k, v)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        de::DeserializeSeed::deserialize(Seed { depth: 0 }, d)
    }
}

/// Carries the depth down, so that a hostile nesting ends in an error and not in the stack.
struct Seed {
    depth: usize,
}

impl<'de> de::DeserializeSeed<'de> for Seed {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Value, D::Error> {
        d.deserialize_any(self)
    }
}

impl Seed {
    fn deeper<E: de::Error>(&self) -> Result<Seed, E> {
        if self.depth >= DEPTH_MAX {
            return Err(E::custom(format_args!("nested deeper than {DEPTH_MAX} levels")));
        }
        Ok(Seed { depth: self.depth + 1 })
    }
}

impl<'de> de::Visitor<'de> for Seed {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Value, D::Error> {
        d.deserialize_any(self)
    }
    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }
    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::Int(v))
    }
    fn visit_u64<E: de::Error>(self, v: u64) -> Result<Value, E> {
        match i64::try_from(v) {
            Ok(i) => Ok(Value::Int(i)),
            Err(_) => Ok(Value::Float(v as f64)),
        }
    }
    fn visit_f64<E: de::Error>(self, v: f64) -> Result<Value, E> {
        if v.is_finite() { Ok(Value::Float(v)) } else { Err(E::custom("numbers must be finite")) }
    }
    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::Text(v.into()))
    }
    fn visit_bytes<E: de::Error>(self, _: &[u8]) -> Result<Value, E> {
        Err(E::custom("byte strings are not a value here; send them as base64 text"))
    }
    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut list = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(64));
        while let Some(v) = seq.next_element_seed(self.deeper()?)? {
            list.push(v);
        }
        Ok(Value::from(list))
    }
    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        while let Some(k) = map.next_key::<Name>()? {
            out.insert(k, map.next_value_seed(self.deeper()?)?);
        }
        Ok(Value::from(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_24_bytes() {
        assert_eq!(size_of::<Value>(), 24);
    }

    #[test]
    fn numbers_keep_their_kind() {
        let v: Value = serde_json::from_str(r#"{"a":1,"b":1.0,"c":"x","d":[true,null]}"#).unwrap();
        assert_eq!(serde_json::to_string(&v).unwrap(), r#"{"a":1,"b":1.0,"c":"x","d":[true,null]}"#);
    }

    #[test]
    fn hostile_nesting_is_an_error() {
        let deep = "[".repeat(100) + &"]".repeat(100);
        assert!(serde_json::from_str::<Value>(&deep).is_err());
        let fine = "[".repeat(30) + &"]".repeat(30);
        assert!(serde_json::from_str::<Value>(&fine).is_ok());
    }
}
