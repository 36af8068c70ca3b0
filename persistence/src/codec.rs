//! The on-disk form of events: protobuf, with a version, so that it can grow. (helper: store)
use bytes::Bytes;
use hierarchy_models::{Event, TwinId};

use crate::{error::Error, store::Turn};

/// Appends the encoded turn.
pub fn encode_turn(_twin: &TwinId, _events: &[Event], _out: &mut Vec<u8>) {
    todo!()
}

/// The twin a turn belongs to, without decoding the rest.
pub fn turn_twin(_turn: &[u8]) -> Result<&str, Error> {
    todo!()
}

pub fn decode_turn(_turn: Bytes) -> Result<Turn, Error> {
    todo!()
}
