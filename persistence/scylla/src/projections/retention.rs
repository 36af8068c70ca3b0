//! Forgets history and ended commands by their age, day by day, twin by twin.
//!
//! Where chunks are written to go away by themselves, only whole days are looked at: by then little is left to delete (what
//! was written before there was a retention, commands, the indexes), and no day is looked at twice. A step begins where the last one
//! ended, and the list of a day's twins goes as a whole: rows that are deleted one by one would be read again and again as tombstones.

use std::{sync::Arc, time::Duration};

use hierarchy_models::{Timestamp, TwinId};
use persistence::Error;
use tokio::sync::Mutex;

use super::{
    chunk::{Chunk, Shelf, begin_of, day_of},
    shelves::{BUCKETS, Head, bucket},
};
use crate::{
    cql::{Cql, Statement, Use, damaged, for_each},
    store::Core,
};

const DOING: &str = "forgetting history";
/// Twins that are looked through at once, when as many rows may go that each can have this many.
const TWINS_AT_ONCE: usize = 32;
const ROWS_A_TWIN: usize = 64;
/// Twins of a day that something is left of, and that are listed anew; with more of them, the day stays as it is for now.
const LEFT_MAX: usize = 100_000;

pub struct Retention {
    cql: Arc<Cql>,
    by_itself: bool,
    place: Mutex<Option<Place>>,
    days: Statement,
    twins: Statement,
    delete_chunk: Statement,
    delete_day: Statement,
    put_by_day: Statement,
    delete_by_day: Statement,
    drop_by_day: Statement,
    delete_known_day: Statement,
}

/// Where the next step begins.
struct Place {
    day: i32,
    part: i16,
    after: String,
    /// Twins that were looked through.
    seen: usize,
    /// Twins of this day that something is left of.
    left: Vec<String>,
}

/// What became of a twin's day.
struct Forgotten {
    rows: usize,
    /// Something is left that is not old enough, or has not ended.
    left: bool,
}

impl Retention {
    pub async fn prepare(cql: Arc<Cql>, by_itself: bool) -> Result<Self, Error> {
        let delete_chunk = "DELETE FROM history USING TIMESTAMP ? WHERE twin = ? AND day = ? AND stream = ? AND frame = ? AND owner = ?";
        Ok(Self {
            by_itself,
            place: Mutex::default(),
            days: cql.prepare(Use::Read, "SELECT day FROM day WHERE bucket = 0 AND day >= ? AND day <= ?").await?,
            twins: cql.prepare(Use::Read, "SELECT twin FROM by_day WHERE day = ? AND bucket = ? AND twin > ? LIMIT ?").await?,
            delete_chunk: cql.prepare(Use::Write, delete_chunk).await?,
            delete_day: cql.prepare(Use::Write, "DELETE FROM history_day WHERE twin = ? AND day = ? AND stream = ?").await?,
            put_by_day: cql.prepare(Use::Write, "INSERT INTO by_day (day, bucket, twin) VALUES (?, ?, ?)").await?,
            delete_by_day: cql.prepare(Use::Write, "DELETE FROM by_day WHERE day = ? AND bucket = ? AND twin = ?").await?,
            drop_by_day: cql.prepare(Use::Write, "DELETE FROM by_day WHERE day = ? AND bucket = ?").await?,
            delete_known_day: cql.prepare(Use::Write, "DELETE FROM day WHERE bucket = 0 AND day = ?").await?,
            cql,
        })
    }

    /// How many events and commands went; stops after about `rows_max`.
    pub async fn forget(&self, core: &Core, before: Timestamp, rows_max: usize) -> Result<usize, Error> {
        core.journal.look().await?;
        let before = if self.by_itself { begin_of(day_of(before)) } else { before };
        let last_day = day_of(before.minus(Duration::from_millis(1)));
        let mut place = self.place.lock().await;
        let first_day = place.as_ref().map_or(i32::MIN, |place| place.day);
        let mut gone = 0;
        for (day,) in self.cql.rows::<(i32,)>(DOING, &self.days, (first_day, last_day)).await? {
            if place.as_ref().is_none_or(|place| place.day != day) {
                core.shelves.begin_forgetting(last_day);
                *place = Some(Place { day, part: 0, after: String::new(), seen: 0, left: Vec::new() });
            }
            while let Some(at) = place.as_mut().filter(|at| at.part < BUCKETS) {
                gone += self.forget_some(core, at, before, rows_max).await?;
                if gone >= rows_max {
                    return Ok(gone);
                }
            }
            if let Some(at) = place.as_ref() {
                self.end_day(core, at, before).await?;
            }
        }
        *place = None;
        Ok(gone)
    }

