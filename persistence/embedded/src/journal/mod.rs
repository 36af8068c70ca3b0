//! The journal: appends queue, one thread commits all that has queued as one frame, and answers when the disk has it.
//!
//! No timer: while one commit is under way the next frame gathers by itself, so that a quiet store answers after one sync and
//! a busy one shares each sync among hundreds. Trimming rides along with commits, and runs in small steps when nothing waits.

pub mod backlog;
pub mod disk;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Instant,
};

use bytes::Bytes;
use parking_lot::Mutex;
use persistence::{
    Batch, Error,
    batch::{BATCH_BYTES_MAX, BATCH_TURNS_MAX},
};
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use self::backlog::Backlog;
use crate::{metrics, sqlite};

const APPENDING: &str = "appending to the journal";
/// What a batch takes of the queue's room at least.
const ROOM_UNIT_BYTES: usize = 1_024;
/// Frames deleted along with a commit, and in one step when nothing waits.
const TRIM_WITH_COMMIT_FRAMES: u64 = 8;
const TRIM_STEP_FRAMES: u64 = 32;

pub struct Journal {
    pub backlog: Arc<Backlog>,
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
    /// `conn` is the only connection that writes the file.
    pub fn start(conn: Connection, backlog: Backlog, queue_bytes_max: usize) -> Result<Self, Error> {
        let (work, queue) = mpsc::unbounded_channel();
        let (backlog, shared) = (Arc::new(backlog), Arc::<Shared>::default());
        let thread = Committer::new(conn, backlog.clone(), shared.clone())?;
        let thread = std::thread::Builder::new().name("twinfold-journal".into()).spawn(move || thread.run(queue));
        let thread = thread.map_err(|e| Error::Unavailable { doing: "starting the journal's thread", detail: e.to_string() })?;
        let room_units = queue_bytes_max.div_ceil(ROOM_UNIT_BYTES).clamp(1, Semaphore::MAX_PERMITS >> 1);
        Ok(Self {
            backlog,
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
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}

/// The thread that commits.
struct Committer {
    conn: Connection,
    backlog: Arc<Backlog>,
    shared: Arc<Shared>,
    /// The next frames to trim: from the first on disk to the last that is not needed.
    trim_from: u64,
    trim_through: u64,
}

impl Committer {
    fn new(conn: Connection, backlog: Arc<Backlog>, shared: Arc<Shared>) -> Result<Self, Error> {
        let trim_from = disk::first(&conn)?.unwrap_or(backlog.committed() + 1);
        let trim_through = backlog.checkpoint();
        Ok(Self { conn, backlog, shared, trim_from, trim_through })
    }

    fn run(mut self, mut queue: mpsc::UnboundedReceiver<Work>) {
        loop {
            let first = match queue.try_recv() {
                Ok(work) => work,
                Err(_) if self.trim_step() => continue,
                Err(_) => match queue.blocking_recv() {
                    Some(work) => work,
                    None => break,
                },
            };
            self.serve(first, &mut queue);
        }
        sqlite::settle(&self.conn);
    }

    /// What `first` asks, and in the same frame what else has queued.
    fn serve(&mut self, first: Work, queue: &mut mpsc::UnboundedReceiver<Work>) {
        let (mut appends, mut turns, mut bytes) = (Vec::new(), 0, 0);
        let mut next = Some(first);
        while let Some(work) = next {
            match work {
                Work::Append(append) => {
                    turns += append.turns;
                    bytes += append.data.len();
                    appends.push(append);
                }
                Work::Trim(through) => self.trim_through = self.trim_through.max(through),
                Work::Probe(answer) => drop(answer.send(self.probe())),
            }
            next = if turns < BATCH_TURNS_MAX && bytes < BATCH_BYTES_MAX { queue.try_recv().ok() } else { None };
        }
        if !appends.is_empty() {
            self.commit(appends, turns, bytes);
        }
    }

    fn commit(&mut self, mut appends: Vec<Append>, turns: usize, bytes: usize) {
        let left = self.shared.queued_turns.fetch_sub(turns as u64, Ordering::Relaxed);
        metrics::queued(left.saturating_sub(turns as u64));
        let data = match &mut appends[..] {
            [only] => std::mem::take(&mut only.data),
            all => all
                .iter()
                .fold(Vec::with_capacity(bytes), |mut frame, a| {
                    frame.extend_from_slice(&a.data);
                    frame
                })
                .into(),
        };
        let since = Instant::now();
        let id = self.backlog.committed() + 1;
        let trim = self.next_trim(TRIM_WITH_COMMIT_FRAMES);
        let result = disk::commit(&self.conn, id, turns, &data, trim);
        self.shared.troubled.store(result.is_err(), Ordering::Relaxed);
        match &result {
            Ok(()) => {
                self.trim_from = trim.map_or(self.trim_from, |(_, through)| through + 1);
                metrics::committed(since, turns, bytes);
                self.backlog.push(id, data, turns);
            }
            Err(error) => {
                metrics::failed("append", error);
                tracing::warn!(%error, turns, "a journal frame was not committed");
            }
        }
        // A caller that gave up does not want to know.
        appends.into_iter().for_each(|a| drop(a.answer.send(result.clone())));
    }

    fn next_trim(&self, frames_max: u64) -> Option<(u64, u64)> {
        let through = self.trim_through.min(self.trim_from + frames_max - 1);
        (self.trim_from <= through).then_some((self.trim_from, through))
    }

    /// One small step of trimming; whether there was one.
    fn trim_step(&mut self) -> bool {
        let Some((from, through)) = self.next_trim(TRIM_STEP_FRAMES) else { return false };
        match sqlite::transaction(&self.conn, "trimming the journal", |conn| disk::delete(conn, from, through)) {
            Ok(()) => self.trim_from = through + 1,
            Err(error) => {
                // Room or patience may come back with the next flush, which asks again.
                metrics::failed("trim", &error);
                self.trim_through = self.trim_from - 1;
            }
        }
        true
    }

    fn probe(&self) -> Result<(), Error> {
        let result = sqlite::probe(&self.conn);
        self.shared.troubled.store(result.is_err(), Ordering::Relaxed);
        result
    }
}
