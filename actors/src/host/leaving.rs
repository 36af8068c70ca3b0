//! How a twin leaves a thread: for its row, for another thread, or for good.

use std::rc::Rc;

use hierarchy_models::TwinId;
use persistence::Projection;

use super::{
    Host,
    rows::{Collected, take_rows},
};
use crate::{
    body::SharedBody,
    device::{CloseReason, Downlink},
    directory::TwinRef,
    seats::Seat,
};

impl Host {
    /// Sends a twin out of memory: writes it, stops its actor, frees its entry. `false` when it has to stay.
    /// With `only_idle` also when somebody needs it by now.
    pub async fn evict(self: Rc<Self>, id: TwinId, twin: TwinRef, only_idle: bool) -> bool {
        let directory = &self.runtime.directory;
        let Some(gate) = directory.begin_move(&id, twin) else { return false };
        let stay = |body: &SharedBody| {
            body.borrow_mut().leaving = false;
            directory.settle(&id, &gate, Some(twin));
            false
        };
        let Some(body) = self.body_at(twin.seat) else {
            directory.settle(&id, &gate, None);
            return true;
        };
        if body.borrow().waiting || (only_idle && !body.borrow().is_idle()) {
            return stay(&body);
        }
        self.pass_on(&body);
        body.borrow_mut().leaving = true;
        let _shared = self.runtime.rows.read().await;
        while body.borrow().pending > 0 {
            self.lane.barrier(&body).await;
        }
        if body.borrow().suspect || body.borrow().waiting {
            return stay(&body);
        }
        if body.borrow().dirty {
            let mut rows = Collected::default();
            take_rows(&body, &mut rows);
            let Collected { snapshots, registry, commands, deleted } = rows;
            let projection = Projection { through: None, snapshots, registry, commands, deleted };
            if let Err(error) = self.runtime.store.project(projection).await {
                tracing::warn!(twin = %id, %error, "the twin cannot be written and stays in memory");
                self.again(&body);
                return stay(&body);
            }
        }
        let linked = body.borrow_mut().unlink();
        let handed = body.borrow_mut().extras_mut().handed_before.split_off(0);
        if !handed.is_empty() {
            self.runtime.handed.lock().insert(id.clone(), handed);
        }
        if let Some(linked) = linked {
            let _ = linked.link.deliver(&id, Downlink::Close(CloseReason::TakenOver));
        }
        self.stand_up(twin.seat);
        directory.settle(&id, &gate, None);
        true
    }

    /// Forgets a twin that is unregistered.
    pub fn forget(&self, twin: TwinRef) {
        if let Some(body) = self.stand_up(twin.seat) {
            let mut b = body.borrow_mut();
            b.leaving = true;
            b.dirty = false;
        }
    }

    /// Frees a seat. Letters that wait in its mailbox, and those that come, return to their senders.
    fn stand_up(&self, seat: Seat) -> Option<SharedBody> {
        let body = self.seats.borrow_mut().leave(seat)?;
        let waiting = std::mem::take(&mut body.borrow_mut().extras_mut().mailbox);
        drop(waiting);
        Some(body)
    }
}
