//! A thread's way into the journal: what its twins decide gathers into batches, one commit in flight, no timer.
//!
//! "Apply now, speak when durable": a twin goes on with its next message while its last one is being committed; what is
//! to be said of it (acknowledgement, effects, live events) waits here as a [`Completion`] and is said when the commit
//! returns. When a commit fails nothing of it is said, and every twin that had something under way restarts from what
//! is durable. One round trip to the store's thread carries hundreds of turns; no wake-up is paid for each.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    sync::Arc,
};

use hierarchy_models::{Event, TwinId};
use persistence::{Batch, Error, Store};

use crate::{body::SharedBody, completion::Completion};

#[derive(Default)]
struct Load {
    batch: Batch,
    completions: Vec<Completion>,
}

pub struct Lane {
    store: Arc<dyn Store>,
    loads: RefCell<VecDeque<Load>>,
    running: Cell<bool>,
    /// Counts failed commits: whoever gathered state before one must not trust it after.
    failures: Cell<u64>,
    /// Why the last commit failed, until the store is ready again.
    broken: RefCell<Option<Error>>,
}

impl Lane {
    pub fn new(store: Arc<dyn Store>) -> Rc<Self> {
        Rc::new(Self { store, loads: RefCell::default(), running: Cell::new(false), failures: Cell::new(0), broken: RefCell::new(None) })
    }

    /// Takes a turn; `completion` is carried out once it is durable. Without events it waits for what is before it.
    pub fn push(self: &Rc<Self>, twin: &TwinId, events: &[Event], completion: Completion) {
        {
            let mut loads = self.loads.borrow_mut();
            if loads.back().is_none_or(|load| load.batch.is_full()) {
                loads.push_back(Load::default());
            }
            if let Some(load) = loads.back_mut() {
                if !events.is_empty() {
                    load.batch.push(twin, events);
                }
                load.completions.push(completion);
            }
        }
        if !self.running.replace(true) {
            let lane = self.clone();
            actix_rt::spawn(async move {
                // Everything that the same read brought gathers first.
                tokio::task::yield_now().await;
                lane.run().await;
            });
        }
    }

    async fn run(self: Rc<Self>) {
        loop {
            let Some(load) = self.loads.borrow_mut().pop_front() else {
                self.running.set(false);
                return;
            };
            let result = if load.batch.is_empty() { Ok(()) } else { self.store.append(load.batch).await };
            match result {
                Ok(()) => load.completions.into_iter().for_each(Completion::committed),
                Err(error) => self.fail(error, load.completions),
            }
        }
    }

    /// The commit failed: so does everything that was decided after it, on top of it.
    fn fail(&self, error: Error, completions: Vec<Completion>) {
        tracing::error!(%error, "a commit failed; its twins restart from what is durable");
        metrics::counter!("twinfold_commits_failed_total").increment(1);
        self.failures.set(self.failures.get() + 1);
        *self.broken.borrow_mut() = Some(error.clone());
        let later: Vec<Load> = self.loads.borrow_mut().drain(..).collect();
        for completion in completions.into_iter().chain(later.into_iter().flat_map(|load| load.completions)) {
            completion.failed(&error);
        }
    }

    /// Turns that are not on their way to the disk yet.
    pub fn waiting(&self) -> usize {
        self.loads.borrow().iter().map(|load| load.batch.turns()).sum()
    }

    pub fn failures(&self) -> u64 {
        self.failures.get()
    }

    /// Why nothing can be written now, if so.
    pub fn broken(&self) -> Option<Error> {
        self.broken.borrow().clone()
    }

    /// Asks a store that failed whether it is well again.
    pub async fn probe(&self) {
        if self.broken.borrow().is_some() && self.store.ready().await.is_ok() {
            tracing::info!("the store takes writes again");
            *self.broken.borrow_mut() = None;
        }
    }

    /// Returns when everything pushed before is durable, or has failed.
    pub async fn barrier(self: &Rc<Self>, twin: &SharedBody) {
        let (tell, told) = tokio::sync::oneshot::channel();
        let id = twin.borrow().id.clone();
        self.push(&id, &[], Completion::barrier(twin, tell));
        let _ = told.await;
    }
}
