//! The ports: a server on a thread of its own with one worker thread a core, on which connections and their devices'
//! twins live together.

mod stream;
mod tls;
mod websocket;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use actors::{HostGuard, Twins};
use ntex::{
    io::IoConfig,
    rt::{DefaultRuntime, System},
    server::{Server, ServerBuilder, create_tcp_listener},
    service::{cfg::SharedCfg, fn_service},
    time::{Millis, Seconds},
};

use crate::{Error, Settings, house::House};
use stream::Transport;

/// How long sessions may take to end once they are asked to.
const SESSIONS_CLOSE_MAX: Duration = Duration::from_secs(5);
/// How long what is left then may take.
const WORKERS_STOP_MAX: Duration = Duration::from_secs(1);
/// How long a closed connection may take to read its last bytes.
const DISCONNECT_SECONDS_MAX: u16 = 2;
/// Sockets that wait to be accepted.
const BACKLOG: i32 = 2_048;
/// Bytes written and not read, from which on a client gets nothing more; and down to which it must come again.
const WRITE_HIGH_BYTES: usize = 64 * 1024;
const WRITE_LOW_BYTES: usize = 16 * 1024;
/// Connections that may be in their handshake beside those that have passed it, all workers together.
const HANDSHAKES_MAX: usize = 1_024;

thread_local! {
    /// Makes a worker thread a home of twins for as long as it runs.
    static HOME: std::cell::OnceCell<HostGuard> = const { std::cell::OnceCell::new() };
}

/// The running front door.
pub struct Gateway {
    /// The bound addresses.
    pub plain: Option<SocketAddr>,
    pub tls: Option<SocketAddr>,
    pub websocket: Option<SocketAddr>,
    house: Arc<House>,
    server: Server,
    thread: JoinHandle<()>,
}

/// Opens the ports. Blocks for as long as it takes to start a thread.
pub fn start(twins: Twins, settings: Settings) -> Result<Gateway, Error> {
    settings.check().map_err(Error::Settings)?;
    let mut ports = Ports::default();
    let plain = settings.bind.map(|addr| ports.open("mqtt.bind", addr, Transport::Plain)).transpose()?;
    let tls = match &settings.tls {
        Some(tls) => Some(ports.open("mqtt.tls.bind", tls.bind, Transport::Tls(tls::server_config(tls)?))?),
        None => None,
    };
    let websocket = settings.websocket_bind.map(|addr| ports.open("mqtt.websocket_bind", addr, Transport::WebSocket)).transpose()?;
    let house = Arc::new(House::new(twins, settings));
    let (server, thread) = spawn(house.clone(), ports)?;
    tracing::info!(?plain, ?tls, ?websocket, workers = house.settings.workers(), "MQTT is served");
    Ok(Gateway { plain, tls, websocket, house, server, thread })
}

impl Gateway {
    /// Tells every device that the server stops (v5: 0x8B) and waits until their sessions are closed, 5 s at most. New
    /// ones are refused. Twins go on living on this front door's threads, so the runtime is shut down between this and
    /// [`Self::stop`].
    pub async fn close_sessions(&self) {
        self.house.close_sessions(SESSIONS_CLOSE_MAX).await;
    }

    /// Closes sessions and ports and ends the threads, in 7 s at most.
    pub async fn stop(self) {
        self.close_sessions().await;
        self.server.stop(true).await;
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the MQTT server's thread ended by a panic");
        }
    }
}

#[derive(Default)]
struct Ports(Vec<(TcpListener, Transport)>);

impl Ports {
    fn open(&mut self, key: &'static str, addr: SocketAddr, transport: Transport) -> Result<SocketAddr, Error> {
        let fault = |source: io::Error| Error::Bind { key, addr, source };
        let listener = create_tcp_listener(addr, BACKLOG).map_err(fault)?;
        let bound = listener.local_addr().map_err(fault)?;
        self.0.push((listener, transport));
        Ok(bound)
    }
}

fn spawn(house: Arc<House>, ports: Ports) -> Result<(Server, JoinHandle<()>), Error> {
    let (tx, rx) = mpsc::sync_channel(1);
    let main = move || {
        let system = System::build().name("mqtt").disable_signals().build(DefaultRuntime);
        system.block_on(async move {
            match build(&house, ports) {
                Ok(builder) => {
                    let server = builder.run();
                    let _ = tx.send(Ok(server.clone()));
                    let _ = server.await;
                }
                Err(error) => {
                    let _ = tx.send(Err(error));
                }
            }
        });
    };
    let thread = std::thread::Builder::new().name("mqtt".into()).spawn(main).map_err(Error::Threads)?;
    let server = rx.recv().map_err(io::Error::other).and_then(|server| server).map_err(Error::Threads)?;
    Ok((server, thread))
}

fn build(house: &Arc<House>, ports: Ports) -> io::Result<ServerBuilder> {
    let mut builder = ServerBuilder::new()
        .name("mqtt")
        .disable_signals()
        .workers(house.settings.workers())
        .maxconn((house.settings.connections_max + HANDSHAKES_MAX).div_ceil(house.settings.workers().max(1)))
        .shutdown_timeout(Millis::from(WORKERS_STOP_MAX));
    for (i, (listener, transport)) in ports.0.into_iter().enumerate() {
        let name = format!("mqtt-{i}");
        let house = house.clone();
        builder = builder
            .listen(&name, listener, async move |_| {
                let (house, transport) = (house.clone(), transport.clone());
                HOME.with(|home| {
                    let _ = home.get_or_init(|| house.twins.join_thread());
                });
                fn_service(move |io| stream::serve(house.clone(), transport.clone(), io))
            })?
            .config(&name, io_config());
    }
    Ok(builder)
}

fn io_config() -> SharedCfg {
    SharedCfg::new("mqtt")
        .add(IoConfig::new().set_disconnect_timeout(Seconds(DISCONNECT_SECONDS_MAX)).set_write_buf(WRITE_HIGH_BYTES, WRITE_LOW_BYTES, 16))
        .into()
}
