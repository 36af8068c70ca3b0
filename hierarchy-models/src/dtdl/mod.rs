//! The Digital Twins Definition Language, versions 2, 3 and 4: reads model documents and holds them to the language's rules.
//!
//! Documents come as [`Json`], so that nothing here knows a wire format; [`check`] takes all documents that belong together.
//! An element is first read by itself ([`reader`]), then references are resolved ([`resolve`]), then what takes more than one
//! element to see is checked ([`rules`]). Written by hand against the specification: the published parsers are for other
//! platforms, and a general JSON-LD processor would accept what the language forbids.

mod adjuncts;
mod context;
pub mod dtmi;
pub mod element;
mod extension;
mod fault;
mod grammar;
mod initial;
mod json;
mod literal;
mod order;
mod reader;
mod resolve;
mod rules;
mod units;
mod version;

pub use element::{Child, Constant, Element, Elements, Index};
pub use extension::DEFINITION;
pub use fault::Fault;
pub use grammar::{Class, Member, Standard};
pub use json::{DEPTH_MAX, Json};
pub use rules::INHERITED_CONTENTS_MAX;
pub use version::{Limits, Version};

use std::collections::HashMap;

/// Elements in all documents that are checked together.
pub const ELEMENTS_MAX: usize = 1_000_000;

/// What becomes of documents that name an extension whose definition is not known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UndefinedExtensions {
    /// They are taken; types and members that nobody knows are then allowed beside the known ones.
    Allow,
    /// They are not valid, as the specification recommends.
    #[default]
    Refuse,
}

/// A valid set of models: every reference leads somewhere in it.
#[derive(Debug, Default)]
pub struct Ontology {
    pub elements: Elements,
    /// Elements, what they hold before them.
    pub order: Vec<Index>,
    /// The contents of each Interface, inherited ones first.
    pub contents: HashMap<Index, Vec<Index>>,
}

impl Ontology {
    /// Which of the documents given to [`check`] an element stands in, counted from 0.
    pub fn document_of(&self, index: Index) -> usize {
        self.elements.document_of(index)
    }

    /// The Interfaces, each behind its bases and the Interfaces of its components.
    pub fn interfaces(&self) -> impl Iterator<Item = Index> {
        self.order.iter().copied().filter(|index| self.elements.at(*index).class == Class::Interface)
    }
}

/// Reads documents that may refer to each other, in any order.
///
/// # Errors
/// The first fault found, with the element and the rule.
pub fn check<'a>(documents: impl IntoIterator<Item = &'a Json>, undefined: UndefinedExtensions) -> Result<Ontology, Fault> {
    let mut elements = Elements::default();
    for document in documents {
        elements.documents.push(elements.list.len() as Index);
        reader::Reader { elements: &mut elements, undefined }.document(document)?;
        if elements.list.len() > ELEMENTS_MAX {
            return Err(Fault::new("the documents", format!("have more than {ELEMENTS_MAX} elements together")));
        }
    }
    resolve::resolve(&mut elements)?;
    let rules::Findings { order, contents } = rules::check(&elements)?;
    let ontology = Ontology { elements, order, contents };
    initial::check(&ontology)?;
    Ok(ontology)
}