    /// A few twins of a day. Flushes wait for these and not for the day.
    async fn forget_some(&self, core: &Core, at: &mut Place, before: Timestamp, rows_max: usize) -> Result<usize, Error> {
        let limit = (rows_max / ROWS_A_TWIN).clamp(1, TWINS_AT_ONCE);
        let some = self.cql.rows::<(String,)>(DOING, &self.twins, (at.day, at.part, &at.after, limit as i32)).await?;
        let Some((last,)) = some.last().cloned() else {
            (at.part, at.after) = (at.part + 1, String::new());
            return Ok(0);
        };
        let day = at.day;
        at.seen += some.len();
        let _alone = core.projecting.lock().await;
        let forgotten = for_each(0..some.len(), some.len(), |n| self.forget_day(core, &some[n].0, day, before)).await?;
        let left = some.into_iter().zip(&forgotten).filter(|(_, forgotten)| forgotten.left).map(|((twin,), _)| twin);
        at.left.extend(left.take((LEFT_MAX + 1).saturating_sub(at.left.len())));
        at.after = last;
        Ok(forgotten.iter().map(|forgotten| forgotten.rows).sum())
    }

    /// The list of a day's twins goes, once every one of them was looked through.
    async fn end_day(&self, core: &Core, at: &Place, before: Timestamp) -> Result<(), Error> {
        let _alone = core.projecting.lock().await;
        // Listed since: the next round looks through the day again.
        let stays = !at.left.is_empty() && (at.seen == at.left.len() || !is_over(at.day, before));
        if stays || at.left.len() > LEFT_MAX || core.shelves.was_disturbed() {
            return Ok(());
        }
        for_each(0..BUCKETS, BUCKETS as usize, |part| self.cql.write(DOING, &self.drop_by_day, (at.day, part))).await?;
        for_each(0..at.left.len(), TWINS_AT_ONCE, |n| {
            self.cql.write(DOING, &self.put_by_day, (at.day, bucket(&at.left[n], BUCKETS), &at.left[n]))
        })
        .await?;
        if at.left.is_empty() {
            self.cql.write(DOING, &self.delete_known_day, (at.day,)).await?;
        }
        Ok(())
    }

    async fn forget_day(&self, core: &Core, twin: &str, day: i32, before: Timestamp) -> Result<Forgotten, Error> {
        let mut streams: Vec<i16> = core.shelves.days(twin).await?.iter().filter(|row| row.shelf.0 == day).map(|row| row.shelf.1).collect();
        streams.dedup();
        let id = TwinId::new(twin).map_err(|e| damaged(DOING, e))?;
        let (mut rows, mut left) = core.commands.forget(&id, day, before).await?;
        for stream in streams {
            let mut some_left = false;
            for head in core.shelves.heads(twin, (day, stream)).await? {
                let kept = self.thin(core, twin, (day, stream), head, before).await?;
                rows += head.events as usize - kept;
                some_left |= kept > 0;
            }
            if !some_left {
                self.cql.write(DOING, &self.delete_day, (twin, day, stream)).await?;
                // Chunks that went by themselves were not counted: this is what is left of them, and a step must come to its end.
                rows += usize::from(self.by_itself);
            }
            left |= some_left;
        }
        if !left && !is_over(day, before) {
            self.cql.write(DOING, &self.delete_by_day, (day, bucket(twin, BUCKETS), twin)).await?;
        }
        Ok(Forgotten { rows, left })
    }

    /// Takes the old events out of a chunk; how many are left in it.
    async fn thin(&self, core: &Core, twin: &str, shelf: Shelf, head: Head, before: Timestamp) -> Result<usize, Error> {
        let before = before.as_millis();
        if head.received.0 >= before {
            return Ok(head.events as usize);
        }
        let (frame, owner) = head.place;
        // Who wrote it may have had a clock that is ahead of this one.
        let now = self.cql.clock().max(head.written + 1);
        if head.received.1 >= before {
            let chunks = core.shelves.data(twin, shelf, frame, frame).await?;
            for (_, last_frame, data) in chunks.into_iter().filter(|(place, ..)| *place == head.place) {
                if let Some(kept) = Chunk::filtered(frame, last_frame, data, |event| event.received_at.as_millis() >= before)? {
                    core.shelves.put(twin, shelf, owner, &kept, now).await?;
                    return Ok(kept.events as usize);
                }
            }
        }
        self.cql.write(DOING, &self.delete_chunk, (now, twin, shelf.0, shelf.1, frame as i64, owner as i64)).await?;
        Ok(0)
    }
}

/// Whether all of this day is to be forgotten.
fn is_over(day: i32, before: Timestamp) -> bool {
    begin_of(day + 1) <= before
}
