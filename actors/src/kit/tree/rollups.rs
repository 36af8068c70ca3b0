//! The tree's figures, folded by the same code as in the server: children pass on what they come to, parents fold it.

use hierarchy_models::{Timestamp, TwinId, limits::TREE_DEPTH_MAX, rollup::Contribution};

use super::TreeTestKit;
use crate::{behaviour::Result, twin::decide::Input};

impl TreeTestKit {
    /// One roll-up tick, from the leaves to the top; whether anything was new.
    pub(super) fn fold(&mut self) -> Result<bool> {
        let mut news = false;
        for depth in (1..=TREE_DEPTH_MAX).rev() {
            let level: Vec<TwinId> = self.seats.values().filter(|seat| seat.path.depth() == depth).map(|seat| seat.id.clone()).collect();
            for id in &level {
                news |= self.tell_of_children(id)?;
                news |= self.pass_on(id);
            }
        }
        Ok(news)
    }

    fn pass_on(&mut self, id: &TwinId) -> bool {
        let Some(seat) = self.seats.get_mut(id) else { return false };
        let contribution = seat.below.contribution(seat.twin.own_contribution());
        let fingerprint = Some(contribution.fingerprint());
        if seat.passed_on == fingerprint {
            return false;
        }
        seat.passed_on = fingerprint;
        let Some(parent) = seat.twin.parent.clone() else { return false };
        let (stale_after, now) = (self.stale_after, self.now);
        if let Some(parent) = self.seats.get_mut(&parent) {
            parent.below.update(id, contribution, stale_after, now);
        }
        true
    }

    fn tell_of_children(&mut self, id: &TwinId) -> Result<bool> {
        let Some(seat) = self.seats.get_mut(id) else { return Ok(false) };
        if seat.kind.is_built_in() || (seat.below.is_empty() && seat.heard_children.is_none()) {
            return Ok(false);
        }
        let fresh = Some(seat.below.contribution(Contribution::default()).fingerprint());
        if seat.heard_children == fresh {
            return Ok(false);
        }
        seat.heard_children = fresh;
        self.take(id, Input::Children)?;
        Ok(true)
    }

    /// When the next device will have been silent for too long.
    pub(super) fn next_silence(&self) -> Option<Timestamp> {
        // A child is stale beyond the bound, not at it.
        let beyond = self.stale_after + std::time::Duration::from_millis(1);
        let heard = self.seats.values().filter(|seat| seat.twin.parent.is_some()).filter_map(|seat| {
            let place = seat.twin.own_contribution();
            place.last_seen.map(|seen| seen.plus(beyond))
        });
        heard.filter(|at| *at > self.now).min()
    }

    pub(super) fn sweep(&mut self) {
        let (stale_after, now) = (self.stale_after, self.now);
        for seat in self.seats.values_mut() {
            seat.below.sweep(stale_after, now);
        }
    }
}
