//! The store's folder: made when it is not there, and held by one process at a time.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use persistence::Error;

pub struct Folder {
    path: PathBuf,
    /// Locked as long as it is open; the system lets go of it whatever way this process ends.
    _lock: File,
}

impl Folder {
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |e: io::Error| {
            let detail = format!("{}: {e}", path.display());
            match e.kind() {
                io::ErrorKind::StorageFull => Error::Full { doing: "opening the store's folder", detail },
                _ => Error::Unavailable { doing: "opening the store's folder", detail },
            }
        };
        fs::create_dir_all(path).map_err(failed)?;
        let lock = File::options().create(true).truncate(false).write(true).open(path.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::InUse { detail: format!("{} is open elsewhere", path.display()) }),
            Err(TryLockError::Error(e)) => return Err(failed(e)),
        }
        // The folder's own entry must survive a power cut too; SQLite sees to the files in it.
        if let Some(above) = path.canonicalize().map_err(failed)?.parent() {
            File::open(above).and_then(|above| above.sync_all()).map_err(failed)?;
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Bytes of all files in it.
    pub fn bytes(&self) -> u64 {
        let files = fs::read_dir(&self.path).into_iter().flatten().flatten();
        files.filter_map(|file| Some(file.metadata().ok()?.len())).sum()
    }
}
