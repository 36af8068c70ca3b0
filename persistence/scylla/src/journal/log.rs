//! One log in memory: what it holds beyond its checkpoint, its segments, and what is on its way.

use std::collections::VecDeque;

use bytes::Bytes;
use hierarchy_models::TwinId;
use parking_lot::Mutex;
use persistence::{Error, backlog::Backlog, batch};
use tokio::sync::oneshot;

use super::{
    cells::{CqlCells, Readable},
    frame::Frame,
};
use crate::{cql::damaged, fence::Sealed};

const READING: &str = "reading the journal";
/// Frames read at once, each up to some 64 KiB.
const READ_FRAMES: i32 = 128;

/// The answer to a part of an append.
pub type Answer = oneshot::Sender<Result<(), Error>>;

pub struct Log<C = CqlCells> {
    pub cells: C,
    pub backlog: Backlog<Frame>,
    segments: Mutex<Segments>,
    pub flight: Mutex<Flight>,
}

struct Segments {
    sealed: VecDeque<Sealed>,
    open: u64,
}

/// The frame under way.
#[derive(Default)]
pub struct Flight {
    pub under_way: bool,
    /// Somebody was told that it failed, and it may be there all the same.
    pub doubted: bool,
    /// Why the cluster did not take it at once.
    pub trouble: Option<Error>,
}

/// What a twin has in the journal beyond the checkpoint.
pub struct Tail {
    pub after: u64,
    /// Frame ids and turns, ascending.
    pub turns: Vec<(u64, Bytes)>,
}

/// Frames one after another.
pub struct Frames {
    pub found: Vec<(u64, Frame)>,
    /// Of the frames up to here those that are not in `found` are projected.
    pub reach: u64,
}

/// How a read of the cluster ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// All was read that was wanted.
    Done,
    /// The frames from here on up to `through` are projected, and gone: a former owner that was late did it, or a flush of this one.
    Trimmed { through: u64 },
}

impl<C: Readable> Log<C> {
    pub fn new(cells: C, backlog: Backlog<Frame>, sealed: Vec<Sealed>, open: u64) -> Self {
        Self { cells, backlog, segments: Mutex::new(Segments { sealed: sealed.into(), open }), flight: Mutex::default() }
    }

    /// The log went on in the segment behind this one.
    pub fn rolled(&self, sealed: Sealed) {
        let mut segments = self.segments.lock();
        segments.open = sealed.seg + 1;
        segments.sealed.push_back(sealed);
    }

    /// The segment of a frame that is there or comes next.
    pub fn segment_of(&self, frame: u64) -> u64 {
        let segments = self.segments.lock();
        segments.sealed.iter().find(|sealed| sealed.end > frame).map_or(segments.open, |sealed| sealed.seg)
    }

    /// The oldest segment, when all of it lies before `seg`.
    pub fn oldest_before(&self, seg: u64) -> Option<u64> {
        self.segments.lock().sealed.front().map(|sealed| sealed.seg).filter(|oldest| *oldest < seg)
    }

    pub fn forget_oldest(&self) {
        self.segments.lock().sealed.pop_front();
    }

    /// Frames with `after < id < before`, as the cluster has them, ascending, until `each` says to stop.
    pub async fn read(&self, after: u64, before: u64, mut each: impl FnMut(u64, Frame) -> Result<bool, Error>) -> Result<Read, Error> {
        let mut done = after;
        while done + 1 < before {
            let frames = self.cells.frames(self.segment_of(done + 1), done, before, READ_FRAMES).await?;
            if frames.first().map(|(id, _)| *id) != Some(done + 1) {
                let floor = self.cells.floor().await?;
                if floor.next <= done + 1 {
                    return Err(damaged(READING, format!("frame {} of log {} is missing", done + 1, self.cells.log())));
                }
                return Ok(Read::Trimmed { through: floor.next - 1 });
            }
            for (id, frame) in frames {
                if id != done + 1 {
                    break;
                }
                done = id;
                if !each(id, frame)? {
                    return Ok(Read::Done);
                }
            }
        }
        Ok(Read::Done)
    }

    /// Frames after `after` up to `through`, about `bytes_max` bytes of them, from memory where they are there. `reach` lies beyond
    /// `after` when `through` does.
    pub async fn frames(&self, after: u64, through: u64, bytes_max: usize) -> Result<Frames, Error> {
        let (mut found, mut bytes, mut reach) = (Vec::new(), 0, after);
        while reach < through && found.is_empty() {
            let mut take = |id: u64, frame: Frame| {
                let fits = id <= through && (bytes == 0 || bytes + frame.turns.len() <= bytes_max);
                if fits {
                    bytes += frame.turns.len();
                    found.push((id, frame));
                }
                fits
            };
            let part = self.backlog.frames_after(reach, bytes_max);
            let before = reach;
            if part.needs_journal() {
                let end = part.resident_from.min(through.saturating_add(1));
                if let Read::Trimmed { through } = self.read(reach, end, |id, frame| Ok(take(id, frame))).await? {
                    reach = through;
                }
            } else {
                part.found.into_iter().all(|(id, frame)| take(id, frame));
            }
            if let Some((last, _)) = found.last() {
                reach = *last;
            }
            if reach <= before {
                return Err(damaged(READING, format!("frame {} of log {} is missing", before + 1, self.cells.log())));
            }
        }
        Ok(Frames { found, reach })
    }

    pub async fn tail(&self, twin: &TwinId) -> Result<Tail, Error> {
        let part = self.backlog.turns_of(twin)?;
        let (mut after, mut turns) = (part.after, Vec::new());
        while after + 1 < part.resident_from {
            let read = self.read(after, part.resident_from, |id, frame| {
                let mut found = Vec::new();
                batch::of_twin(twin, &frame.turns, &mut found)?;
                turns.extend(found.into_iter().map(|turn| (id, turn)));
                Ok(true)
            });
            match read.await? {
                Read::Done => break,
                // What was read before the hole is projected too: the tail begins behind it.
                Read::Trimmed { through } => (after, turns) = (through, Vec::new()),
            }
        }
        turns.extend(part.found.into_iter().filter(|(id, _)| *id > after));
        Ok(Tail { after, turns })
    }

    /// Whether it is known of every turn that was refused that it is not there.
    pub fn settled(&self) -> Result<(), Error> {
        let flight = self.flight.lock();
        // The cluster may be slow and not have failed yet: that nobody waits any more is enough.
        if flight.doubted { Err(flight.trouble.clone().unwrap_or_else(super::impatient)) } else { Ok(()) }
    }
}
