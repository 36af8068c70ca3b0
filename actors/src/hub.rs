//! Where live events meet their readers: one ring of the last events, one bounded queue for each reader.
//!
//! While nobody follows and nobody lately did, publishing costs one atomic read. A reader that is slower than its
//! events loses its queue, not the server's memory: it is told to start again from a snapshot.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hierarchy_models::Timestamp;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::{
    error::TwinError,
    live::{LiveEvent, LiveFilter},
};

/// How long after its last reader the ring goes on filling, for readers that come back.
const RESUME_WINDOW: Duration = Duration::from_secs(120);

/// What comes out of a [`LiveReader`].
#[derive(Debug, Clone)]
pub enum LiveItem {
    /// Start over: what follows does not join what came before. Read the tree again; `resume` is the id to resume behind.
    Reset {
        resume: String,
    },
    Event {
        id: String,
        event: Arc<LiveEvent>,
    },
}

struct Reader {
    filter: LiveFilter,
    queue: mpsc::Sender<(u64, Arc<LiveEvent>)>,
    lagged: Arc<AtomicBool>,
}

#[derive(Default)]
struct Inner {
    next: u64,
    ring: VecDeque<(u64, Arc<LiveEvent>)>,
    readers: Vec<Reader>,
    abandoned_at: Option<Timestamp>,
    closed: bool,
}

pub struct Hub {
    /// Tells this process's ids from those of an earlier one.
    epoch: String,
    followed: AtomicBool,
    replay_events_max: usize,
    queue_events_max: usize,
    readers_max: usize,
    inner: Mutex<Inner>,
}

fn wanted(filter: &LiveFilter, event: &LiveEvent) -> bool {
    (filter.kinds.is_empty() || filter.kinds.contains(&event.kind))
        && filter.under.as_ref().is_none_or(|top| event.path.contains(top))
        && filter.within.holds(&event.path)
}

impl Hub {
    pub fn new(epoch: String, replay_events_max: usize, queue_events_max: usize, readers_max: usize) -> Arc<Self> {
        let inner = Mutex::default();
        Arc::new(Self { epoch, followed: AtomicBool::new(false), replay_events_max, queue_events_max, readers_max, inner })
    }

    /// Whether anybody reads, or may come back to read.
    pub fn is_followed(&self) -> bool {
        self.followed.load(Ordering::Relaxed)
    }

    pub fn publish(&self, events: Vec<LiveEvent>) {
        let mut inner = self.inner.lock();
        for event in events {
            let event = Arc::new(event);
            inner.next += 1;
            let number = inner.next;
            if inner.ring.len() >= self.replay_events_max {
                inner.ring.pop_front();
            }
            inner.ring.push_back((number, event.clone()));
            for reader in inner.readers.iter().filter(|r| !r.lagged.load(Ordering::Relaxed) && wanted(&r.filter, &event)) {
                if reader.queue.try_send((number, event.clone())).is_err() {
                    reader.lagged.store(true, Ordering::Relaxed);
                    metrics::counter!("twinfold_live_readers_lagged_total").increment(1);
                }
            }
        }
    }

    pub fn follow(self: &Arc<Self>, filter: LiveFilter, resume: Option<&str>) -> Result<LiveReader, TwinError> {
        let mut inner = self.inner.lock();
        if inner.closed {
            return Err(TwinError::Stopping);
        }
        if inner.readers.len() >= self.readers_max {
            let detail = format!("{} readers follow already", self.readers_max);
            return Err(TwinError::Limit { limit: "live.readers_max", detail });
        }
        let behind = resume.and_then(|id| self.number(id)).filter(|n| {
            let first = inner.ring.front().map_or(inner.next + 1, |(first, _)| *first);
            *n <= inner.next && *n + 1 >= first && self.is_followed()
        });
        let missed = behind.map(|n| inner.ring.iter().filter(|(m, e)| *m > n && wanted(&filter, e)).cloned().collect());
        self.followed.store(true, Ordering::Relaxed);
        inner.abandoned_at = None;
        let (queue, events) = mpsc::channel(self.queue_events_max.max(1));
        let lagged = Arc::new(AtomicBool::new(false));
        inner.readers.push(Reader { filter, queue, lagged: lagged.clone() });
        metrics::gauge!("twinfold_live_readers").set(inner.readers.len() as f64);
        let mut backlog: VecDeque<LiveItem> = VecDeque::new();
        match missed {
            Some(missed) => {
                let missed: Vec<(u64, Arc<LiveEvent>)> = missed;
                backlog.extend(missed.into_iter().map(|(n, event)| LiveItem::Event { id: self.id(n), event }));
            }
            None => backlog.push_back(LiveItem::Reset { resume: self.id(inner.next) }),
        }
        Ok(LiveReader { hub: self.clone(), events, lagged, backlog })
    }

    fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.epoch)
    }

    fn number(&self, id: &str) -> Option<u64> {
        let (epoch, number) = id.rsplit_once('-')?;
        (epoch == self.epoch).then(|| number.parse().ok())?
    }

    /// Forgets readers that left, and stops filling the ring when none came back.
    pub fn sweep(&self, now: Timestamp) {
        if !self.is_followed() {
            return;
        }
        let mut inner = self.inner.lock();
        inner.readers.retain(|r| !r.queue.is_closed());
        metrics::gauge!("twinfold_live_readers").set(inner.readers.len() as f64);
        if !inner.readers.is_empty() {
            inner.abandoned_at = None;
        } else if now.since(*inner.abandoned_at.get_or_insert(now)) > RESUME_WINDOW {
            inner.ring = VecDeque::new();
            self.followed.store(false, Ordering::Relaxed);
        }
    }

    /// Events kept for readers that come back.
    pub fn kept(&self) -> usize {
        self.inner.lock().ring.len()
    }

    /// Ends every reader.
    pub fn close(&self) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        inner.readers.clear();
    }
}

/// A live reader's end. Dropping it ends the subscription.
pub struct LiveReader {
    hub: Arc<Hub>,
    events: mpsc::Receiver<(u64, Arc<LiveEvent>)>,
    lagged: Arc<AtomicBool>,
    backlog: VecDeque<LiveItem>,
}

impl LiveReader {
    /// Waits for the next item; `None` when the server stops.
    pub async fn next(&mut self) -> Option<LiveItem> {
        if let Some(item) = self.backlog.pop_front() {
            return Some(item);
        }
        if self.lagged.load(Ordering::Relaxed) {
            // Empty the queue under the lock, so that nothing slips between the reset and what follows it.
            let inner = self.hub.inner.lock();
            while self.events.try_recv().is_ok() {}
            self.lagged.store(false, Ordering::Relaxed);
            return Some(LiveItem::Reset { resume: self.hub.id(inner.next) });
        }
        let (number, event) = self.events.recv().await?;
        Some(LiveItem::Event { id: self.hub.id(number), event })
    }
}
