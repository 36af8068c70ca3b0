//! Looks now and then whether another process has taken the logs over: one that appends nothing would not notice, and would answer
//! reads of what is another's by now. Takes the next epoch as well, when the stamps of this one come to their end.
//!
//! Whoever takes over begins with log 0. An ordinary read is enough: it sees a transaction that a majority has, and the next look sees
//! one that it missed. Safety does not hang on it, the fence is the append.

use std::{sync::Arc, time::Duration};

use persistence::{Error, metrics};

use super::{Shared, cells::CqlCells};
use crate::fence::{self, Head, Lost};

/// Raises the fence when somebody else has claimed the log since; the error says that, or that it cannot be known.
pub async fn look(cells: &CqlCells, mine: Head, shared: &Shared) -> Result<(), Error> {
    let head = cells.peek_head().await?;
    match head.filter(|now| now.owner != mine.owner && now.epoch > mine.epoch) {
        Some(now) => Err(shared.fence.raise(cells.log, &format!("its epoch is {} now and was {}", now.epoch, mine.epoch))),
        None => Ok(()),
    }
}

/// Runs until the fence is raised.
pub async fn watch(cells: CqlCells, mut mine: Head, shared: Arc<Shared>, every: Duration) {
    while shared.fence.check().is_ok() {
        tokio::time::sleep(every).await;
        // A cluster that does not answer says nothing about who owns it.
        if look(&cells, mine, &shared).await.is_ok() && cells.cql.stamps.wants_epoch() {
            mine = renew(&cells, mine, &shared).await;
        }
    }
}

async fn renew(cells: &CqlCells, mine: Head, shared: &Shared) -> Head {
    let renewed = match fence::renew(cells, mine).await {
        Ok(head) => cells.cql.stamps.begin(head.epoch).map(|()| head),
        Err(Lost::Fenced(why)) => Err(shared.fence.raise(cells.log, &why)),
        Err(Lost::Unknown(error)) => Err(error),
    };
    match renewed {
        Ok(head) => {
            tracing::info!(epoch = head.epoch, "went on in the next epoch");
            head
        }
        Err(error) => {
            // The next look tries again; there is room for it.
            metrics::failed("renew", &error);
            mine
        }
    }
}
