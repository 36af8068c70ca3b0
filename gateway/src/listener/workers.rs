//! The threads that connections are served on, each with the twins of its devices.

use std::{
    io,
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::sync_channel,
    },
    thread::JoinHandle,
    time::Duration,
};

use tokio::{
    runtime,
    sync::{OwnedSemaphorePermit, mpsc},
    task::{JoinSet, LocalSet},
    time::timeout,
};

use super::opening::{self, Transport};
use crate::house::House;

/// Sockets that were accepted and not yet taken up by their worker; the next waits to be accepted.
const HANDED_MAX: usize = 256;
/// How long connections that are left may take to end once the port is closed.
const STOP_MAX: Duration = Duration::from_secs(1);

/// A socket on its way to the thread that will serve it.
pub(super) struct Handed {
    pub(super) tcp: TcpStream,
    pub(super) transport: Transport,
    /// Given back when the connection is over.
    pub(super) place: OwnedSemaphorePermit,
    /// Given back when the client is in or turned away.
    pub(super) handshake: OwnedSemaphorePermit,
}

struct Worker {
    sockets: mpsc::Sender<Handed>,
    /// Connections it has.
    load: Arc<AtomicUsize>,
}

#[derive(Clone)]
pub(super) struct Workers(Arc<[Worker]>);

impl Workers {
    /// Starts the threads and waits until twins can live on them. They end when the last clone is dropped and their connections are over, or [`STOP_MAX`] later.
    pub(super) fn start(house: &Arc<House>) -> io::Result<(Self, Vec<JoinHandle<()>>)> {
        let (mut workers, mut threads) = (Vec::new(), Vec::new());
        let (joined, homes) = sync_channel(house.settings.workers());
        for i in 0..house.settings.workers() {
            let (sockets, inbox) = mpsc::channel(HANDED_MAX);
            let load = Arc::<AtomicUsize>::default();
            let (house, counted, joined) = (house.clone(), load.clone(), joined.clone());
            let executor = runtime::Builder::new_current_thread().enable_all().build()?;
            let main = async move {
                let _home = house.twins.join_thread();
                let _ = joined.send(());
                serve(house, inbox, counted).await;
            };
            let serve = move || LocalSet::new().block_on(&executor, main);
            threads.push(std::thread::Builder::new().name(format!("mqtt-{i}")).spawn(serve)?);
            workers.push(Worker { sockets, load });
        }
        drop(joined);
        homes.iter().take(threads.len()).for_each(drop);
        Ok((Self(workers.into()), threads))
    }

    /// Gives it to the thread with the fewest connections, and waits while that one is behind.
    pub(super) async fn hand(&self, socket: Handed) {
        let Some(worker) = self.0.iter().min_by_key(|worker| worker.load.load(Ordering::Relaxed)) else { return };
        worker.load.fetch_add(1, Ordering::Relaxed);
        if worker.sockets.send(socket).await.is_err() {
            tracing::error!("a thread that serves MQTT has ended");
        }
    }
}

async fn serve(house: Arc<House>, mut inbox: mpsc::Receiver<Handed>, load: Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            socket = inbox.recv() => match socket {
                Some(socket) => { connections.spawn_local(connection(house.clone(), socket, load.clone())); }
                None => break,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    let _ = timeout(STOP_MAX, async { while connections.join_next().await.is_some() {} }).await;
}

async fn connection(house: Arc<House>, socket: Handed, load: Arc<AtomicUsize>) {
    let Handed { tcp, transport, place, handshake } = socket;
    match tokio::net::TcpStream::from_std(tcp) {
        Ok(tcp) => opening::serve(house, transport, tcp, handshake).await,
        Err(error) => tracing::warn!(%error, "a socket cannot be served"),
    }
    drop(place);
    load.fetch_sub(1, Ordering::Relaxed);
}
