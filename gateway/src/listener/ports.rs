//! Ports that listen, and who comes in by them.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use ntex::server::create_tcp_listener;
use tokio::{
    runtime,
    sync::{Semaphore, oneshot},
    task::JoinSet,
    time::sleep,
};

use super::{
    opening::Transport,
    workers::{Handed, Workers},
};
use crate::{Error, certificates::Authorities, house::House};

/// Sockets that wait to be accepted.
const BACKLOG: i32 = 2_048;
/// Connections in their handshake (TLS, WebSocket, CONNECT) at once; the next wait to be accepted.
const HANDSHAKES_MAX: usize = 1_024;
/// How often it is looked whether the revocation list has changed.
const CRL_LOOK_EVERY: Duration = Duration::from_millis(500);
/// A pause after a socket could not be accepted, most likely for want of open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

#[derive(Default)]
pub(super) struct Ports(Vec<(TcpListener, Transport)>);

/// Ports that are served. Dropping it closes them.
pub(super) struct Open {
    _close: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Ports {
    pub(super) fn listen(&mut self, key: &'static str, addr: SocketAddr, transport: Transport) -> Result<SocketAddr, Error> {
        let fault = |source: io::Error| Error::Bind { key, addr, source };
        let listener = create_tcp_listener(addr, BACKLOG).map_err(fault)?;
        let bound = listener.local_addr().map_err(fault)?;
        listener.set_nonblocking(true).map_err(fault)?;
        self.0.push((listener, transport));
        Ok(bound)
    }

    /// Accepts on a thread of its own, which hands what comes to `workers`.
    pub(super) fn open(self, house: &Arc<House>, workers: Workers) -> io::Result<Open> {
        let places = Arc::new(Semaphore::new((house.settings.connections_max + HANDSHAKES_MAX).min(Semaphore::MAX_PERMITS)));
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        let executor = runtime::Builder::new_current_thread().enable_all().build()?;
        let (close, closed) = oneshot::channel::<()>();
        let watched = house.clone();
        let main = async move {
            let mut ports = JoinSet::new();
            for (listener, transport) in self.0 {
                ports.spawn(accept(listener, transport, places.clone(), handshakes.clone(), workers.clone()));
            }
            drop(workers);
            if watched.settings.tls.as_ref().is_some_and(|tls| tls.client_crl.is_some()) {
                ports.spawn(watch_revocations(watched));
            }
            let _ = closed.await;
        };
        let thread = std::thread::Builder::new().name("mqtt-accept".into()).spawn(move || executor.block_on(main))?;
        Ok(Open { _close: close, thread })
    }
}

impl Open {
    /// Closes the ports; gives the thread that served them, which ends now.
    pub(super) fn close(self) -> JoinHandle<()> {
        self.thread
    }
}

/// A revocation list that changes ends sessions, and not only new ones.
async fn watch_revocations(house: Arc<House>) {
    loop {
        sleep(CRL_LOOK_EVERY).await;
        if house.authorities.as_ref().is_some_and(Authorities::refresh) {
            house.judge_again().await;
        }
    }
}

async fn accept(listener: TcpListener, transport: Transport, places: Arc<Semaphore>, handshakes: Arc<Semaphore>, workers: Workers) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "a port cannot be served"),
    };
    loop {
        let (Ok(place), Ok(handshake)) = (places.clone().acquire_owned().await, handshakes.clone().acquire_owned().await) else { return };
        match listener.accept().await.and_then(|(tcp, _)| tcp.into_std()) {
            Ok(tcp) => workers.hand(Handed { tcp, transport: transport.clone(), place, handshake }).await,
            // the client has gone already
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
