//! JSON in and out.

use hierarchy_models::{Map, Value};
use serde::{Serialize, de::DeserializeOwned, ser::SerializeMap};

use super::{ErrorKind, PayloadError, sample};

/// Reads one whole document; what follows it is an error.
pub(super) fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, PayloadError> {
    sample::reset_pointer();
    serde_json::from_slice(payload).map_err(|e| {
        let kind = if e.is_data() { ErrorKind::Rule } else { ErrorKind::Syntax };
        PayloadError { kind, pointer: sample::take_pointer(), reason: reason(&e) }
    })
}

/// A pointer says where better than a line and a column do, where there is one.
fn reason(e: &serde_json::Error) -> String {
    let text = e.to_string();
    match text.rfind(" at line ") {
        Some(at) if e.is_data() => text[..at].to_owned(),
        _ => format!("not JSON: {text}"),
    }
}

/// A document for a device. What we hold always has a JSON form, so a failure here is a defect and sends `null`.
pub fn to_json<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec())
}

/// The desired state or a patch of it, with its `$version`.
pub fn desired(document: &Map, version: u64) -> Vec<u8> {
    to_json(&Versioned { document, version })
}

struct Versioned<'a> {
    document: &'a Map,
    version: u64,
}

impl Serialize for Versioned<'_> {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(None)?;
        for (name, value) in self.document.iter().filter(|(name, _)| *name != "$version") {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry("$version", &Value::Int(i64::try_from(self.version).unwrap_or(i64::MAX)))?;
        map.end()
    }
}
