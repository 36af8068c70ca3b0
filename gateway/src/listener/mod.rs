//! The ports, and one worker thread a core, on which connections and their devices' twins live together.

mod opening;
mod ports;
mod tls;
mod websocket;
mod workers;

use std::{net::SocketAddr, sync::Arc, thread::JoinHandle, time::Duration};

use actors::Twins;

use crate::{Error, Settings, certificates::Authorities, house::House};
use opening::Transport;
use ports::{Open, Ports};
use workers::Workers;

/// How long sessions may take to end once they are asked to.
const SESSIONS_CLOSE_MAX: Duration = Duration::from_secs(5);

/// The running front door.
pub struct Gateway {
    /// The bound addresses.
    pub plain: Option<SocketAddr>,
    pub tls: Option<SocketAddr>,
    pub websocket: Option<SocketAddr>,
    house: Arc<House>,
    ports: Open,
    workers: Vec<JoinHandle<()>>,
}

/// Opens the ports. Blocks for as long as it takes to start the threads.
pub fn start(twins: Twins, settings: Settings) -> Result<Gateway, Error> {
    settings.check().map_err(Error::Settings)?;
    let mut ports = Ports::default();
    let plain = settings.bind.map(|addr| ports.listen("mqtt.bind", addr, Transport::Plain)).transpose()?;
    let authorities = settings.tls.as_ref().map(Authorities::read).transpose()?;
    let tls = match &settings.tls {
        Some(tls) => Some(ports.listen("mqtt.tls.bind", tls.bind, Transport::Tls(tls::server_config(tls)?))?),
        None => None,
    };
    let websocket = settings.websocket_bind.map(|addr| ports.listen("mqtt.websocket_bind", addr, Transport::WebSocket)).transpose()?;
    let house = Arc::new(House::new(twins, settings, authorities));
    let (workers, threads) = Workers::start(&house).map_err(Error::Threads)?;
    let ports = ports.open(&house, workers).map_err(Error::Threads)?;
    tracing::info!(?plain, ?tls, ?websocket, workers = threads.len(), "MQTT is served");
    Ok(Gateway { plain, tls, websocket, house, ports, workers: threads })
}

/// Ends sessions from elsewhere than where the front door is held.
pub struct Sessions(Arc<House>);

impl Sessions {
    /// As [`Gateway::close_sessions`].
    pub async fn close(&self) {
        self.0.close_sessions(SESSIONS_CLOSE_MAX).await;
    }
}

impl Gateway {
    pub fn sessions(&self) -> Sessions {
        Sessions(self.house.clone())
    }

    /// Tells every device that the server stops (v5: 0x8B) and waits until their sessions are closed, 5 s at most. New
    /// ones are refused. Twins go on living on this front door's threads, so the runtime is shut down between this and
    /// [`Self::stop`].
    pub async fn close_sessions(&self) {
        self.house.close_sessions(SESSIONS_CLOSE_MAX).await;
    }

    /// Closes sessions and ports and ends the threads, in 7 s at most.
    pub async fn stop(self) {
        self.close_sessions().await;
        let threads: Vec<_> = std::iter::once(self.ports.close()).chain(self.workers).collect();
        let joined =
            tokio::task::spawn_blocking(move || threads.into_iter().map(JoinHandle::join).fold(true, |all, ended| all & ended.is_ok()))
                .await;
        if !matches!(joined, Ok(true)) {
            tracing::error!("a thread that serves MQTT ended by a panic");
        }
    }
}
