//! The active context of an element: which version of the language it is written in, and with which extensions.

use super::{
    Json, Limits, UndefinedExtensions, Version,
    dtmi::{is_dtmi, without_version},
    extension::Extension,
};
use crate::id::Name;

const LANGUAGE: &str = "dtmi:dtdl:context;";
/// The language of version 4 without its limits, to be followed by a limit extension.
const LIMITLESS: &str = "dtmi:dtdl:context;4#limitless";
const ONVIF_LIMITS: &str = "dtmi:dtdl:limits:onvif;1";

/// What holds for an element and for all below it, down to the next `@context`.
#[derive(Debug, Clone)]
pub struct Context {
    pub version: Version,
    pub limits: Limits,
    /// By the identifier without its version, of which the lowest mention wins.
    named: Vec<Name>,
    extensions: Vec<Extension>,
    /// Whether an extension is named whose definition nobody here has.
    pub is_incomplete: bool,
}

impl Context {
    /// Whether the extension is in force.
    pub fn has(&self, wanted: impl Fn(Extension) -> bool) -> bool {
        self.extensions.iter().any(|e| wanted(*e))
    }

    /// The context inside an element whose `@context` is `value`, below `outer`; `None` for the outermost.
    pub fn read(value: &Json, outer: Option<&Context>, undefined: UndefinedExtensions) -> Result<Self, String> {
        let (Json::Text(_) | Json::List(_)) = value else { return Err("@context must be a string or an array of strings".into()) };
        let mut version = outer.map(|o| o.version);
        let mut limits = outer.map(|o| o.limits);
        let mut named = outer.map(|o| o.named.clone()).unwrap_or_default();
        let mut seen_language = false;
        let mut seen_other = false;
        for entry in value.included() {
            let Some(text) = entry.as_text() else { return Err("@context must hold strings only".into()) };
            if let Some(number) = text.strip_prefix(LANGUAGE) {
                if seen_other {
                    return Err(format!("@context must name {text} before any extension"));
                }
                let limitless = text == LIMITLESS;
                let known = if limitless { Some(Version::V4) } else { Version::of_number(number) };
                let Some(known) = known else {
                    return Err(format!("{text} is not a version of the language that is known here; there are 2, 3 and 4"));
                };
                (version, limits, seen_language) = (Some(known), Some(known.limits()), true);
                continue;
            }
            seen_other = true;
            if !text.contains(';') || !is_dtmi(text, Version::V3) {
                return Err(format!("{text:?} in @context is not a DTMI with a version number"));
            }
            if text == ONVIF_LIMITS {
                limits = limits.map(Limits::onvif);
                continue;
            }
            named.retain(|n| without_version(n) != without_version(text));
            named.push(text.clone());
        }
        let (Some(version), Some(limits)) = (version, limits) else {
            return Err("@context must name the version of the language, such as \"dtmi:dtdl:context;3\"".into());
        };
        if outer.is_none() && !seen_language {
            return Err("@context of a top-level element must name the version of the language, such as \"dtmi:dtdl:context;3\"".into());
        }
        let extensions: Vec<Extension> = named.iter().filter_map(|n| Extension::of(n, version)).collect();
        let unknown = named.iter().find(|n| Extension::of(n, version).is_none());
        match unknown {
            Some(unknown) if undefined == UndefinedExtensions::Refuse => {
                Err(format!("{unknown} is not an extension of {version} that is known here"))
            }
            unknown => {
                let is_incomplete = unknown.is_some() || extensions.contains(&Extension::Open);
                Ok(Self { version, limits, named, extensions, is_incomplete })
            }
        }
    }
}
