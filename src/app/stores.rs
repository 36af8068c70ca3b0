//! The store that the configuration names, opened.

use std::{path::PathBuf, sync::Arc};

use persistence::{Error, Identities, Store};
use persistence_embedded::EmbeddedStore;
use persistence_scylla::{Options, Reached, TlsError, TlsFiles};

use super::secrets;
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
    #[error(
        "{} is missing, and keyspace {keyspace} holds twins. Without this key no device could log in: bring it from the server that has \
         the keyspace, or from a backup. Nothing was taken over", path.display()
    )]
    KeyElsewhere { path: PathBuf, keyspace: String },
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
    match config.store {
        StoreKind::Embedded => embedded(config).await.map_err(|error| StoreError::new(config, error)),
        StoreKind::Scylla => scylla(config).await,
    }
}

async fn embedded(config: &Config) -> Result<Opened, Error> {
    let (dir, options) = (config.data_dir.clone(), config.embedded.clone());
    let opened = tokio::task::spawn_blocking(move || EmbeddedStore::open(&dir, options)).await;
    let died = |died: tokio::task::JoinError| Error::Unavailable { doing: "opening the store", detail: died.to_string() };
    let opened = opened.map_err(died)??;
    Ok(Opened { store: opened.store, identities: opened.identities })
}

/// Who opens a keyspace takes it from whoever has it, so what is sure to end this start ends it before.
async fn scylla(config: &Config) -> Result<Opened, StoreError> {
    let tls = config.scylla.tls.as_ref().map(TlsFiles::read).transpose()?;
    let options = Options { tls, ..config.scylla.options.clone() };
    let path = config.data_dir.join(secrets::MASTER_KEY_FILE);
    let failed = |error| StoreError::new(config, error);
    let reached = Reached::reach(options).await.map_err(failed)?;
    if !path.exists() && reached.has_twins().await.map_err(failed)? {
        return Err(StoreError::KeyElsewhere { path, keyspace: config.scylla.options.keyspace.clone() });
    }
    let opened = reached.take_over().await.map_err(failed)?;
    Ok(Opened { store: opened.store, identities: opened.identities })
}
