//! The journal: a few logs, each with an owner, segments, and a task that commits what has queued as one frame.
//!
//! A twin's shard says its log, so its turns stand in one log in their order. A batch of many twins touches several logs,
//! whose transactions run side by side; only a turn is atomic. Turns are numbered as the store takes them, so that recovery can
//! read all logs in one order. A log for each shard lost: a commit would cost as many transactions as it has twins.

pub mod cells;
mod committer;
mod frame;
pub mod log;
mod open;
mod recovery;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use bytes::Bytes;
use futures_util::future::join_all;
use hierarchy_models::TwinId;
use parking_lot::Mutex;
use persistence::{Batch, Error, Mark, batch, metrics, shard_of};
use tokio::{
    sync::{Notify, Semaphore, mpsc, oneshot},
    task::{AbortHandle, JoinHandle},
    time::{Duration, Instant, timeout_at},
};

pub use self::frame::Frame;
use self::{committer::Append, log::Log, watch::Watch};

const APPENDING: &str = "appending to the journal";
/// What a batch takes of the queue's room at least.
const ROOM_UNIT_BYTES: usize = 1_024;
/// How long a close waits for what is under way, whatever the number of logs.
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(4);

pub struct Journal {
    /// Of this process's ownership; that of every later one is higher.
    pub epoch: u64,
    pub logs: Vec<Arc<Log>>,
    queues: Mutex<Option<Vec<mpsc::UnboundedSender<Append>>>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    owner: Arc<Watch>,
    watch: AbortHandle,
    /// Bounds what waits in the queues, in units of [`ROOM_UNIT_BYTES`].
    room: Arc<Semaphore>,
    room_units: usize,
    next_number: AtomicU64,
    patience: Duration,
    pub shared: Arc<Shared>,
}

/// What the tasks of all logs know.
#[derive(Default)]
pub struct Shared {
    pub queued_turns: AtomicU64,
    pub closing: AtomicBool,
    pub fence: Fence,
}

/// Raised when another process has taken a log over. It stays: this process owns nothing any more.
#[derive(Default)]
pub struct Fence {
    why: OnceLock<String>,
    raised: Notify,
}

impl Fence {
    pub fn check(&self) -> Result<(), Error> {
        self.why.get().map_or(Ok(()), |why| Err(Error::InUse { detail: why.clone() }))
    }

    fn raise(&self, log: i16, why: &str) -> Error {
        let raise = || {
            let why = format!("another process has taken the journal over (log {log}: {why}); this one takes no writes any more");
            tracing::error!(%why, "fenced");
            metrics::owned(false);
            why
        };
        let detail = self.why.get_or_init(raise).clone();
        self.raised.notify_waiters();
        Error::InUse { detail }
    }

    /// Ends when it is raised, with why.
    pub async fn raised(&self) -> String {
        loop {
            let raised = self.raised.notified();
            if let Some(why) = self.why.get() {
                return why.clone();
            }
            raised.await;
        }
    }
}

fn closed() -> Error {
    Error::Unavailable { doing: APPENDING, detail: "the store is closed".into() }
}

/// The turns of a batch that go to one log.
#[derive(Default)]
struct Part {
    turns: Vec<u8>,
    numbers: Vec<u8>,
    count: usize,
}

impl Journal {
    pub fn log_of(&self, twin: &TwinId) -> &Arc<Log> {
        &self.logs[usize::from(shard_of(twin)) % self.logs.len()]
    }

    /// The batch's parts by log, its turns numbered.
    fn split(&self, batch: Batch) -> Result<Vec<(usize, Part)>, Error> {
        let first = self.next_number.fetch_add(batch.turns() as u64, Ordering::Relaxed);
        let mut parts: Vec<(usize, Part)> = Vec::new();
        for (number, turn) in (first..).zip(batch::turn_slices(batch.as_bytes())) {
            let (shard, turn) = turn?;
            let log = usize::from(shard) % self.logs.len();
            let at = parts.iter().position(|(of, _)| *of == log).unwrap_or_else(|| {
                parts.push((log, Part::default()));
                parts.len() - 1
            });
            let part = &mut parts[at].1;
            part.turns.extend_from_slice(&(turn.len() as u32).to_le_bytes());
            part.turns.extend_from_slice(&shard.to_le_bytes());
            part.turns.extend_from_slice(turn);
            part.numbers.extend_from_slice(&number.to_le_bytes());
            part.count += 1;
        }
        Ok(parts)
    }

