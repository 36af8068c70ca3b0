//! Opens the journal's folder: finds the frames that the checkpoint does not cover, and tells a torn tail from damage.
//!
//! A segment counts up to where the next one begins, and there it must be whole: what a failed commit may have left behind its
//! end does not count. In the last one the end is the first place without a whole frame of the next id. As each frame is synced
//! before the next is written, only the very last can be torn: a whole frame anywhere behind that place means that one was lost,
//! and the same is so when the end lies before the checkpoint. Neither is cut off silently.

use std::{collections::VecDeque, fs, io, os::unix::fs::FileExt, path::Path, sync::Arc};

use persistence::Error;

use super::{
    frame::{self, HEAD_BYTES},
    segment::{HEADER_BYTES, Segment, UNFINISHED, first_of, name, path},
    segments::{Limits, SPARES_MAX, Segments},
    shelf::Shelf,
};
use crate::files::{failed, sync_folder};

const OPENING: &str = "opening the journal";

pub struct Recovered {
    pub segments: Segments,
    /// Bytes of turns in frames that the checkpoint does not cover.
    pub backlog_bytes: u64,
}

/// The journal in `folder`, which is made when nothing was ever projected.
pub fn open(folder: &Path, checkpoint: u64, limits: Limits) -> Result<Recovered, Error> {
    let mut firsts = segments_in(folder)?;
    if firsts.is_empty() && checkpoint == 0 {
        make(folder, 1)?;
        firsts.push(1);
    }
    let Some(needed) = firsts.iter().rposition(|first| *first <= checkpoint + 1) else {
        return Err(damaged(format!("no file in {} has frame {}", folder.display(), checkpoint + 1)));
    };
    let (mut shelf, mut bytes, mut backlog_bytes) = (VecDeque::new(), 0, 0);
    let mut buffer = Vec::new();
    for (at, first) in firsts.iter().enumerate().skip(needed) {
        let segment = Segment::open(folder, *first)?;
        read_whole(folder, &segment, &mut buffer)?;
        backlog_bytes += scan(&segment, &buffer, firsts.get(at + 1).copied(), checkpoint)?;
        bytes += buffer.len() as u64;
        shelf.push_back(Arc::new(segment));
    }
    if let Some(last) = shelf.back() {
        if last.next_id() <= checkpoint {
            return Err(damaged(format!("frame {} in {} is not whole, and was projected", last.next_id(), name(last.first))));
        }
        // The last process may have ended between its write and its sync: what is read from now on must outlive a power cut.
        last.file.sync_data().map_err(failed(OPENING, folder))?;
    }
    let spares = spares(folder, &firsts[..needed], limits);
    bytes += spares.iter().filter_map(|spare| spare.file_bytes().ok()).sum::<u64>();
    let segments = Segments::new(folder, limits, Shelf::new(shelf), spares, bytes, checkpoint)?;
    Ok(Recovered { segments, backlog_bytes })
}

/// A journal without frames whose first will be `first`.
pub fn make(folder: &Path, first: u64) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(failed("making the journal's folder", folder))?;
    if let Some(above) = folder.parent() {
        sync_folder(above)?;
    }
    Segment::create(folder, first)?;
    sync_folder(folder)
}

/// First ids of the segments, ascending.
fn segments_in(folder: &Path) -> Result<Vec<u64>, Error> {
    let failed = failed(OPENING, folder);
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(&failed)?,
    };
    let mut firsts = Vec::new();
    for entry in entries {
        let entry = entry.map_err(&failed)?;
        if entry.file_name() == UNFINISHED {
            let _ = fs::remove_file(entry.path());
        }
        firsts.extend(entry.file_name().to_str().and_then(first_of));
    }
    firsts.sort_unstable();
    Ok(firsts)
}

fn read_whole(folder: &Path, segment: &Segment, buffer: &mut Vec<u8>) -> Result<(), Error> {
    let length = segment.file_bytes().and_then(|length| {
        buffer.resize(length as usize, 0);
        segment.file.read_exact_at(buffer, 0)
    });
    length.map_err(failed(OPENING, &path(folder, segment.first)))
}

/// Puts the frames of `bytes`, the whole file, into the segment's index. `before` is where the next segment begins. How many bytes
/// of turns the checkpoint does not cover.
fn scan(segment: &Segment, bytes: &[u8], before: Option<u64>, checkpoint: u64) -> Result<u64, Error> {
    let (mut at, mut next, mut backlog_bytes) = (HEADER_BYTES as usize, segment.first, 0);
    while before.is_none_or(|before| next < before) {
        let Some(found) = frame::parse(&bytes[at..], segment.mark()).filter(|found| found.id == next) else { break };
        segment.push(found.bytes);
        if next > checkpoint {
            backlog_bytes += (found.bytes - HEAD_BYTES) as u64;
        }
        at += found.bytes;
        next += 1;
    }
    let why = match before {
        Some(before) if next < before => Some(format!("frames up to {} belong there", before - 1)),
        Some(_) => None,
        None => frame::find(&bytes[at..], segment.mark()).map(|behind| format!("frame {} stands behind it", behind.id)),
    };
    match why {
        None => Ok(backlog_bytes),
        Some(why) => Err(damaged(format!("frame {next} in {} is not whole, and {why}", name(segment.first)))),
    }
}

/// Files of which the checkpoint covers every frame. What cannot be used again is deleted.
fn spares(folder: &Path, firsts: &[u64], limits: Limits) -> Vec<Segment> {
    let mut spares = Vec::new();
    for first in firsts {
        let usable = |spare: &Segment| spare.file_bytes().is_ok_and(|length| length <= limits.segment_bytes);
        match Segment::open(folder, *first).ok().filter(usable) {
            Some(spare) if spares.len() < SPARES_MAX => spares.push(spare),
            // One that stays is deleted by the next start.
            _ => drop(fs::remove_file(path(folder, *first))),
        }
    }
    spares
}

fn damaged(detail: String) -> Error {
    Error::Damaged { doing: OPENING, detail }
}
