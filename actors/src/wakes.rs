//! Which twin must act when, in memory or not: commands expire, timers are due, sessions end.

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use hierarchy_models::{Timestamp, TwinId};
use parking_lot::Mutex;

use crate::{
    envelope::{Ask, Problem},
    error::TwinError,
    runtime::Runtime,
    twin::decide::Input,
};

/// Wakes read from the store at once when it starts.
const READ_AT_ONCE: usize = 10_000;
/// Twins woken in one round, so that a burst of expiries does not crowd out everything else.
const WOKEN_AT_ONCE: usize = 1_000;
/// Twins asked at the same time, and how long each may take to answer.
const WAKING_AT_ONCE: usize = 64;
const ANSWER_WAIT: Duration = Duration::from_secs(2);
const RETRY_PAUSE: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct Wakes {
    heap: Mutex<BinaryHeap<Reverse<(Timestamp, TwinId)>>>,
}

impl Wakes {
    pub fn push(&self, at: Timestamp, twin: TwinId) {
        self.heap.lock().push(Reverse((at, twin)));
    }

    pub fn len(&self) -> usize {
        self.heap.lock().len()
    }

    fn due(&self, now: Timestamp) -> Vec<TwinId> {
        let mut heap = self.heap.lock();
        let mut due = Vec::new();
        while due.len() < WOKEN_AT_ONCE && heap.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            if let Some(Reverse((_, twin))) = heap.pop() {
                due.push(twin);
            }
        }
        due.sort();
        due.dedup();
        due
    }

    /// Takes over what the snapshots say.
    pub async fn load(&self, runtime: &Runtime) -> Result<(), TwinError> {
        self.heap.lock().clear();
        let mut after = None;
        loop {
            let wakes = runtime.store.wakes(after, READ_AT_ONCE).await?;
            let last = wakes.last().cloned();
            let complete = wakes.len() < READ_AT_ONCE;
            self.heap.lock().extend(wakes.into_iter().map(Reverse));
            if complete {
                return Ok(());
            }
            after = last;
        }
    }

    /// Wakes whoever is due, many at a time, so that one who is slow to answer holds up nobody. A twin that has more to do
    /// asks to be woken again.
    pub async fn round(&self, runtime: &Arc<Runtime>) {
        stream::iter(self.due(runtime.clock.now()))
            .for_each_concurrent(WAKING_AT_ONCE, |twin| async move {
                let asked = tokio::time::timeout(ANSWER_WAIT, runtime.ask(&twin, Ask::Core(Input::Wake))).await;
                match asked {
                    Ok(Ok(_) | Err(Problem::Call(TwinError::NoSuchTwin(_)))) => {}
                    // It is asked again: an expiry is never skipped, only late.
                    _ => self.push(runtime.clock.now().plus(RETRY_PAUSE), twin),
                }
            })
            .await;
    }
}
