//! The writing side of the journal's files: one frame, one write, one sync; room made ahead; old files used again.
//!
//! What is acknowledged rests on these rules:
//! - A frame is written where the last committed one ends, and the end moves only after the sync. So whatever a failed write or
//!   sync left there, the next frame takes its place, never one behind it. A sync that failed may have dropped pages that the
//!   cache still shows, which is why nothing of that attempt is built upon: the next one writes every byte of its frame anew,
//!   which makes those pages dirty again, and only its own sync counts.
//! - A frame goes into a segment only when the folder that names the segment is synced.
//! - A file is used again only when the checkpoint, durable in `state.db`, covers all its frames.

use std::{
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use persistence::Error;

use super::{
    frame::{self, HEAD_BYTES},
    segment::{self, HEADER_BYTES, Segment},
    shelf::Shelf,
};
use crate::files::{failed, sync_folder};

const WRITING: &str = "committing a journal frame";
/// A segment takes no further frame that would make it longer; a longer frame gets a segment of its own.
pub const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;
/// Zeros are written ahead in steps of this, so that few syncs have to record a new length.
const STEP_BYTES: u64 = 1024 * 1024;
/// Files kept for the next segments: as many as a flush at the usual backlog of 64 MiB frees.
pub const SPARES_MAX: usize = 4;
/// What a readiness check writes to find out whether there is room again.
const PROBE_BYTES: usize = 64 * 1024;
const _: () = assert!(SEGMENT_BYTES <= u32::MAX as u64);

/// How large files may become.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub segment_bytes: u64,
    pub step_bytes: u64,
    /// All files together; as the disk allows when absent.
    pub bytes_max: Option<u64>,
}

impl Limits {
    pub fn bounded(bytes_max: Option<u64>) -> Self {
        Self { segment_bytes: SEGMENT_BYTES, step_bytes: STEP_BYTES, bytes_max }
    }
}

pub struct Segments {
    folder: PathBuf,
    limits: Limits,
    pub shelf: Arc<Shelf>,
    /// The last one on the shelf.
    current: Arc<Segment>,
    /// Length of its file: zeros or an earlier life's frames lie behind the end.
    room_end: u64,
    /// Length of all files.
    bytes: u64,
    /// Files without a frame that is needed, under the names they had.
    spares: Vec<Segment>,
    /// Frames up to here are not needed any more.
    trimmed: u64,
    folder_synced: bool,
    /// Makes the next syncs fail.
    #[cfg(test)]
    pub failing_syncs: usize,
}

impl Segments {
    /// `shelf` is not empty; `bytes` counts the spares too.
    pub fn new(folder: &Path, limits: Limits, shelf: Shelf, spares: Vec<Segment>, bytes: u64, trimmed: u64) -> Result<Self, Error> {
        let current = shelf.change(|segments| segments.back().cloned());
        let current = current.ok_or_else(|| Error::Damaged { doing: WRITING, detail: "there is no segment".into() })?;
        let room_end = current.file_bytes().map_err(failed(WRITING, folder))?;
        Ok(Self {
            folder: folder.to_owned(),
            limits,
            shelf: Arc::new(shelf),
            current,
            room_end,
            bytes,
            spares,
            trimmed,
            // Nobody knows whether the last process came that far.
            folder_synced: false,
            #[cfg(test)]
            failing_syncs: 0,
        })
    }

    /// The id of the next frame.
    pub fn next_id(&self) -> u64 {
        self.current.next_id()
    }

    /// Makes a frame durable; its turns stand behind [`HEAD_BYTES`] free bytes. After an error the next frame has the same id.
    pub fn append(&mut self, turns: usize, frame: &mut [u8]) -> Result<u64, Error> {
        self.make_room(frame.len())?;
        let id = self.next_id();
        frame::seal(frame, self.current.mark(), id, turns as u32);
        if let Err(error) = self.write(frame) {
            // Nobody was told that it is there: as far as can be done, a start should not find it either.
            let _ = self.current.file.write_all_at(&[0; HEAD_BYTES], self.current.end());
            return Err(error);
        }
        self.current.push(frame.len());
        Ok(id)
    }

    /// Whether a frame would be taken now. It tries: zeros where the next frame would stand, synced.
    pub fn probe(&mut self) -> Result<(), Error> {
        self.make_room(PROBE_BYTES)?;
        self.write(&[0; PROBE_BYTES])
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let written = self.current.file.write_all_at(bytes, self.current.end()).and_then(|()| self.sync());
        written.map_err(|e| failed(WRITING, &segment::path(&self.folder, self.current.first))(e))
    }

