//! One model: an Interface with everything it inherits, in the form in which it is asked.

use std::sync::Arc;

use super::schema::{SchemaId, Schemas};
use crate::{
    dtdl::Version,
    id::{ModelId, Name},
    rollup::RollupSet,
};

#[derive(Debug, Clone)]
pub struct Telemetry {
    pub name: Name,
    pub schema: SchemaId,
    pub unit: Option<Name>,
}

#[derive(Debug, Clone)]
pub struct Property {
    pub name: Name,
    pub schema: SchemaId,
    /// Whether people and systems may set it (`desired`).
    pub writable: bool,
    pub unit: Option<Name>,
}

/// What a command takes, or what it answers.
#[derive(Debug, Clone)]
pub struct Payload {
    pub name: Name,
    pub schema: SchemaId,
    pub nullable: bool,
}

#[derive(Debug, Clone)]
pub struct Command {
    pub name: Name,
    pub request: Option<Payload>,
    pub response: Option<Payload>,
}

#[derive(Debug, Clone)]
pub struct Component {
    pub name: Name,
    pub model: Arc<Model>,
}

#[derive(Debug, Clone)]
pub struct Relationship {
    pub name: Name,
    pub target: Option<ModelId>,
    pub max_multiplicity: Option<u32>,
    pub writable: bool,
}

/// Parts are in the order of their names.
#[derive(Debug)]
pub struct Model {
    pub id: ModelId,
    pub version: Version,
    pub display_name: Option<Name>,
    pub description: Option<Name>,
    /// What it extends itself.
    pub extends: Vec<ModelId>,
    /// All that it inherits from, nearest first.
    pub bases: Vec<ModelId>,
    pub is_place: bool,
    pub telemetry: Vec<Telemetry>,
    pub properties: Vec<Property>,
    pub commands: Vec<Command>,
    pub components: Vec<Component>,
    pub relationships: Vec<Relationship>,
    /// What twins of it fold from below, inherited definitions included.
    pub rollups: Option<Arc<RollupSet>>,
    pub(super) schemas: Arc<Schemas>,
}

impl Model {
    /// Whether it declares nothing that a value could be held against.
    pub fn is_open(&self) -> bool {
        self.telemetry.is_empty() && self.properties.is_empty() && self.commands.is_empty() && self.components.is_empty()
    }

    /// Whether it is `model` or inherits from it.
    pub fn is_a(&self, model: &ModelId) -> bool {
        self.id == *model || self.bases.contains(model)
    }
}
