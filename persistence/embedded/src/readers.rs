//! Connections that only read, lent one at a time to blocking threads, so that no read holds up a reactor or a writer.

use std::{path::PathBuf, sync::Arc};

use parking_lot::Mutex;
use persistence::Error;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::sqlite;

/// Readers of one database file; clones are the same pool.
#[derive(Clone)]
pub struct Readers {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    turns: Semaphore,
}

impl Readers {
    /// At most `readers_max` reads run at once; further ones wait for their turn.
    pub fn new(path: PathBuf, readers_max: usize) -> Self {
        Self { shared: Arc::new(Shared { path, idle: Mutex::default(), turns: Semaphore::new(readers_max.max(1)) }) }
    }

    /// Runs `read` on a blocking thread.
    pub async fn run<T: Send + 'static>(&self, read: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
        let doing = "reading";
        let gone = |detail: String| Error::Unavailable { doing, detail };
        let _turn = self.shared.turns.acquire().await.map_err(|_| gone("the store is closed".into()))?;
        let readers = self.clone();
        let work = tokio::task::spawn_blocking(move || readers.with(read));
        work.await.map_err(|e| gone(e.to_string()))?
    }

    /// Runs `read` here and now, for threads that may block.
    pub fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let idle = self.shared.idle.lock().pop();
        let conn = match idle {
            Some(conn) => conn,
            None => sqlite::open_reader(&self.shared.path)?,
        };
        let result = read(&conn);
        // One that failed may be in a state of its own; a new one costs little.
        if result.is_ok() && !self.shared.turns.is_closed() {
            self.shared.idle.lock().push(conn);
        }
        result
    }

    /// Lets go of the file; reads that have not begun fail.
    pub fn close(&self) {
        self.shared.turns.close();
        self.shared.idle.lock().clear();
    }
}
