//! The segments that hold what no checkpoint covers, for whoever reads frames that memory does not hold.
//!
//! A reader takes a view: the segments as they are now. A file is used again or deleted only when it is in no view (deleted is
//! enough: who has it open goes on reading), so that no frame changes or vanishes under a reader.

use std::{collections::VecDeque, os::unix::fs::FileExt, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;
use persistence::Error;

use super::{
    frame::{self, HEAD_BYTES},
    segment::{Segment, name},
};

const READING: &str = "reading journal frames";
/// Bytes read at once; a longer frame is read alone.
const READ_BYTES: u64 = 1024 * 1024;

/// `None` after the close.
pub struct Shelf(Mutex<Option<VecDeque<Arc<Segment>>>>);

impl Shelf {
    pub fn new(segments: VecDeque<Arc<Segment>>) -> Self {
        Self(Mutex::new(Some(segments)))
    }

    pub fn view(&self) -> Result<View, Error> {
        let segments = self.0.lock().as_ref().map(|segments| segments.iter().cloned().collect());
        segments.map(View).ok_or_else(|| Error::Unavailable { doing: READING, detail: "the store is closed".into() })
    }

    pub fn close(&self) {
        self.0.lock().take();
    }

    /// Runs `change` while nobody takes a view. The writer alone calls it, and not after the close.
    pub fn change<T>(&self, change: impl FnOnce(&mut VecDeque<Arc<Segment>>) -> T) -> T {
        change(self.0.lock().get_or_insert_default())
    }
}

/// Segments without a gap between them; what was trimmed before the view is not in it.
pub struct View(Vec<Arc<Segment>>);

impl View {
    /// Calls `each` for frames with `after < id < before`, ascending, until it says to stop.
    pub fn read(&self, after: u64, before: u64, mut each: impl FnMut(u64, Bytes) -> Result<bool, Error>) -> Result<(), Error> {
        for segment in &self.0 {
            let (from, before) = (segment.first.max(after + 1), before.min(segment.next_id()));
            if from < before && !read_segment(segment, from, before, &mut each)? {
                break;
            }
        }
        Ok(())
    }

    /// All of `after + 1 .. before`, of which none may be missing.
    pub fn read_all(&self, after: u64, before: u64, mut each: impl FnMut(Bytes) -> Result<(), Error>) -> Result<(), Error> {
        let mut next = after + 1;
        let missing = |id: u64| Error::Damaged { doing: READING, detail: format!("frame {id} is missing") };
        self.read(after, before, |id, data| {
            if id != next {
                return Err(missing(next));
            }
            next += 1;
            each(data).map(|()| true)
        })?;
        if next == before { Ok(()) } else { Err(missing(next)) }
    }
}

/// Frames `from..before`, all of them in this segment; whether to go on.
fn read_segment(
    segment: &Segment,
    from: u64,
    before: u64,
    each: &mut impl FnMut(u64, Bytes) -> Result<bool, Error>,
) -> Result<bool, Error> {
    let places = segment.places(from, before);
    let (mut at, mut id) = (0, from);
    while at + 1 < places.len() {
        let fit = places[at + 1..].partition_point(|end| end - places[at] <= READ_BYTES).max(1);
        let run = Bytes::from(read_at(segment, places[at], places[at + fit], id)?);
        for pair in places[at..=at + fit].windows(2) {
            let frame = run.slice((pair[0] - places[at]) as usize..(pair[1] - places[at]) as usize);
            let whole = frame::parse(&frame, segment.mark()).is_some_and(|found| found.id == id && found.bytes == frame.len());
            if !whole {
                return Err(damaged(segment, id));
            }
            if !each(id, frame.slice(HEAD_BYTES..))? {
                return Ok(false);
            }
            id += 1;
        }
        at += fit;
    }
    Ok(true)
}

fn read_at(segment: &Segment, from: u64, to: u64, id: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; (to - from) as usize];
    segment.file.read_exact_at(&mut bytes, from).map(|()| bytes).map_err(|e| match e.kind() {
        std::io::ErrorKind::UnexpectedEof => damaged(segment, id),
        _ => Error::Unavailable { doing: READING, detail: format!("{}: {e}", name(segment.first)) },
    })
}

fn damaged(segment: &Segment, id: u64) -> Error {
    Error::Damaged { doing: READING, detail: format!("frame {id} in {} is not what was written", name(segment.first)) }
}
