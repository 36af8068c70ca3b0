//! Forgets history and ended commands by their age, day by day, twin by twin.
//!
//! Where chunks are written to go away by themselves, only whole days are looked at: by then little is left to delete (what
//! was written before there was a retention, commands, the indexes), and no day is looked at twice.

use std::{sync::Arc, time::Duration};

use hierarchy_models::{Timestamp, TwinId};
use persistence::Error;

use super::{
    chunk::{Chunk, begin_of, day_of},
    shelves::{BUCKETS, Head},
};
use crate::{
    cql::{Cql, Statement, Use, damaged, for_each},
    store::Core,
};

const DOING: &str = "forgetting history";
/// Twins that are looked through at once, when as many rows may go that each can have this many.
const TWINS_AT_ONCE: usize = 32;
const ROWS_A_TWIN: usize = 64;

pub struct Retention {
    cql: Arc<Cql>,
    by_itself: bool,
    days: Statement,
    twins: Statement,
    delete_chunk: Statement,
    delete_day: Statement,
    delete_by_day: Statement,
    delete_known_day: Statement,
}

impl Retention {
    pub async fn prepare(cql: Arc<Cql>, by_itself: bool) -> Result<Self, Error> {
        Ok(Self {
            by_itself,
            days: cql.prepare(Use::Read, "SELECT day FROM day WHERE bucket = 0 AND day <= ?").await?,
            twins: cql.prepare(Use::Read, "SELECT twin FROM by_day WHERE day = ? AND bucket = ?").await?,
            delete_chunk: cql.prepare(Use::Write, "DELETE FROM history WHERE twin = ? AND day = ? AND stream = ? AND frame = ?").await?,
            delete_day: cql.prepare(Use::Write, "DELETE FROM history_day WHERE twin = ? AND day = ? AND stream = ?").await?,
            delete_by_day: cql.prepare(Use::Write, "DELETE FROM by_day WHERE day = ? AND bucket = ? AND twin = ?").await?,
            delete_known_day: cql.prepare(Use::Write, "DELETE FROM day WHERE bucket = 0 AND day = ?").await?,
            cql,
        })
    }

    /// How many events and commands went; stops after about `rows_max`.
    pub async fn forget(&self, core: &Core, before: Timestamp, rows_max: usize) -> Result<usize, Error> {
        let before = if self.by_itself { begin_of(day_of(before)) } else { before };
        let last_day = day_of(before.minus(Duration::from_millis(1)));
        let _alone = core.projecting.lock().await;
        let mut gone = 0;
        for (day,) in self.cql.rows::<(i32,)>(DOING, &self.days, (last_day,)).await? {
            let of_bucket = |bucket: i16| self.cql.rows::<(String,)>(DOING, &self.twins, (day, bucket));
            let twins: Vec<_> = for_each(0..BUCKETS, BUCKETS as usize, of_bucket).await?.into_iter().flatten().collect();
            let mut empty = true;
            for some in twins.chunks((rows_max / ROWS_A_TWIN).clamp(1, TWINS_AT_ONCE)) {
                if gone >= rows_max {
                    return Ok(gone);
                }
                let days = for_each(0..some.len(), some.len(), |n| self.forget_day(core, &some[n].0, day, before)).await?;
                gone += days.iter().map(|(more, _)| more).sum::<usize>();
                empty &= days.iter().all(|(_, left)| !left);
            }
            if empty {
                core.shelves.forget_written();
                self.cql.write(DOING, &self.delete_known_day, (day,)).await?;
            }
        }
        Ok(gone)
    }

    /// How many rows of this twin and day went, and whether some are left.
    async fn forget_day(&self, core: &Core, twin: &str, day: i32, before: Timestamp) -> Result<(usize, bool), Error> {
        let mut streams: Vec<i16> = core.shelves.days(twin).await?.iter().filter(|row| row.shelf.0 == day).map(|row| row.shelf.1).collect();
        streams.dedup();
        let id = TwinId::new(twin).map_err(|e| damaged(DOING, e))?;
        let (mut gone, mut left) = core.commands.forget(&id, day, before).await?;
        for stream in streams {
            let mut some_left = false;
            for head in core.shelves.heads(twin, (day, stream)).await? {
                let kept = self.thin(core, twin, (day, stream), head, before).await?;
                gone += head.events as usize - kept;
                some_left |= kept > 0;
            }
            if !some_left {
                core.shelves.forget_written();
                self.cql.write(DOING, &self.delete_day, (twin, day, stream)).await?;
            }
            left |= some_left;
        }
        if !left {
            core.shelves.forget_written();
            self.cql.write(DOING, &self.delete_by_day, (day, super::shelves::bucket(twin, BUCKETS), twin)).await?;
            // Chunks that went by themselves were not counted: this is what is left of them, and a step must come to its end.
            gone += usize::from(self.by_itself);
        }
        Ok((gone, left))
    }

    /// Takes the old events out of a chunk; how many are left in it.
    async fn thin(&self, core: &Core, twin: &str, shelf: super::chunk::Shelf, head: Head, before: Timestamp) -> Result<usize, Error> {
        let before = before.as_millis();
        if head.received.0 >= before {
            return Ok(head.events as usize);
        }
        if head.received.1 >= before {
            for (frame, last_frame, data) in core.shelves.data(twin, shelf, head.frame, head.frame).await? {
                if let Some(kept) = Chunk::filtered(frame, last_frame, data, |event| event.received_at.as_millis() >= before)? {
                    core.shelves.put(twin, shelf, &kept).await?;
                    return Ok(kept.events as usize);
                }
            }
        }
        self.cql.write(DOING, &self.delete_chunk, (twin, shelf.0, shelf.1, head.frame as i64)).await?;
        Ok(0)
    }
}
