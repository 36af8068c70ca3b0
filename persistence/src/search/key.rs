//! What a twin is found by, as bytes whose order is that of what they stand for.
//!
//! The key of a posting ends with a zero, so that none is the beginning of another. A name that holds a control character itself may make two
//! keys one: that costs a look at a twin that was not meant.

use hierarchy_models::{ModelId, Name, Timestamp, TwinId, Value, event::Status, value::Map};

use crate::store::RegistryRow;

/// Bytes of a text that are looked up and sorted by; of longer ones the rest is read in the row.
pub const TEXT_BYTES_MAX: usize = 96;

/// Marks of kinds of value, in their order.
const BOOL: u8 = 1;
const NUMBER: u8 = 2;
const TEXT: u8 = 3;
/// A list or a map: there, and of no order.
const OTHER: u8 = 4;

/// What a twin is listed under. Twins of one key are in the order of their values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Posting {
    pub key: Vec<u8>,
    /// Empty where the key says it all.
    pub value: Vec<u8>,
}

fn key(kind: u8, parts: &[&str]) -> Vec<u8> {
    let mut key = vec![kind];
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            key.push(1);
        }
        key.extend_from_slice(part.as_bytes());
    }
    key.push(0);
    key
}

fn whole(kind: u8, text: &str) -> Posting {
    Posting { key: key(kind, &[text]), value: Vec::new() }
}

pub fn model(model: &ModelId) -> Posting {
    whole(b'M', model.as_str())
}

pub fn gateway(gateway: &TwinId) -> Posting {
    whole(b'G', gateway.as_str())
}

pub fn tag(tag: &str) -> Posting {
    whole(b'T', tag)
}

pub fn status(status: Status) -> Posting {
    whole(b'S', if status == Status::Active { "1" } else { "0" })
}

/// What all that stands below a twin is listed under, where a store lists it.
pub fn under(top: &str) -> Posting {
    whole(b'U', top)
}

pub fn created_key() -> Vec<u8> {
    key(b'C', &[])
}

pub fn created_value(at: Timestamp) -> Vec<u8> {
    // With the sign turned the bytes are in the order of the numbers.
    ((at.as_millis() as u64) ^ (1 << 63)).to_be_bytes().to_vec()
}

pub fn metadata_key(names: &[Name]) -> Vec<u8> {
    let names: Vec<&str> = names.iter().map(Name::as_str).collect();
    key(b'D', &names)
}

/// `None` for null, which is not there.
pub fn value_key(value: &Value) -> Option<Vec<u8>> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(bool) => vec![BOOL, u8::from(*bool)],
        Value::Int(_) | Value::Float(_) => number_key(value.as_f64()?),
        Value::Text(text) => text_key(text),
        Value::List(_) | Value::Map(_) => vec![OTHER],
    })
}

pub fn bool_key(bool: bool) -> Vec<u8> {
    vec![BOOL, u8::from(bool)]
}

pub fn number_key(number: f64) -> Vec<u8> {
    let bits = (number + 0.0).to_bits();
    // Negative numbers count down, and stand before the others.
    let ordered = if bits >> 63 == 1 { !bits } else { bits | (1 << 63) };
    [&[NUMBER], &ordered.to_be_bytes()[..]].concat()
}

pub fn text_key(text: &str) -> Vec<u8> {
    [&[TEXT], &text.as_bytes()[..text.len().min(TEXT_BYTES_MAX)]].concat()
}

/// The first and the last key of values of the same kind as this one.
pub fn kind_of(value_key: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let kind = value_key.first().copied().unwrap_or(OTHER);
    (vec![kind], [&[kind], &[0xff; 9][..]].concat())
}

/// The bounds of all that begins so.
pub struct Prefix;

impl Prefix {
    /// The key that stands behind every key that begins with `key`.
    pub fn end(mut key: Vec<u8>) -> Vec<u8> {
        key.extend_from_slice(&[0xff; 4]);
        key
    }
}

/// All that a row is listed under, each once, in order. Where it stands is the store's to know: see [`under`].
pub fn postings_of(row: &RegistryRow) -> Vec<Posting> {
    let mut all = vec![model(&row.model), status(row.status), Posting { key: created_key(), value: created_value(row.created_at) }];
    all.extend(row.gateway.as_ref().map(gateway));
    all.extend(row.tags.iter().map(|t| tag(t)));
    members(&row.metadata, &mut Vec::new(), &mut all);
    all.sort();
    all.dedup();
    all
}

fn members(map: &Map, above: &mut Vec<Name>, all: &mut Vec<Posting>) {
    for (name, value) in map {
        above.push(name.clone());
        all.extend(value_key(value).map(|value| Posting { key: metadata_key(above), value }));
        if let Value::Map(inner) = value {
            members(inner, above, all);
        }
        above.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_order_of_their_values() {
        let numbers = [f64::MIN, -1.5, -1.0, -f64::MIN_POSITIVE, 0.0, f64::MIN_POSITIVE, 1.0, 3.0, 1e300];
        let keys: Vec<_> = numbers.iter().map(|n| number_key(*n)).collect();
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(number_key(-0.0), number_key(0.0));
        assert_eq!(value_key(&Value::Int(3)), value_key(&Value::Float(3.0)));
        let kinds = [Value::Bool(false), Value::Bool(true), Value::Int(9), Value::from(""), Value::from("a"), Value::from(Map::new())];
        let keys: Vec<_> = kinds.iter().map(|v| value_key(v).unwrap()).collect();
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(value_key(&Value::Null), None);
        let at = |ms| created_value(Timestamp::from_millis(ms).unwrap());
        assert!(at(-5) < at(-1) && at(-1) < at(0) && at(0) < at(1) && at(1) < at(1 << 40));
    }

    #[test]
    fn no_key_is_the_beginning_of_another() {
        let keys = [tag("a"), tag("ab"), under("a"), under("ab"), whole(b'T', "")];
        for (n, one) in keys.iter().enumerate() {
            assert!(keys.iter().enumerate().all(|(m, other)| n == m || !other.key.starts_with(&one.key)));
        }
    }

    #[test]
    fn metadata_is_listed_at_every_depth() {
        let metadata: Map =
            [(Name::from("a"), Value::Int(1)), (Name::from("b"), Value::from_iter([("c", Value::from("x")), ("d", Value::Null)]))].into();
        let mut all = Vec::new();
        members(&metadata, &mut Vec::new(), &mut all);
        let key = |names: &[&str]| metadata_key(&names.iter().map(|n| Name::from(*n)).collect::<Vec<_>>());
        let found: Vec<_> = all.into_iter().map(|p| (p.key, p.value)).collect();
        assert_eq!(found, [(key(&["a"]), number_key(1.0)), (key(&["b"]), vec![OTHER]), (key(&["b", "c"]), text_key("x"))]);
    }
}
