//! A frame of a log: turns, and the number of each in the order in which the store took them, whatever log they went to.

use bytes::Bytes;
use persistence::{Error, backlog};

use crate::cql::damaged;

/// Bytes of a turn's number.
const NUMBER_BYTES: usize = 8;

#[derive(Debug, Clone)]
pub struct Frame {
    /// `u64` little endian, one for each turn.
    pub numbers: Bytes,
    pub turns: Bytes,
    pub count: usize,
}

impl backlog::Frame for Frame {
    fn turns(&self) -> &Bytes {
        &self.turns
    }
}

impl Frame {
    pub fn stored(numbers: Vec<u8>, turns: Vec<u8>) -> Result<Self, Error> {
        if numbers.is_empty() || !numbers.len().is_multiple_of(NUMBER_BYTES) {
            return Err(damaged("reading a journal frame", "its turns are not numbered"));
        }
        let count = numbers.len() / NUMBER_BYTES;
        Ok(Self { numbers: numbers.into(), turns: turns.into(), count })
    }

    pub fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        self.numbers.chunks_exact(NUMBER_BYTES).map(|number| number.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte)))
    }

    pub fn first_number(&self) -> u64 {
        self.numbers().next().unwrap_or(0)
    }

    pub fn last_number(&self) -> u64 {
        self.numbers().max().unwrap_or(0)
    }
}
