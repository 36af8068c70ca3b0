//! Reading the logs beyond their checkpoints in one order: the one in which the store took the turns.

use persistence::{Error, Mark, Turn, codec};

use super::{Frame, Journal, numbered};
use crate::cql::for_each;

/// Frames of one log, oldest first.
struct Part {
    log: usize,
    frames: Vec<(u64, Frame)>,
    /// Frames after these were left out for want of room.
    cut: bool,
}

impl Journal {
    /// Turns after the checkpoints, about `bytes_max` bytes of them, and how far they reach.
    pub async fn unprojected(&self, bytes_max: usize) -> Result<(Vec<Turn>, Mark), Error> {
        let mut through: Vec<u64> = self.logs.iter().map(|log| log.backlog.checkpoint()).collect();
        let share = (bytes_max / self.logs.len()).max(1);
        let starts: Vec<_> = through.iter().copied().enumerate().collect();
        let parts = for_each(starts, self.logs.len(), |(log, after)| async move {
            let at = &self.logs[log];
            let committed = at.backlog.committed();
            let frames = at.frames(after, committed, share).await?.found;
            let cut = frames.last().is_some_and(|(last, _)| *last < committed);
            Ok(Part { log, frames, cut })
        })
        .await?;
        // What was left out of one log must not be overtaken by what came later in another.
        let ends = parts.iter().filter(|part| part.cut).filter_map(|part| part.frames.last());
        let end = ends.map(|(_, frame)| frame.last_number()).min().unwrap_or(u64::MAX);
        let mut turns = Vec::new();
        for part in parts {
            let mut latest = 0;
            for (id, frame) in part.frames.into_iter().take_while(|(_, frame)| frame.first_number() <= end) {
                through[part.log] = id;
                for (number, turn) in numbered(&frame)? {
                    // Within a log the order of the frames is the order.
                    latest = number.max(latest);
                    turns.push((latest, turn));
                }
            }
        }
        turns.sort_by_key(|(number, _)| *number);
        let turns = turns.into_iter().map(|(_, turn)| codec::decode_turn(turn)).collect::<Result<_, _>>()?;
        Ok((turns, Mark(through)))
    }
}
