//! Files events of journal frames under their twins and streams, as the chunks they will be stored in.

use std::collections::HashMap;

use bytes::Bytes;
use hierarchy_models::TwinId;
use persistence::{Error, batch, codec};

use super::chunk::{Chunk, stream_code};

/// Chunks by twin and stream, each list in the order of the commits.
#[derive(Default)]
pub struct Fold {
    chunks: HashMap<(String, i64), Vec<Chunk>>,
    bytes: usize,
}

impl Fold {
    pub fn add_frame(&mut self, frame: &Bytes) -> Result<(), Error> {
        for turn in batch::turns_in(frame) {
            let (_, turn) = turn?;
            let twin = codec::turn_twin(&turn)?;
            for event in codec::events_in(&turn)? {
                self.add_event(twin, &event)?;
            }
        }
        Ok(())
    }

    fn add_event(&mut self, twin: &str, event: &[u8]) -> Result<(), Error> {
        let head = codec::event_head(event)?;
        let unknown = || Error::Damaged { doing: "filing an event", detail: format!("{twin}: no number for stream {}", head.stream) };
        let chunks = self.chunks.entry((twin.to_owned(), stream_code(head.stream).ok_or_else(unknown)?)).or_default();
        match chunks.last_mut() {
            Some(chunk) if !chunk.is_full() => chunk.push(&head, event),
            _ => chunks.push(Chunk::new(&head, event)),
        }
        self.bytes += event.len();
        Ok(())
    }

    /// Bytes of the events in it.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The chunks in the order of their keys, which is the order in which a B-tree likes them best.
    pub fn into_chunks(self) -> Vec<((String, i64), Vec<Chunk>)> {
        let mut chunks: Vec<_> = self.chunks.into_iter().collect();
        chunks.sort_by(|(a, _), (b, _)| a.cmp(b));
        chunks
    }
}

/// The twin's name as a stored text, checked.
pub fn twin_id(text: String) -> Result<TwinId, Error> {
    TwinId::new(&text).map_err(|e| Error::Damaged { doing: "reading state.db", detail: e.to_string() })
}
