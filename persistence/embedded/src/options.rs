//! What can be set on this store. Every bound has its unit in its name.

use std::time::Duration;

/// Settings of an [`crate::EmbeddedStore`]; the defaults suit a machine of a few cores.
#[derive(Debug, Clone)]
pub struct Options {
    /// Reads that run at once on each database file.
    pub readers_max: usize,
    /// Bytes of turns that wait for a commit before further appends wait to queue.
    pub queue_bytes_max: usize,
    /// Bytes of committed but unprojected turns kept in memory; older ones are read from disk again when needed.
    pub backlog_memory_bytes_max: u64,
    /// Bytes that the files of the journal may grow to together; as the disk allows when absent.
    pub journal_bytes_max: Option<u64>,
    /// A commit does not begin sooner than this after the start of the one before, so that more share its sync, unless its frame
    /// is full; an idle store commits at once. Zero: as soon as the one before has ended.
    pub commit_spacing: Duration,
    /// Pages of 4 KiB that `state.db` may grow to; as the disk allows when absent.
    pub state_pages_max: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            readers_max: 4,
            queue_bytes_max: 32 * 1024 * 1024,
            backlog_memory_bytes_max: 64 * 1024 * 1024,
            journal_bytes_max: None,
            commit_spacing: Duration::ZERO,
            state_pages_max: None,
        }
    }
}
