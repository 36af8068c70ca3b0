//! The store's folder: made when it is not there, and held by one process at a time.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use persistence::Error;

use crate::files;

pub struct Folder {
    path: PathBuf,
    /// Locked as long as it is open; the system lets go of it whatever way this process ends.
    _lock: File,
}

impl Folder {
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = files::failed("opening the store's folder", path);
        fs::create_dir_all(path).map_err(&failed)?;
        let lock = File::options().create(true).truncate(false).write(true).open(path.join("lock")).map_err(&failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::InUse { detail: format!("{} is open elsewhere", path.display()) }),
            Err(TryLockError::Error(e)) => return Err(failed(e)),
        }
        // The folder's own entry must survive a power cut too; SQLite and the journal see to what is in it.
        if let Some(above) = path.canonicalize().map_err(&failed)?.parent() {
            files::sync_folder(above)?;
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Bytes of all files in it, the journal's included.
    pub fn bytes(&self) -> u64 {
        bytes_in(&self.path)
    }
}

fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = |entry: fs::DirEntry| {
        let found = entry.metadata().ok()?;
        Some(if found.is_dir() { bytes_in(&entry.path()) } else { found.len() })
    };
    entries.filter_map(bytes).sum()
}
