//! What a reader saw of a resident twin, so that it can find out cheaply whether the same would be seen again.
//!
//! A twin is as it was seen when it is the same body in memory and nobody has had it to change it meanwhile. That is asked of its lock
//! ([`TwinCell::borrow_mut`] counts), so nothing that changes a twin can forget to say so. Lost: comparing the twin's event
//! number, which roll-ups, a moved ancestor and an end of quarantine do not move.

use std::sync::{Arc, Weak};

use crate::body::{Body, SharedBody, TwinCell};

/// A twin in memory at one moment. It keeps the body's place in memory, empty once the twin has left, so that no other body can stand there.
#[derive(Clone)]
pub struct Sighting {
    cell: Weak<TwinCell>,
    revision: u64,
}

impl Sighting {
    pub(crate) fn new(cell: &SharedBody, body: &Body) -> Self {
        Self { cell: Arc::downgrade(cell), revision: body.revision }
    }

    /// Whether this is that body, and untouched.
    pub(crate) fn is_of(&self, cell: &SharedBody, body: &Body) -> bool {
        self.revision == body.revision && std::ptr::eq(self.cell.as_ptr(), Arc::as_ptr(cell))
    }
}
