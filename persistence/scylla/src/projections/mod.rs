//! Projections: history, snapshots, rows, commands, and the checkpoint of each log that says how far they reach.
//!
//! There is no transaction over all of it. Every write may be repeated, the later of two wins (`crate::stamps`), and the checkpoints move
//! last: a crash in the middle leaves a part of a projection, which the next start makes whole from the journal. Readers of history look at
//! the journal's tail first and take from the tables only what lies before it, so that they never see a part.

pub mod chunk;
mod heads;
pub mod retention;
pub mod shelves;
pub mod snapshots;
mod wakes;

use std::time::Instant;

use async_trait::async_trait;
use hierarchy_models::{Timestamp, TwinId};
use persistence::{Error, Mark, Projection, Projections, Snapshot, fold::Fold, metrics};

use self::shelves::AT_ONCE;
use crate::{
    ScyllaStore,
    cql::for_each,
    journal::{Journal, log::Log},
    store::Core,
};

/// Bytes of frames that are held at once while they are projected: of all logs together, and of one at least.
const STEPS_BYTES: usize = 64 * 1024 * 1024;
const STEP_BYTES_MIN: usize = 256 * 1024;
/// Of one log at most.
const STEP_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How far a log's history was written.
struct Moved {
    through: u64,
    bytes: u64,
}

/// The mark by log, when this journal can have given it out.
fn check(journal: &Journal, mark: &Mark) -> Result<Vec<u64>, Error> {
    let end = journal.mark();
    let fits = mark.0.len() == end.0.len() && mark.0.iter().zip(&end.0).all(|(through, committed)| through <= committed);
    if fits { Ok(mark.0.clone()) } else { Err(Error::Refused(format!("mark {mark:?} lies beyond the journal's end {end:?}"))) }
}

impl Core {
    async fn write_history(&self, log: &Log, through: u64) -> Result<Option<Moved>, Error> {
        let mut done = log.backlog.checkpoint();
        if through <= done {
            return Ok(None);
        }
        let mut bytes = 0;
        let step_bytes = (STEPS_BYTES / self.journal.logs.len().max(1)).clamp(STEP_BYTES_MIN, STEP_BYTES_MAX);
        while done < through {
            let mut fold = Fold::default();
            while done < through && fold.bytes() < step_bytes {
                let frames = log.frames(done, through, step_bytes).await?;
                for (id, frame) in frames.found {
                    bytes += frame.turns.len() as u64;
                    fold.add_frame(id, &frame.turns)?;
                }
                done = frames.reach;
            }
            self.shelves.write(fold).await?;
        }
        Ok(Some(Moved { through, bytes }))
    }

    async fn move_checkpoint(&self, log: &Log, moved: Moved) -> Result<(), Error> {
        let seg = log.segment_of(moved.through + 1);
        log.cells.set_checkpoint(seg, moved.through).await?;
        log.backlog.projected(moved.through, moved.bytes);
        while let Some(oldest) = log.oldest_before(seg) {
            log.cells.trim(oldest).await?;
            log.forget_oldest();
        }
        Ok(())
    }

    async fn project(&self, projection: Projection) -> Result<(), Error> {
        let _alone = self.projecting.lock().await;
        self.journal.look().await?;
        let through = projection.through.as_ref().map(|mark| check(&self.journal, mark)).transpose()?.unwrap_or_default();
        let logs = &self.journal.logs;
        let moved = for_each(0..through.len(), logs.len(), |n| self.write_history(&logs[n], through[n])).await?;
        let deleted = &projection.deleted;
        for_each(0..deleted.len(), AT_ONCE, |n| async move {
            self.snapshots.delete(&deleted[n]).await?;
            self.commands.delete_all(&deleted[n]).await
        })
        .await?;
        self.registry.project(&projection.deleted, projection.registry).await?;
        self.snapshots.put_all(projection.snapshots).await?;
        self.snapshots.tidy(Timestamp::from_millis_clamped(self.cql.clock() / 1_000)).await;
        self.commands.put_all(projection.commands).await?;
        // All this may have taken a while: who has been taken over moves nothing that the next owner reads.
        self.journal.look().await?;
        let moved: Vec<_> = moved.into_iter().enumerate().filter_map(|(n, moved)| Some((n, moved?))).collect();
        for_each(moved, logs.len(), |(n, moved)| self.move_checkpoint(&logs[n], moved)).await?;
        self.journal.report_backlog();
        Ok(())
    }
}

#[async_trait]
impl Projections for ScyllaStore {
    async fn project(&self, projection: Projection) -> Result<(), Error> {
        let since = Instant::now();
        let core = self.core.clone();
        // A task of its own: a caller that goes away must not leave memory behind the tables.
        let result = tokio::spawn(async move { core.project(projection).await }).await;
        let result = result.unwrap_or_else(|e| Err(Error::Unavailable { doing: "projecting", detail: e.to_string() }));
        metrics::flushed(since);
        result.inspect_err(|error| metrics::failed("project", error))
    }

    async fn snapshot(&self, twin: &TwinId) -> Result<Option<Snapshot>, Error> {
        self.core.snapshots.get(twin).await
    }

    async fn snapshots(&self, twins: &[TwinId]) -> Result<Vec<Option<Snapshot>>, Error> {
        for_each(0..twins.len(), AT_ONCE, |n| self.core.snapshots.get(&twins[n])).await
    }

    async fn wakes(&self, after: Option<(Timestamp, TwinId)>, limit: usize) -> Result<Vec<(Timestamp, TwinId)>, Error> {
        self.core.snapshots.wakes(after, limit).await
    }

    async fn forget_history(&self, before: Timestamp, rows_max: usize) -> Result<usize, Error> {
        self.core.retention.forget(&self.core, before, rows_max).await
    }
}
