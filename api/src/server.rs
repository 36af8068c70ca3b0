//! The listening server: starting it on an address, plain or with TLS, and stopping it without cutting answers off.

use std::{io, net::SocketAddr, path::PathBuf, time::Duration};

use actix_web::{HttpServer, dev::ServerHandle};
use actors::Twins;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    app::{Parts, app},
    edge, live,
    settings::Settings,
    stopping::{Reason, Stopping},
    tls,
};

/// How often the metrics' histograms are folded, so that they do not grow between two scrapes.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address}: {source}")]
    Bind { address: SocketAddr, source: io::Error },
    #[error("cannot use {} for HTTPS: {why}", file.display())]
    Tls { file: PathBuf, why: String },
}

/// A running server. Dropping it leaves it running; [`Api::stop`] ends it.
pub struct Api {
    /// Where it listens, the port it was given included.
    pub address: SocketAddr,
    handle: ServerHandle,
    server: JoinHandle<io::Result<()>>,
    upkeep: JoinHandle<()>,
    stopping: watch::Sender<Option<Reason>>,
    stop_max: Duration,
}

/// Makes the server stand aside from elsewhere than where it is held.
pub struct Aside(watch::Sender<Option<Reason>>);

impl Aside {
    /// From now on every route but the probes answers 503 `taken-over`, `/readyz` too, and live streams end.
    pub fn begin(&self) {
        self.0.send_replace(Some(Reason::StandsAside));
    }
}

/// Starts serving. Must be called within a tokio runtime.
pub async fn start(twins: Twins, settings: Settings, metrics: PrometheusHandle) -> Result<Api, StartError> {
    edge::describe_metrics();
    live::describe_metrics();
    let (stopping, word) = Stopping::new();
    let parts = Parts::new(twins, settings.clone(), metrics.clone(), word);
    let server = HttpServer::new(move || app(parts.clone()))
        .workers(settings.workers.max(1))
        // A small answer or live event must not wait for the acknowledgement of the one before.
        .tcp_nodelay(true)
        .max_connections(settings.connections_max.div_ceil(settings.workers.max(1)))
        .client_request_timeout(settings.head_timeout)
        .keep_alive(settings.keep_alive)
        .shutdown_timeout(settings.stop_max.as_secs().max(1))
        .disable_signals();
    let bound = match &settings.tls {
        Some(files) => server.bind_rustls_0_23(settings.bind, tls::config(files)?),
        None => server.bind(settings.bind),
    };
    let server = bound.map_err(|source| StartError::Bind { address: settings.bind, source })?;
    let address = server.addrs().first().copied().unwrap_or(settings.bind);
    let server = server.run();
    let handle = server.handle();
    tracing::info!(%address, https = settings.tls.is_some(), "serving HTTP");
    Ok(Api { address, handle, server: tokio::spawn(server), upkeep: tokio::spawn(upkeep(metrics)), stopping, stop_max: settings.stop_max })
}

async fn upkeep(metrics: PrometheusHandle) {
    loop {
        tokio::time::sleep(METRICS_UPKEEP).await;
        metrics.run_upkeep();
    }
}

impl Api {
    pub fn aside(&self) -> Aside {
        Aside(self.stopping.clone())
    }

    /// Ends live streams, lets requests that are being worked on finish, and returns within `http.stop_max` and a little.
    pub async fn stop(self) {
        self.stopping.send_replace(Some(Reason::Stops));
        self.upkeep.abort();
        if tokio::time::timeout(self.stop_max, self.handle.stop(true)).await.is_err() {
            tracing::warn!("requests were cut off: they did not end within http.stop_max");
            self.handle.stop(false).await;
        }
        if let Ok(Err(error)) = self.server.await {
            tracing::warn!(%error, "the HTTP server ended with an error");
        }
    }
}
