//! A JSON document as the model language needs it: members in their order, none twice, whole numbers told apart.
//!
//! Not [`crate::Value`]: that one lets the last of two equal members win, and takes fewer levels than a model may nest.

use std::{collections::HashSet, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeMap};

use crate::id::Name;

/// Deepest nesting of a model document.
pub const DEPTH_MAX: usize = 100;
/// Members of one object from which on a set finds a repeated one.
const FEW: usize = 16;

#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Int(i64),
    /// Numbers with a fraction or an exponent, and whole ones beyond 64 bits.
    Float(f64),
    Text(Name),
    List(Vec<Json>),
    Object(Vec<(Name, Json)>),
}

impl Json {
    pub fn as_text(&self) -> Option<&Name> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn member(&self, name: &str) -> Option<&Json> {
        match self {
            Self::Object(members) => members.iter().find(|(n, _)| n == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The values a member includes: those of an array, or the one there is.
    pub fn included(&self) -> &[Json] {
        match self {
            Self::List(list) => list,
            one => std::slice::from_ref(one),
        }
    }

    /// Whether both say the same, in whatever order their members stand.
    pub fn same_as(&self, other: &Json) -> bool {
        match (self, other) {
            (Self::Object(a), Self::Object(b)) => {
                let sorted = |members: &[(Name, Json)]| {
                    let mut order: Vec<usize> = (0..members.len()).collect();
                    order.sort_by(|x, y| members[*x].0.cmp(&members[*y].0));
                    order
                };
                a.len() == b.len() && sorted(a).into_iter().zip(sorted(b)).all(|(i, j)| a[i].0 == b[j].0 && a[i].1.same_as(&b[j].1))
            }
            (Self::List(a), Self::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.same_as(y)),
            (a, b) => a == b,
        }
    }

    /// Bytes of the text without white space, escapes counted as they are read.
    pub fn text_bytes(&self) -> usize {
        match self {
            Self::Null => 4,
            Self::Bool(b) => 5 - usize::from(*b),
            Self::Int(_) | Self::Float(_) => 8,
            Self::Text(text) => text.len() + 2,
            Self::List(list) => 2 + list.iter().map(|v| v.text_bytes() + 1).sum::<usize>(),
            Self::Object(members) => 2 + members.iter().map(|(n, v)| n.len() + 4 + v.text_bytes()).sum::<usize>(),
        }
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => s.serialize_unit(),
            Self::Bool(b) => s.serialize_bool(*b),
            Self::Int(i) => s.serialize_i64(*i),
            Self::Float(f) => s.serialize_f64(*f),
            Self::Text(text) => s.serialize_str(text),
            Self::List(list) => s.collect_seq(list),
            Self::Object(members) => {
                let mut map = s.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        de::DeserializeSeed::deserialize(Seed { depth: 0 }, d)
    }
}

struct Seed {
    depth: usize,
}

impl Seed {
    fn deeper<E: de::Error>(&self) -> Result<Seed, E> {
        if self.depth >= DEPTH_MAX {
            return Err(E::custom(format_args!("nested deeper than {DEPTH_MAX} levels")));
        }
        Ok(Seed { depth: self.depth + 1 })
    }
}

impl<'de> de::DeserializeSeed<'de> for Seed {
    type Value = Json;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Json, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> de::Visitor<'de> for Seed {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }
    fn visit_bool<E>(self, v: bool) -> Result<Json, E> {
        Ok(Json::Bool(v))
    }
    fn visit_i64<E>(self, v: i64) -> Result<Json, E> {
        Ok(Json::Int(v))
    }
    fn visit_u64<E>(self, v: u64) -> Result<Json, E> {
        Ok(i64::try_from(v).map_or(Json::Float(v as f64), Json::Int))
    }
    fn visit_f64<E>(self, v: f64) -> Result<Json, E> {
        Ok(Json::Float(v))
    }
    fn visit_str<E>(self, v: &str) -> Result<Json, E> {
        Ok(Json::Text(v.into()))
    }
    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = seq.next_element_seed(self.deeper()?)? {
            list.push(value);
        }
        Ok(Json::List(list))
    }
    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members: Vec<(Name, Json)> = Vec::new();
        let mut names: HashSet<Name> = HashSet::new();
        while let Some(name) = map.next_key::<Name>()? {
            if members.len() == FEW {
                names.extend(members.iter().map(|(n, _)| n.clone()));
            }
            let repeated = if members.len() < FEW { members.iter().any(|(n, _)| *n == name) } else { !names.insert(name.clone()) };
            if repeated {
                return Err(de::Error::custom(format_args!("member {name:?} stands twice in one object")));
            }
            members.push((name, map.next_value_seed(self.deeper()?)?));
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Result<Json, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn a_repeated_member_is_refused_among_few_and_many() {
        assert!(json(r#"{"a": 1, "b": 2, "a": 3}"#).unwrap_err().to_string().contains("\"a\" stands twice"));
        let many: Vec<String> = (0..40).map(|n| format!("\"m{n}\": 0")).collect();
        assert!(json(&format!("{{{}}}", many.join(","))).is_ok());
        assert!(json(&format!("{{{}, \"m39\": 1}}", many.join(","))).is_err());
    }

    #[test]
    fn documents_are_the_same_whatever_the_order_of_members() {
        let same = |a: &str, b: &str| json(a).unwrap().same_as(&json(b).unwrap());
        assert!(same(r#"{"a": [1, {"x": 1, "y": 2}], "b": null}"#, r#"{"b": null, "a": [1, {"y": 2, "x": 1}]}"#));
        assert!(!same(r#"{"a": [1, 2]}"#, r#"{"a": [2, 1]}"#));
        assert!(!same(r#"{"a": 1}"#, r#"{"a": 1, "b": 1}"#));
    }

    #[test]
    fn a_document_is_written_as_it_was_read() {
        let text = r#"{"b":[1,2.5,true,null],"a":{"x":"y"}}"#;
        assert_eq!(serde_json::to_string(&json(text).unwrap()).unwrap(), text);
    }

    #[test]
    fn hostile_nesting_is_an_error() {
        assert!(json(&("[".repeat(120) + &"]".repeat(120))).is_err());
        assert!(json(&("[".repeat(99) + &"]".repeat(99))).is_ok());
    }
}
