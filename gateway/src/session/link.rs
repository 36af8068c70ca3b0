//! The way from a twin, on whatever thread, to the session of its device: a bounded queue and a bell.
//!
//! A `tokio` channel was tried on paper and left: it allocates its first block of slots, some 5 KB, for every idle
//! connection.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Context,
};

use actors::device::{CloseReason, Downlink, Link, LinkError, Outcome};
use futures_util::task::AtomicWaker;
use hierarchy_models::TwinId;
use metrics::{Counter, Gauge};

use crate::meters::Meters;

pub(crate) struct SessionLink {
    state: Mutex<State>,
    bell: AtomicWaker,
    queue_max: usize,
    queued: Gauge,
    full: Counter,
}

#[derive(Default)]
struct State {
    queue: VecDeque<(TwinId, Downlink)>,
    /// What became of posted messages, by their tickets; as many at most as the session has in work.
    settled: Vec<(u64, Outcome)>,
    /// Set once; what was queued before does not hold it up.
    close: Option<CloseReason>,
    /// A message was turned away: its twin waits to hear that there is room.
    owes_ready: bool,
    ended: bool,
}

impl SessionLink {
    pub(crate) fn new(queue_max: usize, meters: &Meters) -> Self {
        Self {
            state: Mutex::default(),
            bell: AtomicWaker::new(),
            queue_max,
            queued: meters.downlink_queued.clone(),
            full: meters.downlink_full.clone(),
        }
    }

    pub(crate) fn close(&self, reason: CloseReason) {
        self.state().close.get_or_insert(reason);
        self.bell.wake();
    }

    /// Rings `cx` at the next arrival.
    pub(crate) fn listen(&self, cx: &Context<'_>) {
        self.bell.register(cx.waker());
    }

    pub(crate) fn close_asked(&self) -> Option<CloseReason> {
        self.state().close
    }

    pub(crate) fn take(&self) -> Option<(TwinId, Downlink)> {
        let taken = self.state().queue.pop_front();
        if taken.is_some() {
            self.queued.decrement(1.0);
        }
        taken
    }

    /// Moves what became of posted messages into `out`, which must be empty.
    pub(crate) fn take_settled(&self, out: &mut Vec<(u64, Outcome)>) {
        std::mem::swap(out, &mut self.state().settled);
    }

    /// Whether somebody was turned away and there is room again; true once for each time.
    pub(crate) fn owes_ready(&self) -> bool {
        let mut state = self.state();
        let owes = state.owes_ready && state.queue.len() <= self.queue_max / 2;
        if owes {
            state.owes_ready = false;
        }
        owes
    }

    /// Nothing is taken any more, and what waited is given up; its twins hold what must not be lost.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        self.queued.decrement(state.queue.len() as f64);
        state.queue = VecDeque::new();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link for SessionLink {
    fn deliver(&self, target: &TwinId, message: Downlink) -> Result<(), LinkError> {
        let mut state = self.state();
        if state.ended {
            return Err(LinkError::Closed);
        }
        if let Downlink::Close(reason) = message {
            state.close.get_or_insert(reason);
        } else if state.queue.len() >= self.queue_max {
            state.owes_ready = true;
            self.full.increment(1);
            return Err(LinkError::Full);
        } else {
            state.queue.push_back((target.clone(), message));
            self.queued.increment(1.0);
        }
        drop(state);
        self.bell.wake();
        Ok(())
    }

    fn is_closed(&self) -> bool {
        self.state().ended
    }

    fn forget(&self, target: &TwinId) {
        let mut state = self.state();
        let before = state.queue.len();
        state.queue.retain(|(of, _)| of != target);
        self.queued.decrement((before - state.queue.len()) as f64);
        let owes = state.owes_ready;
        drop(state);
        if owes {
            self.bell.wake();
        }
    }

    fn settled(&self, ticket: u64, outcome: Outcome) {
        self.state().settled.push((ticket, outcome));
        self.bell.wake();
    }
}

#[cfg(test)]
mod tests {
    use hierarchy_models::Map;

    use super::*;

    fn message() -> Downlink {
        Downlink::Desired { document: Map::new(), version: 1, full: true }
    }

    #[test]
    fn a_full_queue_turns_away_and_says_so_once_there_is_room() {
        let link = SessionLink::new(2, &Meters::new());
        let twin = TwinId::new("d").unwrap();
        assert_eq!(link.deliver(&twin, message()), Ok(()));
        assert_eq!(link.deliver(&twin, message()), Ok(()));
        assert_eq!(link.deliver(&twin, message()), Err(LinkError::Full));
        assert!(!link.owes_ready(), "it is still full");
        assert!(link.take().is_some());
        assert!(link.owes_ready());
        assert!(!link.owes_ready(), "once is enough");
    }

    #[test]
    fn what_waits_for_a_child_that_was_withdrawn_is_not_delivered() {
        let link = SessionLink::new(8, &Meters::new());
        let (child, other) = (TwinId::new("child").unwrap(), TwinId::new("other").unwrap());
        for target in [&child, &other, &child] {
            assert_eq!(link.deliver(target, message()), Ok(()));
        }
        link.forget(&child);
        assert_eq!(link.take().unwrap().0, other);
        assert!(link.take().is_none());
    }

    #[test]
    fn the_end_of_the_session_does_not_wait_in_the_queue() {
        let link = SessionLink::new(1, &Meters::new());
        let twin = TwinId::new("d").unwrap();
        assert_eq!(link.deliver(&twin, message()), Ok(()));
        assert_eq!(link.deliver(&twin, Downlink::Close(CloseReason::Revoked)), Ok(()));
        link.close(CloseReason::ServerStops);
        assert_eq!(link.close_asked(), Some(CloseReason::Revoked));
        link.end();
        assert_eq!(link.deliver(&twin, message()), Err(LinkError::Closed));
        assert!(link.take().is_none());
    }
}
