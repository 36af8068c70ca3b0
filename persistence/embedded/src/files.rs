//! What went wrong with a file, in the words of the store's errors; and folders whose entries must outlive a power cut.

use std::{fs::File, io, path::Path};

use persistence::Error;

/// For `map_err`: names what was being done, and where.
pub fn failed(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> Error {
    move |e| {
        let detail = format!("{}: {e}", path.display());
        match e.kind() {
            // A disk, a quota and a limit of the process that are reached.
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Error::Full { doing, detail },
            _ => Error::Unavailable { doing, detail },
        }
    }
}

/// Makes files made, renamed or removed in `folder` so for good.
pub fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("syncing a folder", folder))
}
