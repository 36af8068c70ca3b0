//! The allocator's figures, and whose turn it is to look at them.

use std::{
    ops::Sub,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::ALLOCATOR;

/// What was allocated since the process began, by all threads together.
#[derive(Debug, Clone, Copy)]
pub struct Allocated {
    /// A block that grows or shrinks in place counts like a new one: the allocator was asked.
    pub calls: usize,
    /// Bytes asked for, whether given back or not.
    pub bytes: usize,
    /// Bytes in use.
    pub current: usize,
}

pub fn now() -> Allocated {
    let stats = ALLOCATOR.stats();
    Allocated {
        calls: stats.allocations + stats.reallocations,
        bytes: stats.bytes_allocated,
        current: stats.bytes_allocated.saturating_sub(stats.bytes_deallocated),
    }
}

impl Sub for Allocated {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self { calls: self.calls - before.calls, bytes: self.bytes - before.bytes, current: self.current.saturating_sub(before.current) }
    }
}

/// Held by a test for as long as it runs: the allocator counts for the whole process.
pub fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    // A test that failed has left nothing behind that the next one could trip over.
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
