//! The gate that devices' messages pass: shut while projections are too far behind the journal.
//!
//! Open, it costs one read of a flag. Shut, messages wait before their twin's mailbox, sessions stop reading, and sockets
//! push back; nothing is refused and nothing is lost. Messages that waited go before those that come later.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{RwLock, RwLockWriteGuard};

#[derive(Default)]
pub struct Intake {
    shut: AtomicBool,
    queue: RwLock<()>,
}

impl Intake {
    pub fn is_open(&self) -> bool {
        !self.shut.load(Ordering::Acquire)
    }

    /// Returns when messages are taken.
    pub async fn pass(&self) {
        if !self.is_open() {
            drop(self.queue.read().await);
        }
    }

    pub async fn shut(&self) -> RwLockWriteGuard<'_, ()> {
        metrics::counter!("twinfold_intake_shut_total").increment(1);
        self.shut.store(true, Ordering::Release);
        self.queue.write().await
    }

    /// Lets in who waits, in the order they came, and only then those who come now: the lock is fair, so getting it once
    /// more means that everybody who stood before has passed.
    pub async fn open(&self, shut: RwLockWriteGuard<'_, ()>) {
        drop(shut);
        drop(self.queue.write().await);
        self.shut.store(false, Ordering::Release);
    }
}
