//! What must follow a change that no message carries: a snapshot behind, figures upward, a wake in time.

use crate::body::{Body, SharedBody};

/// The twin has changed: its snapshot must be written behind, its parent told.
pub fn mark(body: &SharedBody) {
    let mut b = body.borrow_mut();
    if !b.dirty {
        b.dirty = true;
        b.host().dirty.borrow_mut().push(body.clone());
    }
    drop(b);
    mark_rollup(body);
}

pub fn mark_rollup(body: &SharedBody) {
    let mut b = body.borrow_mut();
    if !b.rollup_dirty {
        b.rollup_dirty = true;
        b.host().rollup_dirty.borrow_mut().push(body.clone());
    }
}

/// Sees to it that the twin is woken in time, in memory or not. Whether that is sooner than was known.
pub fn register_wake(b: &mut Body) -> bool {
    if let Some(at) = b.wake_at()
        && b.wake_registered.is_none_or(|known| at < known)
    {
        b.wake_registered = Some(at);
        b.runtime().wakes.push(at, b.id.clone());
        return true;
    }
    false
}

/// After a twin was read back: it is changed, whether a list knows it or not.
pub fn relist(body: &SharedBody) {
    body.borrow_mut().dirty = false;
    mark(body);
    register_wake(&mut body.borrow_mut());
}
