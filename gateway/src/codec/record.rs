//! A telemetry payload: one record or a list of them, each flat or in an envelope.
//!
//! Whether a record is an envelope shows only at its end: it is one when it has `values` as an object and no other
//! names than `at`, `id` and `values`. So members are gathered once and judged afterwards.

use std::fmt;

use hierarchy_models::{
    Name, Record, Timestamp, Value,
    limits::{NAME_BYTES_MAX, RECORD_AHEAD_MAX, RECORDS_PER_MESSAGE_MAX, VALUES_PER_RECORD_MAX},
};
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{
    PayloadError,
    sample::{Sample, checked_name, inside, inside_item},
};

/// Records as they came; the place of each is known by its index.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) records: Vec<Loose>,
    /// Whether it came as a list: then an error's pointer starts with the index.
    pub(super) list: bool,
}

/// A record that still lacks its default time.
#[derive(Debug)]
pub(super) struct Loose {
    pub(super) at: Option<Timestamp>,
    pub(super) id: Option<Name>,
    pub(super) values: Values,
}

pub(super) type Values = Vec<(Name, Value)>;

impl Batch {
    pub(super) fn into_records(self, received_at: Timestamp) -> Result<Vec<Record>, PayloadError> {
        if self.records.is_empty() {
            return Err(PayloadError::rule("", "there is no record in it"));
        }
        let list = self.list;
        let latest = received_at.plus(RECORD_AHEAD_MAX);
        let pointer = |i: usize, member: &str| if list { format!("/{i}{member}") } else { member.to_owned() };
        let mut out = Vec::with_capacity(self.records.len());
        for (i, loose) in self.records.into_iter().enumerate() {
            let at = loose.at.unwrap_or(received_at);
            if at > latest {
                return Err(PayloadError::rule(
                    pointer(i, "/at"),
                    format!("{at} is more than {} h ahead", RECORD_AHEAD_MAX.as_secs() / 3600),
                ));
            }
            if loose.values.is_empty() {
                return Err(PayloadError::rule(pointer(i, ""), "there is no value in it"));
            }
            out.push(Record { at, id: loose.id, values: loose.values });
        }
        Ok(out)
    }
}

pub(super) fn too_many_records() -> String {
    format!("more than {RECORDS_PER_MESSAGE_MAX} records")
}

pub(super) fn too_many_values() -> String {
    format!("more than {VALUES_PER_RECORD_MAX} values in one record")
}

/// The last of two with one name counts.
pub(super) fn put(values: &mut Values, name: Name, value: Value) -> Result<(), String> {
    if let Some(known) = values.iter_mut().find(|(n, _)| *n == name) {
        known.1 = value;
    } else if values.len() >= VALUES_PER_RECORD_MAX {
        return Err(too_many_values());
    } else {
        values.push((name, value));
    }
    Ok(())
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(BatchVisitor)
    }
}

struct BatchVisitor;

impl<'de> Visitor<'de> for BatchVisitor {
    type Value = Batch;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record or a list of records")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Batch, A::Error> {
        Ok(Batch { records: vec![RecordVisitor.visit_map(map)?], list: false })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Batch, A::Error> {
        let mut records = Vec::new();
        while let Some(record) = seq.next_element_seed(RecordVisitor).map_err(inside_item(records.len()))? {
            if records.len() >= RECORDS_PER_MESSAGE_MAX {
                return Err(de::Error::custom(too_many_records()));
            }
            records.push(record);
        }
        Ok(Batch { records, list: true })
    }
}

#[derive(Clone, Copy)]
struct RecordVisitor;

