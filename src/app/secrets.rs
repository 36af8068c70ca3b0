//! The secrets that the server makes for itself: the keys that device keys are derived from, and the first
//! administrator's key. Files of mode 0600 in the data directory, written so that a crash leaves all of one or nothing.
//!
//! `master-key` is the first master key; `master-key.2` and so on are those of later rotations, each named by its `kid`.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use actors::identity::{FIRST_KID, MASTER_KEYS_MAX, Masters};
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
    #[error("{} holds {MASTER_KEYS_MAX} master keys already", dir.display())]
    TooMany { dir: PathBuf },
    #[error("the operating system gives no random numbers")]
    NoRandomness,
}

/// Makes the data directory, for its owner only, unless it is there.
pub fn make_data_dir(dir: &Path) -> Result<(), SecretError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io_error("making the data directory", dir))
}

/// The keys that device keys are derived from. The first is made only while there are no twins.
pub fn master_keys(dir: &Path, store_has_twins: bool) -> Result<Masters, SecretError> {
    let path = master_key_file(dir, FIRST_KID);
    let first = match read(&path)? {
        Some(bytes) => bytes,
        None if store_has_twins => return Err(SecretError::KeyLost { path }),
        None => write_new(&path, &random()?)?,
    };
    let mut masters = Masters::new(key_in(first, path)?);
    for kid in later_kids(dir)? {
        let path = master_key_file(dir, kid);
        if let Some(bytes) = read(&path)? {
            masters = masters.with(kid, key_in(bytes, path)?);
        }
    }
    Ok(masters)
}

/// Adds a master key, which is used from the next start on; its `kid` and its file.
pub fn add_master_key(dir: &Path) -> Result<(u32, PathBuf), SecretError> {
    let first = master_key_file(dir, FIRST_KID);
    if read(&first)?.is_none() {
        return Err(SecretError::KeyLost { path: first });
    }
    let kids = later_kids(dir)?;
    if kids.len() + 1 >= MASTER_KEYS_MAX {
        return Err(SecretError::TooMany { dir: dir.into() });
    }
    let kid = kids.last().copied().unwrap_or(FIRST_KID) + 1;
    let path = master_key_file(dir, kid);
    write_new(&path, &random()?)?;
    Ok((kid, path))
}

/// Of the master keys there are, ascending.
pub fn master_kids(dir: &Path) -> Result<Vec<u32>, SecretError> {
    let first = read(&master_key_file(dir, FIRST_KID))?.map(|_| FIRST_KID);
    Ok(first.into_iter().chain(later_kids(dir)?).collect())
}

fn master_key_file(dir: &Path, kid: u32) -> PathBuf {
    dir.join(if kid == FIRST_KID { MASTER_KEY_FILE.into() } else { format!("{MASTER_KEY_FILE}.{kid}") })
}

fn later_kids(dir: &Path) -> Result<Vec<u32>, SecretError> {
    let failed = || io_error("reading", dir);
    let mut kids = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed())? {
        let name = entry.map_err(failed())?.file_name();
        let kid = name.to_str().and_then(|name| name.strip_prefix(MASTER_KEY_FILE)?.strip_prefix('.')?.parse().ok());
        // As it is written, so that no two files have one number.
        kids.extend(kid.filter(|kid| *kid > FIRST_KID && name.to_str() == Some(&format!("{MASTER_KEY_FILE}.{kid}"))));
    }
    kids.sort_unstable();
    Ok(kids)
}

fn key_in(bytes: Vec<u8>, path: PathBuf) -> Result<[u8; SECRET_BYTES], SecretError> {
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
        let (token, _) = (admin_token(&dir).unwrap(), master_keys(&dir, false).unwrap());
        let key = fs::read(dir.join(MASTER_KEY_FILE)).unwrap();
        assert_eq!((mode(&dir), mode(&dir.join(MASTER_KEY_FILE)), mode(&dir.join(ADMIN_TOKEN_FILE))), (0o700, 0o600, 0o600));
        master_keys(&dir, true).unwrap();
        assert_eq!((fs::read(dir.join(MASTER_KEY_FILE)).unwrap(), admin_token(&dir).unwrap()), (key, token.clone()));
        assert!(token.starts_with("tw_admin_") && token.len() == 9 + 64, "{token}");
    }

    #[test]
    fn a_lost_master_key_is_not_silently_replaced() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(master_keys(dir.path(), true), Err(SecretError::KeyLost { .. })));
        assert!(!dir.path().join(MASTER_KEY_FILE).exists());
    }

    #[test]
    fn a_rotation_adds_a_key_and_keeps_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        assert!(matches!(add_master_key(dir), Err(SecretError::KeyLost { .. })), "there is nothing to rotate");
        assert_eq!(master_keys(dir, false).unwrap().newest(), 1);
        let first = fs::read(dir.join(MASTER_KEY_FILE)).unwrap();
        assert_eq!(add_master_key(dir).unwrap().0, 2);
        let (kid, path) = add_master_key(dir).unwrap();
        assert_eq!((kid, mode(&path)), (3, 0o600));
        for stray in ["master-key.02", "master-key.x", "master-key.new", "master-key.1"] {
            fs::write(dir.join(stray), b"stray").unwrap();
        }
        let masters = master_keys(dir, true).unwrap();
        assert_eq!((masters.newest(), master_kids(dir).unwrap()), (3, vec![1, 2, 3]));
        assert_eq!(fs::read(dir.join(MASTER_KEY_FILE)).unwrap(), first);
        fs::write(dir.join("master-key.2"), b"short").unwrap();
        assert!(matches!(master_keys(dir, true), Err(SecretError::Malformed { .. })));
    }

    #[test]
    fn a_cut_off_secret_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(MASTER_KEY_FILE), b"short").unwrap();
        fs::write(dir.path().join(ADMIN_TOKEN_FILE), b"").unwrap();
        assert!(matches!(master_keys(dir.path(), false), Err(SecretError::Malformed { .. })));
        assert!(matches!(admin_token(dir.path()), Err(SecretError::Malformed { .. })));
    }
}
