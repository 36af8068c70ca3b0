//! Identifiers. Each is checked once, where it enters, and can then be trusted everywhere.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// A short string that is cheap to clone: property names, stream names. At most 128 bytes by the codecs' checks.
pub type Name = SmolStr;

/// Longest twin id, in bytes.
pub const TWIN_ID_BYTES_MAX: usize = 128;
/// Longest model id, in bytes (the DTDL v3 bound).
pub const MODEL_ID_BYTES_MAX: usize = 2048;
/// Longest command id, in bytes.
pub const COMMAND_ID_BYTES_MAX: usize = 64;

/// Why a string is not an identifier of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("{what} is empty")]
    Empty { what: &'static str },
    #[error("{what} is {len} bytes long; at most {max} are allowed")]
    TooLong { what: &'static str, len: usize, max: usize },
    #[error("{what} holds {found:?} at byte {at}; allowed are {allowed}")]
    Forbidden { what: &'static str, found: char, at: usize, allowed: &'static str },
    #[error("{text:?} is not a model id: {why}")]
    NotAModel { text: String, why: &'static str },
}

fn check(what: &'static str, text: &str, max: usize, allowed: &'static str, ok: fn(char) -> bool) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty { what });
    }
    if text.len() > max {
        return Err(IdError::TooLong { what, len: text.len(), max });
    }
    match text.char_indices().find(|(_, c)| !ok(*c)) {
        Some((at, found)) => Err(IdError::Forbidden { what, found, at, allowed }),
        None => Ok(()),
    }
}

/// The id of a twin; also its device's MQTT client id. 1 to 128 bytes of `A-Z a-z 0-9 - _ . : @ = % *  ! $ ' ( ) ,`-free
/// characters: letters, digits, `-`, `_`, `.`, `:` and `@`, so that it fits a topic level, a URL segment and a client id unescaped.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct TwinId(SmolStr);

/// The id of a command, unique within its twin.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct CommandId(SmolStr);

/// A Digital Twin Model Identifier, `dtmi:path:to:Thing;version`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct ModelId(SmolStr);

impl TwinId {
    pub fn new(text: impl AsRef<str>) -> Result<Self, IdError> {
        let text = text.as_ref();
        check("twin id", text, TWIN_ID_BYTES_MAX, "letters, digits, '-', '_', '.', ':' and '@'", |c| {
            c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '@')
        })?;
        Ok(Self(text.into()))
    }
}

impl CommandId {
    pub fn new(text: impl AsRef<str>) -> Result<Self, IdError> {
        let text = text.as_ref();
        check("command id", text, COMMAND_ID_BYTES_MAX, "letters, digits, '-' and '_'", |c| {
            c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
        })?;
        Ok(Self(text.into()))
    }
}

impl ModelId {
    /// Accepts a DTMI. Short names of built-in models are resolved by [`crate::model::resolve`], not here.
    pub fn new(text: impl AsRef<str>) -> Result<Self, IdError> {
        let text = text.as_ref();
        let no = |why| Err(IdError::NotAModel { text: text.chars().take(80).collect(), why });
        if text.len() > MODEL_ID_BYTES_MAX {
            return Err(IdError::TooLong { what: "model id", len: text.len(), max: MODEL_ID_BYTES_MAX });
        }
        let Some(rest) = text.strip_prefix("dtmi:") else { return no("it must start with \"dtmi:\"") };
        let (path, version) = match rest.split_once(';') {
            Some((path, version)) => (path, Some(version)),
            None => (rest, None),
        };
        let segment_ok = |s: &str| {
            let mut chars = s.chars();
            chars.next().is_some_and(|c| c.is_ascii_alphabetic())
                && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
                && !s.ends_with('_')
        };
        if !path.split(':').all(segment_ok) {
            return no("each segment is letters, digits and '_', starts with a letter and does not end with '_'");
        }
        if let Some(version) = version {
            let mut parts = version.split('.');
            let number = |s: &str| !s.is_empty() && s.len() <= 9 && !s.starts_with('0') && s.bytes().all(|b| b.is_ascii_digit());
            let minor =
                |s: &str| s == "0" || (!s.is_empty() && s.len() <= 6 && !s.starts_with('0') && s.bytes().all(|b| b.is_ascii_digit()));
            if !parts.next().is_some_and(number) || !parts.next().is_none_or(minor) || parts.next().is_some() {
                return no("the version is a whole number from 1 to 999999999, or such a number with a minor one behind a dot");
            }
        }
        Ok(Self(text.into()))
    }
}

macro_rules! text_newtype {
    ($($name:ident),*) => {$(
        impl $name {
            pub fn as_str(&self) -> &str { &self.0 }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str { &self.0 }
        }
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str { &self.0 }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Debug::fmt(self.0.as_str(), f) }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(s: &str) -> Result<Self, IdError> { Self::new(s) }
        }
        impl TryFrom<SmolStr> for $name {
            type Error = IdError;
            fn try_from(s: SmolStr) -> Result<Self, IdError> { Self::new(s) }
        }
        impl From<$name> for SmolStr {
            fn from(id: $name) -> SmolStr { id.0 }
        }
    )*};
}
text_newtype!(TwinId, CommandId, ModelId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_twin_id_fits_a_topic_level() {
        assert!(TwinId::new("room-3.1_a:b@c").is_ok());
        for bad in ["", "a/b", "a+b", "#", "a b", "ä", "a\u{0}", &"x".repeat(129)] {
            assert!(TwinId::new(bad).is_err(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn a_model_id_is_a_dtmi() {
        for good in ["dtmi:twinfold:Room;1", "dtmi:a:b_c:D1;12", "dtmi:a:B", "dtmi:a:B;1.0"] {
            assert!(ModelId::new(good).is_ok(), "{good}");
        }
        for bad in ["Room", "dtmi:", "dtmi:a:;1", "dtmi:1a;1", "dtmi:a_;1", "dtmi:a;0", "dtmi:a;01", "dtmi:a;x", "dtmi:a;1;2"] {
            assert!(ModelId::new(bad).is_err(), "{bad}");
        }
    }
}
