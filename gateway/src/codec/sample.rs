//! Reads one value from any self-describing format, by our rules: finite numbers, bounded depth and names, and for
//! telemetry no `null`.
//!
//! serde's errors cannot carry a place, and `ciborium` takes no seeds that could. So the pointer is left in a
//! thread-local, written only while an error climbs out. Losing ways: prefixing the message at each level (each format
//! adds its own text again), and tracking the place all the time (costs on the good path).

use std::{cell::RefCell, fmt};

use hierarchy_models::{Map, Name, Value, limits::NAME_BYTES_MAX, value::DEPTH_MAX};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

thread_local! {
    /// The place of the last error, innermost segment first.
    static POINTER: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

pub(super) fn reset_pointer() {
    POINTER.with_borrow_mut(Vec::clear);
}

pub(super) fn take_pointer() -> String {
    POINTER.with_borrow_mut(|p| p.drain(..).rev().fold(String::new(), |all, segment| all + "/" + &segment))
}

/// Notes that the error came from inside the member `name`.
pub(super) fn inside<E>(name: &str) -> impl FnOnce(E) -> E + '_ {
    move |e| {
        POINTER.with_borrow_mut(|p| p.push(segment(name)));
        e
    }
}

/// A member's name as a segment of a pointer, cut where only a person's patience ends.
pub(super) fn segment(name: &str) -> String {
    name.chars().take(64).collect::<String>().replace('~', "~0").replace('/', "~1")
}

/// Notes that the error came from inside the list's item `at`.
pub(super) fn inside_item<E>(at: usize) -> impl FnOnce(E) -> E {
    move |e| {
        POINTER.with_borrow_mut(|p| p.push(at.to_string()));
        e
    }
}

/// A name that is neither empty nor too long.
pub(super) fn checked_name<E: de::Error>(name: Name) -> Result<Name, E> {
    match name.len() {
        0 => Err(E::custom("a name is empty")),
        len if len > NAME_BYTES_MAX => Err(E::custom(format_args!("a name is {len} bytes long; at most {NAME_BYTES_MAX} are allowed"))),
        _ => Ok(name),
    }
}

/// Any value, `null` included.
pub(super) struct Any(pub(super) Value);

impl<'de> de::Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Sample { depth: 0, nulls: true }.deserialize(d).map(Any)
    }
}

/// How to read one value.
#[derive(Clone, Copy)]
pub(super) struct Sample {
    pub(super) depth: usize,
    pub(super) nulls: bool,
}

impl Sample {
    pub(super) fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth >= DEPTH_MAX {
            return Err(E::custom(format_args!("nested deeper than {DEPTH_MAX} levels")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    fn null<E: de::Error>(self) -> Result<Value, E> {
        if self.nulls { Ok(Value::Null) } else { Err(E::custom("null is not a value; leave the name out")) }
    }
}

impl<'de> DeserializeSeed<'de> for Sample {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Value, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Sample {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        self.null()
    }
    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        self.null()
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
    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(i64::try_from(v).map_or(Value::Float(v as f64), Value::Int))
    }
    fn visit_f64<E: de::Error>(self, v: f64) -> Result<Value, E> {
        finite(v).map(Value::Float).map_err(E::custom)
    }
    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::Text(v.into()))
    }
    fn visit_bytes<E: de::Error>(self, _: &[u8]) -> Result<Value, E> {
        Err(E::custom("byte strings are not a value here; send them as base64 text"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(v) = seq.next_element_seed(inner).map_err(inside_item(list.len()))? {
            list.push(v);
        }
        Ok(Value::from(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut out = Map::new();
        while let Some(name) = map.next_key::<Name>()? {
            let value = map.next_value_seed(inner).map_err(inside(&name))?;
            out.insert(checked_name(name)?, value);
        }
        Ok(Value::from(out))
    }
}

pub(super) fn finite(v: f64) -> Result<f64, &'static str> {
    if v.is_finite() { Ok(v) } else { Err("numbers must be finite") }
}
