//! The journal: appends queue, one thread commits all that has queued as one frame, and answers when the disk has it.
//!
//! While one commit is under way the next frame gathers by itself, so that a quiet store answers after one sync and a busy one
//! shares each sync among hundreds; commits can be kept a little apart, so that more gathers between the two. The frames lie in
//! files of their own, *segments* (docs/decisions/0004-journal-segments.md).

mod committer;
mod frame;
mod old;
mod recovery;
mod segment;
mod segments;
pub mod shelf;
#[cfg(test)]
mod tests;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use bytes::Bytes;
use parking_lot::Mutex;
use persistence::{Batch, Error, backlog::Backlog};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use self::{committer::Committer, recovery::Recovered, segments::Limits, shelf::Shelf};
use crate::{Options, metrics};

const APPENDING: &str = "appending to the journal";
/// What a batch takes of the queue's room at least.
const ROOM_UNIT_BYTES: usize = 1_024;

pub struct Journal {
    pub backlog: Arc<Backlog>,
    pub shelf: Arc<Shelf>,
    work: Mutex<Option<mpsc::UnboundedSender<Work>>>,
    /// Bounds what waits in `work`, in units of [`ROOM_UNIT_BYTES`].
    room: Arc<Semaphore>,
    room_units: usize,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    queued_turns: AtomicU64,
    /// Whether the last commit failed.
    troubled: AtomicBool,
}

enum Work {
    Append(Append),
    /// Frames up to here are not needed any more.
    Trim(u64),
    Probe(oneshot::Sender<Result<(), Error>>),
}

struct Append {
    data: Bytes,
    turns: usize,
    answer: oneshot::Sender<Result<(), Error>>,
    _room: OwnedSemaphorePermit,
}

fn closed() -> Error {
    Error::Unavailable { doing: APPENDING, detail: "the store is closed".into() }
}

impl Journal {
    /// The journal of the store in `dir`, whose projections hold all up to `checkpoint`.
    pub fn open(dir: &Path, checkpoint: u64, options: &Options) -> Result<Self, Error> {
        old::move_in(dir, checkpoint)?;
        let limits = Limits::bounded(options.journal_bytes_max);
        let Recovered { segments, backlog_bytes } = recovery::open(&dir.join("journal"), checkpoint, limits)?;
        let shelf = segments.shelf.clone();
        let backlog = Backlog::new(checkpoint, segments.next_id() - 1, backlog_bytes, options.backlog_memory_bytes_max);
        metrics::backlog(backlog_bytes);

        let (work, queue) = mpsc::unbounded_channel();
        let (backlog, shared) = (Arc::new(backlog), Arc::<Shared>::default());
        let thread = Committer::new(segments, backlog.clone(), shared.clone(), options.commit_spacing);
        let thread = std::thread::Builder::new().name("twinfold-journal".into()).spawn(move || thread.run(queue));
        let thread = thread.map_err(|e| Error::Unavailable { doing: "starting the journal's thread", detail: e.to_string() })?;
        let room_units = options.queue_bytes_max.div_ceil(ROOM_UNIT_BYTES).clamp(1, Semaphore::MAX_PERMITS >> 1);
        Ok(Self {
            backlog,
            shelf,
            work: Mutex::new(Some(work)),
            room: Arc::new(Semaphore::new(room_units)),
            room_units,
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    pub async fn append(&self, batch: Batch) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        let units = batch.as_bytes().len().div_ceil(ROOM_UNIT_BYTES).clamp(1, self.room_units);
        let room = self.room.clone().acquire_many_owned(units as u32).await.map_err(|_| closed())?;
        let (answer, answered) = oneshot::channel();
        let turns = batch.turns();
        self.shared.queued_turns.fetch_add(turns as u64, Ordering::Relaxed);
        self.tell(Work::Append(Append { data: batch.into_bytes(), turns, answer, _room: room }))?;
        answered.await.map_err(|_| closed())?
    }

    /// Frames up to `through` are durable in the projections.
    pub fn trim(&self, through: u64) {
        // After the close the next start trims.
        let _ = self.tell(Work::Trim(through));
    }

    /// Whether a frame would be taken now; after a failure it tries.
    pub async fn ready(&self) -> Result<(), Error> {
        if !self.shared.troubled.load(Ordering::Relaxed) {
            return if self.work.lock().is_some() { Ok(()) } else { Err(closed()) };
        }
        let (answer, answered) = oneshot::channel();
        self.tell(Work::Probe(answer))?;
        answered.await.map_err(|_| closed())?
    }

    fn tell(&self, work: Work) -> Result<(), Error> {
        let sender = self.work.lock();
        sender.as_ref().and_then(|sender| sender.send(work).ok()).ok_or_else(closed)
    }

    /// Commits what waits, lets go of the file and ends the thread. Blocks.
    pub fn close(&self) {
        self.work.lock().take();
        self.room.close();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the journal's thread ended in a panic");
        }
        self.shelf.close();
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}
