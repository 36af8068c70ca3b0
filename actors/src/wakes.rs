//! Which twin must act when, in memory or not: commands expire, timers are due, sessions end.

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc, time::Duration};

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
const RETRY_PAUSE: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct Wakes {
    heap: Mutex<BinaryHeap<Reverse<(Timestamp, TwinId)>>>,
}

impl Wakes {
    pub fn push(&self, at: Timestamp, twin: TwinId) {
        self.heap.lock().push(Reverse((at, twin)));
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

    /// Wakes whoever is due. A twin that has more to do asks to be woken again.
    pub async fn round(&self, runtime: &Arc<Runtime>) {
        for twin in self.due(runtime.clock.now()) {
            match runtime.ask(&twin, Ask::Core(Input::Wake)).await {
                Ok(_) | Err(Problem::Call(TwinError::NoSuchTwin(_))) => {}
                // It is asked again: an expiry is never skipped, only late.
                Err(_) => self.push(runtime.clock.now().plus(RETRY_PAUSE), twin),
            }
        }
    }
}
