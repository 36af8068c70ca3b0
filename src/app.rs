//! The running server: which concrete parts there are, in which order they start and stop.
//!
//! The only place that names a concrete store. The end-to-end tests run this same [`App`], so what they prove is what
//! `twinfold serve` does.

mod aside;
mod doors;
mod limits;
mod recorder;
mod secrets;
pub mod stores;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use actors::{Twins, clock::SystemClock, identity::Identities, kind::Kinds};

use crate::config::Config;
use doors::Doors;
pub use secrets::{ADMIN_TOKEN_FILE, MASTER_KEY_FILE, SecretError, add_master_key, master_kids};
pub use stores::Opened;

/// A stop that takes longer is cut off; nothing acknowledged is lost by it, the next start only has more to read.
const STOP_MAX: Duration = Duration::from_secs(9);

/// Why the server does not start. Each is one clear line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Secret(#[from] secrets::SecretError),
    #[error(transparent)]
    Store(#[from] stores::StoreError),
    #[error("recovering the twins: {0}")]
    Recovery(actors::TwinError),
    #[error(transparent)]
    Doors(#[from] doors::DoorError),
}

impl Error {
    /// Whether another configuration is needed, rather than another moment or machine.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Store(error) => matches!(error, stores::StoreError::Tls(_)),
            Self::Doors(error) => error.is_configuration(),
            Self::Secret(_) | Self::Recovery(_) => false,
        }
    }
}

/// A running server.
pub struct App {
    /// Where HTTP listens.
    pub http: SocketAddr,
    /// Where MQTT listens; the first of plain, TLS and WebSocket that is open.
    pub mqtt: SocketAddr,
    /// Where MQTT over TLS listens.
    pub mqtt_tls: Option<SocketAddr>,
    /// Where MQTT over WebSocket listens, at the path `/mqtt`.
    pub mqtt_websocket: Option<SocketAddr>,
    is_https: bool,
    admin_token: String,
    admin_token_file: Option<PathBuf>,
    twins: Twins,
    doors: Doors,
    watch: aside::Watch,
}

impl App {
    /// The server as it comes, without behaviours of one's own.
    pub async fn start(config: Config) -> Result<Self, Error> {
        Self::start_with(config, Kinds::built_in()).await
    }

    /// Opens the store, recovers the twins, then the doors: whoever gets in finds everything in place.
    pub async fn start_with(config: Config, kinds: Kinds) -> Result<Self, Error> {
        let dir = &config.data_dir;
        secrets::make_data_dir(dir)?;
        Doors::are_free(&config)?;
        let within = stores::reach(&config).await?;
        // Secrets that are there and cannot be read end this start before it takes anything over.
        let known = if dir.join(secrets::MASTER_KEY_FILE).exists() { Some(secrets::master_keys(dir, true)?) } else { None };
        let (admin_token, admin_token_file) = match &config.admin_token {
            Some(token) => (token.0.clone(), None),
            None => (secrets::admin_token(dir)?, Some(dir.join(ADMIN_TOKEN_FILE))),
        };
        let Opened { store, identities } = within.take_over(&config).await?;
        let masters = match known {
            Some(masters) => masters,
            // Made only now that nobody else registers anything.
            None => {
                let twins = store.count().await.map_err(|error| stores::StoreError::new(&config, error))?;
                secrets::master_keys(dir, twins > 0)?
            }
        };
        if config.redis_url.is_some() {
            tracing::warn!("redis.url is set, but this build runs on one node and does not use it");
        }
        let identities = Identities::with_masters(identities, store.clone(), masters, admin_token.clone());
        let clock = Arc::new(SystemClock);
        let twins = Twins::open_with(store.clone(), identities, config.twins.clone(), clock, kinds).await.map_err(Error::Recovery)?;
        let doors = Doors::open(&twins, &config).await?;
        let watch = aside::Watch::start(store, twins.clone(), &doors);
        limits::publish(&config);
        limits::raise_open_files(&config);
        tracing::info!(http = %doors.http, mqtt = %doors.mqtt, store = twins.store_kind(), data_dir = %dir.display(), "ready");
        Ok(Self {
            http: doors.http,
            mqtt: doors.mqtt,
            mqtt_tls: doors.mqtt_tls,
            mqtt_websocket: doors.mqtt_websocket,
            is_https: config.http.tls.is_some(),
            admin_token,
            admin_token_file,
            twins,
            doors,
            watch,
        })
    }

    /// Closes the doors, tells the devices, writes what is pending.
    pub async fn stop(self) {
        tracing::info!("stopping");
        drop(self.watch);
        match tokio::time::timeout(STOP_MAX, self.doors.close(&self.twins)).await {
            Ok(()) => tracing::info!("stopped"),
            Err(_) => tracing::warn!("the stop took longer than {STOP_MAX:?} and was cut off; nothing acknowledged is lost"),
        }
    }

    /// The runtime itself, for tests and for code that embeds the server.
    pub fn twins(&self) -> &Twins {
        &self.twins
    }

    /// Such as `http://127.0.0.1:8080`.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.is_https { "https" } else { "http" }, self.http)
    }

    pub fn admin_token(&self) -> &str {
        &self.admin_token
    }

    /// `None` when the token was configured.
    pub fn admin_token_file(&self) -> Option<&Path> {
        self.admin_token_file.as_deref()
    }

    pub fn store_kind(&self) -> &'static str {
        self.twins.store_kind()
    }
}
