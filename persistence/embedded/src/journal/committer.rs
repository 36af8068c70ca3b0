//! The journal's thread: takes what has queued, commits it as one frame, answers.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use bytes::Bytes;
use persistence::{
    backlog::Backlog,
    batch::{BATCH_BYTES_MAX, BATCH_TURNS_MAX},
};
use tokio::sync::mpsc;

use super::{Append, Shared, Work, frame::HEAD_BYTES, segments::Segments};
use crate::metrics;

/// Bytes that the buffer of a frame keeps after a larger one.
const BUFFER_BYTES_KEPT: usize = HEAD_BYTES + 2 * BATCH_BYTES_MAX;

pub struct Committer {
    segments: Segments,
    backlog: Arc<Backlog>,
    shared: Arc<Shared>,
    /// At least this lies between the starts of two commits, unless the frame is full before.
    spacing: Duration,
    begun: Option<Instant>,
    /// What goes into the next frame.
    appends: Vec<Append>,
    turns: usize,
    bytes: usize,
    buffer: Vec<u8>,
}

impl Committer {
    pub fn new(segments: Segments, backlog: Arc<Backlog>, shared: Arc<Shared>, spacing: Duration) -> Self {
        Self { segments, backlog, shared, spacing, begun: None, appends: Vec::new(), turns: 0, bytes: 0, buffer: Vec::new() }
    }

    pub fn run(mut self, mut queue: mpsc::UnboundedReceiver<Work>) {
        loop {
            let first = match queue.try_recv() {
                Ok(work) => work,
                Err(_) if self.segments.trim_step() => continue,
                Err(_) => match queue.blocking_recv() {
                    Some(work) => work,
                    None => break,
                },
            };
            self.take(first);
            self.gather(&mut queue);
            if !self.appends.is_empty() {
                if self.keep_distance() {
                    self.gather(&mut queue);
                }
                self.commit();
                self.segments.trim_step();
            }
        }
    }

    fn take(&mut self, work: Work) {
        match work {
            Work::Append(append) => {
                self.turns += append.turns;
                self.bytes += append.data.len();
                self.appends.push(append);
            }
            Work::Trim(through) => self.segments.trim(through),
            Work::Probe(answer) => {
                let result = self.segments.probe();
                self.shared.troubled.store(result.is_err(), Ordering::Relaxed);
                drop(answer.send(result));
            }
        }
    }

    fn is_full(&self) -> bool {
        self.turns >= BATCH_TURNS_MAX || self.bytes >= BATCH_BYTES_MAX
    }

    fn gather(&mut self, queue: &mut mpsc::UnboundedReceiver<Work>) {
        while !self.is_full()
            && let Ok(work) = queue.try_recv()
        {
            self.take(work);
        }
    }

    /// Waits until a commit may begin; whether it had to. Nothing that queues meanwhile wakes it: that is what is saved.
    fn keep_distance(&self) -> bool {
        let Some(due) = self.begun.map(|begun| begun + self.spacing).filter(|_| !self.spacing.is_zero() && !self.is_full()) else {
            return false;
        };
        let mut waited = false;
        while let Some(left) = due.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            std::thread::park_timeout(left);
            waited = true;
        }
        waited
    }

    fn commit(&mut self) {
        let begun = Instant::now();
        self.begun = Some(begun);
        let (turns, bytes) = (std::mem::take(&mut self.turns), std::mem::take(&mut self.bytes));
        let left = self.shared.queued_turns.fetch_sub(turns as u64, Ordering::Relaxed);
        metrics::queued(left.saturating_sub(turns as u64));
        self.fill_buffer(bytes);
        let result = self.segments.append(turns, &mut self.buffer);
        self.shared.troubled.store(result.is_err(), Ordering::Relaxed);
        match &result {
            Ok(id) => {
                metrics::committed(begun.elapsed(), turns, bytes);
                let data = self.committed_data();
                self.backlog.push(*id, data, turns);
                metrics::backlog(self.backlog.bytes());
            }
            Err(error) => {
                metrics::failed("append", error);
                tracing::warn!(%error, turns, "a journal frame was not committed");
            }
        }
        // A caller that gave up does not want to know.
        self.appends.drain(..).for_each(|a| drop(a.answer.send(result.clone().map(drop))));
    }

    fn fill_buffer(&mut self, bytes: usize) {
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_BYTES_KEPT);
        self.buffer.reserve_exact(HEAD_BYTES + bytes);
        self.buffer.resize(HEAD_BYTES, 0);
        self.appends.iter().for_each(|a| self.buffer.extend_from_slice(&a.data));
    }

    /// The turns of the frame just written, without a further copy: those of a single append are there already, and those of
    /// several stand side by side in the buffer, which is given away for them.
    fn committed_data(&mut self) -> Bytes {
        match &mut self.appends[..] {
            [only] => std::mem::take(&mut only.data),
            _ => Bytes::from(std::mem::take(&mut self.buffer)).slice(HEAD_BYTES..),
        }
    }
}
