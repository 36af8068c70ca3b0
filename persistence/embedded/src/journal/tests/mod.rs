//! The journal's files without a thread before them: small segments in a folder of the test's own, bytes changed by hand.

#![allow(clippy::unwrap_used)]

mod moving;
mod property;
mod recovering;
mod torn;
mod writing;

use std::{
    fs,
    path::{Path, PathBuf},
};

use persistence::Error;
use tempfile::TempDir;

use super::{
    frame::HEAD_BYTES,
    recovery::{self, Recovered},
    segment::{self, HEADER_BYTES},
    segments::{Limits, Segments},
    shelf::View,
};

/// Small enough that a few frames fill a segment.
const SMALL: Limits = Limits { segment_bytes: 1_000, step_bytes: 256, bytes_max: None };

struct Place {
    dir: TempDir,
    limits: Limits,
}

impl Place {
    fn new() -> Self {
        Self::with(SMALL)
    }

    fn with(limits: Limits) -> Self {
        // In memory where there is such a place: these tests sync thousands of times.
        let in_memory = Path::new("/dev/shm");
        let dir = if in_memory.is_dir() { tempfile::tempdir_in(in_memory) } else { tempfile::tempdir() };
        Self { dir: dir.unwrap(), limits }
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("journal")
    }

    fn open(&self, checkpoint: u64) -> Segments {
        self.try_open(checkpoint).unwrap().segments
    }

    fn try_open(&self, checkpoint: u64) -> Result<Recovered, Error> {
        recovery::open(&self.folder(), checkpoint, self.limits)
    }

    /// What a start says about damage.
    fn damage(&self, checkpoint: u64) -> String {
        match self.try_open(checkpoint).map(|_| "nothing is damaged") {
            Err(Error::Damaged { detail, .. }) => detail,
            other => panic!("{other:?}"),
        }
    }

    fn bytes(&self, first: u64) -> Vec<u8> {
        fs::read(segment::path(&self.folder(), first)).unwrap()
    }

    fn set_bytes(&self, first: u64, bytes: &[u8]) {
        fs::write(segment::path(&self.folder(), first), bytes).unwrap();
    }

    /// First ids of the files, ascending.
    fn files(&self) -> Vec<u64> {
        let names = fs::read_dir(self.folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut firsts: Vec<u64> = names.map(|name| segment::first_of(&name).unwrap_or_else(|| panic!("{name}"))).collect();
        firsts.sort_unstable();
        firsts
    }
}

/// The turns of a frame, as the tests write it.
fn data(salt: u64, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (salt * 31 + n as u64) as u8 | 1).collect()
}

fn append(segments: &mut Segments, salt: u64, bytes: usize) -> Result<u64, Error> {
    segments.append(1, &mut [vec![0; HEAD_BYTES], data(salt, bytes)].concat())
}

/// Frames of `bytes` bytes, each salted with its id, up to `last`.
fn fill(segments: &mut Segments, last: u64, bytes: usize) {
    while segments.next_id() <= last {
        let id = segments.next_id();
        assert_eq!(append(segments, id, bytes).unwrap(), id);
    }
}

fn frames_in(view: &View, after: u64) -> Result<Vec<(u64, Vec<u8>)>, Error> {
    let mut found = Vec::new();
    view.read(after, u64::MAX, |id, data| {
        found.push((id, data.to_vec()));
        Ok(true)
    })?;
    Ok(found)
}

fn frames(segments: &Segments, after: u64) -> Vec<(u64, Vec<u8>)> {
    frames_in(&segments.shelf.view().unwrap(), after).unwrap()
}

/// What [`frames`] gives for ids salted with themselves.
fn salted(ids: std::ops::RangeInclusive<u64>, bytes: usize) -> Vec<(u64, Vec<u8>)> {
    ids.map(|id| (id, data(id, bytes))).collect()
}

fn trim(segments: &mut Segments, through: u64) {
    segments.trim(through);
    while segments.trim_step() {}
}

/// Where frame `n` of a segment begins when all have `bytes` bytes of turns.
fn start(n: usize, bytes: usize) -> usize {
    HEADER_BYTES as usize + (n - 1) * (HEAD_BYTES + bytes)
}
