//! A fresh socket to the stream of bytes that MQTT is spoken on.

use std::{io, sync::Arc};

use ntex::{
    io::{Io, IoBoxed},
    time::Millis,
};
use ntex_tls::rustls::TlsServerFilter;
use rustls::ServerConfig;

use super::websocket;
use crate::{house::House, session};

#[derive(Clone)]
pub(super) enum Transport {
    Plain,
    Tls(Arc<ServerConfig>),
    WebSocket,
}

/// Serves one connection to its end. Its failures are its own: nothing is told to the server, which would stop for it.
pub(super) async fn serve(house: Arc<House>, transport: Transport, io: Io) -> Result<(), io::Error> {
    // Boxed, so that a connection that has begun does not carry a handshake's room.
    match Box::pin(wrap(&house, transport, io)).await {
        Ok(io) => session::serve(house, io).await,
        Err((stage, error)) => {
            if error.kind() == io::ErrorKind::TimedOut {
                house.meters.handshake_timeout(stage);
            }
            tracing::debug!(stage, %error, "a connection did not begin");
        }
    }
    Ok(())
}

async fn wrap(house: &House, transport: Transport, io: Io) -> Result<IoBoxed, (&'static str, io::Error)> {
    let patience = Millis::from(house.settings.handshake_timeout);
    match transport {
        Transport::Plain => Ok(io.into()),
        Transport::Tls(config) => match TlsServerFilter::create(io, config, patience).await {
            Ok(io) => Ok(io.into()),
            Err(error) => Err(("tls", error)),
        },
        Transport::WebSocket => match websocket::upgrade(io, patience, house.settings.packet_max_bytes).await {
            Ok(io) => Ok(io),
            Err(error) => Err(("websocket", error)),
        },
    }
}
