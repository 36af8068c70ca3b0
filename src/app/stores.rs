//! The store that the configuration names, opened.

use std::sync::Arc;

use persistence::{Error, Identities, Store};
use persistence_embedded::EmbeddedStore;
use persistence_scylla::{Options, ScyllaStore, TlsError, TlsFiles};

use crate::config::{Config, StoreKind};

/// A store and, apart from it, who may connect.
pub struct Opened {
    pub store: Arc<dyn Store>,
    pub identities: Arc<dyn Identities>,
}

/// Why there is no store, and which.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("opening the store in {place}: {error}")]
    Open { place: String, error: Error },
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl StoreError {
    pub fn new(config: &Config, error: Error) -> Self {
        let place = match config.store {
            StoreKind::Embedded => config.data_dir.display().to_string(),
            StoreKind::Scylla => format!("keyspace {} at {}", config.scylla.options.keyspace, config.scylla.options.nodes.join(", ")),
        };
        Self::Open { place, error }
    }
}

/// The one that `config.store` names.
pub async fn open(config: &Config) -> Result<Opened, StoreError> {
    let opened = match config.store {
        StoreKind::Embedded => embedded(config).await,
        StoreKind::Scylla => {
            let tls = config.scylla.tls.as_ref().map(TlsFiles::read).transpose()?;
            scylla(Options { tls, ..config.scylla.options.clone() }).await
        }
    };
    opened.map_err(|error| StoreError::new(config, error))
}

async fn embedded(config: &Config) -> Result<Opened, Error> {
    let (dir, options) = (config.data_dir.clone(), config.embedded.clone());
    let opened = tokio::task::spawn_blocking(move || EmbeddedStore::open(&dir, options)).await;
    let died = |died: tokio::task::JoinError| Error::Unavailable { doing: "opening the store", detail: died.to_string() };
    let opened = opened.map_err(died)??;
    Ok(Opened { store: opened.store, identities: opened.identities })
}

async fn scylla(options: Options) -> Result<Opened, Error> {
    let opened = ScyllaStore::open(options).await?;
    Ok(Opened { store: opened.store, identities: opened.identities })
}
