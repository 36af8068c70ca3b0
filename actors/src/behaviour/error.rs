//! Why a behaviour could not go on.

use std::fmt;

/// What a behaviour's calls return.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Why a behaviour could not go on, in words. Made of any error by `?`, or of words by [`Error::new`].
///
/// It is no [`std::error::Error`] itself: then it could not be made of all of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(String);

impl Error {
    pub fn new(why: impl fmt::Display) -> Self {
        Self(why.to_string())
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            // Some errors say their cause themselves.
            if !text.ends_with(&cause_text) {
                text = format!("{text}: {cause_text}");
            }
            source = cause.source();
        }
        Self(text)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Error {
    /// As a `main` that returns it shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
