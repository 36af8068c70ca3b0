//! Rules that take more than one element to see: names that meet, hierarchies too deep or too large.

use std::collections::{HashMap, HashSet};

use super::{
    Class, Member,
    element::{Child, Constant, Element, Elements, Index},
    fault::Fault,
    grammar::Standard,
    order,
};
use crate::id::Name;

/// Contents of all Interfaces together, inherited ones counted for each: what a set of models may take in memory.
pub const INHERITED_CONTENTS_MAX: usize = 4_000_000;

/// What is known of a set of models once it is found valid.
#[derive(Debug, Default)]
pub struct Findings {
    /// Elements, what they hold before them.
    pub order: Vec<Index>,
    /// The contents of each Interface, inherited ones first.
    pub contents: HashMap<Index, Vec<Index>>,
}

#[derive(Clone, Copy, Default)]
struct Depths {
    extends: usize,
    extends_total: usize,
    schema: usize,
    /// Elements below it, each counted as often as it is reached.
    elements: usize,
}

pub fn check(elements: &Elements) -> Result<Findings, Fault> {
    let order = order::children_first(elements)?;
    let mut depths = vec![Depths::default(); elements.list.len()];
    let mut contents: HashMap<Index, Vec<Index>> = HashMap::new();
    let mut inherited = 0;
    for &index in &order {
        let element = elements.at(index);
        depths[index as usize] = depth(elements, index, &depths);
        hierarchy(elements, index, depths[index as usize])?;
        match element.class {
            Class::Interface => {
                let own = all_contents(elements, index, &contents)?;
                inherited += own.len();
                if inherited > INHERITED_CONTENTS_MAX {
                    let rule = format!("the models have more than {INHERITED_CONTENTS_MAX} contents together, inherited ones included");
                    return Err(elements.fault(index, rule));
                }
                contents.insert(index, own);
            }
            Class::Component => no_component_within(elements, index, &contents)?,
            Class::Relationship => unique_names(elements, index, Member::Properties, "properties of a Relationship")?,
            Class::Object => unique_names(elements, index, Member::Fields, "fields of an Object")?,
            Class::Enum => enumeration(elements, index)?,
            Class::Property => array_in_property(elements, index)?,
            _ => {}
        }
    }
    // Annotations name their siblings, which may be inherited.
    for index in &order {
        annotations(elements, *index, contents.get(index).map_or(&[][..], |all| &all[..]))?;
    }
    Ok(Findings { order, contents })
}

fn followed(elements: &Elements, index: Index) -> impl Iterator<Item = (Member, Option<Index>)> {
    elements.at(index).children.iter().map(move |(member, child)| (*member, order::is_followed(elements, index, child)))
}

fn depth(elements: &Elements, index: Index, depths: &[Depths]) -> Depths {
    let mut own = Depths::default();
    for (member, child) in followed(elements, index) {
        let below = child.map(|c| depths[c as usize]).unwrap_or_default();
        match member {
            Member::Extends => {
                own.extends = own.extends.max(below.extends + 1);
                own.extends_total = own.extends_total.saturating_add(below.extends_total).saturating_add(1);
            }
            Member::Schema | Member::ElementSchema => {
                let is_interface = child.is_some_and(|c| elements.at(c).class == Class::Interface);
                own.schema = own.schema.max(if is_interface { 1 } else { below.schema + 1 });
            }
            Member::Contents | Member::Schemas => {}
            _ => own.schema = own.schema.max(below.schema),
        }
        if !matches!(member, Member::Schemas | Member::MapKey) {
            own.elements = own.elements.saturating_add(below.elements).saturating_add(usize::from(member != Member::Extends));
        }
    }
    own
}

fn hierarchy(elements: &Elements, index: Index, depth: Depths) -> Result<(), Fault> {
    let element = elements.at(index);
    let limits = &element.limits;
    let refuse = |what: &str, most: usize| Err(elements.fault(index, format!("{what}; at most {most} are allowed")));
    if element.class.is_complex_schema() && depth.schema > limits.schema_depth_max {
        return refuse(&format!("its schemas nest {} levels deep", depth.schema), limits.schema_depth_max);
    }
    if element.class != Class::Interface {
        return Ok(());
    }
    if depth.extends > limits.extends_depth_max {
        return refuse(&format!("its bases are {} levels deep", depth.extends), limits.extends_depth_max);
    }
    // The quick figure counts a base as often as it is reached; only when it is too large is it worth counting well.
    if depth.extends_total > limits.extends_total_max && bases_total(elements, index, limits.extends_total_max) > limits.extends_total_max {
        return refuse("it has too many bases in all", limits.extends_total_max);
    }
    if depth.elements > limits.elements_max && reachable(elements, index, limits.elements_max) > limits.elements_max {
        return refuse("it has too many elements in all", limits.elements_max);
    }
    if element.text_bytes > limits.interface_bytes_max {
        return refuse(&format!("its text takes {} bytes", element.text_bytes), limits.interface_bytes_max);
    }
    Ok(())
}

/// Values of all `extends` members above an Interface; counting stops above `most`.
fn bases_total(elements: &Elements, index: Index, most: usize) -> usize {
    let (mut seen, mut open, mut total) = (HashSet::from([index]), vec![index], 0);
    while let Some(index) = open.pop() {
        for base in elements.in_member(index, Member::Extends) {
            total += 1;
            if seen.insert(base) {
                open.push(base);
            }
        }
        if total > most {
            break;
        }
    }
    total
}

