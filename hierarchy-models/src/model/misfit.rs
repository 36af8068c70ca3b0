//! Why a value does not fit its model.

/// `pointer` is an RFC 6901 pointer from the value that was checked to the part at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {reason}")]
pub struct Misfit {
    pub pointer: String,
    pub reason: String,
}

impl Misfit {
    /// The value itself does not fit.
    pub fn here(reason: impl Into<String>) -> Self {
        Self { pointer: String::new(), reason: reason.into() }
    }

    /// The same, told from outside the member `name`.
    pub fn within(mut self, name: &str) -> Self {
        self.pointer = format!("/{}{}", name.replace('~', "~0").replace('/', "~1"), self.pointer);
        self
    }
}
