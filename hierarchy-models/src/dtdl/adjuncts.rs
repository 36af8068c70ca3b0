//! What stands in `@type`: the class, the semantic type with its unit, the adjunct types of extensions with their members.

use super::{
    Class, Json, Version,
    context::Context,
    dtmi,
    element::Element,
    extension::{self, Added, Adjunct, Extension},
    grammar::{self, Member},
    literal, units,
};
use crate::{id::Name, rollup};

/// The types of one element.
pub struct Types {
    pub class: Class,
    pub semantic: Option<Name>,
    pub adjuncts: Vec<&'static Adjunct>,
    /// Whether it has a type that nobody here knows, so that it may have members that nobody knows.
    is_informal: bool,
}

/// A member that is neither the class's nor unknown.
pub enum Kept {
    Unit,
    Added(&'static str),
}

fn has_units(context: &Context) -> bool {
    context.version == Version::V2 || context.has(|e| e == Extension::QuantitativeTypes)
}

/// Whether a schema is the type of a unit.
pub fn is_unit_type(text: &str, context: &Context) -> bool {
    has_units(context) && units::is_unit_type(extension::type_term(text), context.version)
}

/// The classes that a semantic type can stand beside.
fn takes_semantic(class: Class, version: Version) -> bool {
    use Class::*;
    matches!(class, Property | Telemetry) || (version > Version::V2 && matches!(class, CommandRequest | CommandResponse | Field | MapValue))
}

/// Reads `@type` of an element that must be one of `classes`.
pub fn types(value: Option<&Json>, classes: &[Class], context: &Context) -> Result<Types, String> {
    let names = || classes.iter().map(|c| c.term()).collect::<Vec<_>>().join(", ");
    let mut types = Types { class: Class::Interface, semantic: None, adjuncts: Vec::new(), is_informal: false };
    let Some(value) = value else {
        let [only] = classes else { return Err(format!("needs @type, one of {}", names())) };
        if !only.is_understood() {
            return Err(format!("needs @type {}", only.term()));
        }
        types.class = *only;
        return Ok(types);
    };
    let (Json::Text(_) | Json::List(_)) = value else { return Err("@type must be a string or an array of strings".into()) };
    let texts = value.included().iter().map(|v| v.as_text().ok_or("@type must hold strings only")).collect::<Result<Vec<_>, _>>()?;
    let mut found = texts.iter().filter_map(|t| Class::of_type(t, context.version)).filter(|c| classes.contains(c));
    let Some(class) = found.next() else {
        return Err(format!("@type {} is not what can stand here: {}", shown(&texts), names()));
    };
    if let Some(other) = found.find(|other| *other != class) {
        return Err(format!("is both {} and {}", class.term(), other.term()));
    }
    types.class = class;
    for text in texts.iter().filter(|t| Class::of_type(t, context.version) != Some(class)) {
        types.beside(text, context)?;
    }
    Ok(types)
}

fn shown(texts: &[&Name]) -> String {
    let shown: Vec<String> = texts.iter().map(|t| format!("{t:?}")).collect();
    if shown.is_empty() { "[]".into() } else { shown.join(", ") }
}

impl Types {
    /// A type beside the class.
    fn beside(&mut self, text: &Name, context: &Context) -> Result<(), String> {
        let (class, version) = (self.class, context.version);
        let term = extension::type_term(text);
        if has_units(context) && units::unit_type(term, version).is_some() {
            if !takes_semantic(class, version) {
                return Err(format!("the semantic type {term} cannot stand beside {}", class.term()));
            }
            if let Some(other) = self.semantic.as_ref().filter(|other| *other != term) {
                return Err(format!("has two semantic types, {other} and {term}"));
            }
            self.semantic = Some(term.into());
            return Ok(());
        }
        if let Some(adjunct) = extension::adjunct(term).filter(|a| context.has(|e| e == a.extension)) {
            if !adjunct.classes.contains(&class) {
                return Err(format!("the type {term} cannot stand beside {}", class.term()));
            }
            self.adjuncts.push(adjunct);
            return Ok(());
        }
        if text.starts_with("dtmi:") && !dtmi::is_dtmi(text, version) {
            return Err(format!("@type {text:?} is not a DTMI"));
        }
        // Version 2 lets anybody add types of words of their own.
        let of_nobody = if text.contains(':') { !text.starts_with("dtmi:") } else { !grammar::is_of_the_language(text) };
        let is_free = version == Version::V2 && of_nobody;
        if text.contains(':') && !text.starts_with("dtmi:") && !is_free {
            return Err(format!("@type {text:?} is neither a term nor a DTMI"));
        }
        if !is_free && !context.is_incomplete {
            return Err(format!("the type {text:?} is not defined by the language or by an extension in @context"));
        }
        self.is_informal = true;
        Ok(())
    }

