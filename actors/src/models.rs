//! The models that are known: read at the start, kept in the store, shared by all twins as one value that never changes.
//!
//! Whoever adds or removes a model makes another [`Known`] and puts it in the place of the old one; twins notice by a number
//! when they next have something to do. What was put together is stored together, as one document, so that a crash never
//! leaves half an ontology.

mod change;
mod known;
mod load;
mod rollups;

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use hierarchy_models::dtdl::UndefinedExtensions;
use parking_lot::RwLock;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};

pub use change::Added;
pub use known::{Known, Source};

/// The kind of documents that models are stored as.
pub const DOCUMENT_KIND: &str = "model";

/// What becomes of a message or a call that does not fit its twin's model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Validation {
    /// Nothing is looked at.
    Off,
    /// It is counted, logged, and taken.
    #[default]
    Warn,
    /// It is refused.
    Strict,
}

impl Validation {
    /// Reads `off`, `warn` or `strict`.
    ///
    /// # Errors
    /// What else it says, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "warn" => Ok(Self::Warn),
            "strict" => Ok(Self::Strict),
            _ => Err(format!("{text:?} is not a way to validate; there are off, warn and strict")),
        }
    }
}

pub struct Models {
    known: RwLock<Arc<Known>>,
    /// Raised whenever `known` is another one.
    generation: AtomicU32,
    undefined: UndefinedExtensions,
    /// One change at a time.
    changing: AsyncMutex<()>,
}

impl Models {
    pub fn new(undefined: UndefinedExtensions) -> Self {
        Self { known: RwLock::new(Known::built_in()), generation: AtomicU32::new(1), undefined, changing: AsyncMutex::default() }
    }

    pub fn known(&self) -> Arc<Known> {
        self.known.read().clone()
    }

    /// What is known now, and its number.
    pub fn current(&self) -> (u32, Arc<Known>) {
        let known = self.known.read();
        (self.generation(), known.clone())
    }

    pub fn generation(&self) -> u32 {
        self.generation.load(Ordering::Acquire)
    }

    async fn alone(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    fn replace(&self, known: Known) {
        let mut place = self.known.write();
        *place = Arc::new(known);
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}