/// Elements below an Interface, each once; counting stops above `most`.
fn reachable(elements: &Elements, index: Index, most: usize) -> usize {
    let (mut seen, mut open) = (HashSet::from([index]), vec![index]);
    while let Some(index) = open.pop() {
        for (member, child) in followed(elements, index) {
            if let Some(child) = child.filter(|_| !matches!(member, Member::Schemas | Member::MapKey))
                && seen.insert(child)
            {
                open.push(child);
            }
        }
        if seen.len() > most + 1 {
            break;
        }
    }
    seen.len() - 1
}

/// Own and inherited contents; two elements of one name do not go together.
fn all_contents(elements: &Elements, index: Index, known: &HashMap<Index, Vec<Index>>) -> Result<Vec<Index>, Fault> {
    let mut all: Vec<Index> = Vec::new();
    let mut by_name: HashMap<&Name, Index> = HashMap::new();
    let inherited = elements.in_member(index, Member::Extends).flat_map(|base| known.get(&base).into_iter().flatten().copied());
    for content in inherited.chain(elements.in_member(index, Member::Contents)) {
        let Some(name) = &elements.at(content).name else { continue };
        match by_name.insert(name, content) {
            None => all.push(content),
            Some(other) if other == content => {}
            Some(other) => {
                let rule = format!("has two contents of the name {name}: {} and {}", elements.label(other), elements.label(content));
                return Err(elements.fault(index, rule));
            }
        }
    }
    let most = elements.at(index).limits.contents_max;
    if all.len() > most {
        let rule = format!("has {} contents, inherited ones included; at most {most} are allowed", all.len());
        return Err(elements.fault(index, rule));
    }
    Ok(all)
}

fn no_component_within(elements: &Elements, index: Index, contents: &HashMap<Index, Vec<Index>>) -> Result<(), Fault> {
    let mut within = elements.in_member(index, Member::Schema).flat_map(|i| contents.get(&i).into_iter().flatten());
    match within.find(|content| elements.at(**content).class == Class::Component) {
        Some(inner) => {
            let rule = format!("the Interface of a Component must not have components itself, such as {}", elements.label(*inner));
            Err(elements.fault(index, rule))
        }
        None => Ok(()),
    }
}

fn unique_names(elements: &Elements, index: Index, member: Member, what: &str) -> Result<(), Fault> {
    let mut seen = HashSet::new();
    for child in elements.in_member(index, member) {
        if let Some(name) = &elements.at(child).name
            && !seen.insert(name)
        {
            return Err(elements.fault(index, format!("two {what} have the name {name}")));
        }
    }
    Ok(())
}

fn enumeration(elements: &Elements, index: Index) -> Result<(), Fault> {
    unique_names(elements, index, Member::EnumValues, "values of an Enum")?;
    let is_text = elements.at(index).value_schema == Some(Standard::String);
    let mut seen = HashSet::new();
    for value in elements.in_member(index, Member::EnumValues) {
        let Some(constant) = &elements.at(value).constant else { continue };
        if is_text != matches!(constant, Constant::Text(_)) {
            let wanted = if is_text { "a string" } else { "a whole number" };
            return Err(elements.fault_in(value, "enumValue", format!("must be {wanted}, as valueSchema says")));
        }
        if !seen.insert(constant) {
            return Err(elements.fault_in(value, "enumValue", "two values of an Enum are the same"));
        }
    }
    Ok(())
}

/// Version 2 has no arrays in properties, and places on earth are made of arrays.
fn array_in_property(elements: &Elements, index: Index) -> Result<(), Fault> {
    if elements.at(index).version > super::Version::V2 {
        return Ok(());
    }
    let mut open = vec![index];
    while let Some(next) = open.pop() {
        for (_, child) in &elements.at(next).children {
            match child {
                Child::Element(child) if elements.at(*child).class == Class::Array => {
                    return Err(elements.fault_in(index, "schema", "a Property must not hold an Array in DTDL v2"));
                }
                Child::Standard(standard) if standard.is_geospatial() => {
                    return Err(elements.fault_in(index, "schema", "a Property must not hold a geospatial schema in DTDL v2"));
                }
                Child::Element(child) => open.push(*child),
                _ => {}
            }
        }
    }
    Ok(())
}

fn annotations(elements: &Elements, interface: Index, contents: &[Index]) -> Result<(), Fault> {
    for &content in contents {
        let element = elements.at(content);
        let Some(wanted) = added_text(element, "annotates") else { continue };
        let found = contents.iter().map(|c| elements.at(*c)).find(|c| c.name.as_ref() == Some(wanted));
        if !found.is_some_and(|f| matches!(f.class, Class::Property | Class::Telemetry)) {
            let rule = format!("{wanted:?} is not the name of a Property or Telemetry of {}", elements.label(interface));
            return Err(elements.fault_in(content, "annotates", rule));
        }
        let overridden = added_text(element, "overrides").map(|text| super::extension::member_term(text));
        let has = |term: &str| found.is_some_and(|f| (term == "unit" && f.unit.is_some()) || f.added.iter().any(|(name, _)| *name == term));
        if let Some(term) = overridden.filter(|term| !has(term)) {
            let rule = format!("{term:?} is not a member that an extension adds to {wanted:?}");
            return Err(elements.fault_in(content, "overrides", rule));
        }
    }
    Ok(())
}

fn added_text<'a>(element: &'a Element, name: &str) -> Option<&'a Name> {
    let (_, value) = element.added.iter().find(|(n, _)| *n == name)?;
    value.included().first().and_then(|v| v.as_text().or_else(|| v.member("@value")?.as_text()))
}