impl<'de> DeserializeSeed<'de> for RecordVisitor {
    type Value = Loose;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Loose, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for RecordVisitor {
    type Value = Loose;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record: an object of values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Loose, A::Error> {
        let (mut flat, mut inner) = (Values::new(), None);
        let reader = Sample { depth: 0, nulls: false };
        while let Some(name) = map.next_key::<Name>()? {
            if name == "values" {
                match map.next_value_seed(InnerVisitor).map_err(inside(&name))? {
                    Inner::Object(values) => inner = Some(values),
                    Inner::Other(value) => put(&mut flat, name, value).map_err(de::Error::custom)?,
                }
            } else {
                let value = map.next_value_seed(reader).map_err(inside(&name))?;
                put(&mut flat, checked_name(name)?, value).map_err(de::Error::custom)?;
            }
        }
        judge(flat, inner)
    }
}

/// Decides between the two forms of a record.
fn judge<E: de::Error>(mut flat: Values, inner: Option<Values>) -> Result<Loose, E> {
    let Some(values) = inner else { return Ok(Loose { at: None, id: None, values: flat }) };
    if !flat.iter().all(|(name, _)| name == "at" || name == "id") {
        let object = values.into_iter().collect::<Value>();
        put(&mut flat, "values".into(), object).map_err(E::custom)?;
        return Ok(Loose { at: None, id: None, values: flat });
    }
    let (mut at, mut id) = (None, None);
    for (name, value) in flat {
        match name.as_str() {
            "at" => at = Some(instant(value).map_err(E::custom).map_err(inside("at"))?),
            _ => id = Some(record_id(value).map_err(E::custom).map_err(inside("id"))?),
        }
    }
    Ok(Loose { at, id, values })
}

fn instant(value: Value) -> Result<Timestamp, String> {
    match value {
        Value::Text(text) => text.parse().map_err(|e: hierarchy_models::time::TimeError| e.to_string()),
        Value::Int(ms) => Timestamp::from_millis(ms).map_err(|e| e.to_string()),
        Value::Float(ms) if ms.fract() == 0.0 && ms.abs() < 1e15 => Timestamp::from_millis(ms as i64).map_err(|e| e.to_string()),
        _ => Err("must be an RFC 3339 time or whole milliseconds since 1970".into()),
    }
}

fn record_id(value: Value) -> Result<Name, String> {
    match value {
        Value::Text(id) => checked_id(id),
        _ => Err("must be text".into()),
    }
}

pub(super) fn checked_id(id: Name) -> Result<Name, String> {
    match id.len() {
        1..=NAME_BYTES_MAX => Ok(id),
        len => Err(format!("is {len} bytes long; 1 to {NAME_BYTES_MAX} are allowed")),
    }
}

/// What stands under `values`: an envelope's values, read in place, or a value that just has this name.
enum Inner {
    Object(Values),
    Other(Value),
}

#[derive(Clone, Copy)]
struct InnerVisitor;

/// Below a record's own members; the same for both forms.
const MEMBER: Sample = Sample { depth: 1, nulls: false };

impl<'de> DeserializeSeed<'de> for InnerVisitor {
    type Value = Inner;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Inner, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for InnerVisitor {
    type Value = Inner;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Inner, A::Error> {
        let mut values = Values::new();
        while let Some(name) = map.next_key::<Name>()? {
            let value = map.next_value_seed(MEMBER).map_err(inside(&name))?;
            put(&mut values, checked_name(name)?, value).map_err(de::Error::custom)?;
        }
        Ok(Inner::Object(values))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Inner, A::Error> {
        MEMBER.visit_seq(seq).map(Inner::Other)
    }
    fn visit_unit<E: de::Error>(self) -> Result<Inner, E> {
        MEMBER.visit_unit().map(Inner::Other)
    }
    fn visit_none<E: de::Error>(self) -> Result<Inner, E> {
        MEMBER.visit_none().map(Inner::Other)
    }
    fn visit_bool<E: de::Error>(self, v: bool) -> Result<Inner, E> {
        MEMBER.visit_bool(v).map(Inner::Other)
    }
    fn visit_i64<E: de::Error>(self, v: i64) -> Result<Inner, E> {
        MEMBER.visit_i64(v).map(Inner::Other)
    }
    fn visit_u64<E: de::Error>(self, v: u64) -> Result<Inner, E> {
        MEMBER.visit_u64(v).map(Inner::Other)
    }
    fn visit_f64<E: de::Error>(self, v: f64) -> Result<Inner, E> {
        MEMBER.visit_f64(v).map(Inner::Other)
    }
    fn visit_str<E: de::Error>(self, v: &str) -> Result<Inner, E> {
        MEMBER.visit_str(v).map(Inner::Other)
    }
    fn visit_bytes<E: de::Error>(self, v: &[u8]) -> Result<Inner, E> {
        MEMBER.visit_bytes(v).map(Inner::Other)
    }
}
