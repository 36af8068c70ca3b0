//! Credentials as bodies have them: keys by slot, thumbprints in hexadecimal, passwords in and never out.

use std::collections::BTreeMap;

use actors::identity::{CredentialsView, Thumbprint};
use hierarchy_models::Value;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    members::{self, pointer_to},
    problem::Problem,
};

/// What a device has to prove itself with, without anything secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Credentials)]
pub struct CredentialsDocument {
    /// Raised by a reset.
    generation: u64,
    /// Names of its keys.
    keys: Vec<String>,
    /// SHA-256 of its own certificates, in hexadecimal, by slot.
    certificates: BTreeMap<String, String>,
    /// Whether it has a password that a person chose.
    password: bool,
}

impl From<CredentialsView> for CredentialsDocument {
    fn from(view: CredentialsView) -> Self {
        let hex = |sha256: Thumbprint| sha256.iter().map(|b| format!("{b:02x}")).collect();
        Self {
            generation: view.generation,
            keys: view.keys,
            certificates: view.certificates.into_iter().map(|(slot, sha256)| (slot, hex(sha256))).collect(),
            password: view.has_password,
        }
    }
}

/// `["a", "b"]`, or `{"a": null, "b": "a key brought from outside"}`. How many there may be and what each may be, the runtime says.
pub fn keys(value: Value, pointer: &str) -> Result<BTreeMap<String, Option<String>>, Problem> {
    let mut slots = BTreeMap::new();
    match value {
        Value::List(names) => {
            for (n, name) in names.into_iter().enumerate() {
                let at = pointer_to(pointer, &n.to_string());
                slots.insert(members::text(name, &at)?, None);
            }
        }
        Value::Map(map) => {
            for (name, key) in *map {
                let at = pointer_to(pointer, &name);
                slots.insert(name.to_string(), outside_key(key, &at)?);
            }
        }
        other => return Err(Problem::member(pointer, format!("must be an array of names or an object, not {}", members::kind_of(&other)))),
    }
    Ok(slots)
}

fn outside_key(key: Value, pointer: &str) -> Result<Option<String>, Problem> {
    match key {
        Value::Null => Ok(None),
        Value::Text(key) => Ok(Some(key.to_string())),
        other => Err(Problem::member(pointer, format!("must be null or a key, not {}", members::kind_of(&other)))),
    }
}

/// `{"primary": "SHA-256 in hexadecimal"}`
pub fn certificates(value: Value, pointer: &str) -> Result<BTreeMap<String, Thumbprint>, Problem> {
    let read = |(slot, value): (hierarchy_models::Name, Value)| {
        thumbprint(value, &pointer_to(pointer, &slot)).map(|sha256| (slot.to_string(), sha256))
    };
    members::object(value, pointer)?.into_iter().map(read).collect()
}

/// 64 hexadecimal digits, in any case and with or without colons, as `openssl x509 -fingerprint -sha256` prints them.
pub fn thumbprint(value: Value, pointer: &str) -> Result<Thumbprint, Problem> {
    let text = members::text(value, pointer)?;
    let not = || Problem::member(pointer, "must be the SHA-256 of a certificate's DER: 64 hexadecimal digits");
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    if digits.len() != 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(not());
    }
    let mut sha256 = [0; 32];
    for (byte, at) in sha256.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| not())?;
    }
    Ok(sha256)
}

/// What it may be, the runtime says.
pub fn password(value: Value, pointer: &str) -> Result<String, Problem> {
    members::text(value, pointer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbprint_is_read_as_tools_print_it() {
        let plain = "0a".repeat(32);
        let colons = vec!["0A"; 32].join(":");
        for text in [plain, colons] {
            assert_eq!(thumbprint(Value::from(text.as_str()), "/a").unwrap(), [10; 32]);
        }
        for bad in ["", "0a", &"0g".repeat(32), &"é".repeat(32)] {
            assert_eq!(thumbprint(Value::from(bad), "/a").unwrap_err().document()["pointer"], "/a", "{bad}");
        }
    }
}
