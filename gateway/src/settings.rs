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
    /// `mqtt.connects_per_second`: CONNECTs of all devices that are looked at, and at once; beyond it they are refused (v5: 0x9F).
    pub connects_per_second: u64,
    /// `mqtt.device_connects_per_minute`: connections a device may open, and at once; beyond it they are refused (v5: 0x9F).
    pub device_connects_per_minute: u32,
    /// `mqtt.device_messages_per_second`: packets of one connection, and at once; beyond it nothing is read of it for a while. 0: any.
    pub device_messages_per_second: u64,
    /// `mqtt.device_bytes_per_second`: the same for bytes of packets. 0: any.
    pub device_bytes_per_second: u64,
    /// `mqtt.messages_per_second`: packets of all connections together; beyond it nothing is read of anybody for a while. 0: any.
    pub messages_per_second: u64,
    /// `mqtt.bytes_per_second`: the same for bytes of packets. 0: any.
    pub bytes_per_second: u64,
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
    /// `mqtt.tls.client_ca`: PEM; with it, a client certificate of these authorities is a credential of the device it names.
    pub client_ca: Option<PathBuf>,
    /// `mqtt.tls.client_crl`: PEM; certificates that these authorities have revoked. Read again when it changes.
    pub client_crl: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bind: Some(SocketAddr::from(([127, 0, 0, 1], 1883))),
            tls: None,
            websocket_bind: None,
            workers: 0,
            connections_max: 100_000,
            connects_per_second: 20_000,
            device_connects_per_minute: 600,
            device_messages_per_second: 100_000,
            messages_per_second: 0,
            bytes_per_second: 0,
            device_bytes_per_second: 64 << 20,
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
        if self.connects_per_second == 0 || self.device_connects_per_minute == 0 {
            return Err("mqtt.connects_per_second and mqtt.device_connects_per_minute must be at least 1");
        }
        if self.tls.as_ref().is_some_and(|tls| tls.client_crl.is_some() && tls.client_ca.is_none()) {
            return Err("mqtt.tls.client_crl is set, but mqtt.tls.client_ca is not: there is nobody to revoke");
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
