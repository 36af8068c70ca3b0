//! All models that are known, ready to be asked. It never changes: whoever adds a model makes another one.

use std::{collections::HashMap, sync::Arc};

use super::{Command, Component, Model, Payload, Property, Relationship, Telemetry, builtin::is_root_of_places, schema::Schemas};
use crate::{
    dtdl::{Class, DEFINITION, Index, Member, Ontology},
    id::{ModelId, Name},
    limits::ROLLUP_DEFINITIONS_MAX,
    rollup::RollupSet,
};

/// Models by their identifiers.
#[derive(Debug, Default)]
pub struct Catalogue {
    models: HashMap<ModelId, Arc<Model>>,
}

impl Catalogue {
    pub fn of(ontology: &Ontology) -> Self {
        let schemas = Arc::new(Schemas::of(ontology));
        let mut catalogue = Self::default();
        // Bases and components come first in this order.
        for index in ontology.interfaces() {
            if let Some(model) = catalogue.model_of(ontology, &schemas, index) {
                catalogue.models.insert(model.id.clone(), Arc::new(model));
            }
        }
        catalogue
    }

    pub fn get(&self, model: &ModelId) -> Option<&Arc<Model>> {
        self.models.get(model)
    }

    pub fn len(&self) -> usize {
        self.models.len()
    }

    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// In no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.models.values()
    }

    /// Whether twins of this model are places. A model that is not known is a device's.
    pub fn is_place(&self, model: &ModelId) -> bool {
        self.models.get(model).map_or_else(|| super::is_place(model), |model| model.is_place)
    }

    fn model_of(&self, ontology: &Ontology, schemas: &Arc<Schemas>, index: Index) -> Option<Model> {
        let elements = &ontology.elements;
        let element = elements.at(index);
        let id_of = |index: Index| ModelId::new(elements.at(index).id.as_deref()?).ok();
        let id = id_of(index)?;
        let extends: Vec<ModelId> = elements.in_member(index, Member::Extends).filter_map(id_of).collect();
        let mut bases = extends.clone();
        for base in &extends {
            for further in self.models.get(base).into_iter().flat_map(|b| &b.bases) {
                if !bases.contains(further) {
                    bases.push(further.clone());
                }
            }
        }
        let is_place = std::iter::once(&id).chain(&bases).any(|id| is_root_of_places(id.as_str()));
        let mut model = Model {
            id,
            version: element.version,
            display_name: element.display_name.clone(),
            description: element.description.clone(),
            extends,
            bases,
            is_place,
            telemetry: Vec::new(),
            properties: Vec::new(),
            commands: Vec::new(),
            components: Vec::new(),
            relationships: Vec::new(),
            rollups: None,
            schemas: schemas.clone(),
        };
        let mut contents: Vec<(Name, Index)> = Vec::new();
        for content in ontology.contents.get(&index).into_iter().flatten() {
            contents.push((elements.at(*content).name.clone()?, *content));
        }
        contents.sort();
        model.rollups = rollups_of(ontology, &contents).map(Arc::new);
        for (name, content) in contents {
            self.add(&mut model, ontology, name, content);
        }
        Some(model)
    }

    fn add(&self, model: &mut Model, ontology: &Ontology, name: Name, index: Index) {
        let elements = &ontology.elements;
        let element = elements.at(index);
        let schema = |index| model.schemas.in_member(ontology, index, Member::Schema);
        let payload = |member| {
            let index = elements.in_member(index, member).next()?;
            let part = elements.at(index);
            Some(Payload { name: part.name.clone().unwrap_or_default(), schema: schema(index), nullable: part.nullable })
        };
        match element.class {
            Class::Telemetry => {
                let schema = schema(index);
                model.telemetry.push(Telemetry { name, schema, unit: element.unit.clone() });
            }
            Class::Property => {
                let schema = schema(index);
                model.properties.push(Property { name, schema, writable: element.writable, unit: element.unit.clone() });
            }
            Class::Command => {
                let (request, response) = (payload(Member::Request), payload(Member::Response));
                model.commands.push(Command { name, request, response });
            }
            Class::Component => {
                let of = elements.in_member(index, Member::Schema).next().and_then(|i| elements.at(i).id.as_deref());
                if let Some(of) = of.and_then(|id| self.models.get(id)) {
                    model.components.push(Component { name, model: of.clone() });
                }
            }
            Class::Relationship => model.relationships.push(Relationship {
                name,
                target: element.target.as_deref().and_then(|t| ModelId::new(t).ok()),
                max_multiplicity: element.max_multiplicity.and_then(|n| u32::try_from(n).ok()),
                writable: element.writable,
            }),
            _ => {}
        }
    }
}

/// The definitions among the contents of an Interface; each was read when the language was checked.
fn rollups_of(ontology: &Ontology, contents: &[(Name, Index)]) -> Option<RollupSet> {
    let definition = |(name, index): &(Name, Index)| {
        let (_, text) = ontology.elements.at(*index).added.iter().find(|(member, _)| *member == DEFINITION)?;
        Some((name.clone(), text.included().first()?.as_text()?.clone()))
    };
    let definitions: Vec<(Name, Name)> = contents.iter().filter_map(definition).take(ROLLUP_DEFINITIONS_MAX).collect();
    if definitions.is_empty() { None } else { RollupSet::parse(&definitions).ok() }
}
