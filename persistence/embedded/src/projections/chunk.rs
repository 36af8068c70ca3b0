//! A chunk: events of one twin and stream, compressed together, with what a search needs to know to leave it alone.
//!
//! A row an event lost: keys spread over twins cost a B-tree ten times the speed and tens of times the written bytes. A column
//! a metric lost: the log's raw payloads and the values would be stored twice.

use bytes::Bytes;
use hierarchy_models::{Event, Timestamp};
use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};
use persistence::{
    Error,
    codec::{self, EventHead},
    fold,
};

/// Uncompressed bytes after which a chunk takes no further event, so that a page of history never unpacks much more than it gives.
pub const CHUNK_BYTES_MAX: usize = 128 * 1024;
/// A stored chunk smaller than this is joined with the events that follow it.
pub const JOIN_BYTES_MAX: usize = 4 * 1024;

/// Bytes before an LZ4 block.
const PREFIX_BYTES: usize = 4;
/// Bytes of an event's length before it, at most.
const LENGTH_BYTES_MAX: usize = 10;
/// Events of the present size that a chunk makes room for when it must grow.
const GROWTH_EVENTS: usize = 4;

/// What the row says about the events inside.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extent {
    pub at: (Timestamp, Timestamp),
    pub received: (Timestamp, Timestamp),
    pub seq: (u64, u64),
    pub count: u64,
}

impl Extent {
    fn of(head: &EventHead) -> Self {
        Self { at: head.at, received: (head.received_at, head.received_at), seq: (head.seq, head.seq), count: 1 }
    }

    /// Of these events and, behind them, those of `next`.
    pub fn join(self, next: Self) -> Self {
        Self {
            at: (self.at.0.min(next.at.0), self.at.1.max(next.at.1)),
            received: (self.received.0.min(next.received.0), self.received.1.max(next.received.1)),
            seq: (self.seq.0, next.seq.1),
            count: self.count + next.count,
        }
    }
}

/// A chunk before it is compressed. Never empty.
#[derive(Debug)]
pub struct Chunk {
    pub extent: Extent,
    /// `(length: varint, event)*`
    pub events: Vec<u8>,
}

impl Chunk {
    fn new(head: &EventHead, event: &[u8]) -> Self {
        let mut chunk = Self { extent: Extent::of(head), events: Vec::with_capacity(event.len() + 2) };
        chunk.write(event);
        chunk
    }

    fn add(&mut self, head: &EventHead, event: &[u8]) {
        if self.events.capacity() - self.events.len() < event.len() + LENGTH_BYTES_MAX {
            // A second event is rarely the last, while most chunks of a flush over a large fleet hold one only.
            self.events.reserve(self.events.len() + GROWTH_EVENTS * event.len());
        }
        self.extent = self.extent.join(Extent::of(head));
        self.write(event);
    }

    fn is_full(&self) -> bool {
        self.events.len() >= CHUNK_BYTES_MAX
    }

    fn write(&mut self, event: &[u8]) {
        let mut length = event.len();
        while length >= 0x80 {
            self.events.push(length as u8 | 0x80);
            length >>= 7;
        }
        self.events.push(length as u8);
        self.events.extend_from_slice(event);
    }
}

impl fold::Chunk for Chunk {
    /// The stream's number.
    type Shelf = i64;

    fn shelf(_: &EventHead, stream: i64) -> Option<i64> {
        Some(stream)
    }

    fn begin(_: u64, head: &EventHead, event: &[u8]) -> Self {
        Self::new(head, event)
    }

    fn has_room(&self, _: u64) -> bool {
        !self.is_full()
    }

    fn push(&mut self, _: u64, head: &EventHead, event: &[u8]) {
        self.add(head, event);
    }
}

/// Compresses chunks one after another, with the same memory for all.
pub struct Packer {
    table: CompressTable,
    packed: Vec<u8>,
}

impl Default for Packer {
    fn default() -> Self {
        Self { table: CompressTable::small(), packed: Vec::new() }
    }
}

impl Packer {
    /// The length of `events` in four bytes, and their LZ4 block.
    pub fn pack(&mut self, events: &[u8]) -> Result<&[u8], Error> {
        let room = PREFIX_BYTES + get_maximum_output_size(events.len());
        if self.packed.len() < room {
            self.packed.resize(room, 0);
        }
        self.packed[..PREFIX_BYTES].copy_from_slice(&(events.len() as u32).to_le_bytes());
        let packed = compress_into_with_table(events, &mut self.packed[PREFIX_BYTES..], &mut self.table);
        let length = packed.map_err(|e| Error::Refused(format!("a chunk cannot be packed: {e}")))?;
        Ok(&self.packed[..PREFIX_BYTES + length])
    }
}

