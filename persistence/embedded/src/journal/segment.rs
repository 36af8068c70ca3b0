//! A segment: a file of frames whose ids rise by one from the id in its name, `{first frame id:016x}.log`.
//!
//! Its header (`magic 8, format u32, nonce u64, crc u32`) is written once, before the file gets its first name, and never again.
//! The mark of its frames follows from the nonce and the name. So a file is used again by *renaming it*: one atomic step after
//! which none of its old frames counts, for they carry another mark and lower ids. Lost: the first id in the header, which a
//! recycled file would have to rewrite, with a crash in the middle to be told apart from damage.

use std::{
    fs::{self, File},
    hash::{BuildHasher, RandomState},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use parking_lot::Mutex;
use persistence::Error;

use super::frame::field;
use crate::files::failed;

pub const HEADER_BYTES: u64 = 24;
/// The newest form this program writes and reads.
pub const FORMAT: u32 = 1;
const MAGIC: [u8; 8] = *b"TWINLOG\n";
const CRC_AT: usize = 20;
/// A file that has no header yet; of no meaning to a start.
pub const UNFINISHED: &str = "next.new";

pub struct Segment {
    pub first: u64,
    pub file: File,
    nonce: u64,
    frames: Mutex<Frames>,
}

/// Where the frames begin. Four bytes each: a frame begins before [`super::segments::SEGMENT_BYTES`], whatever its length.
struct Frames {
    starts: Vec<u32>,
    end: u64,
}

impl Segment {
    /// Makes the file under its name, empty. The caller syncs the folder.
    pub fn create(folder: &Path, first: u64) -> Result<Self, Error> {
        let path = folder.join(UNFINISHED);
        let failed = failed("making a journal segment", &path);
        // Random keys from the system; which id goes in does not matter.
        let nonce = RandomState::new().hash_one(first);
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path).map_err(&failed)?;
        let made = file.write_all_at(&header(nonce), 0).and_then(|()| file.sync_all());
        let made = made.and_then(|()| fs::rename(&path, self::path(folder, first)));
        if let Err(error) = made {
            let _ = fs::remove_file(&path);
            return Err(failed(error));
        }
        Ok(Self::new(first, file, nonce))
    }

    /// A file that is there, taken to be empty.
    pub fn open(folder: &Path, first: u64) -> Result<Self, Error> {
        const OPENING: &str = "opening a journal segment";
        let path = path(folder, first);
        let failed = failed(OPENING, &path);
        let damaged = |what| Error::Damaged { doing: OPENING, detail: format!("{}: its header {what}", path.display()) };
        let file = File::options().read(true).write(true).open(&path).map_err(&failed)?;
        let mut header = [0; HEADER_BYTES as usize];
        match file.read_exact_at(&mut header, 0) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Err(damaged("is cut off")),
            other => other.map_err(&failed)?,
        }
        if !header.starts_with(&MAGIC) || field(&header, CRC_AT) != Some(crc32fast::hash(&header[..CRC_AT]).to_le_bytes()) {
            return Err(damaged("does not match its checksum"));
        }
        match field(&header, 8).map(u32::from_le_bytes) {
            Some(FORMAT) => {}
            found => return Err(Error::TooNew { found: found.unwrap_or(0), known: FORMAT }),
        }
        let nonce = field(&header, 12).map_or(0, u64::from_le_bytes);
        Ok(Self::new(first, file, nonce))
    }

    fn new(first: u64, file: File, nonce: u64) -> Self {
        Self { first, file, nonce, frames: Mutex::new(Frames { starts: Vec::new(), end: HEADER_BYTES }) }
    }

    /// The same file under the name of a later segment, empty. When it fails the old name stands.
    pub fn rename(&mut self, folder: &Path, first: u64) -> Result<(), Error> {
        let from = path(folder, self.first);
        fs::rename(&from, path(folder, first)).map_err(failed("renaming a journal segment", &from))?;
        *self.frames.get_mut() = Frames { starts: Vec::new(), end: HEADER_BYTES };
        self.first = first;
        Ok(())
    }

    /// What its frames begin with: another one for every file and for every name of it.
    pub fn mark(&self) -> u64 {
        self.nonce ^ self.first
    }

    pub fn end(&self) -> u64 {
        self.frames.lock().end
    }

    /// The id that the next frame would have.
    pub fn next_id(&self) -> u64 {
        self.first + self.frames.lock().starts.len() as u64
    }

    pub fn is_empty(&self) -> bool {
        self.frames.lock().starts.is_empty()
    }

    /// The next frame stands at the end, `bytes` of it.
    pub fn push(&self, bytes: usize) {
        let mut frames = self.frames.lock();
        let start = frames.end as u32;
        frames.starts.push(start);
        frames.end += bytes as u64;
    }

    /// Where the frames `from..before` begin and, last, where they end.
    pub fn places(&self, from: u64, before: u64) -> Vec<u64> {
        let frames = self.frames.lock();
        let at = |id: u64| frames.starts.len().min(id.saturating_sub(self.first) as usize);
        let mut places: Vec<u64> = frames.starts[at(from)..at(before)].iter().map(|start| u64::from(*start)).collect();
        places.push(frames.starts.get(at(before)).map_or(frames.end, |start| u64::from(*start)));
        places
    }

    /// Length of the file.
    pub fn file_bytes(&self) -> io::Result<u64> {
        self.file.metadata().map(|found| found.len())
    }
}

fn header(nonce: u64) -> [u8; HEADER_BYTES as usize] {
    let mut header = [0; HEADER_BYTES as usize];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    header[12..CRC_AT].copy_from_slice(&nonce.to_le_bytes());
    let crc = crc32fast::hash(&header[..CRC_AT]);
    header[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
    header
}

pub fn name(first: u64) -> String {
    format!("{first:016x}.log")
}

pub fn path(folder: &Path, first: u64) -> PathBuf {
    folder.join(name(first))
}

/// The id in a segment's name; other files are none of ours.
pub fn first_of(name: &str) -> Option<u64> {
    let first = u64::from_str_radix(name.strip_suffix(".log")?, 16).ok()?;
    (self::name(first) == name).then_some(first)
}
