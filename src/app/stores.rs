//! The store that the configuration names, opened.

use std::{path::PathBuf, sync::Arc};

use persistence::{Audit, Error, Identities, Store};
use persistence_embedded::EmbeddedStore;
use persistence_scylla::{Looked, Options, Reached, TlsError, TlsFiles};

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
    reach(config).await?.take_over(config).await
}

/// A store that this process could open: the embedded one is, a keyspace is left with whoever has it.
pub enum Within {
    Embedded(Opened),
    Scylla(Box<Reached>),
}

/// What is sure to end this start ends it before anything is changed, or taken over.
pub async fn reach(config: &Config) -> Result<Within, StoreError> {
    if config.store == StoreKind::Embedded {
        return embedded(config).await.map(Within::Embedded).map_err(|error| StoreError::new(config, error));
    }
    let failed = |error| StoreError::new(config, error);
    let path = config.data_dir.join(secrets::MASTER_KEY_FILE);
    let looked = look(config).await?;
    if !path.exists() && looked.has_twins().await.map_err(failed)? {
        return Err(StoreError::KeyElsewhere { path, keyspace: config.scylla.options.keyspace.clone() });
    }
    Ok(Within::Scylla(Box::new(looked.migrate().await.map_err(failed)?)))
}

impl Within {
    /// From now on the store is this process's.
    pub async fn take_over(self, config: &Config) -> Result<Opened, StoreError> {
        match self {
            Self::Embedded(opened) => Ok(opened),
            Self::Scylla(reached) => {
                let opened = reached.take_over().await.map_err(|error| StoreError::new(config, error))?;
                Ok(Opened { store: opened.store, identities: opened.identities })
            }
        }
    }
}

async fn embedded(config: &Config) -> Result<Opened, Error> {
    let (dir, options) = (config.data_dir.clone(), config.embedded.clone());
    let opened = tokio::task::spawn_blocking(move || EmbeddedStore::open(&dir, options)).await;
    let died = |died: tokio::task::JoinError| Error::Unavailable { doing: "opening the store", detail: died.to_string() };
    let opened = opened.map_err(died)??;
    Ok(Opened { store: opened.store, identities: opened.identities })
}

/// The audit log of that store, to be read. A server that has the keyspace keeps it, as it is.
pub async fn audit_log(config: &Config) -> Result<Arc<dyn Audit>, StoreError> {
    match config.store {
        StoreKind::Embedded => Ok(open(config).await?.store),
        StoreKind::Scylla => Ok(Arc::new(look(config).await?.audit_reader().await.map_err(|error| StoreError::new(config, error))?)),
    }
}

async fn look(config: &Config) -> Result<Looked, StoreError> {
    let tls = config.scylla.tls.as_ref().map(TlsFiles::read).transpose()?;
    let options = Options { tls, ..config.scylla.options.clone() };
    Looked::at(options).await.map_err(|error| StoreError::new(config, error))
}
