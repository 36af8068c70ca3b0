//! The front door's settings: every bound has a name, a unit and a default, and the same name in the configuration file.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Fewer would make a client with a window of 16 stall.
pub const RECEIVE_MAX_MIN: u16 = 16;

#[derive(Debug, Clone)]
pub struct Settings {
    /// `mqtt.bind`: MQTT over TCP; none when absent.
    pub bind: Option<SocketAddr>,
    /// `mqtt.tls.*`: MQTT over TLS; none when absent.
    pub tls: Option<TlsSettings>,
    /// `mqtt.websocket_bind`: MQTT over WebSocket, at the path `/mqtt`; none when absent.
    pub websocket_bind: Option<SocketAddr>,
    /// `mqtt.workers`: threads that serve connections, and where their devices' twins live; 0 means one a core.
    pub workers: usize,
    /// `mqtt.connections_max`: beyond it a CONNECT is refused (v5: 0x89), and sockets wait to be accepted.
    pub connections_max: usize,
    /// `mqtt.packet_max_bytes`: largest packet taken (v5: 0x95).
    pub packet_max_bytes: u32,
    /// `mqtt.receive_max`: messages of one connection on their way to twins; at least 16. Beyond it a v5 client that
    /// sends above QoS 0 breaks its word (0x93), and any other waits.
    pub receive_max: u16,
    /// `mqtt.send_max`: messages sent to a device and not yet acknowledged; a client's Receive Maximum may lower it.
    pub send_max: u16,
    /// `mqtt.handshake_timeout`: for TLS, for the WebSocket upgrade, for the CONNECT to come, and for it to be decided.
    pub handshake_timeout: Duration,
    /// `mqtt.keep_alive_max`: a v5 client that asks for longer is given this; one that asks for none gets none.
    pub keep_alive_max: Duration,
    /// `mqtt.session_expiry_max`: how long a session outlives its connection at most; also what a 3.1.1 client without
    /// clean session gets.
    pub session_expiry_max: Duration,
    /// `mqtt.topic_alias_max`: topic aliases of one connection.
    pub topic_alias_max: u16,
    /// `mqtt.downlink_queue_max`: messages waiting for one device to read; beyond it they wait in their twins.
    pub downlink_queue_max: usize,
    /// `mqtt.write_timeout`: how long a device may leave what was sent to it unread once its buffer is full.
    pub write_timeout: Duration,
}

#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// `mqtt.tls.bind`
    pub bind: SocketAddr,
    /// `mqtt.tls.cert`: PEM, the server's own certificate first.
    pub cert: PathBuf,
    /// `mqtt.tls.key`: PEM.
    pub key: PathBuf,
    /// `mqtt.tls.client_ca`: PEM; with it, a client certificate of these authorities is a credential.
    pub client_ca: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bind: Some(SocketAddr::from(([127, 0, 0, 1], 1883))),
            tls: None,
            websocket_bind: None,
            workers: 0,
            connections_max: 100_000,
            packet_max_bytes: 256 * 1024,
            receive_max: 64,
            send_max: 16,
            handshake_timeout: Duration::from_secs(5),
            keep_alive_max: Duration::from_secs(3_600),
            session_expiry_max: Duration::from_secs(7 * 24 * 3_600),
            topic_alias_max: 32,
            downlink_queue_max: 32,
            write_timeout: Duration::from_secs(30),
        }
    }
}

impl Settings {
    pub(crate) fn workers(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
    }

    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if self.receive_max < RECEIVE_MAX_MIN {
            return Err("mqtt.receive_max must be at least 16");
        }
        if self.packet_max_bytes < 1_024 {
            return Err("mqtt.packet_max_bytes must be at least 1024");
        }
        if self.send_max == 0 || self.downlink_queue_max == 0 || self.connections_max == 0 {
            return Err("mqtt.send_max, mqtt.downlink_queue_max and mqtt.connections_max must be at least 1");
        }
        if self.handshake_timeout.is_zero() || self.write_timeout.is_zero() || self.keep_alive_max.as_secs() == 0 {
            return Err("mqtt.handshake_timeout, mqtt.write_timeout and mqtt.keep_alive_max must be longer than zero");
        }
        if self.bind.is_none() && self.tls.is_none() && self.websocket_bind.is_none() {
            return Err("one of mqtt.bind, mqtt.tls.bind and mqtt.websocket_bind must be set");
        }
        Ok(())
    }
}
