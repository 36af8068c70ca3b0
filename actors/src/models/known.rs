//! Everything that is known of models at one time: what they mean, and the documents they were read from.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use hierarchy_models::{
    ModelId,
    dtdl::{self, DEFINITION, Fault, Index, Json, UndefinedExtensions},
    limits::{MODELS_MAX, ROLLUP_DEFINITIONS_MAX},
    model::{BUILT_INS, Catalogue, Model},
};

/// Where a model comes from.
#[derive(Debug, Clone)]
pub struct Source {
    /// The top-level Interface that defines it: itself, or the one it is defined inside.
    pub top: ModelId,
    /// That Interface as it was put.
    pub document: Arc<Json>,
    /// The stored document that holds it; none for what comes with the program.
    pub stored_in: Option<Arc<str>>,
}

/// A top-level Interface and the stored document that holds it.
#[derive(Debug, Clone)]
pub struct Top {
    pub document: Arc<Json>,
    pub stored_in: Option<Arc<str>>,
}

#[derive(Debug)]
pub struct Known {
    pub catalogue: Catalogue,
    /// By identifier, and so in the order in which they are listed.
    pub sources: BTreeMap<ModelId, Source>,
}

static BUILT_IN: LazyLock<Vec<Top>> = LazyLock::new(|| {
    let parse = |text| serde_json::from_str::<Json>(text).expect("a built-in model is JSON, as a test finds");
    BUILT_INS.iter().map(|b| Top { document: Arc::new(parse(b.document)), stored_in: None }).collect()
});

static BUILT_IN_KNOWN: LazyLock<Arc<Known>> = LazyLock::new(|| {
    let known = Known::of(built_in_tops(), UndefinedExtensions::Refuse);
    Arc::new(known.expect("the built-in models are valid, as a test finds"))
});

pub fn built_in_tops() -> Vec<Top> {
    BUILT_IN.clone()
}

/// The identifier of a top-level Interface.
pub fn id_of(document: &Json) -> Option<ModelId> {
    ModelId::new(document.member("@id")?.as_text()?).ok()
}

impl Known {
    /// What comes with the program, and nothing else.
    pub fn built_in() -> Arc<Self> {
        BUILT_IN_KNOWN.clone()
    }

    /// Reads all these together.
    pub fn of(tops: Vec<Top>, undefined: UndefinedExtensions) -> Result<Self, Fault> {
        let ontology = dtdl::check(tops.iter().map(|t| &*t.document), undefined)?;
        let mut sources = BTreeMap::new();
        for index in ontology.interfaces() {
            let Some(id) = ontology.elements.at(index).id.as_deref().and_then(|id| ModelId::new(id).ok()) else { continue };
            let Some((top, from)) = tops.get(ontology.document_of(index)).and_then(|t| Some((id_of(&t.document)?, t))) else { continue };
            sources.insert(id, Source { top, document: from.document.clone(), stored_in: from.stored_in.clone() });
        }
        if sources.len() > MODELS_MAX {
            return Err(Fault::new("the models", format!("are more than MODELS_MAX ({MODELS_MAX}) together")));
        }
        let rollups = |contents: &Vec<Index>| {
            contents.iter().filter(|c| ontology.elements.at(**c).added.iter().any(|(m, _)| *m == DEFINITION)).count()
        };
        if let Some((index, _)) = ontology.contents.iter().find(|(_, contents)| rollups(contents) > ROLLUP_DEFINITIONS_MAX) {
            let rule = format!("has more roll-ups than ROLLUP_DEFINITIONS_MAX ({ROLLUP_DEFINITIONS_MAX}), inherited ones included");
            return Err(Fault::new(ontology.elements.label(*index), rule));
        }
        Ok(Self { catalogue: Catalogue::of(&ontology), sources })
    }

    /// What is known with these Interfaces too.
    pub fn and(&self, interfaces: impl Iterator<Item = Json>) -> Result<Self, Fault> {
        let more = interfaces.map(|document| Top { document: Arc::new(document), stored_in: None });
        Self::of(self.tops().into_iter().chain(more).collect(), UndefinedExtensions::Allow)
    }

    /// Every top-level Interface.
    pub fn tops(&self) -> Vec<Top> {
        let tops = self.sources.iter().filter(|(id, source)| **id == source.top);
        tops.map(|(_, source)| Top { document: source.document.clone(), stored_in: source.stored_in.clone() }).collect()
    }

    /// The model that values of such twins are held against, if it declares anything.
    pub fn checked(&self, model: &ModelId) -> Option<Arc<Model>> {
        self.catalogue.get(model).filter(|model| !model.is_open()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use hierarchy_models::model;

    use super::*;

    #[test]
    fn the_built_in_models_are_what_their_table_says() {
        let known = Known::built_in();
        assert_eq!(known.sources.len(), BUILT_INS.len());
        for built_in in BUILT_INS {
            let id = model::resolve(built_in.short).unwrap();
            assert_eq!(known.catalogue.get(&id).unwrap().is_place, built_in.is_place, "{id}");
        }
        let open = |short| known.checked(&model::resolve(short).unwrap()).is_none();
        assert!(["Site", "Building", "Floor", "Room", "Device", "Gateway"].into_iter().all(open));
        assert!(!open("Thermostat"));
    }
}
