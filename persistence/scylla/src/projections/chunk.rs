//! A chunk: events of one twin, day of receipt and stream, side by side in one row, with what a search needs to leave it alone.
//!
//! What a chunk covers is said in frames, so that a projection that is repeated after a crash, in other portions, doubles nothing:
//! a reader skips events of frames that a row before covers. Neither compressed nor given a checksum: the tables are.

use bytes::Bytes;
use hierarchy_models::{Event, Timestamp};
use persistence::{
    Error,
    codec::{self, EventHead},
    fold,
};

use crate::cql::damaged;

/// Bytes of events after which a chunk takes no further frame.
pub const CHUNK_BYTES_MAX: usize = 64 * 1024;
const DAY_MS: i64 = 24 * 3_600 * 1_000;

pub fn day_of(at: Timestamp) -> i32 {
    at.as_millis().div_euclid(DAY_MS) as i32
}

pub fn begin_of(day: i32) -> Timestamp {
    Timestamp::from_millis_clamped(i64::from(day) * DAY_MS)
}

/// Never empty.
#[derive(Debug)]
pub struct Chunk {
    pub frame: u64,
    pub last_frame: u64,
    pub at: (Timestamp, Timestamp),
    pub received: (Timestamp, Timestamp),
    pub events: u32,
    /// `(frames after the first: varint, length: varint, event)*`
    pub data: Vec<u8>,
}

impl Chunk {
    fn new(frame: u64, head: &EventHead, event: &[u8]) -> Self {
        let received = (head.received_at, head.received_at);
        let mut chunk = Self { frame, last_frame: frame, at: head.at, received, events: 0, data: Vec::with_capacity(event.len() + 4) };
        chunk.add(frame, head, event);
        chunk
    }

    fn add(&mut self, frame: u64, head: &EventHead, event: &[u8]) {
        self.last_frame = frame;
        self.at = (self.at.0.min(head.at.0), self.at.1.max(head.at.1));
        self.received = (self.received.0.min(head.received_at), self.received.1.max(head.received_at));
        self.events += 1;
        write_varint(frame - self.frame, &mut self.data);
        write_varint(event.len() as u64, &mut self.data);
        self.data.extend_from_slice(event);
    }

    /// Of those events that `keep` holds on to; `None` when there are none. It covers what it covered.
    pub fn filtered(frame: u64, last_frame: u64, data: Vec<u8>, keep: impl Fn(&EventHead) -> bool) -> Result<Option<Self>, Error> {
        let mut kept: Option<Self> = None;
        for (of, event) in events_in(frame, data)? {
            let head = codec::event_head(&event)?;
            match &mut kept {
                _ if !keep(&head) => {}
                Some(chunk) => chunk.add(of, &head, &event),
                None => {
                    let mut chunk = Self::new(frame, &head, &[]);
                    (chunk.data, chunk.events) = (Vec::new(), 0);
                    chunk.add(of, &head, &event);
                    kept = Some(chunk);
                }
            }
        }
        Ok(kept.map(|chunk| Self { last_frame, ..chunk }))
    }
}

impl fold::Chunk for Chunk {
    type Shelf = Shelf;

    fn shelf(head: &EventHead, stream: i64) -> Option<Shelf> {
        Some((day_of(head.received_at), i16::try_from(stream).ok()?))
    }

    fn begin(frame: u64, head: &EventHead, event: &[u8]) -> Self {
        Self::new(frame, head, event)
    }

    /// A frame is never split.
    fn has_room(&self, frame: u64) -> bool {
        self.data.len() < CHUNK_BYTES_MAX || self.last_frame == frame
    }

    fn push(&mut self, frame: u64, head: &EventHead, event: &[u8]) {
        self.add(frame, head, event);
    }
}

fn write_varint(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn cut() -> Error {
    damaged("reading history", "a chunk ends in the middle of an event")
}

fn read_varint(data: &[u8], at: &mut usize) -> Result<u64, Error> {
    let (mut n, mut shift) = (0, 0);
    loop {
        let byte = *data.get(*at).filter(|_| shift < 64).ok_or_else(cut)?;
        *at += 1;
        n |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return Ok(n);
        }
    }
}

/// The frames and encoded events of a chunk that begins with `frame`.
pub fn events_in(frame: u64, data: Vec<u8>) -> Result<Vec<(u64, Bytes)>, Error> {
    let data = Bytes::from(data);
    let (mut found, mut at) = (Vec::new(), 0);
    while at < data.len() {
        let of = frame + read_varint(&data, &mut at)?;
        let length = read_varint(&data, &mut at)? as usize;
        let end = at.checked_add(length).filter(|end| *end <= data.len()).ok_or_else(cut)?;
        found.push((of, data.slice(at..end)));
        at = end;
    }
    Ok(found)
}

pub fn decoded(frame: u64, data: Vec<u8>) -> Result<Vec<(u64, Event)>, Error> {
    events_in(frame, data)?.into_iter().map(|(frame, event)| Ok((frame, codec::decode_event(event)?))).collect()
}

/// Where a chunk is stored within its twin.
pub type Shelf = (i32, i16);

#[cfg(test)]
mod tests {
    use hierarchy_models::{EventBody, TwinId};
    use persistence::{Batch, fold::Fold};

    use super::*;

    fn event(seq: u64, bytes: usize) -> Event {
        let received_at = Timestamp::from_millis(seq as i64).unwrap();
        Event { seq, received_at, body: EventBody::TimerFired { name: "x".repeat(bytes).into() } }
    }

    fn chunks(frames: std::ops::Range<u64>, bytes: usize) -> Vec<Chunk> {
        let mut fold = Fold::default();
        for id in frames {
            let mut batch = Batch::default();
            batch.push(&TwinId::new("a").unwrap(), &[event(id, bytes), event(id + 1_000, bytes)]);
            fold.add_frame(id, batch.as_bytes()).unwrap();
        }
        fold.into_chunks().next().unwrap().1
    }

    #[test]
    fn chunks_give_back_their_events_and_never_split_a_frame() {
        let chunks = chunks(300..310, 20_000);
        assert!(chunks.len() > 3);
        let mut next = 300;
        for chunk in chunks {
            assert_eq!(chunk.frame, next);
            next = chunk.last_frame + 1;
            let events = decoded(chunk.frame, chunk.data).unwrap();
            assert_eq!(events.len(), chunk.events as usize);
            assert!(events.chunks(2).zip(chunk.frame..).all(|(pair, id)| pair[0].0 == id && pair[1] == (id, event(id + 1_000, 20_000))));
        }
        assert_eq!(next, 310);
    }

    #[test]
    fn what_is_thinned_covers_the_same_frames() {
        let chunk = chunks(5..9, 10).pop().unwrap();
        let kept = Chunk::filtered(chunk.frame, chunk.last_frame, chunk.data.clone(), |head| head.seq == 7).unwrap().unwrap();
        assert_eq!((kept.frame, kept.last_frame, kept.events), (5, 8, 1));
        assert_eq!(decoded(kept.frame, kept.data).unwrap(), [(7, event(7, 10))]);
        assert!(Chunk::filtered(chunk.frame, chunk.last_frame, chunk.data, |_| false).unwrap().is_none());
    }

    #[test]
    fn a_chunk_that_was_cut_is_found() {
        let chunk = chunks(5..6, 10).pop().unwrap();
        // Within the first of its two events.
        for cut in 1..15 {
            assert!(matches!(decoded(5, chunk.data[..cut].to_vec()), Err(Error::Damaged { .. })), "cut at {cut}");
        }
    }
}
