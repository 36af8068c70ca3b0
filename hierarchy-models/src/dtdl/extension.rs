//! The language's extensions that are known here, and the adjunct types they add to elements.

use super::{Class, Version};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extension {
    QuantitativeTypes,
    Annotation,
    Historization,
    Streaming,
    Overriding,
    Initialization,
    Mqtt,
    Requirement,
    /// Ours: values that are folded from below.
    Rollup,
    /// Known by name and taken as it comes: its types and members are not checked.
    Open,
}

/// The form of a member that an adjunct type adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    Text,
    /// A whole number from 1.
    Index,
    /// An ISO 8601 duration.
    Duration,
    /// The text of a roll-up.
    Definition,
    /// Any JSON that the element's schema takes.
    Value,
    /// One of these.
    OneOf(&'static [&'static str]),
}

pub struct AddedMember {
    pub name: &'static str,
    pub form: Added,
    pub is_required: bool,
}

/// A type that stands beside an element's own one in `@type`.
pub struct Adjunct {
    pub name: &'static str,
    pub extension: Extension,
    pub classes: &'static [Class],
    pub members: &'static [AddedMember],
}

/// The member that holds a roll-up's definition.
pub const DEFINITION: &str = "rollup";

const PAYLOAD_FORMATS: &[&str] = &["avro", "cbor", "json", "proto2", "proto3", "raw"];

const fn needs(name: &'static str, form: Added) -> AddedMember {
    AddedMember { name, form, is_required: true }
}

const fn takes(name: &'static str, form: Added) -> AddedMember {
    AddedMember { name, form, is_required: false }
}

const VALUES: &[Class] = &[Class::Property, Class::Telemetry];

// A table is read by its rows.
#[rustfmt::skip]
static ADJUNCTS: &[Adjunct] = &[
    Adjunct { name: "ValueAnnotation", extension: Extension::Annotation, classes: VALUES, members: &[needs("annotates", Added::Text)] },
    Adjunct { name: "Historized", extension: Extension::Historization, classes: VALUES, members: &[] },
    Adjunct { name: "Streaming", extension: Extension::Streaming, classes: &[Class::Property], members: &[] },
    Adjunct { name: "Override", extension: Extension::Overriding, classes: &[Class::Property], members: &[needs("overrides", Added::Text)] },
    Adjunct { name: "Initialized", extension: Extension::Initialization, classes: &[Class::Property], members: &[needs("initialValue", Added::Value)] },
    Adjunct { name: "Rollup", extension: Extension::Rollup, classes: VALUES, members: &[needs(DEFINITION, Added::Definition)] },
    Adjunct { name: "Required", extension: Extension::Requirement, classes: &[Class::Field], members: &[] },
    Adjunct { name: "Mqtt", extension: Extension::Mqtt, classes: &[Class::Interface], members: &[
        takes("commandTopic", Added::Text), takes("telemetryTopic", Added::Text), needs("payloadFormat", Added::OneOf(PAYLOAD_FORMATS)),
    ] },
    Adjunct { name: "Idempotent", extension: Extension::Mqtt, classes: &[Class::Command], members: &[] },
    Adjunct { name: "Cacheable", extension: Extension::Mqtt, classes: &[Class::Command], members: &[needs("ttl", Added::Duration)] },
    Adjunct { name: "Indexed", extension: Extension::Mqtt, classes: &[Class::EnumValue, Class::Field, Class::Telemetry], members: &[needs("index", Added::Index)] },
];

/// What a member that an adjunct type of an extension adds is named by its identifier.
fn bare<'a>(text: &'a str, kind: &str) -> &'a str {
    let of_extension = text.strip_prefix("dtmi:dtdl:extension:").and_then(|rest| rest.split_once(kind)).map(|(_, name)| name);
    of_extension.filter(|name| !name.contains(':')).unwrap_or(text)
}

/// The term behind the identifier of a type that an extension defines; other text comes back as it is.
pub fn type_term(text: &str) -> &str {
    match text.strip_prefix("dtmi:standard:class:").and_then(|rest| rest.split_once(';')) {
        Some((term, _)) => term,
        None => bare(text, ":class:"),
    }
}

/// The same of a member.
pub fn member_term(text: &str) -> &str {
    bare(text, ":property:")
}

pub fn adjunct(term: &str) -> Option<&'static Adjunct> {
    ADJUNCTS.iter().find(|a| a.name == term)
}

impl Extension {
    /// The extension that a context names, if it can be used with that version of the language.
    pub fn of(context: &str, version: Version) -> Option<Self> {
        use Version::{V2, V3, V4};
        let (name, number) = context.split_once(';')?;
        let (extension, versions): (Self, &[Version]) = match (name, number) {
            ("dtmi:dtdl:extension:quantitativeTypes", "1") => (Self::QuantitativeTypes, &[V3]),
            ("dtmi:dtdl:extension:quantitativeTypes", "2") => (Self::QuantitativeTypes, &[V4]),
            ("dtmi:dtdl:extension:annotation", "1") => (Self::Annotation, &[V3]),
            ("dtmi:dtdl:extension:annotation", "2") => (Self::Annotation, &[V3, V4]),
            ("dtmi:dtdl:extension:historization", "1") => (Self::Historization, &[V3]),
            ("dtmi:dtdl:extension:historization", "2") => (Self::Historization, &[V3, V4]),
            ("dtmi:dtdl:extension:streaming", "1") => (Self::Streaming, &[V3]),
            ("dtmi:dtdl:extension:overriding", "1") => (Self::Overriding, &[V3]),
            ("dtmi:dtdl:extension:overriding", "2") => (Self::Overriding, &[V3, V4]),
            ("dtmi:dtdl:extension:initialization", "1") => (Self::Initialization, &[V2, V3]),
            ("dtmi:dtdl:extension:requirement", "1") => (Self::Requirement, &[V3, V4]),
            ("dtmi:dtdl:extension:mqtt", "1") => (Self::Mqtt, &[V3]),
            ("dtmi:dtdl:extension:mqtt", "2" | "3") => (Self::Open, &[V3, V4]),
            ("dtmi:twinfold:extension:rollup", "1") => (Self::Rollup, &[V2, V3, V4]),
            ("dtmi:iotcentral:context", "2") => (Self::Open, &[V2]),
            _ => return None,
        };
        versions.contains(&version).then_some(extension)
    }
}
