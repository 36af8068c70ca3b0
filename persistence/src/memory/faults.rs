//! What a test has a store in memory do: fail, hold back, take its time.

use std::{collections::VecDeque, sync::Arc, task::Waker};

use parking_lot::Mutex;

use super::MemoryStore;
use crate::{Batch, Error};

#[derive(Default)]
pub(super) struct Faults {
    pub(super) append: Option<Error>,
    pub(super) project: Option<Error>,
    pub(super) audit: Option<Error>,
    pub(super) holding: bool,
    pub(super) commits_may_wait: bool,
    pub(super) reads_fail: usize,
    pub(super) held: VecDeque<Held>,
}

/// An append that waits for the test to let it go.
pub(super) struct Held {
    pub(super) batch: Batch,
    pub(super) answer: Arc<Mutex<Answer>>,
}

#[derive(Default)]
pub(super) struct Answer {
    pub(super) outcome: Option<Result<(), Error>>,
    pub(super) waker: Option<Waker>,
}

impl Answer {
    pub(super) fn give(answer: &Mutex<Self>, outcome: Result<(), Error>) {
        let mut answer = answer.lock();
        answer.outcome = Some(outcome);
        if let Some(waker) = answer.waker.take() {
            waker.wake();
        }
    }
}

impl MemoryStore {
    /// Every append fails with this error and writes nothing, until `None` is given.
    pub fn fail_appends(&self, error: Option<Error>) {
        self.faults.lock().append = error;
    }

    /// Every projection fails with this error and writes nothing, until `None` is given.
    pub fn fail_projections(&self, error: Option<Error>) {
        self.faults.lock().project = error;
    }

    /// Every record of the audit log is refused with this error, until `None` is given.
    pub fn fail_audit(&self, error: Option<Error>) {
        self.faults.lock().audit = error;
    }

    /// From now on appends wait, in the order they came, for [`Self::release_appends`].
    pub fn hold_appends(&self) {
        self.faults.lock().holding = true;
    }

    /// So many reads of documents fail, as of a cluster that does not answer for a while.
    pub fn fail_reads(&self, count: usize) {
        self.faults.lock().reads_fail = count;
    }

    /// It says from now on that its commits may wait for other machines.
    pub fn let_commits_wait(&self) {
        self.faults.lock().commits_may_wait = true;
    }

    /// How many appends wait.
    pub fn held_appends(&self) -> usize {
        self.faults.lock().held.len()
    }

    /// Commits the oldest append that waits; further ones go on waiting. Whether there was one.
    pub fn release_one(&self) -> bool {
        let held = self.faults.lock().held.pop_front();
        held.map(|held| Answer::give(&held.answer, self.commit(&held.batch))).is_some()
    }

    /// Commits all that waits and holds nothing back any more.
    pub fn release_appends(&self) {
        self.faults.lock().holding = false;
        while self.release_one() {}
    }

    /// Refuses all that waits with this error; nothing of it is written. Later appends go on being held.
    pub fn refuse_held(&self, error: Error) {
        let held = std::mem::take(&mut self.faults.lock().held);
        held.iter().for_each(|held| Answer::give(&held.answer, Err(error.clone())));
    }
}
