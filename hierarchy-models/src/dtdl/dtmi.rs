//! The syntax of Digital Twin Model Identifiers, which differs between the versions of the language.

use super::Version;

/// Prefixes that belong to the language.
const RESERVED: [&str; 2] = ["dtmi:dtdl:", "dtmi:standard:"];

/// A letter, then letters, digits and `_`, no `_` at the end: a segment of an identifier, and the name of an element.
pub fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
        && !text.ends_with('_')
}

fn is_number(text: &str, digits_max: usize) -> bool {
    (1..=digits_max).contains(&text.len()) && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether the text is an identifier. Version 2 wants a whole version number; later ones take none, or a minor one too.
pub fn is_dtmi(text: &str, version: Version) -> bool {
    let Some(rest) = text.strip_prefix("dtmi:") else { return false };
    let (path, number) = match rest.split_once(';') {
        Some((path, number)) => (path, Some(number)),
        None => (rest, None),
    };
    let number_ok = match (number, version) {
        (None, version) => version > Version::V2,
        (Some(number), Version::V2) => is_number(number, 9),
        (Some(number), _) => match number.split_once('.') {
            Some((major, minor)) => is_number(major, 9) && is_number(minor, 6),
            None => is_number(number, 9),
        },
    };
    number_ok && path.split(':').all(is_name)
}

pub fn is_reserved(text: &str) -> bool {
    RESERVED.iter().any(|prefix| text.starts_with(prefix))
}

/// The part that does not say which version.
pub fn without_version(text: &str) -> &str {
    text.split_once(';').map_or(text, |(path, _)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_versions_take_no_version_number_or_a_minor_one() {
        for text in ["dtmi:a;1", "dtmi:a_b:C1;999999999"] {
            assert!(is_dtmi(text, Version::V2) && is_dtmi(text, Version::V3), "{text}");
        }
        for text in ["dtmi:a", "dtmi:a:b;3.14", "dtmi:a;1.999999"] {
            assert!(!is_dtmi(text, Version::V2) && is_dtmi(text, Version::V4), "{text}");
        }
        for text in [
            "",
            "dtmi:",
            "dtmi:;1",
            "dtmi:a;0",
            "dtmi:a;01",
            "dtmi:a;1.0",
            "dtmi:a;1a",
            "dtmi:a_;1",
            "dtmi:_a;1",
            "dtmi:a::b;1",
            "dtmi:a;1;2",
        ] {
            assert!(!is_dtmi(text, Version::V2) && !is_dtmi(text, Version::V3), "{text}");
        }
    }
}
