//! How a twin leaves a thread: for its row, for another thread, or for good.

use std::rc::Rc;

use persistence::Projection;

use super::{
    Host,
    rows::{Collected, take_rows},
};
use crate::{
    actor::Stop,
    body::SharedBody,
    device::{CloseReason, Downlink},
    directory::TwinRef,
};

impl Host {
    /// Sends a twin out of memory: writes it, stops its actor, frees its entry. `false` when it has to stay.
    /// With `only_idle` also when somebody needs it by now.
    pub async fn evict(self: Rc<Self>, twin: TwinRef, only_idle: bool) -> bool {
        let directory = &self.runtime.directory;
        let Some(gate) = directory.begin_move(&twin) else { return false };
        let stay = |body: &SharedBody| {
            body.borrow_mut().leaving = false;
            directory.settle(&twin.id, &gate, Some(twin.clone()));
            false
        };
        let Some(body) = self.body_of(&twin.id) else {
            directory.settle(&twin.id, &gate, None);
            return true;
        };
        if body.borrow().falling || (only_idle && !body.borrow().is_idle()) {
            return stay(&body);
        }
        self.pass_on(&body);
        body.borrow_mut().leaving = true;
        let _shared = self.runtime.rows.read().await;
        while body.borrow().pending > 0 {
            self.lane.barrier(&body).await;
        }
        if body.borrow().suspect {
            return stay(&body);
        }
        if body.borrow().dirty {
            let mut rows = Collected::default();
            take_rows(&body, &mut rows);
            let Collected { snapshots, registry, commands, deleted } = rows;
            let projection = Projection { through: None, snapshots, registry, commands, deleted };
            if let Err(error) = self.runtime.store.project(projection).await {
                tracing::warn!(twin = %twin.id, %error, "the twin cannot be written and stays in memory");
                self.again(&body);
                return stay(&body);
            }
        }
        let linked = body.borrow_mut().unlink();
        let handed = std::mem::take(&mut body.borrow_mut().handed_before);
        if !handed.is_empty() {
            self.runtime.handed.lock().insert(twin.id.clone(), handed);
        }
        if let Some(linked) = linked {
            let _ = linked.link.deliver(&twin.id, Downlink::Close(CloseReason::TakenOver));
        }
        twin.addr.do_send(Stop);
        // The actor and its body know each other: let go.
        body.borrow_mut().addr = None;
        self.twins.borrow_mut().remove(&twin.id);
        directory.settle(&twin.id, &gate, None);
        true
    }

    /// Forgets a twin that is unregistered.
    pub fn forget(&self, twin: &TwinRef) {
        let is_it = |b: &SharedBody| b.borrow().addr.as_ref() == Some(&twin.addr);
        if let Some(body) = self.body_of(&twin.id).filter(is_it) {
            self.twins.borrow_mut().remove(&twin.id);
            let mut b = body.borrow_mut();
            b.leaving = true;
            b.dirty = false;
            b.addr = None;
        }
        twin.addr.do_send(Stop);
    }
}
