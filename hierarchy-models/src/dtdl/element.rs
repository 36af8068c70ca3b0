//! The elements of a set of models, in one list; they point at each other by their place in it.

use std::collections::HashMap;

use super::{Class, Json, Limits, Member, Standard, Version, fault::Fault};
use crate::id::Name;

/// The place of an element in [`Elements::list`].
pub type Index = u32;

/// What stands in a member that holds elements.
#[derive(Debug, Clone, PartialEq)]
pub enum Child {
    Element(Index),
    Standard(Standard),
    /// Named by its identifier; gone once references are resolved.
    Reference(Name),
}

/// The value of an Enum's entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Constant {
    Integer(i64),
    Text(Name),
}

/// Where an element stands.
#[derive(Debug, Clone, Copy)]
pub struct Site {
    pub parent: Option<Index>,
    pub member: Option<Member>,
    /// Among the values of the member, or of the document.
    pub position: u32,
}

#[derive(Debug)]
pub struct Element {
    pub class: Class,
    pub version: Version,
    pub limits: Limits,
    pub site: Site,
    /// The Interface or top-level element it belongs to: itself, or one above it.
    pub partition: Index,
    pub id: Option<Name>,
    pub name: Option<Name>,
    pub display_name: Option<Name>,
    pub description: Option<Name>,
    pub writable: bool,
    pub nullable: bool,
    /// What a Relationship points at.
    pub target: Option<Name>,
    pub max_multiplicity: Option<i64>,
    pub semantic: Option<Name>,
    pub unit: Option<Name>,
    pub constant: Option<Constant>,
    /// Of an Enum, or of a map's keys.
    pub value_schema: Option<Standard>,
    pub children: Vec<(Member, Child)>,
    /// Terms of the adjunct types it has beside its class.
    pub adjuncts: Vec<&'static str>,
    /// The members that these added.
    pub added: Vec<(&'static str, Json)>,
    /// Of an Interface: its text without white space and without Interfaces inside it.
    pub text_bytes: usize,
}

/// All elements, and where each identifier is defined.
#[derive(Debug, Default)]
pub struct Elements {
    pub list: Vec<Element>,
    pub ids: HashMap<Name, Index>,
    /// The first element of each document.
    pub documents: Vec<Index>,
}

impl Elements {
    pub fn at(&self, index: Index) -> &Element {
        &self.list[index as usize]
    }

    pub fn indices(&self) -> impl Iterator<Item = Index> + use<> {
        0..self.list.len() as Index
    }

    /// The elements in a member, in their order.
    pub fn in_member(&self, index: Index, member: Member) -> impl Iterator<Item = Index> {
        self.at(index).children.iter().filter(move |(m, _)| *m == member).filter_map(|(_, child)| match child {
            Child::Element(index) => Some(*index),
            _ => None,
        })
    }

    /// Which document an element stands in, counted from 0.
    pub fn document_of(&self, index: Index) -> usize {
        self.documents.partition_point(|first| *first <= index).saturating_sub(1)
    }

    /// How a person finds the element: the nearest identifier, and the way from there.
    pub fn label(&self, index: Index) -> String {
        let element = self.at(index);
        match &element.id {
            Some(id) => id.to_string(),
            None => self.label_of(element.site, element.name.as_ref()),
        }
    }

    /// The same for an element that is not in the list yet.
    pub fn label_of(&self, site: Site, name: Option<&Name>) -> String {
        let above = site.parent.map(|parent| self.label(parent)).unwrap_or_default();
        let member = site.member.map(|m| format!("/{}", m.term())).unwrap_or_default();
        match name {
            _ if site.member.is_some_and(Member::holds_one) => format!("{above}{member}"),
            Some(name) => format!("{above}{member}/{name}"),
            None => format!("{above}{member}/{}", site.position),
        }
    }

    pub fn fault(&self, index: Index, rule: impl Into<String>) -> Fault {
        Fault::new(self.label(index), rule)
    }

    pub fn fault_in(&self, index: Index, member: &str, rule: impl Into<String>) -> Fault {
        Fault::new(format!("{}/{member}", self.label(index)), rule)
    }
}
