//! What can be set on this store. Every bound has its unit in its name.

/// Settings of an [`crate::EmbeddedStore`]; the defaults suit a machine of a few cores.
#[derive(Debug, Clone)]
pub struct Options {
    /// Reads that run at once on each database file.
    pub readers_max: usize,
    /// Bytes of turns that wait for a commit before further appends wait to queue.
    pub queue_bytes_max: usize,
    /// Bytes of committed but unprojected turns kept in memory; older ones are read from disk again when needed.
    pub backlog_memory_bytes_max: u64,
    /// Pages of 4 KiB that `journal.db` may grow to; as the disk allows when absent.
    pub journal_pages_max: Option<u32>,
    /// Pages of 4 KiB that `state.db` may grow to; as the disk allows when absent.
    pub state_pages_max: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            readers_max: 4,
            queue_bytes_max: 32 * 1024 * 1024,
            backlog_memory_bytes_max: 64 * 1024 * 1024,
            journal_pages_max: None,
            state_pages_max: None,
        }
    }
}
