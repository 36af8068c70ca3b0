//! Adding and removing models.

use std::sync::Arc;

use hierarchy_models::{
    ModelId,
    dtdl::{Fault, Json},
};
use persistence::Store;

use super::{
    DOCUMENT_KIND, Models,
    known::{Known, Top, id_of},
};
use crate::error::TwinError;

/// What a put came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Added {
    /// Models that were not known before, those defined inside others included.
    pub new: usize,
    /// Top-level Interfaces that were known with the same content.
    pub known: usize,
}

impl Models {
    /// Makes these Interfaces known, durably, all of them or none.
    ///
    /// # Errors
    /// When they are not valid together with what is known, or one is known with another content.
    pub async fn put(&self, store: &dyn Store, interfaces: Vec<Json>) -> Result<Added, TwinError> {
        let _alone = self.alone().await;
        let before = self.known();
        let id: Arc<str> = uuid::Uuid::now_v7().simple().to_string().into();
        let mut new: Vec<Top> = Vec::new();
        let mut known = 0;
        for interface in interfaces {
            match id_of(&interface).and_then(|id| Some((before.sources.get(&id)?, id))) {
                Some((source, id)) if source.top != id || !source.document.same_as(&interface) => {
                    return Err(TwinError::ModelDiffers { model: id });
                }
                Some(_) => known += 1,
                None => new.push(Top { document: Arc::new(interface), stored_in: Some(id.clone()) }),
            }
        }
        if new.is_empty() {
            return Ok(Added { new: 0, known });
        }
        let body = written(&new);
        let after = self.read([before.tops(), new].concat()).await?;
        store.put_document(DOCUMENT_KIND, &id, body.into()).await?;
        let added = Added { new: after.sources.len() - before.sources.len(), known };
        self.replace(after);
        Ok(added)
    }

    /// The models that go when the top-level Interface `model` goes, and what is known without them. The caller sees to it
    /// that no twin is of them, and keeps it so until [`Removal::carry_out`].
    ///
    /// # Errors
    /// When it is not known, comes with the program, is defined inside another one, or another one needs it.
    pub async fn removal(&self, model: &ModelId) -> Result<Removal<'_>, TwinError> {
        let alone = self.alone().await;
        let before = self.known();
        let source = before.sources.get(model).ok_or_else(|| TwinError::NoSuchModel(model.clone()))?;
        let in_use = |by: String| Err(TwinError::ModelInUse { model: model.clone(), by });
        if source.top != *model {
            return in_use(format!("it is defined inside {}", source.top));
        }
        let Some(stored_in) = source.stored_in.clone() else { return in_use("it comes with the program".into()) };
        let rest: Vec<Top> = before.tops().into_iter().filter(|t| id_of(&t.document).as_ref() != Some(model)).collect();
        let after = match self.read(rest).await {
            Ok(after) => after,
            Err(fault) => return in_use(format!("{} needs it", fault.element)),
        };
        let going = before.sources.iter().filter(|(_, s)| s.top == *model).map(|(id, _)| id.clone()).collect();
        Ok(Removal { models: self, _alone: alone, going, stored_in, after })
    }

    /// Reads a set of models, beside the thread that asks: a large one takes tens of milliseconds.
    async fn read(&self, tops: Vec<Top>) -> Result<Known, Fault> {
        let undefined = self.undefined;
        let read = tokio::task::spawn_blocking(move || Known::of(tops, undefined)).await;
        read.unwrap_or_else(|_| Err(Fault::new("the models", "could not be read")))
    }
}

/// A removal that nothing in the models speaks against.
pub struct Removal<'a> {
    models: &'a Models,
    _alone: tokio::sync::MutexGuard<'a, ()>,
    pub going: Vec<ModelId>,
    stored_in: Arc<str>,
    after: Known,
}

impl Removal<'_> {
    pub async fn carry_out(self, store: &dyn Store) -> Result<(), TwinError> {
        let left: Vec<Top> = self.after.tops().into_iter().filter(|t| t.stored_in.as_ref() == Some(&self.stored_in)).collect();
        match left.is_empty() {
            true => store.delete_document(DOCUMENT_KIND, &self.stored_in).await.map(drop)?,
            false => store.put_document(DOCUMENT_KIND, &self.stored_in, written(&left).into()).await?,
        }
        self.models.replace(self.after);
        Ok(())
    }
}

fn written(tops: &[Top]) -> Vec<u8> {
    let documents: Vec<&Json> = tops.iter().map(|t| &*t.document).collect();
    serde_json::to_vec(&documents).expect("a document that was read is written without an error")
}
