//! Files events of journal frames under their twins, as the chunks they will be stored in; one for every store that keeps history in
//! chunks. What a chunk looks like, and where it is kept, is the store's own.

use std::collections::HashMap;

use crate::{
    Error, batch,
    codec::{self, EventHead},
    values::stream_code,
};

/// Events side by side, never none.
pub trait Chunk: Sized {
    /// Where chunks of a twin are kept; the events of a shelf stand in the order of the commits.
    type Shelf: Copy + Ord;
    /// The shelf of an event whose stream has this stored number; `None` when the store has no such shelf.
    fn shelf(head: &EventHead, stream: i64) -> Option<Self::Shelf>;
    fn begin(frame: u64, head: &EventHead, event: &[u8]) -> Self;
    /// Whether an event of this frame goes in here and not in a new chunk.
    fn has_room(&self, frame: u64) -> bool;
    fn push(&mut self, frame: u64, head: &EventHead, event: &[u8]);
}

/// Chunks of one twin by shelf.
type Shelves<C> = Vec<(<C as Chunk>::Shelf, Vec<C>)>;

/// Chunks by twin and shelf.
pub struct Fold<C: Chunk> {
    twins: HashMap<String, Shelves<C>>,
    bytes: usize,
}

impl<C: Chunk> Default for Fold<C> {
    fn default() -> Self {
        Self { twins: HashMap::new(), bytes: 0 }
    }
}

impl<C: Chunk> Fold<C> {
    /// Frames come in their order.
    pub fn add_frame(&mut self, id: u64, turns: &[u8]) -> Result<(), Error> {
        for turn in batch::turn_slices(turns) {
            let (twin, events) = codec::turn_parts(turn?.1)?;
            // Not `entry`, which wants a name of its own for every turn.
            if !self.twins.contains_key(twin) {
                self.twins.insert(twin.to_owned(), Vec::new());
            }
            let Some(shelves) = self.twins.get_mut(twin) else { continue };
            for event in events {
                let event = event?;
                self.bytes += event.len();
                file(twin, shelves, id, event)?;
            }
        }
        Ok(())
    }

    /// Bytes of the events in it.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The chunks in the order of their twins and shelves, which is the order in which a B-tree likes them best.
    pub fn into_chunks(self) -> impl Iterator<Item = ((String, C::Shelf), Vec<C>)> {
        let mut twins: Vec<_> = self.twins.into_iter().collect();
        twins.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        twins.into_iter().flat_map(|(twin, mut shelves)| {
            shelves.sort_unstable_by_key(|(shelf, _)| *shelf);
            shelves.into_iter().map(move |(shelf, chunks)| ((twin.clone(), shelf), chunks))
        })
    }
}

fn file<C: Chunk>(twin: &str, shelves: &mut Vec<(C::Shelf, Vec<C>)>, frame: u64, event: &[u8]) -> Result<(), Error> {
    let head = codec::event_head(event)?;
    let unknown = || Error::Damaged { doing: "filing an event", detail: format!("{twin}: no number for stream {}", head.stream) };
    let shelf = stream_code(head.stream).and_then(|stream| C::shelf(&head, stream)).ok_or_else(unknown)?;
    match shelves.iter_mut().find(|(of, _)| *of == shelf) {
        None => shelves.push((shelf, vec![C::begin(frame, &head, event)])),
        Some((_, chunks)) => match chunks.last_mut() {
            Some(chunk) if chunk.has_room(frame) => chunk.push(frame, &head, event),
            _ => chunks.push(C::begin(frame, &head, event)),
        },
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use hierarchy_models::{Event, EventBody, Timestamp, TwinId};

    use super::*;
    use crate::Batch;

    /// At most two events of one millisecond, by their numbers.
    #[derive(Debug, PartialEq)]
    struct Pair(Vec<u64>);

    impl Chunk for Pair {
        type Shelf = i64;

        fn shelf(head: &EventHead, _: i64) -> Option<i64> {
            Some(head.received_at.as_millis())
        }

        fn begin(_: u64, head: &EventHead, _: &[u8]) -> Self {
            Self(vec![head.seq])
        }

        fn has_room(&self, _: u64) -> bool {
            self.0.len() < 2
        }

        fn push(&mut self, _: u64, head: &EventHead, _: &[u8]) {
            self.0.push(head.seq);
        }
    }

    #[test]
    fn events_lie_by_twin_and_shelf_in_the_order_of_the_commits() {
        let mut fold = Fold::<Pair>::default();
        for (frame, twin, at, seq) in [(1, "b", 7, 1), (1, "a", 9, 1), (2, "b", 7, 2), (3, "b", 6, 3), (4, "b", 7, 4)] {
            let mut batch = Batch::default();
            let received_at = Timestamp::from_millis(at).unwrap();
            batch.push(&TwinId::new(twin).unwrap(), &[Event { seq, received_at, body: EventBody::TimerFired { name: "t".into() } }]);
            fold.add_frame(frame, batch.as_bytes()).unwrap();
        }
        assert!(fold.bytes() > 0);
        let chunks: Vec<_> = fold.into_chunks().collect();
        let pair = |seqs: &[u64]| Pair(seqs.to_vec());
        let key = |twin: &str, at| (twin.to_owned(), at);
        assert_eq!(
            chunks,
            [(key("a", 9), vec![pair(&[1])]), (key("b", 6), vec![pair(&[3])]), (key("b", 7), vec![pair(&[1, 2]), pair(&[4])])]
        );
    }
}
