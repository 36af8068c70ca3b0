//! Committed turns that no checkpoint covers, kept in memory so that recent history, tails and flushes need no disk.
//!
//! Only the newest frames are kept when there are too many; the older ones are read from the journal again. The index by twin is
//! brought up to date by whoever reads, not by the writer: an acknowledgement never waits for it. One for each journal, whatever
//! store it lies in.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
};

use bytes::Bytes;
use hierarchy_models::TwinId;
use parking_lot::Mutex;

use crate::{batch, codec, error::Error};

/// A frame as a journal keeps it in memory.
pub trait Frame: Clone {
    /// Its turns, as in a [`crate::Batch`].
    fn turns(&self) -> &Bytes;
}

impl Frame for Bytes {
    fn turns(&self) -> &Bytes {
        self
    }
}

pub struct Backlog<F = Bytes> {
    frames: Mutex<Frames<F>>,
    index: Mutex<Index>,
    memory_bytes_max: u64,
}

struct Frames<F> {
    committed: u64,
    /// The checkpoint: frames up to here are projected.
    projected: u64,
    /// The newest frames, without a gap up to `committed`.
    resident: VecDeque<(u64, F)>,
    resident_bytes: u64,
    bytes: u64,
    frames_since_start: u64,
    turns_since_start: u64,
}

impl<F: Frame> Frames<F> {
    /// The first frame that is in memory; those before it must be read from the journal.
    fn first_resident(&self) -> u64 {
        self.resident.front().map_or(self.committed + 1, |(id, _)| *id)
    }

    fn forget_oldest(&mut self) {
        if let Some((_, data)) = self.resident.pop_front() {
            self.resident_bytes -= data.turns().len() as u64;
        }
    }
}

#[derive(Default)]
struct Index {
    hasher: RandomState,
    /// Frames up to here are in it.
    through: u64,
    /// Frames before this are not in it any more.
    from: u64,
    turns: HashMap<u64, Vec<(u64, Bytes)>>,
}

/// Frames or turns from memory, and which ones before them must come from the journal: those from `after + 1` to before `resident_from`.
pub struct Part<F = Bytes> {
    pub after: u64,
    pub resident_from: u64,
    /// Frame ids with the frame or the turn's bytes, ascending.
    pub found: Vec<(u64, F)>,
}

impl<F> Part<F> {
    pub fn needs_journal(&self) -> bool {
        self.after + 1 < self.resident_from
    }
}

impl<F: Frame> Backlog<F> {
    /// After an open: frames from `projected + 1` to `committed` are in the journal, `bytes` of them.
    pub fn new(projected: u64, committed: u64, bytes: u64, memory_bytes_max: u64) -> Self {
        let frames = Frames {
            committed,
            projected,
            resident: VecDeque::new(),
            resident_bytes: 0,
            bytes,
            frames_since_start: 0,
            turns_since_start: 0,
        };
        Self { frames: Mutex::new(frames), index: Mutex::default(), memory_bytes_max }
    }

    pub fn committed(&self) -> u64 {
        self.frames.lock().committed
    }

    pub fn bytes(&self) -> u64 {
        self.frames.lock().bytes
    }

    /// Frames and turns committed since the start.
    pub fn counts(&self) -> (u64, u64) {
        let frames = self.frames.lock();
        (frames.frames_since_start, frames.turns_since_start)
    }

    /// A frame was committed; its callers are answered after this.
    pub fn push(&self, id: u64, frame: F, turns: usize) {
        let bytes = frame.turns().len() as u64;
        let mut frames = self.frames.lock();
        frames.committed = id;
        frames.frames_since_start += 1;
        frames.turns_since_start += turns as u64;
        frames.bytes += bytes;
        frames.resident_bytes += bytes;
        frames.resident.push_back((id, frame));
        while frames.resident_bytes > self.memory_bytes_max {
            frames.forget_oldest();
        }
    }

    /// Frames up to `through`, `bytes` of them, are in the projections now.
    pub fn projected(&self, through: u64, bytes: u64) {
        {
            let mut frames = self.frames.lock();
            frames.projected = frames.projected.max(through);
            // Frames that somebody else projected were not counted by who says this.
            frames.bytes = if through >= frames.committed { 0 } else { frames.bytes.saturating_sub(bytes) };
            while frames.resident.front().is_some_and(|(id, _)| *id <= through) {
                frames.forget_oldest();
            }
        }
        self.index.lock().forget_before(through + 1);
    }

