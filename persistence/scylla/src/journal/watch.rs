//! Looks now and then whether another process has taken the logs over: one that appends nothing would not notice, and would answer
//! reads of what is another's by now.
//!
//! Whoever takes over begins with log 0. An ordinary read is enough: it sees a transaction that a majority has, and the next look sees
//! one that it missed. Safety does not hang on it, the fence is the append.

use std::{sync::Arc, time::Duration};

use persistence::Error;

use super::{Shared, cells::CqlCells};
use crate::fence::Head;

pub struct Watch {
    pub cells: CqlCells,
    pub mine: Head,
    pub shared: Arc<Shared>,
}

impl Watch {
    /// Fails when the cluster does not answer, and when it says that another process owns the log.
    pub async fn look(&self) -> Result<(), Error> {
        match self.cells.peek_head().await? {
            Some(now) if now.epoch > self.mine.epoch => {
                Err(self.shared.fence.raise(self.cells.log, &format!("its epoch is {} now and was {}", now.epoch, self.mine.epoch)))
            }
            _ => self.shared.fence.check(),
        }
    }

    /// Looks until the fence is raised. A cluster that does not answer says nothing about who owns it.
    pub async fn run(self: Arc<Self>, every: Duration) {
        while self.shared.fence.check().is_ok() {
            tokio::time::sleep(every).await;
            let _ = self.look().await;
        }
    }
}
