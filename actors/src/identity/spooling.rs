//! Bytes that wait in the store for a while and may hold keys: sealed as those are, under another name.

use super::Identities;
use crate::error::TwinError;

impl Identities {
    /// `place` must be the same when they are opened.
    pub(crate) fn seal_bytes(&self, place: &str, clear: Vec<u8>) -> Result<Vec<u8>, TwinError> {
        self.inner.sealing.seal_at(&aad(place), clear)
    }

    pub(crate) fn open_bytes(&self, place: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        self.inner.sealing.open_at(&aad(place), sealed)
    }
}

/// Not the place of a key of any device: those begin with a number.
fn aad(place: &str) -> String {
    format!("spool:{place}")
}
