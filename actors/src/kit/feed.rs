//! What a test says in JSON, as a device would: the forms of the MQTT topics.

use hierarchy_models::{DeviceMessage, Raw, Record, Timestamp, event::Encoding, value::Map};
use serde_json::Value;

use crate::behaviour::{Error, Result, from_json};

fn raw(json: &Value) -> Raw {
    Raw { encoding: Encoding::Json, bytes: json.to_string().into_bytes().into() }
}

fn map(json: Value, what: &str) -> Result<Map> {
    from_json(json)?.into_map().ok_or_else(|| Error::new(format!("{what} is a JSON object")))
}

/// A record, an array of records; each plain, or in an envelope `{"at", "id", "values"}`.
pub fn telemetry(json: Value, stream: Option<&str>, now: Timestamp) -> Result<DeviceMessage> {
    let raw = raw(&json);
    let records = match json {
        Value::Array(records) => records.into_iter().map(|one| record(one, now)).collect::<Result<_>>()?,
        one => vec![record(one, now)?],
    };
    Ok(DeviceMessage::Telemetry { stream: stream.map(Into::into), records, raw })
}

fn record(json: Value, now: Timestamp) -> Result<Record> {
    let mut members = map(json, "a record")?;
    if members.get("values").and_then(|values| values.as_map()).is_none() {
        return Ok(Record { at: now, id: None, values: members.into_iter().collect() });
    }
    let values = members.remove("values").and_then(|values| values.into_map()).unwrap_or_default();
    let at = match members.get("at") {
        Some(at) => serde_json::from_value(crate::behaviour::to_json(at))?,
        None => now,
    };
    let id = members.get("id").and_then(|id| id.as_str()).map(Into::into);
    Ok(Record { at, id, values: values.into_iter().collect() })
}

pub fn reported(patch: Value) -> Result<DeviceMessage> {
    Ok(DeviceMessage::Reported { raw: raw(&patch), patch: map(patch, "a patch of reported properties")? })
}

pub fn reported_full(properties: Value) -> Result<DeviceMessage> {
    Ok(DeviceMessage::ReportedFull { raw: raw(&properties), properties: map(properties, "all reported properties")? })
}

pub fn event(name: &str, payload: Value) -> Result<DeviceMessage> {
    Ok(DeviceMessage::Event { name: name.into(), raw: raw(&payload), payload: from_json(payload)? })
}

pub fn properties(json: Value, what: &str) -> Result<Map> {
    map(json, what)
}
