//! How a twin leaves a thread: for its row, for another thread, or for good.

use std::{rc::Rc, sync::Arc};

use hierarchy_models::TwinId;
use parking_lot::Mutex;
use persistence::Projection;
use tokio::sync::RwLockReadGuard;

use super::{
    Host, HostHandle,
    rows::{Collected, take_rows},
};
use crate::{
    actor::mark_rollup,
    background::alerts_and_calls,
    body::{Body, Luggage, SharedBody, TwinCell},
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
        let stay = || {
            directory.settle(&id, &gate, Some(twin));
            false
        };
        let Some(body) = self.body_at(twin.seat) else {
            directory.settle(&id, &gate, None);
            return true;
        };
        if only_idle && !body.borrow().is_idle() {
            return stay();
        }
        let Some(_shared) = self.come_to_rest(&body).await else { return stay() };
        if body.borrow().dirty {
            let mut rows = Collected::default();
            take_rows(&body, &mut rows);
            let Collected { snapshots, registry, commands, deleted } = rows;
            let projection = Projection { through: None, snapshots, registry, commands, deleted };
            let written = match alerts_and_calls(&self.runtime).await {
                Ok(()) => self.runtime.store.project(projection).await,
                Err(error) => Err(error),
            };
            if let Err(error) = written {
                tracing::warn!(twin = %id, %error, "the twin cannot be written and stays in memory");
                self.again(&body);
                body.borrow_mut().leaving = false;
                return stay();
            }
        }
        self.let_go_of_link(&id, &body);
        let handed = body.borrow_mut().extras_mut().handed_before.split_off(0);
        if !handed.is_empty() {
            self.runtime.handed.lock().insert(id.clone(), handed);
        }
        self.stand_up(twin.seat);
        directory.settle(&id, &gate, None);
        true
    }

    /// Moves a twin to another thread as it is, without the store; `None` when it has to stay. With `only_unlinked` also when a
    /// socket is linked to it by now.
    pub async fn move_to(self: Rc<Self>, id: TwinId, twin: TwinRef, to: HostHandle, only_unlinked: bool) -> Option<TwinRef> {
        let directory = &self.runtime.directory;
        let gate = directory.begin_move(&id, twin)?;
        // An address that nobody sits at any more goes, as in `evict`: who asks next starts the twin anew.
        let Some(body) = self.body_at(twin.seat) else {
            directory.settle(&id, &gate, None);
            return None;
        };
        let Some(_shared) = self.come_to_rest(&body).await else {
            directory.settle(&id, &gate, Some(twin));
            return None;
        };
        if only_unlinked && body.borrow().linked.is_some() {
            body.borrow_mut().leaving = false;
            directory.settle(&id, &gate, Some(twin));
            return None;
        }
        self.let_go_of_link(&id, &body);
        self.stand_up(twin.seat);
        // In a box of its own, for the case that the other thread is gone.
        let luggage = Arc::new(Mutex::new(Some(body.borrow_mut().pack())));
        let carried = luggage.clone();
        let unpacked = to.call(move |host| async move { carried.lock().take().map(|luggage| host.arrive(luggage)) }).await.flatten();
        let back = || luggage.lock().take().map(|luggage| self.arrive(luggage));
        let there = unpacked.or_else(back);
        directory.settle(&id, &gate, there);
        there
    }

    /// Seats a twin that comes from another thread.
    fn arrive(self: &Rc<Self>, luggage: Luggage) -> TwinRef {
        let (body, end) = Body::unpack(self, luggage);
        let is_dirty = body.dirty;
        let body = TwinCell::new(body);
        let seat = self.seats.write().seat(body.clone());
        if is_dirty {
            self.dirty.borrow_mut().push(body.clone());
        }
        mark_rollup(&body);
        self.first_letter(&body, end);
        TwinRef { host: self.id, seat }
    }

    /// Nothing new is decided, and all that was is durable: no flush gathers rows while the guard is held. `None` when the twin
    /// is not to be trusted or is being read back, and stays.
    async fn come_to_rest(self: &Rc<Self>, body: &SharedBody) -> Option<RwLockReadGuard<'_, ()>> {
        if body.borrow().waiting {
            return None;
        }
        self.pass_on(body);
        body.borrow_mut().leaving = true;
        let shared = self.runtime.rows.read().await;
        while body.borrow().pending > 0 {
            self.lane.barrier(body).await;
        }
        if body.borrow().suspect || body.borrow().waiting {
            body.borrow_mut().leaving = false;
            return None;
        }
        Some(shared)
    }

    fn let_go_of_link(&self, id: &TwinId, body: &SharedBody) {
        if let Some(linked) = body.borrow_mut().unlink() {
            let _ = linked.link.deliver(id, Downlink::Close(CloseReason::TakenOver));
        }
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
        let body = self.seats.write().leave(seat)?;
        let waiting = std::mem::take(&mut body.borrow_mut().extras_mut().mailbox);
        drop(waiting);
        Some(body)
    }
}
