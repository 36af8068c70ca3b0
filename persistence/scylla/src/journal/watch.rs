//! Looks now and then whether another process has taken the logs over: one that appends nothing would not notice, and would answer
//! reads of what is another's by now.
//!
//! Whoever takes over begins with log 0. An ordinary read is enough: it sees a transaction that a majority has, and the next look sees
//! one that it missed. Safety does not hang on it, the fence is the append.

use std::{sync::Arc, time::Duration};

use super::{Shared, cells::CqlCells};
use crate::fence::Head;

/// Runs until the fence is raised.
pub async fn watch(cells: CqlCells, mine: Head, shared: Arc<Shared>, every: Duration) {
    while shared.fence.check().is_ok() {
        tokio::time::sleep(every).await;
        // A cluster that does not answer says nothing about who owns it.
        if let Ok(Some(now)) = cells.peek_head().await
            && now.epoch > mine.epoch
        {
            shared.fence.raise(cells.log, &format!("its epoch is {} now and was {}", now.epoch, mine.epoch));
        }
    }
}
