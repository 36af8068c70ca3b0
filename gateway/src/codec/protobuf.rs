//! Protobuf, for telemetry: `twinfold.v1.TelemetryBatch` of `proto/twinfold/v1/telemetry.proto`.
//!
//! The messages are written by hand with prost's derive instead of being generated, so that a build needs no `protoc`;
//! a test reads the `.proto` file and holds the two together.

use hierarchy_models::{Name, Timestamp, Value as Domain, limits::RECORDS_PER_MESSAGE_MAX};
use prost::Message;

use super::{
    ErrorKind, PayloadError,
    record::{Batch, Loose, Values, checked_id, put, too_many_records},
    sample,
};

#[derive(Clone, PartialEq, Message)]
pub struct TelemetryBatch {
    #[prost(message, repeated, tag = "1")]
    pub records: Vec<Record>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Record {
    #[prost(int64, optional, tag = "1")]
    pub at_ms: Option<i64>,
    #[prost(string, tag = "2")]
    pub id: String,
    #[prost(message, repeated, tag = "3")]
    pub values: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Value {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(oneof = "Kind", tags = "2, 3, 4, 5")]
    pub kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Kind {
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(int64, tag = "3")]
    Integer(i64),
    #[prost(bool, tag = "4")]
    Boolean(bool),
    #[prost(string, tag = "5")]
    Text(String),
}

pub(super) fn read(payload: &[u8]) -> Result<Batch, PayloadError> {
    let batch = TelemetryBatch::decode(payload).map_err(|e| PayloadError {
        kind: ErrorKind::Syntax,
        pointer: String::new(),
        reason: format!("not a twinfold.v1.TelemetryBatch: {e}"),
    })?;
    if batch.records.len() > RECORDS_PER_MESSAGE_MAX {
        return Err(PayloadError::rule("", too_many_records()));
    }
    let records = batch.records.into_iter().enumerate().map(|(i, record)| loose(i, record)).collect::<Result<_, _>>()?;
    Ok(Batch { records, list: true })
}

fn loose(i: usize, record: Record) -> Result<Loose, PayloadError> {
    let fault = |member: &str, reason: String| PayloadError::rule(format!("/{i}{member}"), reason);
    let at = record.at_ms.map(Timestamp::from_millis).transpose().map_err(|e| fault("/at", e.to_string()))?;
    let id = if record.id.is_empty() { None } else { Some(checked_id(record.id.into()).map_err(|e| fault("/id", e))?) };
    let mut values = Values::with_capacity(record.values.len().min(64));
    for Value { name, kind } in record.values {
        let pointer = format!("/values/{}", sample::segment(&name));
        let value = domain(kind).map_err(|e| fault(&pointer, e.into()))?;
        let name = sample::checked_name::<serde::de::value::Error>(Name::from(name)).map_err(|e| fault("/values", e.to_string()))?;
        put(&mut values, name, value).map_err(|e| fault("/values", e))?;
    }
    Ok(Loose { at, id, values })
}

fn domain(kind: Option<Kind>) -> Result<Domain, &'static str> {
    Ok(match kind.ok_or("has no value")? {
        Kind::Number(v) => Domain::Float(sample::finite(v)?),
        Kind::Integer(v) => Domain::Int(v),
        Kind::Boolean(v) => Domain::Bool(v),
        Kind::Text(v) => Domain::Text(v.into()),
    })
}