    pub async fn append(&self, batch: Batch) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        self.shared.fence.check()?;
        let deadline = Instant::now() + self.patience;
        let units = batch.as_bytes().len().div_ceil(ROOM_UNIT_BYTES).clamp(1, self.room_units) as u32;
        let room = timeout_at(deadline, self.room.clone().acquire_many_owned(units)).await;
        let room = Arc::new(room.map_err(|_| impatient())?.map_err(|_| closed())?);
        let turns = batch.turns() as u64;
        let mut answers = Vec::new();
        {
            let queues = self.queues.lock();
            let queues = queues.as_ref().ok_or_else(closed)?;
            self.shared.queued_turns.fetch_add(turns, Ordering::Relaxed);
            for (log, part) in self.split(batch)? {
                let (answer, answered) = oneshot::channel();
                let append = Append { turns: part.turns.into(), numbers: part.numbers, count: part.count, answer, _room: room.clone() };
                queues[log].send(append).map_err(|_| closed())?;
                answers.push((log, answered));
            }
        }
        let mut result = Ok(());
        for (log, answered) in answers {
            result = result.and(self.answer(log, answered, deadline).await);
        }
        result
    }

    async fn answer(&self, log: usize, mut answered: oneshot::Receiver<Result<(), Error>>, deadline: Instant) -> Result<(), Error> {
        if let Ok(answer) = timeout_at(deadline, &mut answered).await {
            return answer.map_err(|_| closed())?;
        }
        // Under the lock that the committer answers under: either it has, or it will see that nobody listens.
        let mut flight = self.logs[log].flight.lock();
        match answered.try_recv() {
            Ok(answer) => answer,
            Err(_) => {
                flight.doubted |= flight.under_way;
                drop(answered);
                Err(flight.trouble.clone().unwrap_or_else(impatient))
            }
        }
    }

    pub fn mark(&self) -> Mark {
        Mark(self.logs.iter().map(|log| log.backlog.committed()).collect())
    }

    pub fn backlog_bytes(&self) -> u64 {
        self.logs.iter().map(|log| log.backlog.bytes()).sum()
    }

    pub fn report_backlog(&self) {
        metrics::backlog(self.backlog_bytes());
    }

    /// Whether an append would be taken, as far as this process knows.
    fn willing(&self) -> Result<(), Error> {
        self.shared.fence.check()?;
        if self.queues.lock().is_none() {
            return Err(closed());
        }
        self.logs.iter().find_map(|log| log.flight.lock().trouble.clone()).map_or(Ok(()), Err)
    }

    /// The same, and whether the cluster answers and knows of no other owner.
    pub async fn ready(&self) -> Result<(), Error> {
        self.willing()?;
        self.look().await
    }

    /// Whether another process has taken the logs over, which an append finds out, and what is not one would not.
    pub async fn look(&self) -> Result<(), Error> {
        self.owner.look().await
    }

    /// Commits what waits, as far as the cluster lets it, and ends the tasks.
    pub async fn close(&self) {
        self.stop();
        let tasks = std::mem::take(&mut *self.tasks.lock());
        let deadline = Instant::now() + CLOSE_WAIT_MAX;
        join_all(tasks.into_iter().map(async |mut task| {
            if timeout_at(deadline, &mut task).await.is_err() {
                task.abort();
            }
        }))
        .await;
    }

    fn stop(&self) {
        self.watch.abort();
        self.queues.lock().take();
        self.room.close();
        self.shared.closing.store(true, Ordering::Relaxed);
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.stop();
    }
}

fn impatient() -> Error {
    Error::Unavailable { doing: APPENDING, detail: "the cluster took nothing in time".into() }
}

/// Turns of a frame with their numbers.
pub fn numbered(frame: &Frame) -> Result<Vec<(u64, Bytes)>, Error> {
    frame.numbers().zip(batch::turns_in(&frame.turns)).map(|(number, turn)| Ok((number, turn?.1))).collect()
}
