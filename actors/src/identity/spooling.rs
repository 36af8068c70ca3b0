//! Bytes that leave the process for a while and tell what not everybody may know (lines of an import that hold keys, cursors): sealed as
//! keys are, under another name. The `kid` of the master key
//! goes before them.

use super::Identities;
use crate::error::TwinError;

const KID_BYTES: usize = 4;

impl Identities {
    /// `place` must be the same when they are opened.
    pub(crate) fn seal_bytes(&self, place: &str, clear: Vec<u8>) -> Result<Vec<u8>, TwinError> {
        let kid = self.inner.masters.newest();
        let missing = || persistence::Error::Unavailable { doing: "sealing", detail: format!("master key {kid} is not here") };
        let sealed = self.inner.masters.get(kid).ok_or_else(missing)?.sealing.seal_at(&aad(place), clear)?;
        Ok([&kid.to_le_bytes()[..], &sealed].concat())
    }

    pub(crate) fn open_bytes(&self, place: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (kid, sealed) = sealed.split_first_chunk::<KID_BYTES>()?;
        self.inner.masters.get(u32::from_le_bytes(*kid))?.sealing.open_at(&aad(place), sealed)
    }
}

/// Not the place of a key of any device: those begin with a number.
fn aad(place: &str) -> String {
    format!("spool:{place}")
}
