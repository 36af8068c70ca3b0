//! What a host's changed twins come to when projections are written.

use std::rc::Rc;

use hierarchy_models::{Command, TwinId};
use persistence::{RegistryRow, Snapshot};

use super::Host;
use crate::body::{SharedBody, registry_row};

/// Twins whose snapshots are made before others get a turn on the thread.
const SNAPSHOTS_AT_ONCE: usize = 128;

/// What one host's changed twins come to, for one flush.
#[derive(Default)]
pub struct Collected {
    pub snapshots: Vec<Snapshot>,
    pub registry: Vec<RegistryRow>,
    pub commands: Vec<(TwinId, Command)>,
    pub deleted: Vec<TwinId>,
}

impl Host {
    /// Snapshots of everything that changed, all of it durable; `None` when a commit failed meanwhile and the flush must
    /// not move the checkpoint.
    pub async fn collect(self: Rc<Self>) -> Option<Collected> {
        let failures = self.lane.failures();
        let changed = std::mem::take(&mut *self.dirty.borrow_mut());
        let mut out = Collected::default();
        let mut suspect = false;
        for chunk in changed.chunks(SNAPSHOTS_AT_ONCE) {
            for body in chunk {
                suspect |= body.borrow().suspect;
                take_rows(body, &mut out);
            }
            tokio::task::yield_now().await;
        }
        if let Some(body) = changed.first() {
            self.lane.barrier(body).await;
        }
        *self.in_flush.borrow_mut() = changed;
        if suspect || self.lane.failures() != failures {
            // What was gathered may rest on what is lost; and who is suspect has durable events that no row shows yet.
            self.flushed(false);
            return None;
        }
        Some(out)
    }

    /// The flush that [`Self::collect`] was for is over.
    pub fn flushed(&self, written: bool) {
        let changed = std::mem::take(&mut *self.in_flush.borrow_mut());
        for body in changed {
            if written {
                let mut b = body.borrow_mut();
                if !b.extras().rows_in_flush.is_empty() {
                    b.extras_mut().rows_in_flush.clear();
                }
                b.tidy();
                continue;
            }
            self.again(&body);
        }
    }

    /// What was taken of a twin for a flush is to be written the next time.
    pub(super) fn again(&self, body: &SharedBody) {
        let mut b = body.borrow_mut();
        b.registry_dirty = true;
        if !b.extras().rows_in_flush.is_empty() {
            let extras = b.extras_mut();
            let taken = std::mem::take(&mut extras.rows_in_flush);
            let newer = std::mem::take(&mut extras.command_rows);
            extras.command_rows = taken.into_iter().chain(newer).collect();
        }
        // A suspect one was passed over and stands in no list any more, dirty as it is.
        if !b.dirty || b.suspect {
            b.dirty = true;
            self.dirty.borrow_mut().push(body.clone());
        }
    }
}

/// Moves what a flush must write of a changed twin into `out`.
pub(super) fn take_rows(body: &SharedBody, out: &mut Collected) {
    let mut b = body.borrow_mut();
    if !b.dirty || b.suspect {
        return;
    }
    b.dirty = false;
    if b.state.registered {
        out.snapshots.push(b.snapshot());
        if std::mem::take(&mut b.registry_dirty) {
            out.registry.push(registry_row(&b.id, &b.state));
        }
    }
    let id = b.id.clone();
    if !b.state.registered {
        out.deleted.push(id);
        return;
    }
    if !b.extras().command_rows.is_empty() {
        let extras = b.extras_mut();
        let rows = std::mem::take(&mut extras.command_rows);
        out.commands.extend(rows.values().map(|c| (id.clone(), c.clone())));
        extras.rows_in_flush.extend(rows);
    }
}
