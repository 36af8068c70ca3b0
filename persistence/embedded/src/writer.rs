//! The one thread that writes a database file. What queues while a transaction is under way shares the next one.
//!
//! Each job runs in a savepoint, so that one that fails takes nothing of its neighbours with it, and is answered only after
//! the shared commit. A connection behind a mutex lost: it costs every job a sync of its own.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread::JoinHandle,
};

use parking_lot::Mutex;
use persistence::Error;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::sqlite::{self, doing};

/// Jobs that wait before further callers do.
const JOBS_WAITING_MAX: usize = 1_024;
/// Jobs that share a transaction, at most.
const JOBS_TOGETHER_MAX: usize = 128;

/// Does its work in the open transaction, when there is one, and returns what is to be told when that is committed, or is not.
type Job = Box<dyn FnOnce(Result<&Connection, Error>) -> Answer + Send>;
type Answer = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// A handle to the thread.
pub struct Writer {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Whether the last write failed for want of room or an answer.
    troubled: AtomicBool,
}

impl Writer {
    pub fn start(name: &str, conn: Connection) -> Result<Self, Error> {
        let (jobs, queue) = mpsc::channel(JOBS_WAITING_MAX);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || run(conn, queue));
        let thread = thread.map_err(|e| Error::Unavailable { doing: "starting a writer thread", detail: e.to_string() })?;
        Ok(Self { jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)), troubled: AtomicBool::new(false) })
    }

    /// Runs `work` in a transaction; returns when it is durable.
    pub async fn write<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.write_then(what, work, |_| {}).await
    }

    /// As [`Self::write`]; calls `then` on the writer's thread after the commit, whether or not anyone still waits.
    pub async fn write_then<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
        then: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, Error> {
        let closed = || Error::Unavailable { doing: what, detail: "the store is closed".into() };
        let jobs = self.jobs.lock().clone().ok_or_else(closed)?;
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |conn| {
            let result = conn.and_then(|conn| in_savepoint(conn, what, work));
            Box::new(move |committed| {
                let result = result.and_then(|done| committed.map(|()| done));
                if let Ok(done) = &result {
                    then(done);
                }
                // A caller that gave up does not want to know.
                let _ = answer.send(result);
            })
        });
        jobs.send(job).await.map_err(|_| closed())?;
        let result = answered.await.map_err(|_| closed())?;
        self.troubled.store(result.as_ref().is_err_and(Error::is_transient), Ordering::Relaxed);
        result
    }

    /// Whether a write would be taken now; after a failure it tries.
    pub async fn ready(&self) -> Result<(), Error> {
        if !self.troubled.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.write("checking whether a write is taken", sqlite::probe).await
    }

    /// Finishes what waits, lets go of the file and ends the thread. Blocks.
    pub fn close(&self) {
        self.jobs.lock().take();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("a writer thread ended in a panic");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

fn in_savepoint<T>(conn: &Connection, what: &'static str, work: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
    conn.execute_batch("SAVEPOINT job").map_err(doing(what))?;
    let result = work(conn).and_then(|done| conn.execute_batch("RELEASE job").map_err(doing(what)).map(|()| done));
    if result.is_err() && !conn.is_autocommit() && conn.execute_batch("ROLLBACK TO job; RELEASE job").is_err() {
        // Half a job must not be committed with its neighbours: better none of them.
        sqlite::roll_back(conn);
    }
    result
}

fn run(conn: Connection, mut queue: mpsc::Receiver<Job>) {
    while let Some(first) = queue.blocking_recv() {
        let mut answers = Vec::new();
        let outcome = together(&conn, first, &mut queue, &mut answers);
        if outcome.is_err() {
            sqlite::roll_back(&conn);
        }
        answers.into_iter().for_each(|answer: Answer| answer(outcome.clone()));
    }
    sqlite::settle(&conn);
}

/// One transaction of the first job and what has queued behind it.
fn together(conn: &Connection, first: Job, queue: &mut mpsc::Receiver<Job>, answers: &mut Vec<Answer>) -> Result<(), Error> {
    let what = "writing";
    if let Err(error) = conn.execute_batch("BEGIN IMMEDIATE").map_err(doing(what)) {
        answers.push(first(Err(error.clone())));
        return Err(error);
    }
    let mut next = Some(first);
    while let Some(job) = next {
        answers.push(job(Ok(conn)));
        if conn.is_autocommit() {
            // The failure of this job ended the whole transaction, and with it what stood before.
            return Err(Error::Unavailable { doing: what, detail: "another write in the same transaction failed".into() });
        }
        next = if answers.len() < JOBS_TOGETHER_MAX { queue.try_recv().ok() } else { None };
    }
    conn.execute_batch("COMMIT").map_err(doing(what))
}