    /// Whole frames after `after`, about `bytes_max` bytes, at least one when there is any in memory.
    pub fn frames_after(&self, after: u64, bytes_max: usize) -> Part<F> {
        let frames = self.frames.lock();
        let (mut found, mut bytes) = (Vec::new(), 0);
        for (id, data) in frames.resident.iter().filter(|(id, _)| *id > after) {
            let length = data.turns().len();
            if !found.is_empty() && bytes + length > bytes_max {
                break;
            }
            bytes += length;
            found.push((*id, data.clone()));
        }
        Part { after, resident_from: frames.first_resident(), found }
    }

    /// The checkpoint, as of the last flush.
    pub fn checkpoint(&self) -> u64 {
        self.frames.lock().projected
    }

    /// The turns of one twin that no checkpoint covers.
    pub fn turns_of(&self, twin: &TwinId) -> Result<Part, Error> {
        let mut index = self.index.lock();
        let (new, after, resident_from) = {
            let frames = self.frames.lock();
            let seen = frames.resident.partition_point(|(id, _)| *id <= index.through);
            let new: Vec<_> = frames.resident.range(seen..).map(|(id, frame)| (*id, frame.turns().clone())).collect();
            (new, frames.projected, frames.first_resident())
        };
        index.forget_before(resident_from);
        index.add(new)?;
        let found = index.turns_of(twin)?;
        Ok(Part { after, resident_from, found })
    }
}

impl Index {
    fn add(&mut self, frames: Vec<(u64, Bytes)>) -> Result<(), Error> {
        for (id, data) in frames {
            for turn in batch::turns_in(&data) {
                let (_, turn) = turn?;
                let hash = self.hasher.hash_one(codec::turn_twin(&turn)?);
                self.turns.entry(hash).or_default().push((id, turn));
            }
            self.through = id;
        }
        Ok(())
    }

    fn turns_of(&self, twin: &TwinId) -> Result<Vec<(u64, Bytes)>, Error> {
        let mut found = Vec::new();
        for (id, turn) in self.turns.get(&self.hasher.hash_one(twin.as_str())).into_iter().flatten() {
            if codec::turn_twin(turn)? == twin.as_str() {
                found.push((*id, turn.clone()));
            }
        }
        Ok(found)
    }

    fn forget_before(&mut self, from: u64) {
        if from > self.from {
            self.from = from;
            self.turns.retain(|_, turns| {
                turns.retain(|(id, _)| *id >= from);
                !turns.is_empty()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use hierarchy_models::{Event, EventBody, Timestamp};

    use super::*;
    use crate::Batch;

    fn frame(twins: &[&str]) -> Bytes {
        let mut batch = Batch::default();
        for twin in twins {
            let event = Event { seq: 1, received_at: Timestamp::EPOCH, body: EventBody::Released };
            batch.push(&TwinId::new(twin).unwrap(), &[event]);
        }
        batch.into_bytes()
    }

    fn ids(part: &Part) -> Vec<u64> {
        part.found.iter().map(|(id, _)| *id).collect()
    }

    #[test]
    fn a_twin_finds_its_turns_until_they_are_projected() {
        let a = TwinId::new("a").unwrap();
        let backlog = Backlog::new(0, 0, 0, u64::MAX);
        backlog.push(1, frame(&["a", "b"]), 2);
        backlog.push(2, frame(&["b"]), 1);
        assert_eq!(ids(&backlog.turns_of(&a).unwrap()), [1]);
        backlog.push(3, frame(&["a", "a"]), 2);
        assert_eq!(ids(&backlog.turns_of(&a).unwrap()), [1, 3, 3]);
        backlog.projected(2, 0);
        let part = backlog.turns_of(&a).unwrap();
        assert_eq!((ids(&part), part.needs_journal()), (vec![3, 3], false));
    }

    #[test]
    fn nothing_is_behind_when_all_is_projected() {
        let backlog: Backlog = Backlog::new(0, 3, 900, u64::MAX);
        backlog.projected(2, 100);
        assert_eq!(backlog.bytes(), 800);
        backlog.projected(3, 100);
        assert_eq!(backlog.bytes(), 0);
    }

    #[test]
    fn what_memory_cannot_hold_is_said_to_be_on_disk() {
        let a = TwinId::new("a").unwrap();
        let size = frame(&["a"]).len() as u64;
        let backlog = Backlog::new(0, 0, 0, 2 * size);
        (1..=5).for_each(|id| backlog.push(id, frame(&["a"]), 1));
        let part = backlog.turns_of(&a).unwrap();
        assert_eq!((ids(&part), part.after, part.resident_from), (vec![4, 5], 0, 4));
        assert_eq!(backlog.bytes(), 5 * size);
        backlog.push(6, frame(&["a"]), 1);
        assert_eq!(ids(&backlog.turns_of(&a).unwrap()), [5, 6], "the index lets go with the frames");
    }
}
