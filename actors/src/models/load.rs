//! Reading the stored models at the start.

use std::sync::Arc;

use hierarchy_models::dtdl::Json;
use persistence::Store;

use super::{
    DOCUMENT_KIND, Models,
    known::{Known, Top, built_in_tops},
};
use crate::error::TwinError;

/// Documents read at once from the store.
const READ_AT_ONCE: usize = 100;

impl Models {
    /// Reads all that is stored. A document that is not valid any more, because a newer program is stricter, is left out
    /// with an error in the log; twins of its models are then like those of unknown ones.
    ///
    /// # Errors
    /// The store's.
    pub async fn load(&self, store: &dyn Store) -> Result<(), TwinError> {
        let mut bundles: Vec<Vec<Top>> = Vec::new();
        let mut after = None;
        loop {
            let page = store.documents(DOCUMENT_KIND, after, READ_AT_ONCE).await?;
            let complete = page.len() < READ_AT_ONCE;
            after = page.last().map(|d| d.id.clone());
            for stored in page {
                let id: Arc<str> = stored.id.as_str().into();
                match serde_json::from_slice::<Vec<Json>>(&stored.body) {
                    Ok(tops) => {
                        bundles.push(tops.into_iter().map(|t| Top { document: Arc::new(t), stored_in: Some(id.clone()) }).collect())
                    }
                    Err(error) => tracing::error!(document = %id, %error, "a stored model is damaged and left out"),
                }
            }
            if complete {
                break;
            }
        }
        if bundles.is_empty() {
            return Ok(());
        }
        let known = self.known_of(bundles);
        tracing::info!(models = known.sources.len(), "models read");
        self.replace(known);
        Ok(())
    }

    /// All of them, or, when they do not go together, as many as do.
    fn known_of(&self, bundles: Vec<Vec<Top>>) -> Known {
        let with = |more: &[&Vec<Top>]| built_in_tops().into_iter().chain(more.iter().flat_map(|b| b.iter().cloned())).collect();
        let all: Vec<&Vec<Top>> = bundles.iter().collect();
        let mut taken: Vec<&Vec<Top>> = Vec::new();
        match Known::of(with(&all), self.undefined) {
            Ok(known) => return known,
            Err(fault) => tracing::error!(%fault, "the stored models are not valid together; those at fault are left out"),
        }
        for bundle in &bundles {
            taken.push(bundle);
            if let Err(fault) = Known::of(with(&taken), self.undefined) {
                tracing::error!(document = ?bundle.first().and_then(|t| t.stored_in.clone()), %fault, "stored models are left out");
                taken.pop();
            }
        }
        // Found valid one after the other.
        Known::of(with(&taken), self.undefined)
            .unwrap_or_else(|_| Known::of(built_in_tops(), self.undefined).expect("the built-in models are valid"))
    }
}
