//! Bytes of a payload to values of the domain, and back: JSON, CBOR, and Protobuf for telemetry.
//!
//! Everything here is pure. Decoding goes straight into [`Record`]s and [`Value`]s; an intermediate tree such as
//! `serde_json::Value` was left out for its cost (32 bytes a node, names on the heap) on the hottest path there is.

mod cbor;
mod json;
pub mod protobuf;
mod record;
mod sample;

use std::fmt;

use hierarchy_models::{CommandResult, Map, Record, Timestamp, Value, event::Encoding, limits};

pub use json::{desired, to_json};

/// Why a payload could not be read, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadError {
    pub kind: ErrorKind,
    /// The JSON pointer of what is at fault; empty for the whole.
    pub pointer: String,
    pub reason: String,
}

/// What a metric tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Not of the encoding it is said to be.
    Syntax,
    /// Readable, but it breaks a rule or a limit.
    Rule,
    /// An encoding that is not known, or not for this topic.
    Encoding,
}

impl ErrorKind {
    pub const ALL: [Self; 3] = [Self::Syntax, Self::Rule, Self::Encoding];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Rule => "rule",
            Self::Encoding => "encoding",
        }
    }
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pointer.is_empty() { f.write_str(&self.reason) } else { write!(f, "{}: {}", self.pointer, self.reason) }
    }
}

impl std::error::Error for PayloadError {}

impl PayloadError {
    pub(crate) fn rule(pointer: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Rule, pointer: pointer.into(), reason: reason.into() }
    }

    pub(crate) fn encoding(reason: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Encoding, pointer: String::new(), reason: reason.into() }
    }
}

/// The encoding that an MQTT content type names.
pub fn encoding_of(content_type: &str) -> Result<Encoding, PayloadError> {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let is = |name: &str| essence.eq_ignore_ascii_case(name);
    if is("application/json") {
        Ok(Encoding::Json)
    } else if is("application/cbor") {
        Ok(Encoding::Cbor)
    } else if is("application/x-protobuf") {
        Ok(Encoding::Protobuf)
    } else {
        let shown: String = essence.chars().take(64).collect();
        Err(PayloadError::encoding(format!(
            "the content type {shown:?} is not known; known are application/json, application/cbor and application/x-protobuf"
        )))
    }
}

/// One record or a list of them. A record without a time gets `received_at`.
pub fn telemetry(encoding: Encoding, payload: &[u8], received_at: Timestamp) -> Result<Vec<Record>, PayloadError> {
    let raw = match encoding {
        Encoding::Json => json::read::<record::Batch>(payload)?,
        Encoding::Cbor => cbor::read::<record::Batch>(payload)?,
        Encoding::Protobuf => protobuf::read(payload)?,
        Encoding::Unknown => return Err(PayloadError::encoding("the payload's encoding is not known")),
    };
    raw.into_records(received_at)
}

/// Any value.
pub fn value(encoding: Encoding, payload: &[u8]) -> Result<Value, PayloadError> {
    match encoding {
        Encoding::Json => Ok(json::read::<sample::Any>(payload)?.0),
        Encoding::Cbor => Ok(cbor::read::<sample::Any>(payload)?.0),
        Encoding::Protobuf => Err(PayloadError::encoding("Protobuf is for telemetry only; send JSON or CBOR here")),
        Encoding::Unknown => Err(PayloadError::encoding("the payload's encoding is not known")),
    }
}

/// An object.
pub fn object(encoding: Encoding, payload: &[u8]) -> Result<Map, PayloadError> {
    value(encoding, payload)?.into_map().ok_or_else(|| PayloadError::rule("", "the payload must be an object"))
}

/// What a device answers to a command: `{"status": 200, "payload": …}`.
pub fn command_result(encoding: Encoding, payload: &[u8]) -> Result<CommandResult, PayloadError> {
    if payload.len() > limits::COMMAND_PAYLOAD_BYTES_MAX {
        return Err(PayloadError::rule("", format!("a result is at most {} bytes long", limits::COMMAND_PAYLOAD_BYTES_MAX)));
    }
    let mut members = object(encoding, payload)?;
    let status = match members.get("status") {
        Some(Value::Int(status @ 100..=599)) => *status as u16,
        _ => return Err(PayloadError::rule("/status", "must be a whole number from 100 to 599")),
    };
    Ok(CommandResult { status, payload: members.remove("payload").unwrap_or_default() })
}

#[cfg(test)]
mod tests;
