//! Opening the journal: this process becomes the owner of every log, and counts what they hold beyond their checkpoints.

use std::sync::{Arc, atomic::AtomicU64};

use parking_lot::Mutex;
use persistence::{Error, backlog::Backlog, metrics};
use tokio::sync::{Semaphore, mpsc};
use uuid::Uuid;

use super::{
    Journal, ROOM_UNIT_BYTES, Shared,
    cells::{CqlCells, Statements},
    committer::{Committer, SegmentMax},
    log::Log,
    watch::Watch,
};
use crate::{
    Options,
    cql::{Cql, for_each, until_answered},
    fence::{self, Cells, Lost, Tenure},
};

fn lost(log: i16, lost: Lost) -> Error {
    match lost {
        Lost::Fenced(why) => Error::InUse { detail: format!("another process took log {log} over while this one started: {why}") },
        Lost::Unknown(error) => error,
    }
}

/// A log of this process, with the highest number of its turns.
async fn take(cells: CqlCells, owner: Uuid, epoch: u64, memory_bytes_max: u64) -> Result<(Log, Tenure, u64), Error> {
    let of_log = |e| lost(cells.log, e);
    let head = fence::claim(&cells, owner, Some(epoch)).await.map_err(of_log)?;
    let (tenure, mut chain) = fence::take_over(&cells, head).await.map_err(of_log)?;
    let floor = cells.floor().await?;
    let projected = floor.next - 1;
    if tenure.next == floor.next && !chain.is_empty() {
        // Nothing is left to project, and no flush would ever move the checkpoint: every start would leave one more empty segment.
        cells.set_checkpoint(tenure.seg, projected).await?;
        chain.clear();
        sweep(&cells, tenure.seg).await?;
    } else {
        sweep(&cells, floor.seg).await?;
    }
    let (mut bytes, mut highest) = (0, 0);
    for seg in chain.iter().filter(|sealed| sealed.end > projected + 1).map(|sealed| sealed.seg) {
        let (more, number) = cells.sizes(seg, projected).await?;
        (bytes, highest) = (bytes + more, highest.max(number));
    }
    let backlog = Backlog::new(projected, tenure.next - 1, bytes, memory_bytes_max);
    Ok((Log::new(cells, backlog, chain, tenure.seg), tenure, highest))
}

/// Removes what somebody was removing when it died: the segments before `seg`. The oldest goes first, here as there, so
/// that what is left stands before `seg` without a gap. A number that somebody opened once more, too late, behind a gap stays: an empty row.
async fn sweep(cells: &CqlCells, seg: u64) -> Result<(), Error> {
    let mut first = seg;
    while first > 1 && cells.segment(first - 1).await?.is_some() {
        first -= 1;
    }
    for left in first..seg {
        cells.trim(left).await?;
    }
    Ok(())
}

impl Journal {
    /// What is not answered is asked again, within the patience of an append: whoever had the logs is fenced by the first claim.
    pub async fn open(cql: &Arc<Cql>, statements: Arc<Statements>, logs: u16, options: &Options) -> Result<Self, Error> {
        let patience = options.append_patience;
        let owner = Uuid::now_v7();
        let memory_bytes_max = options.backlog_memory_bytes_max / u64::from(logs);
        let cells_of = |log: i16| CqlCells { cql: cql.clone(), statements: statements.clone(), log };
        let head = until_answered(patience, async || fence::claim(&cells_of(0), owner, None).await.map_err(|e| lost(0, e))).await?;
        cql.stamps.begin(head.epoch)?;
        let cells: Vec<_> = (0..logs as i16).map(cells_of).collect();
        let taken = for_each(cells, usize::from(logs), |cells| {
            until_answered(patience, move || take(cells.clone(), owner, head.epoch, memory_bytes_max))
        })
        .await?;

        let highest = taken.iter().map(|(_, _, highest)| *highest).max().unwrap_or(0);
        let shared = Arc::<Shared>::default();
        let (mut logs, mut queues, mut tasks) = (Vec::new(), Vec::new(), Vec::new());
        for (log, tenure, _) in taken {
            let (queue, waiting) = mpsc::unbounded_channel();
            let log = Arc::new(log);
            let segment_max = SegmentMax { frames: options.segment_frames_max.max(1), bytes: options.segment_bytes_max };
            let committer = Committer { log: log.clone(), tenure, shared: shared.clone(), segment_max };
            tasks.push(tokio::spawn(committer.run(waiting)));
            logs.push(log);
            queues.push(queue);
        }
        let owner = Arc::new(Watch { cells: cells_of(0), mine: head, shared: shared.clone() });
        let watch = tokio::spawn(owner.clone().run(options.watch_every)).abort_handle();
        metrics::owned(true);
        let room_units = options.queue_bytes_max.div_ceil(ROOM_UNIT_BYTES).clamp(1, Semaphore::MAX_PERMITS >> 1);
        let journal = Self {
            epoch: head.epoch,
            logs,
            queues: Mutex::new(Some(queues)),
            tasks: Mutex::new(tasks),
            owner,
            watch,
            room: Arc::new(Semaphore::new(room_units)),
            room_units,
            next_number: AtomicU64::new(highest + 1),
            patience: options.append_patience,
            shared,
        };
        journal.report_backlog();
        Ok(journal)
    }
}
