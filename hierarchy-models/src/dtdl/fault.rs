//! Why a model is not valid: the element at fault and the rule it breaks, in words.

use crate::id::Name;

/// `element` is a DTMI, a DTMI with the way from there on (`dtmi:example:Pump;1/contents/speed/schema`), or the place in
/// the document where no DTMI stands above it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{element}: {rule}")]
pub struct Fault {
    pub element: String,
    pub rule: String,
    /// Identifiers that no document at hand defines, when that is the fault.
    pub missing: Vec<Name>,
}

impl Fault {
    pub fn new(element: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { element: element.into(), rule: rule.into(), missing: Vec::new() }
    }
}