    /// What becomes of a member that the class does not have.
    pub fn added(&self, name: &str, context: &Context, value: &Json) -> Result<Option<Kept>, String> {
        let term = extension::member_term(name);
        if term == "unit"
            && let Some(semantic) = &self.semantic
        {
            return self.unit(semantic, context, value).map(|()| Some(Kept::Unit));
        }
        let added = self.adjuncts.iter().flat_map(|a| a.members).find(|m| m.name == term);
        if let Some(member) = added {
            return check(member.form, value).map(|()| Some(Kept::Added(member.name)));
        }
        if self.is_informal && context.version == Version::V2 {
            return Ok(None);
        }
        if name.starts_with("dtmi:") && !dtmi::is_dtmi(name, context.version) {
            return Err("this member's name is not a DTMI".into());
        }
        if name.contains(':') && !name.starts_with("dtmi:") {
            return Err("this member's name is neither a term nor a DTMI".into());
        }
        if self.is_informal {
            return Ok(None);
        }
        let why = match term {
            "unit" => "a unit needs a semantic type beside the class in @type".into(),
            term if Member::of_term(term).is_some() => format!("{} has no member of this name", self.class.term()),
            _ => "this member is not defined by the language or by an extension in @context".into(),
        };
        Err(why)
    }

    fn unit(&self, semantic: &str, context: &Context, value: &Json) -> Result<(), String> {
        let unit = literal::one(value, true)?.and_then(Json::as_text).ok_or("must be a string")?;
        let unit_type = units::unit_type(semantic, context.version).unwrap_or_default();
        if units::is_unit(unit, unit_type, context.version) { Ok(()) } else { Err(format!("{unit:?} is not a unit of {semantic}")) }
    }

    /// That the types have what they need.
    pub fn complete(&self, element: &Element) -> Result<(), String> {
        if let Some(semantic) = &self.semantic {
            if element.unit.is_none() {
                return Err(format!("the semantic type {semantic} needs a unit"));
            }
            let numeric = element
                .children
                .iter()
                .any(|(member, child)| *member == Member::Schema && matches!(child, super::element::Child::Standard(s) if s.is_numeric()));
            if !numeric {
                return Err(format!("the semantic type {semantic} needs a numeric schema"));
            }
        }
        for adjunct in &self.adjuncts {
            let missing = adjunct.members.iter().find(|m| m.is_required && !element.added.iter().any(|(name, _)| *name == m.name));
            if let Some(missing) = missing {
                return Err(format!("the type {} needs {}", adjunct.name, missing.name));
            }
        }
        let has = |name: &str| element.adjuncts.contains(&name);
        if has("Streaming") && element.writable {
            return Err("a Streaming property must not be writable".into());
        }
        if has("Override") && !has("ValueAnnotation") {
            return Err("an Override must be a ValueAnnotation too".into());
        }
        if has("Override") && has("Initialized") {
            return Err("an Override must not be Initialized".into());
        }
        Ok(())
    }
}

/// That the value of a member of an adjunct type has its form.
fn check(form: Added, value: &Json) -> Result<(), String> {
    match form {
        Added::Text => literal::one(value, true)?.map(literal::text).transpose().map(drop),
        Added::Definition => {
            let text = literal::one(value, true)?.and_then(Json::as_text).ok_or("must be a string")?;
            rollup::check(text).map_err(|error| error.to_string())
        }
        Added::Duration => literal::one(value, true)?.map(literal::text).transpose().map(drop),
        Added::Index => match literal::one(value, true)?.map(literal::integer).transpose()? {
            Some(1..) => Ok(()),
            _ => Err("must be a whole number from 1".into()),
        },
        Added::OneOf(allowed) => match literal::one(value, true)?.and_then(Json::as_text) {
            Some(text) if allowed.contains(&extension::member_term(text)) => Ok(()),
            _ => Err(format!("must be one of {}", allowed.join(", "))),
        },
        // Checked against the schema, once that is known.
        Added::Value => Ok(()),
    }
}