    fn sync(&mut self) -> std::io::Result<()> {
        #[cfg(test)]
        if self.failing_syncs > 0 {
            self.failing_syncs -= 1;
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.current.file.sync_data()
    }

    /// A segment with room for a frame of `bytes`, under a name that is there for good.
    fn make_room(&mut self, bytes: usize) -> Result<(), Error> {
        let bytes = bytes as u64;
        if !self.current.is_empty() && self.current.end() + bytes > self.limits.segment_bytes {
            self.begin_next()?;
        }
        // No room to grow: a file that is not needed any more has some, or makes some by going away.
        while let Err(error) = self.grow(bytes) {
            let found = matches!(error, Error::Full { .. }) && (self.trim_step() || self.begin_in_old_file()?);
            if !found {
                return Err(error);
            }
        }
        if !self.folder_synced {
            sync_folder(&self.folder)?;
            self.folder_synced = true;
        }
        Ok(())
    }

    /// Makes the file long enough for `bytes` more: a step ahead, or just enough when the step is too much.
    fn grow(&mut self, bytes: u64) -> Result<(), Error> {
        let need = self.current.end() + bytes;
        if need <= self.room_end {
            return Ok(());
        }
        let ahead = need.next_multiple_of(self.limits.step_bytes).min(self.limits.segment_bytes).max(need);
        match self.write_zeros(ahead) {
            Err(Error::Full { .. }) if ahead > need => self.write_zeros(need),
            other => other,
        }
    }

    fn write_zeros(&mut self, to: u64) -> Result<(), Error> {
        // A page at a time: what is written in one piece, the kernel keeps, dirties and counts in one piece.
        static ZEROS: [u8; 4 * 1024] = [0; 4 * 1024];
        self.check_bound(to - self.room_end)?;
        let mut at = self.room_end;
        while at < to {
            let step = (to - at).min(ZEROS.len() as u64);
            if let Err(e) = self.current.file.write_all_at(&ZEROS[..step as usize], at) {
                // What it did get would be of no use here.
                let _ = self.current.file.set_len(self.room_end);
                return Err(failed("making room in the journal", &segment::path(&self.folder, self.current.first))(e));
            }
            at += step;
        }
        self.bytes += to - self.room_end;
        self.room_end = to;
        Ok(())
    }

    fn check_bound(&self, more: u64) -> Result<(), Error> {
        let full = |max| Error::Full { doing: WRITING, detail: format!("the journal may not grow beyond {max} bytes") };
        self.limits.bytes_max.filter(|max| self.bytes + more > *max).map_or(Ok(()), |max| Err(full(max)))
    }

    fn begin_next(&mut self) -> Result<(), Error> {
        if self.begin_in_old_file()? {
            return Ok(());
        }
        self.check_bound(HEADER_BYTES)?;
        let next = Segment::create(&self.folder, self.next_id())?;
        self.bytes += HEADER_BYTES;
        self.go_on_in(next, HEADER_BYTES);
        Ok(())
    }

    /// Begins the next segment in a file that has its room already; whether there was one. An empty segment that found no room is
    /// replaced: the new name is its own.
    fn begin_in_old_file(&mut self) -> Result<bool, Error> {
        let Some(mut spare) = self.spares.pop() else { return self.begin_in_current_file() };
        let length = spare.file_bytes().map_err(failed(WRITING, &self.folder));
        match length.and_then(|length| spare.rename(&self.folder, self.next_id()).map(|()| length)) {
            Ok(length) => self.go_on_in(spare, length),
            Err(error) => {
                self.spares.push(spare);
                return Err(error);
            }
        }
        Ok(true)
    }

    fn go_on_in(&mut self, next: Segment, room_end: u64) {
        let replaced = next.first == self.current.first;
        if replaced {
            self.bytes = self.bytes.saturating_sub(self.room_end);
        }
        self.current = Arc::new(next);
        self.room_end = room_end;
        self.folder_synced = false;
        self.shelf.change(|segments| {
            if replaced {
                segments.pop_back();
            }
            segments.push_back(self.current.clone());
        });
    }

    /// When all of the current segment is trimmed, and nobody reads it, it becomes the next one itself.
    fn begin_in_current_file(&mut self) -> Result<bool, Error> {
        let next = self.next_id();
        if self.current.is_empty() || next - 1 > self.trimmed {
            return Ok(false);
        }
        let (folder, current) = (&self.folder, &mut self.current);
        let renamed = self.shelf.change(|segments| {
            segments.pop_back();
            // Only the one who has it alone can rename it.
            let renamed = Arc::get_mut(current).map(|alone| alone.rename(folder, next)).transpose();
            segments.push_back(current.clone());
            renamed
        })?;
        if renamed.is_none() {
            return Ok(false);
        }
        self.folder_synced = false;
        // What a frame larger than a segment needed is not kept.
        if self.room_end > self.limits.segment_bytes && self.current.file.set_len(self.limits.segment_bytes).is_ok() {
            self.bytes = self.bytes.saturating_sub(self.room_end - self.limits.segment_bytes);
            self.room_end = self.limits.segment_bytes;
        }
        Ok(true)
    }

    /// Frames up to `through` are not needed any more.
    pub fn trim(&mut self, through: u64) {
        self.trimmed = self.trimmed.max(through);
    }

    /// Lets go of one segment that is not needed any more; whether there was one.
    pub fn trim_step(&mut self) -> bool {
        let trimmed = self.trimmed;
        let oldest = self.shelf.change(|segments| {
            let needless = segments.len() > 1 && segments.front().is_some_and(|oldest| oldest.next_id() <= trimmed + 1);
            if needless { segments.pop_front() } else { None }
        });
        let Some(oldest) = oldest else { return false };
        let (path, length) = (segment::path(&self.folder, oldest.first), oldest.file_bytes().unwrap_or(0));
        match Arc::into_inner(oldest) {
            Some(alone) if self.spares.len() < SPARES_MAX && length <= self.limits.segment_bytes => self.spares.push(alone),
            _ => match fs::remove_file(&path) {
                Ok(()) => self.bytes = self.bytes.saturating_sub(length),
                // The next start sees to it.
                Err(error) => tracing::warn!(%error, path = %path.display(), "a journal segment that is not needed could not be deleted"),
            },
        }
        true
    }
}