/// What [`Packer::pack`] was given. `id` is for the error.
pub fn unpack(id: i64, format: u32, crc: u32, data: &[u8]) -> Result<Vec<u8>, Error> {
    if format > codec::FORMAT {
        return Err(Error::TooNew { found: format, known: codec::FORMAT });
    }
    if crc32fast::hash(data) != crc {
        return Err(damaged(id, "does not match its checksum"));
    }
    lz4_flex::block::decompress_size_prepended(data).map_err(|_| damaged(id, "cannot be unpacked"))
}

fn damaged(id: i64, what: &str) -> Error {
    Error::Damaged { doing: "reading history", detail: format!("chunk {id} of state.db {what}") }
}

/// The encoded events of an unpacked chunk; they share its memory.
pub fn events_in(id: i64, events: Vec<u8>) -> Result<Vec<Bytes>, Error> {
    let events = Bytes::from(events);
    let (mut found, mut at) = (Vec::new(), 0);
    while at < events.len() {
        let (mut length, mut shift) = (0usize, 0);
        loop {
            let byte = *events.get(at).filter(|_| shift < 32).ok_or_else(|| damaged(id, "ends in the middle of an event"))?;
            at += 1;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        if events.len() - at < length {
            return Err(damaged(id, "ends in the middle of an event"));
        }
        found.push(events.slice(at..at + length));
        at += length;
    }
    Ok(found)
}

/// A chunk of those events that `keep` holds on to; `None` when there are none.
pub fn filtered(id: i64, events: Vec<u8>, keep: impl Fn(&EventHead) -> bool) -> Result<Option<Chunk>, Error> {
    let mut kept: Option<Chunk> = None;
    for event in events_in(id, events)? {
        let head = codec::event_head(&event)?;
        match &mut kept {
            _ if !keep(&head) => {}
            Some(chunk) => chunk.add(&head, &event),
            None => kept = Some(Chunk::new(&head, &event)),
        }
    }
    Ok(kept)
}

pub fn decoded(id: i64, events: Vec<u8>) -> Result<Vec<Event>, Error> {
    events_in(id, events)?.into_iter().map(codec::decode_event).collect()
}

#[cfg(test)]
mod tests {
    use hierarchy_models::EventBody;

    use super::*;

    fn event(seq: u64) -> Event {
        let at = Timestamp::from_millis(seq as i64).unwrap();
        Event { seq, received_at: at, body: EventBody::TimerFired { name: "x".repeat(seq as usize).into() } }
    }

    fn chunk(seqs: std::ops::Range<u64>) -> Chunk {
        let mut chunk: Option<Chunk> = None;
        for seq in seqs {
            let mut bytes = Vec::new();
            codec::encode_event(&event(seq), &mut bytes);
            let head = codec::event_head(&bytes).unwrap();
            match &mut chunk {
                Some(chunk) => chunk.add(&head, &bytes),
                None => chunk = Some(Chunk::new(&head, &bytes)),
            }
        }
        chunk.unwrap()
    }

    #[test]
    fn a_chunk_gives_back_its_events() {
        let chunk = chunk(1..300);
        let mut packer = Packer::default();
        let alone = packer.pack(&chunk.events).unwrap().to_vec();
        assert_eq!(alone, lz4_flex::block::compress_prepend_size(&chunk.events));
        // The memory of another chunk, large or small, makes no difference to what comes out.
        for other in [300, 200_000] {
            packer.pack(&chunk.events[..300].repeat(other / 300)).unwrap();
            let packed = packer.pack(&chunk.events).unwrap();
            let unpacked = unpack(1, codec::FORMAT, crc32fast::hash(packed), packed).unwrap();
            assert_eq!(unpacked, chunk.events, "after {other} bytes");
        }
        let packed = packer.pack(&chunk.events).unwrap();
        let events = unpack(1, codec::FORMAT, crc32fast::hash(packed), packed).unwrap();
        assert_eq!(decoded(1, events).unwrap(), (1..300).map(event).collect::<Vec<_>>());
        assert_eq!((chunk.extent.seq, chunk.extent.count), ((1, 299), 299));
    }

    #[test]
    fn a_damaged_chunk_is_found() {
        let mut packed = Packer::default().pack(&chunk(1..9).events).unwrap().to_vec();
        let crc = crc32fast::hash(&packed);
        packed[7] ^= 1;
        assert!(matches!(unpack(4, codec::FORMAT, crc, &packed), Err(Error::Damaged { detail, .. }) if detail.contains("chunk 4")));
    }
}
