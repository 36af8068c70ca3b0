//! A fresh socket to the stream of bytes that MQTT is spoken on.

use std::{io, sync::Arc};

use rustls::ServerConfig;
use tokio::{
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::{error::Elapsed, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::websocket;
use crate::{house::House, session, socket::Stream};

#[derive(Clone)]
pub(super) enum Transport {
    Plain,
    Tls(Arc<ServerConfig>),
    WebSocket,
}

/// Serves one connection to its end. Its failures are its own.
pub(super) async fn serve(house: Arc<House>, transport: Transport, tcp: TcpStream, handshake: OwnedSemaphorePermit) {
    // Boxed, so that a connection that has begun does not carry a handshake's room.
    match Box::pin(open(&house, transport, tcp)).await {
        Ok(stream) => session::serve(house, stream, handshake).await,
        Err((stage, error)) => {
            if error.kind() == io::ErrorKind::TimedOut {
                house.meters.handshake_timeout(stage);
            }
            tracing::debug!(stage, %error, "a connection did not begin");
        }
    }
}

async fn open(house: &House, transport: Transport, tcp: TcpStream) -> Result<Stream, (&'static str, io::Error)> {
    // Answers are small and on their way at once; a peer that wants fewer packets sends more at a time.
    tcp.set_nodelay(true).map_err(|error| ("tcp", error))?;
    let patience = house.settings.handshake_timeout;
    let late = |_: Elapsed| io::Error::from(io::ErrorKind::TimedOut);
    match transport {
        Transport::Plain => Ok(Stream::Plain(tcp)),
        Transport::Tls(config) => match timeout(patience, TlsAcceptor::from(config).accept(tcp)).await.map_err(late).flatten() {
            Ok(tls) => Ok(Stream::Tls(Box::new(tls))),
            Err(error) => Err(("tls", error)),
        },
        Transport::WebSocket => {
            let upgraded = timeout(patience, websocket::upgrade(tcp, house.settings.packet_max_bytes)).await;
            match upgraded.map_err(late).flatten() {
                Ok(frames) => Ok(Stream::WebSocket(Box::new(frames))),
                Err(error) => Err(("websocket", error)),
            }
        }
    }
}
