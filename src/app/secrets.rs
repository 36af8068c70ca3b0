//! The two secrets that the server makes for itself: the key that device keys are derived from, and the first
//! administrator's key. Files of mode 0600 in the data directory, written so that a crash leaves all of one or nothing.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use ring::rand::{SecureRandom, SystemRandom};

pub const MASTER_KEY_FILE: &str = "master-key";
pub const ADMIN_TOKEN_FILE: &str = "admin-token";
const ADMIN_TOKEN_PREFIX: &str = "tw_admin_";
/// Of each secret: 256 bits.
const SECRET_BYTES: usize = 32;

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("{doing} {}: {error}", path.display())]
    Io { doing: &'static str, path: PathBuf, error: io::Error },
    #[error("{} should hold {expected}; it does not. Restore it from a backup", path.display())]
    Malformed { path: PathBuf, expected: &'static str },
    #[error(
        "{} is missing, but the data directory holds twins. Without this key no device could log in: restore it from a backup, \
         or remove the whole directory to start anew", path.display()
    )]
    KeyLost { path: PathBuf },
    #[error("the operating system gives no random numbers")]
    NoRandomness,
}

/// Makes the data directory, for its owner only, unless it is there.
pub fn make_data_dir(dir: &Path) -> Result<(), SecretError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io_error("making the data directory", dir))
}

/// The key that device keys are derived from. Made only while there are no twins.
pub fn master_key(dir: &Path, store_has_twins: bool) -> Result<[u8; SECRET_BYTES], SecretError> {
    let path = dir.join(MASTER_KEY_FILE);
    let bytes = match read(&path)? {
        Some(bytes) => bytes,
        None if store_has_twins => return Err(SecretError::KeyLost { path }),
        None => write_new(&path, &random()?)?,
    };
    bytes.try_into().map_err(|_| SecretError::Malformed { path, expected: "32 bytes" })
}

/// The first administrator's key, as text in one line.
pub fn admin_token(dir: &Path) -> Result<String, SecretError> {
    let path = dir.join(ADMIN_TOKEN_FILE);
    let bytes = match read(&path)? {
        Some(bytes) => bytes,
        None => write_new(&path, format!("{ADMIN_TOKEN_PREFIX}{}\n", hex(&random()?)).as_bytes())?,
    };
    let token = String::from_utf8(bytes).unwrap_or_default().trim().to_owned();
    if token.len() < crate::config::ADMIN_TOKEN_BYTES_MIN || token.contains(char::is_whitespace) {
        return Err(SecretError::Malformed { path, expected: "one key of at least 16 bytes" });
    }
    Ok(token)
}

/// `None` when there is no such file. Warns when others than the owner may read it.
fn read(path: &Path) -> Result<Option<Vec<u8>>, SecretError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("reading", path)(error)),
    };
    let mode = fs::metadata(path).map_err(io_error("reading", path))?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(file = %path.display(), mode = format!("{:o}", mode & 0o777), "others may read this secret; chmod 600 it");
    }
    Ok(Some(bytes))
}

/// Writes aside, syncs, renames, syncs the directory. Gives back what it wrote.
fn write_new(path: &Path, bytes: &[u8]) -> Result<Vec<u8>, SecretError> {
    let aside = path.with_extension("new");
    let write = || -> io::Result<()> {
        let _ = fs::remove_file(&aside);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&aside, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(io_error("writing", path))?;
    Ok(bytes.to_vec())
}

fn random() -> Result<[u8; SECRET_BYTES], SecretError> {
    let mut bytes = [0; SECRET_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| SecretError::NoRandomness)?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SecretError {
    let path = path.to_owned();
    move |error| SecretError::Io { doing, path, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn secrets_are_made_once_and_only_their_owner_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("a/b");
        make_data_dir(&dir).unwrap();
        let (key, token) = (master_key(&dir, false).unwrap(), admin_token(&dir).unwrap());
        assert_eq!((mode(&dir), mode(&dir.join(MASTER_KEY_FILE)), mode(&dir.join(ADMIN_TOKEN_FILE))), (0o700, 0o600, 0o600));
        assert_eq!((master_key(&dir, true).unwrap(), admin_token(&dir).unwrap()), (key, token.clone()));
        assert!(token.starts_with("tw_admin_") && token.len() == 9 + 64, "{token}");
    }

    #[test]
    fn a_lost_master_key_is_not_silently_replaced() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(master_key(dir.path(), true), Err(SecretError::KeyLost { .. })));
        assert!(!dir.path().join(MASTER_KEY_FILE).exists());
    }

    #[test]
    fn a_cut_off_secret_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(MASTER_KEY_FILE), b"short").unwrap();
        fs::write(dir.path().join(ADMIN_TOKEN_FILE), b"").unwrap();
        assert!(matches!(master_key(dir.path(), false), Err(SecretError::Malformed { .. })));
        assert!(matches!(admin_token(dir.path()), Err(SecretError::Malformed { .. })));
    }
}
