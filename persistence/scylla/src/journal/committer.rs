//! The task of one log: takes what has queued, commits it as one frame, answers. One transaction in flight; while it is under
//! way the next frame gathers by itself.
//!
//! When the cluster does not answer, the frame is tried again until its outcome is known: nothing is acknowledged meanwhile, the
//! queue fills, and devices wait. Who was fenced never tries again.

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

pub struct Committer {
    pub log: Arc<Log>,
    pub tenure: Tenure,
    pub shared: Arc<Shared>,
    pub segment_frames_max: u64,
}

impl Committer {
    pub async fn run(mut self, mut queue: mpsc::UnboundedReceiver<Append>) {
        let mut begun = self.tenure.next;
        while let Some(first) = queue.recv().await {
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
            let left = appends.iter().map(|a| a.count as u64).sum();
            metrics::queued(self.shared.queued_turns.fetch_sub(left, Ordering::Relaxed).saturating_sub(left));
            {
                let mut flight = self.log.flight.lock();
                // Who gave up was told that it failed: what is not under way yet must not come after that.
                appends.retain(|append| !append.answer.is_closed());
                flight.under_way = !appends.is_empty();
            }
            if !appends.is_empty() {
                let result = self.commit(&appends).await;
                self.answer(appends, result);
            }
            if self.tenure.next - begun >= self.segment_frames_max && self.roll().await {
                begun = self.tenure.next;
            }
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

    /// Whether the log goes on in a new segment.
    async fn roll(&mut self) -> bool {
        let mut pause = RETRY_PAUSE_MIN;
        while self.shared.fence.check().is_ok() {
            match self.tenure.roll(&self.log.cells).await {
                Ok(sealed) => {
                    self.log.rolled(sealed);
                    self.log.flight.lock().trouble = None;
                    return true;
                }
                Err(lost) => {
                    if self.bear(lost, "roll", &mut pause).await.is_err() {
                        return false;
                    }
                }
            }
        }
        false
    }

    /// `Ok` when the same is to be tried again.
    async fn bear(&self, lost: Lost, what: &'static str, pause: &mut Duration) -> Result<(), Error> {
        let error = match lost {
            Lost::Fenced(why) => return Err(self.shared.fence.raise(self.log.cells.log, &why)),
            Lost::Unknown(error) => error,
        };
        metrics::failed(what, &error);
        if *pause == RETRY_PAUSE_MIN {
            tracing::warn!(%error, log = self.log.cells.log, "the journal waits for the cluster");
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
        *flight = Flight { under_way: false, doubted: flight.doubted && trouble.is_some(), trouble };
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
