//! What one setting is: its name in three places, its type, and the field it fills.
//!
//! The type is a function pointer into [`Config`], so a setting cannot be in the table without a field, and its text is
//! parsed in one place. A serde struct was the alternative: it gives neither a source for each value, nor flags, nor a
//! table for the manual, without writing each name three more times.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use super::{Config, Secret, value};

/// How "nothing" is written where nothing is allowed.
pub const NONE: &str = "none";
/// How "as the machine has" is written.
const AUTO: &str = "auto";

pub struct Setting {
    pub key: &'static str,
    pub kind: Kind,
    /// As an operator would write it.
    pub default: &'static str,
    pub flag: Option<&'static str>,
    pub meaning: &'static str,
}

pub enum Kind {
    Address(fn(&mut Config, SocketAddr)),
    AddressOrNone(fn(&mut Config, Option<SocketAddr>)),
    Path(fn(&mut Config, PathBuf)),
    PathOrNone(fn(&mut Config, Option<PathBuf>)),
    Duration(fn(&mut Config, Duration)),
    DurationOrNone(fn(&mut Config, Option<Duration>)),
    Size(fn(&mut Config, u64) -> Result<(), String>),
    Count(fn(&mut Config, u64) -> Result<(), String>),
    /// `auto` is zero to the field.
    CountOrAuto(fn(&mut Config, u64) -> Result<(), String>),
    /// 0 is `none`.
    CountOrNone(fn(&mut Config, u64) -> Result<(), String>),
    /// 0 is `none`.
    SizeOrNone(fn(&mut Config, u64) -> Result<(), String>),
    TextOrNone(fn(&mut Config, Option<String>)),
    /// Never printed.
    SecretOrNone(fn(&mut Config, Option<Secret>)),
    /// Parsed by the field's own type.
    Parsed {
        what: &'static str,
        set: fn(&mut Config, &str) -> Result<(), String>,
    },
}

impl Setting {
    pub fn env(&self) -> String {
        format!("TWINFOLD_{}", self.key.to_uppercase().replace('.', "__"))
    }

    pub fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::SecretOrNone(_))
    }

    /// Fills the field, or says why the text does not fit.
    pub fn apply(&self, config: &mut Config, text: &str) -> Result<(), String> {
        match self.kind {
            Kind::Address(set) => set(config, address(text)?),
            Kind::AddressOrNone(set) => set(config, or_none(text, address)?),
            Kind::Path(set) => set(config, path(text)?),
            Kind::PathOrNone(set) => set(config, or_none(text, path)?),
            Kind::Duration(set) => set(config, value::duration(text)?),
            Kind::DurationOrNone(set) => set(config, or_none(text, value::duration)?),
            Kind::Size(set) => set(config, value::size(text)?)?,
            Kind::Count(set) => set(config, value::count(text)?)?,
            Kind::CountOrNone(set) => set(config, or_none(text, value::count)?.unwrap_or(0))?,
            Kind::SizeOrNone(set) => set(config, or_none(text, value::size)?.unwrap_or(0))?,
            Kind::CountOrAuto(set) => set(config, if text == AUTO { 0 } else { value::count(text)? })?,
            Kind::TextOrNone(set) => set(config, or_none(text, |t| Ok(t.to_owned()))?),
            Kind::SecretOrNone(set) => set(config, or_none(text, |t| Ok(Secret(t.to_owned())))?),
            Kind::Parsed { set, .. } => set(config, text)?,
        }
        Ok(())
    }

    /// The type in a word or two, for the manual.
    pub fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::Address(_) => "address",
            Kind::AddressOrNone(_) => "address or none",
            Kind::Path(_) => "path",
            Kind::PathOrNone(_) => "path or none",
            Kind::Duration(_) => "duration",
            Kind::DurationOrNone(_) => "duration or none",
            Kind::Size(_) => "size",
            Kind::Count(_) => "count",
            Kind::CountOrAuto(_) => "count or auto",
            Kind::CountOrNone(_) => "count or none",
            Kind::SizeOrNone(_) => "size or none",
            Kind::TextOrNone(_) => "text or none",
            Kind::SecretOrNone(_) => "secret or none",
            Kind::Parsed { what, .. } => what,
        }
    }
}

fn or_none<T>(text: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<Option<T>, String> {
    if text.is_empty() || text == NONE { Ok(None) } else { parse(text).map(Some) }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("{text:?} is not an address such as 127.0.0.1:8080, 0.0.0.0:1883 or [::1]:0"))
}

fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("a path cannot be empty".into()) } else { Ok(text.into()) }
}
