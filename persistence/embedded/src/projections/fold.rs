//! Files events of journal frames under their twins and streams, as the chunks they will be stored in.

use std::collections::HashMap;

use hierarchy_models::TwinId;
use persistence::{Error, batch, codec, values::stream_code};

use super::chunk::Chunk;

/// Chunks of each twin's streams, each list in the order of the commits.
#[derive(Default)]
pub struct Fold {
    twins: HashMap<String, Vec<(i64, Vec<Chunk>)>>,
    bytes: usize,
}

impl Fold {
    pub fn add_frame(&mut self, frame: &[u8]) -> Result<(), Error> {
        for turn in batch::turn_slices(frame) {
            let (twin, events) = codec::turn_parts(turn?.1)?;
            // Not `entry`, which wants a name of its own for every turn.
            if !self.twins.contains_key(twin) {
                self.twins.insert(twin.to_owned(), Vec::new());
            }
            let Some(streams) = self.twins.get_mut(twin) else { continue };
            for event in events {
                let event = event?;
                self.bytes += event.len();
                add_event(twin, streams, event)?;
            }
        }
        Ok(())
    }

    /// Bytes of the events in it.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The chunks in the order of their twins and streams, which is the order in which a B-tree likes them best.
    pub fn into_chunks(self) -> impl Iterator<Item = ((String, i64), Vec<Chunk>)> {
        let mut twins: Vec<_> = self.twins.into_iter().collect();
        twins.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        twins.into_iter().flat_map(|(twin, mut streams)| {
            streams.sort_unstable_by_key(|(stream, _)| *stream);
            streams.into_iter().map(move |(stream, chunks)| ((twin.clone(), stream), chunks))
        })
    }
}

fn add_event(twin: &str, streams: &mut Vec<(i64, Vec<Chunk>)>, event: &[u8]) -> Result<(), Error> {
    let head = codec::event_head(event)?;
    let unknown = || Error::Damaged { doing: "filing an event", detail: format!("{twin}: no number for stream {}", head.stream) };
    let code = stream_code(head.stream).ok_or_else(unknown)?;
    let known = streams.iter_mut().find(|(stream, _)| *stream == code);
    match known.and_then(|(_, chunks)| chunks.last_mut()) {
        Some(chunk) if !chunk.is_full() => chunk.push(&head, event),
        Some(_) => streams.iter_mut().filter(|(stream, _)| *stream == code).for_each(|(_, chunks)| chunks.push(Chunk::new(&head, event))),
        None => streams.push((code, vec![Chunk::new(&head, event)])),
    }
    Ok(())
}

/// The twin's name as a stored text, checked.
pub fn twin_id(text: String) -> Result<TwinId, Error> {
    TwinId::new(&text).map_err(|e| Error::Damaged { doing: "reading state.db", detail: e.to_string() })
}
