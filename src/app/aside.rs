//! What a server does once another has taken its store over: it lets go of everything and only says so, until somebody ends it.
//!
//! It does not end by itself: whatever starts it again would make it take over in its turn, and two servers on one keyspace by mistake
//! would take it from one another for ever.

use std::sync::Arc;

use actors::Twins;
use persistence::Store;
use tokio::task::JoinHandle;

use super::doors::Doors;

/// Waits for it; dropping this ends the wait.
pub struct Watch(JoinHandle<()>);

impl Watch {
    pub fn start(store: Arc<dyn Store>, twins: Twins, doors: &Doors) -> Self {
        let (api, sessions) = doors.aside();
        Self(tokio::spawn(async move {
            let why = store.taken_over().await;
            tracing::error!(%why, "this server stands aside and serves no more; stop it");
            api.begin();
            sessions.close().await;
            // Nothing it still holds can become durable.
            twins.shutdown().await;
        }))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}
