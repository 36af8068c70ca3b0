//! Looks now and then whether another process has taken the logs over: one that appends nothing would not notice, and would answer
//! reads of what is another's by now. Takes the next epoch as well, when the stamps of this one come to their end.
//!
//! Whoever takes over begins with log 0. An ordinary read is enough: it sees a transaction that a majority has, and the next look sees
//! one that it missed. Safety does not hang on it, the fence is the append.

use std::{sync::Arc, time::Duration};

use persistence::{Error, metrics};

use super::{Shared, cells::CqlCells};
use crate::fence::{self, Head, Lost};

pub struct Watch {
    pub cells: CqlCells,
    /// As it was claimed.
    pub mine: Head,
    pub shared: Arc<Shared>,
}

impl Watch {
    /// Fails when the cluster does not answer, and when it says that another process owns the log.
    pub async fn look(&self) -> Result<(), Error> {
        self.shared.fence.check()?;
        match self.cells.peek_head().await? {
            Some(now) if now.owner != self.mine.owner && now.epoch > self.mine.epoch => {
                Err(self.shared.fence.raise(self.cells.log, &format!("its epoch is {} now and was {}", now.epoch, self.mine.epoch)))
            }
            _ => self.shared.fence.check(),
        }
    }

    /// Looks until the fence is raised. A cluster that does not answer says nothing about who owns it.
    pub async fn run(self: Arc<Self>, every: Duration) {
        let mut latest = self.mine;
        while self.shared.fence.check().is_ok() {
            tokio::time::sleep(every).await;
            if self.look().await.is_ok() && self.cells.cql.stamps.wants_epoch() {
                latest = self.renew(latest).await;
            }
        }
    }

    async fn renew(&self, latest: Head) -> Head {
        let renewed = match fence::renew(&self.cells, latest).await {
            Ok(head) => self.cells.cql.stamps.begin(head.epoch).map(|()| head),
            Err(Lost::Fenced(why)) => Err(self.shared.fence.raise(self.cells.log, &why)),
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
                latest
            }
        }
    }
}
