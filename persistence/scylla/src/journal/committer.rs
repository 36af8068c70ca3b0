//! The task of one log: takes what has queued, commits it as one frame, answers. One transaction in flight; while it is under
//! way the next frame gathers by itself.
//!
//! When the cluster does not answer, the frame is tried again until its outcome is known: nothing is acknowledged meanwhile, the
//! queue fills, and devices wait. Who was fenced, or is closed before it is known, takes no other frame: under the same id
//! it could be acknowledged for the one that arrives late.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use bytes::Bytes;
use persistence::{
    Error,
    batch::{BATCH_BYTES_MAX, BATCH_TURNS_MAX},
    metrics,
};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::{
    Shared,
    cells::{CqlCells, Readable},
    frame::Frame,
    log::{Answer, Flight, Log},
};
use crate::fence::{Lost, Tenure};

/// Pauses between tries of the same frame.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(50);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(1);

/// The turns of one batch that belong to this log.
pub struct Append {
    pub turns: Bytes,
    pub numbers: Vec<u8>,
    pub count: usize,
    pub answer: Answer,
    pub _room: Arc<OwnedSemaphorePermit>,
}

pub struct Committer<C = CqlCells> {
    pub log: Arc<Log<C>>,
    pub tenure: Tenure,
    pub shared: Arc<Shared>,
    pub segment_max: SegmentMax,
}

/// After so much a log goes on in a new segment.
#[derive(Debug, Clone, Copy)]
pub struct SegmentMax {
    pub frames: u64,
    pub bytes: u64,
}

impl<C: Readable> Committer<C> {
    /// Until the queue ends, or a frame is neither known to be in nor known to be out.
    pub async fn run(mut self, mut queue: mpsc::UnboundedReceiver<Append>) {
        let (mut begun, mut bytes) = (self.tenure.next, 0);
        while let Some(first) = queue.recv().await {
            let appends = self.gather(first, &mut queue);
            bytes += appends.iter().map(|a| a.turns.len() as u64).sum::<u64>();
            let committed = if appends.is_empty() { Ok(()) } else { self.commit(&appends).await };
            self.answer(appends, committed.clone());
            let mut result = committed;
            if result.is_ok() && (self.tenure.next - begun >= self.segment_max.frames || bytes >= self.segment_max.bytes) {
                result = self.roll().await;
                (begun, bytes) = (self.tenure.next, 0);
            }
            if let Err(error) = result {
                return self.refuse_all(queue, &error);
            }
        }
    }

    /// What has queued, as far as it fits in a frame and somebody waits for it.
    fn gather(&self, first: Append, queue: &mut mpsc::UnboundedReceiver<Append>) -> Vec<Append> {
        let mut appends = vec![first];
        let is_full = |appends: &[Append]| {
            appends.iter().map(|a| a.count).sum::<usize>() >= BATCH_TURNS_MAX
                || appends.iter().map(|a| a.turns.len()).sum::<usize>() >= BATCH_BYTES_MAX
        };
        while !is_full(&appends)
            && let Ok(append) = queue.try_recv()
        {
            appends.push(append);
        }
        self.left_queue(appends.iter().map(|a| a.count as u64).sum());
        let mut flight = self.log.flight.lock();
        // Who gave up was told that it failed: what is not under way yet must not come after that.
        appends.retain(|append| !append.answer.is_closed());
        flight.under_way = !appends.is_empty();
        appends
    }

    fn left_queue(&self, turns: u64) {
        metrics::queued(self.shared.queued_turns.fetch_sub(turns, Ordering::Relaxed).saturating_sub(turns));
    }

    /// Nothing is taken any more: whoever waits hears why.
    fn refuse_all(self, mut queue: mpsc::UnboundedReceiver<Append>, why: &Error) {
        queue.close();
        while let Ok(append) = queue.try_recv() {
            self.left_queue(append.count as u64);
            drop(append.answer.send(Err(why.clone())));
        }
    }

    async fn commit(&mut self, appends: &[Append]) -> Result<(), Error> {
        let since = Instant::now();
        let frame = frame_of(appends);
        let id = self.until_known(&frame).await?;
        metrics::committed(since.elapsed(), frame.count, frame.turns.len());
        let count = frame.count;
        self.log.backlog.push(id, frame, count);
        Ok(())
    }

    async fn until_known(&mut self, frame: &Frame) -> Result<u64, Error> {
        let mut pause = RETRY_PAUSE_MIN;
        loop {
            self.shared.fence.check()?;
            match self.tenure.append(&self.log.cells, frame).await {
                Ok(id) => return Ok(id),
                Err(lost) => self.bear(lost, "append", &mut pause).await?,
            }
        }
    }

    /// The log goes on in a new segment.
    async fn roll(&mut self) -> Result<(), Error> {
        let mut pause = RETRY_PAUSE_MIN;
        loop {
            self.shared.fence.check()?;
            match self.tenure.roll(&self.log.cells).await {
                Ok(sealed) => {
                    sealed.into_iter().for_each(|sealed| self.log.rolled(sealed));
                    self.log.flight.lock().trouble = None;
                    return Ok(());
                }
                Err(lost) => self.bear(lost, "roll", &mut pause).await?,
            }
        }
    }

    /// `Ok` when the same is to be tried again.
    async fn bear(&self, lost: Lost, what: &'static str, pause: &mut Duration) -> Result<(), Error> {
        let error = match lost {
            Lost::Fenced(why) => return Err(self.shared.fence.raise(self.log.cells.log(), &why)),
            Lost::Unknown(error) => error,
        };
        metrics::failed(what, &error);
        if *pause == RETRY_PAUSE_MIN {
            tracing::warn!(%error, log = self.log.cells.log(), "the journal waits for the cluster");
        }
        self.log.flight.lock().trouble = Some(error.clone());
        if self.shared.closing.load(Ordering::Relaxed) {
            return Err(error);
        }
        // No condition to wait for: the cluster says nothing when it is well again.
        tokio::time::sleep(*pause).await;
        *pause = (*pause * 2).min(RETRY_PAUSE_MAX);
        Ok(())
    }

    fn answer(&self, appends: Vec<Append>, result: Result<(), Error>) {
        let mut flight = self.log.flight.lock();
        let trouble = result.as_ref().err().cloned();
        // A frame that was given up may be there all the same.
        *flight = Flight { under_way: false, doubted: trouble.is_some(), trouble };
        appends.into_iter().for_each(|append| drop(append.answer.send(result.clone())));
    }
}

fn frame_of(appends: &[Append]) -> Frame {
    match appends {
        [only] => Frame { numbers: only.numbers.clone().into(), turns: only.turns.clone(), count: only.count },
        _ => Frame {
            numbers: appends.iter().flat_map(|a| &a.numbers).copied().collect(),
            turns: appends.iter().flat_map(|a| &a.turns[..]).copied().collect(),
            count: appends.iter().map(|a| a.count).sum(),
        },
    }
}
