//! Turns on their way into the journal, encoded once, where they were decided, into one buffer.

use bytes::Bytes;
use hierarchy_models::{Event, TwinId};

use crate::{SHARDS, codec, error::Error, store::Turn};

/// Turns of one commit: at most this many.
pub const BATCH_TURNS_MAX: usize = 512;
/// Bytes after which a batch takes no further turn (the last one may go beyond).
pub const BATCH_BYTES_MAX: usize = 64 * 1024;

/// Which shard a twin's journal lies in: a hash of its id that never changes (FNV-1a, 64 bits).
pub fn shard_of(twin: &TwinId) -> u16 {
    let hash = twin.as_str().bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    // The low bits of FNV-1a mix worst: fold the high half in.
    ((hash ^ (hash >> 32)) % u64::from(SHARDS)) as u16
}

/// Encoded turns, each as `length: u32 LE, shard: u16 LE, turn: protobuf`.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    turns: usize,
}

impl Batch {
    /// Adds one turn; `events` must not be empty.
    pub fn push(&mut self, twin: &TwinId, events: &[Event]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&shard_of(twin).to_le_bytes());
        codec::encode_turn(twin, events, &mut self.bytes);
        let length = (self.bytes.len() - start - 6) as u32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
        self.turns += 1;
    }

    pub fn is_empty(&self) -> bool {
        self.turns == 0
    }

    pub fn is_full(&self) -> bool {
        self.turns >= BATCH_TURNS_MAX || self.bytes.len() >= BATCH_BYTES_MAX
    }

    pub fn turns(&self) -> usize {
        self.turns
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn into_bytes(self) -> Bytes {
        self.bytes.into()
    }
}

/// Walks the turns of a batch's bytes without decoding them: `(shard, turn bytes)`. They share the batch's memory.
pub fn turns_in(bytes: &Bytes) -> impl Iterator<Item = Result<(u16, Bytes), Error>> {
    turn_slices(bytes).map(|turn| turn.map(|(shard, turn)| (shard, bytes.slice_ref(turn))))
}

/// As [`turns_in`], for who only looks.
pub fn turn_slices(bytes: &[u8]) -> TurnSlices<'_> {
    TurnSlices { rest: bytes }
}

pub struct TurnSlices<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for TurnSlices<'a> {
    type Item = Result<(u16, &'a [u8]), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let rest = std::mem::take(&mut self.rest);
        let turn = rest.split_first_chunk::<6>().and_then(|([a, b, c, d, e, f], rest)| {
            let (turn, rest) = rest.split_at_checked(u32::from_le_bytes([*a, *b, *c, *d]) as usize)?;
            self.rest = rest;
            Some((u16::from_le_bytes([*e, *f]), turn))
        });
        Some(turn.ok_or_else(|| Error::Damaged { doing: "reading a journal frame", detail: "it ends in the middle of a turn".into() }))
    }
}

/// The turns of a batch's bytes, decoded.
pub fn decode(bytes: &Bytes) -> Result<Vec<Turn>, Error> {
    turns_in(bytes).map(|turn| codec::decode_turn(turn?.1)).collect()
}

/// The turns of one twin in a frame, copied: a turn must not keep all that was read from disk with it.
pub fn of_twin(twin: &TwinId, frame: &Bytes, turns: &mut Vec<Bytes>) -> Result<(), Error> {
    for turn in turn_slices(frame) {
        let (_, turn) = turn?;
        if codec::turn_twin(turn)? == twin.as_str() {
            turns.push(Bytes::copy_from_slice(turn));
        }
    }
    Ok(())
}
