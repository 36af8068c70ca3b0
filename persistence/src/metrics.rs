//! Names of the metrics that a durable store reports, and the few lines that report them.

use std::time::{Duration, Instant};

use metrics::{counter, gauge, histogram};

use crate::error::Error;

/// A commit of a frame: its time, and what was in it.
pub fn committed(took: Duration, turns: usize, bytes: usize) {
    histogram!("twinfold_journal_commit_seconds").record(took);
    histogram!("twinfold_journal_frame_turns").record(turns as f64);
    histogram!("twinfold_journal_frame_bytes").record(bytes as f64);
}

/// Turns that wait for a commit.
pub fn queued(turns: u64) {
    gauge!("twinfold_journal_queue_turns").set(turns as f64);
}

/// Bytes of committed turns that no checkpoint covers.
pub fn backlog(bytes: u64) {
    gauge!("twinfold_store_backlog_bytes").set(bytes as f64);
}

/// A flush of projections.
pub fn flushed(since: Instant) {
    histogram!("twinfold_projection_flush_seconds").record(since.elapsed());
}

/// Whether this process owns the store: no longer, once another has taken it over.
pub fn owned(owned: bool) {
    gauge!("twinfold_store_owned").set(f64::from(u8::from(owned)));
}

/// Copies of each row that the cluster keeps.
pub fn copies(copies: usize) {
    gauge!("twinfold_store_copies").set(copies as f64);
}

/// A write that failed.
pub fn failed(what: &'static str, error: &Error) {
    let kind = match error {
        Error::Full { .. } => "full",
        Error::Unavailable { .. } => "unavailable",
        Error::Damaged { .. } => "damaged",
        Error::TooNew { .. } => "too_new",
        Error::InUse { .. } => "in_use",
        Error::BadCursor => "bad_cursor",
        Error::Refused(_) => "refused",
    };
    counter!("twinfold_store_errors_total", "what" => what, "kind" => kind).increment(1);
}
