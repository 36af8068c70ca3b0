//! CBOR (RFC 8949). Says what JSON says: the same shapes and the same rules, in fewer bytes.

use ciborium::de::Error;
use serde::de::DeserializeOwned;

use super::{ErrorKind, PayloadError, sample};

/// Above what [`hierarchy_models::value::DEPTH_MAX`] allows, so that the depth is judged by one rule for all encodings.
const RECURSION_MAX: usize = 128;

/// Reads one item; what follows it is an error.
pub(super) fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, PayloadError> {
    sample::reset_pointer();
    let mut rest = payload;
    let value = ciborium::de::from_reader_with_recursion_limit(&mut rest, RECURSION_MAX).map_err(|e| explain(&e))?;
    if rest.is_empty() { Ok(value) } else { Err(syntax(format!("{} bytes follow the CBOR item", rest.len()))) }
}

fn explain<E: std::fmt::Debug>(e: &Error<E>) -> PayloadError {
    match e {
        Error::Io(_) => syntax("not CBOR: it ends before its end".to_owned()),
        Error::Syntax(at) => syntax(format!("not CBOR: the fault is at byte {at}")),
        Error::Semantic(_, reason) => PayloadError { kind: ErrorKind::Rule, pointer: sample::take_pointer(), reason: reason.clone() },
        Error::RecursionLimitExceeded => PayloadError::rule("", format!("nested deeper than {RECURSION_MAX} levels")),
    }
}

fn syntax(reason: String) -> PayloadError {
    PayloadError { kind: ErrorKind::Syntax, pointer: String::new(), reason }
}
