//! Literals: text, whole numbers and truth values, plain or as JSON-LD value objects, and text in several languages.

use super::Json;
use crate::id::Name;

const XSD: &str = "http://www.w3.org/2001/XMLSchema#";

/// What a value object holds, once its members are checked; anything else as it is.
fn unwrapped<'a>(value: &'a Json, datatype: &str) -> Result<&'a Json, String> {
    let Json::Object(members) = value else { return Ok(value) };
    if let Some((name, _)) = members.iter().find(|(name, _)| name != "@value" && name != "@type") {
        return Err(format!("a value object has @value and @type only, not {name:?}"));
    }
    if let Some(named) = value.member("@type") {
        let one = match named.included() {
            [one] => one.as_text(),
            _ => None,
        };
        let is_it = one.is_some_and(|t| t.strip_prefix("xsd:").or_else(|| t.strip_prefix(XSD)) == Some(datatype));
        if !is_it {
            return Err(format!("@type of this value object must be \"xsd:{datatype}\""));
        }
    }
    value.member("@value").ok_or_else(|| "a value object needs @value".into())
}

/// The one value of a member that may hold it plain or in an array, or nothing where that is allowed.
pub fn one(value: &Json, is_required: bool) -> Result<Option<&Json>, String> {
    match value.included() {
        [one] => Ok(Some(one)),
        [] if !is_required => Ok(None),
        [] => Err("must hold a value".into()),
        more => Err(format!("must hold one value, not {}", more.len())),
    }
}

pub fn text(value: &Json) -> Result<Name, String> {
    unwrapped(value, "string")?.as_text().cloned().ok_or_else(|| "must be a string".into())
}

pub fn boolean(value: &Json) -> Result<bool, String> {
    match unwrapped(value, "boolean")? {
        Json::Bool(b) => Ok(*b),
        _ => Err("must be true or false".into()),
    }
}

/// A whole number of four bytes.
pub fn integer(value: &Json) -> Result<i64, String> {
    match unwrapped(value, "integer")? {
        Json::Int(i) if i32::try_from(*i).is_ok() => Ok(*i),
        _ => Err("must be a whole number of at most four bytes".into()),
    }
}

/// Whether the literal is text, of whatever form.
pub fn is_text(value: &Json) -> bool {
    matches!(value.member("@value").unwrap_or(value), Json::Text(_))
}

/// A language code: `en`, `zh-Hant`, `fr-155`, `sr-Latn-RS`.
fn is_language(text: &str) -> bool {
    let mut parts = text.split('-').peekable();
    let lower = |p: &str| (2..=4).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_lowercase());
    let script = |p: &str| p.len() == 4 && p.as_bytes()[0].is_ascii_uppercase() && p.bytes().skip(1).all(|b| b.is_ascii_lowercase());
    let region =
        |p: &str| (p.len() == 2 && p.bytes().all(|b| b.is_ascii_uppercase())) || (p.len() == 3 && p.bytes().all(|b| b.is_ascii_digit()));
    if !parts.next().is_some_and(lower) {
        return false;
    }
    parts.next_if(|p| script(p));
    parts.next_if(|p| region(p));
    parts.next().is_none()
}

/// Text in one or more languages; what comes back is the text for English, or else the first.
pub fn localized(value: &Json, chars_max: usize) -> Result<Option<Name>, String> {
    let texts = match value {
        Json::Text(text) => vec![("en", text)],
        Json::Object(members) => members.iter().map(|(language, text)| in_language(language, text)).collect::<Result<_, _>>()?,
        Json::List(list) => tagged(list)?,
        _ => return Err("must be a string, an array, or an object from languages to strings".into()),
    };
    if let Some((_, long)) = texts.iter().find(|(_, text)| text.chars().count() > chars_max) {
        return Err(format!("is {} characters long; at most {chars_max} are allowed", long.chars().count()));
    }
    let english = texts.iter().find(|(language, _)| *language == "en" || language.starts_with("en-"));
    Ok(english.or(texts.first()).map(|(_, text)| (*text).clone()))
}

fn in_language<'a>(language: &'a str, text: &'a Json) -> Result<(&'a str, &'a Name), String> {
    if !is_language(language) {
        return Err(format!("{language:?} is not a language code"));
    }
    text.as_text().map(|text| (language, text)).ok_or_else(|| format!("the text for {language:?} must be a string"))
}

fn tagged(list: &[Json]) -> Result<Vec<(&str, &Name)>, String> {
    let mut texts: Vec<(&str, &Name)> = Vec::new();
    let mut defaults = 0;
    for entry in list {
        let (language, text) = match entry {
            Json::Text(text) => (None, text),
            Json::Object(members) => {
                if let Some((name, _)) = members.iter().find(|(name, _)| name != "@value" && name != "@language") {
                    return Err(format!("an entry has @value and @language only, not {name:?}"));
                }
                let language = match entry.member("@language") {
                    None => None,
                    Some(language) => Some(language.as_text().ok_or("@language must be a string")?.as_str()),
                };
                let text = entry.member("@value").and_then(Json::as_text).ok_or("an entry needs a string as its @value")?;
                (language, text)
            }
            _ => return Err("entries must be strings or objects".into()),
        };
        if let Some(language) = language {
            if !is_language(language) {
                return Err(format!("{language:?} is not a language code"));
            }
            if texts.iter().any(|(known, _)| *known == language) && language != "en" {
                return Err(format!("language {language:?} stands twice"));
            }
        }
        defaults += usize::from(language.is_none_or(|l| l == "en"));
        texts.push((language.unwrap_or("en"), text));
    }
    if defaults > 1 { Err("has more than one text for English, which is what text without a language is".into()) } else { Ok(texts) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_code_has_up_to_three_parts() {
        for good in ["de", "en-US", "zh-Hant", "fr-155", "sr-Latn-RS", "abcd"] {
            assert!(is_language(good), "{good}");
        }
        for bad in ["", "English", "e", "EN", "en-us", "en_US", "en-", "en-US-x", "en-Hans-Hant"] {
            assert!(!is_language(bad), "{bad}");
        }
    }

    #[test]
    fn the_text_for_english_is_preferred() {
        let json = |text: &str| serde_json::from_str::<Json>(text).unwrap();
        assert_eq!(localized(&json(r#"{"de": "Pumpe", "en-US": "pump"}"#), 64).unwrap().unwrap(), "pump");
        assert_eq!(localized(&json(r#"[{"@value": "Pumpe", "@language": "de"}]"#), 64).unwrap().unwrap(), "Pumpe");
        assert_eq!(localized(&json("{}"), 64).unwrap(), None);
        assert!(localized(&json(r#""pump""#), 3).is_err());
    }
}
