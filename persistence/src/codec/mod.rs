//! The on-disk form of events: protobuf with a format number, so that it can grow and an older program says so.
//!
//! The hot event (telemetry) is written field by field into the caller's buffer; everything else goes through the derived
//! messages in [`wire`]. Lost: JSON (three times the bytes, five times the time), a `#[repr]` dump (cannot grow), and
//! derived messages for all (two allocations a value on the way to every acknowledgement).
//!
//! A change that an older program would misread raises [`FORMAT`]; a new kind of event need not, for an older program
//! refuses a kind it does not know. Nothing is ever skipped silently.

mod body;
mod convert;
mod peek;
#[cfg(test)]
mod tests;
pub mod wire;
mod write;

use bytes::Bytes;
use hierarchy_models::{Alert, Command, Event, Map, TwinId, Value};
use prost::Message;

pub use peek::{EventHead, event_head, events_in, turn_parts, turn_twin};

use crate::{error::Error, store::Turn};

/// The newest form this program writes and reads.
pub const FORMAT: u32 = 1;

/// Field numbers of a turn.
const TURN_FORMAT: u32 = 1;
const TURN_TWIN: u32 = 2;
const TURN_EVENT: u32 = 3;

fn damaged(detail: impl Into<String>) -> Error {
    Error::Damaged { doing: "decoding stored data", detail: detail.into() }
}

/// Appends the encoded turn.
pub fn encode_turn(twin: &TwinId, events: &[Event], out: &mut Vec<u8>) {
    write::uint(out, TURN_FORMAT, u64::from(FORMAT));
    write::bytes(out, TURN_TWIN, twin.as_str().as_bytes());
    for event in events {
        write::nested(out, TURN_EVENT, |out| encode_event(event, out));
    }
}

/// Appends one encoded event, as it also stands in a turn.
pub fn encode_event(event: &Event, out: &mut Vec<u8>) {
    write::event(event, out);
}

/// The turn; raw payloads in it share `turn`'s memory.
pub fn decode_turn(turn: Bytes) -> Result<Turn, Error> {
    let twin = twin_id(turn_twin(&turn)?)?;
    let events = events_in(&turn)?.into_iter().map(decode_event).collect::<Result<Vec<_>, _>>()?;
    if events.is_empty() {
        return Err(damaged(format!("a turn of {twin} holds no event")));
    }
    Ok(Turn { twin, events })
}

/// One event; raw payloads in it share `event`'s memory.
pub fn decode_event(event: Bytes) -> Result<Event, Error> {
    let wire = body::Event::decode(event.clone()).map_err(|e| damaged(format!("an event: {e}")))?;
    convert::event_from(wire, &event)
}

fn twin_id(text: &str) -> Result<TwinId, Error> {
    TwinId::new(text).map_err(|e| damaged(e.to_string()))
}

pub fn value_to_bytes(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write::value(value, &mut out);
    out
}

pub fn value_from_bytes(bytes: &[u8]) -> Result<Value, Error> {
    decode::<wire::Value>(bytes, "a value")?.try_into()
}

pub fn map_to_bytes(map: &Map) -> Vec<u8> {
    wire::Map::from(map).encode_to_vec()
}

pub fn map_from_bytes(bytes: &[u8]) -> Result<Map, Error> {
    decode::<wire::Map>(bytes, "a map")?.try_into()
}

pub fn command_to_bytes(command: &Command) -> Vec<u8> {
    wire::Command::from(command).encode_to_vec()
}

pub fn command_from_bytes(bytes: &[u8]) -> Result<Command, Error> {
    decode::<wire::Command>(bytes, "a command")?.try_into()
}

pub fn alert_to_bytes(alert: &Alert) -> Vec<u8> {
    wire::Alert::from(alert).encode_to_vec()
}

pub fn alert_from_bytes(bytes: &[u8]) -> Result<Alert, Error> {
    decode::<wire::Alert>(bytes, "an alert")?.try_into()
}

fn decode<M: Message + Default>(bytes: &[u8], what: &str) -> Result<M, Error> {
    M::decode(bytes).map_err(|e| damaged(format!("{what}: {e}")))
}
