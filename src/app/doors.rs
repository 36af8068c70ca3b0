//! The two ways in: MQTT for devices, HTTP for people and systems. Opened together or not at all.

use std::{
    io::{self, ErrorKind},
    net::{SocketAddr, TcpListener},
};

use actors::Twins;
use api::{Api, StartError};
use gateway::Gateway;

use super::recorder;
use crate::config::Config;

#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    #[error("{}", mqtt_words(.0))]
    Mqtt(gateway::Error),
    #[error("{}", http_words(.0))]
    Http(StartError),
    #[error("metrics cannot be collected: {0}")]
    Metrics(String),
}

impl DoorError {
    /// Whether the configuration names what cannot be: a file that is no certificate, an address of another machine.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Mqtt(gateway::Error::Bind { source, .. }) | Self::Http(StartError::Bind { source, .. }) => {
                source.kind() == ErrorKind::AddrNotAvailable
            }
            Self::Mqtt(gateway::Error::Settings(_) | gateway::Error::Tls { .. }) | Self::Http(StartError::Tls { .. }) => true,
            Self::Mqtt(gateway::Error::Threads(_)) | Self::Metrics(_) => false,
        }
    }
}

/// Both, open.
pub struct Doors {
    pub http: SocketAddr,
    /// The first of plain, TLS and WebSocket that is open.
    pub mqtt: SocketAddr,
    pub mqtt_tls: Option<SocketAddr>,
    pub mqtt_websocket: Option<SocketAddr>,
    gateway: Gateway,
    api: Api,
}

impl Doors {
    /// That nobody else listens where this server is to: known before it takes a store over from another one.
    pub fn are_free(config: &Config) -> Result<(), DoorError> {
        let mqtt = &config.mqtt;
        let tls = mqtt.tls.as_ref().map(|tls| tls.bind);
        for (key, addr) in [("mqtt.bind", mqtt.bind), ("mqtt.tls.bind", tls), ("mqtt.websocket_bind", mqtt.websocket_bind)] {
            if let Some(addr) = addr {
                TcpListener::bind(addr).map_err(|source| DoorError::Mqtt(gateway::Error::Bind { key, addr, source }))?;
            }
        }
        let address = config.http.bind;
        TcpListener::bind(address).map(drop).map_err(|source| DoorError::Http(StartError::Bind { address, source }))
    }

    /// On an error nothing listens any more, and the runtime is shut down.
    pub async fn open(twins: &Twins, config: &Config) -> Result<Self, DoorError> {
        let metrics = recorder::installed().map_err(DoorError::Metrics)?;
        let gateway = match gateway::start(twins.clone(), config.mqtt.clone()) {
            Ok(gateway) => gateway,
            Err(error) => {
                twins.shutdown().await;
                return Err(DoorError::Mqtt(error));
            }
        };
        match api::start(twins.clone(), config.http.clone(), metrics).await {
            Ok(api) => Ok(Self {
                http: api.address,
                mqtt: gateway.plain.or(gateway.tls).or(gateway.websocket).unwrap_or(api.address),
                mqtt_tls: gateway.tls,
                mqtt_websocket: gateway.websocket,
                gateway,
                api,
            }),
            Err(error) => {
                close(gateway, twins).await;
                Err(DoorError::Http(error))
            }
        }
    }

    /// The two handles by which a server stands aside.
    pub fn aside(&self) -> (api::Aside, gateway::Sessions) {
        (self.api.aside(), self.gateway.sessions())
    }

    /// Lets requests finish, tells the devices, writes what is pending.
    pub async fn close(self, twins: &Twins) {
        tokio::join!(self.api.stop(), close(self.gateway, twins));
    }
}

/// Twins live on the gateway's threads, so these end last.
async fn close(gateway: Gateway, twins: &Twins) {
    gateway.close_sessions().await;
    twins.shutdown().await;
    gateway.stop().await;
}

fn mqtt_words(error: &gateway::Error) -> String {
    match error {
        gateway::Error::Bind { key, addr, source } => bind_words(key, *addr, source),
        other => other.to_string(),
    }
}

fn http_words(error: &StartError) -> String {
    match error {
        StartError::Bind { address, source } => bind_words("http.bind", *address, source),
        other => other.to_string(),
    }
}

fn bind_words(key: &str, address: SocketAddr, error: &io::Error) -> String {
    let flag = key.replace(['.', '_'], "-");
    match error.kind() {
        ErrorKind::AddrInUse => format!("{key}: another program listens on {address}; stop it, or choose another address with --{flag}"),
        ErrorKind::AddrNotAvailable => format!("{key}: {address} is not an address of this machine"),
        ErrorKind::PermissionDenied => format!("{key}: listening on {address} needs more rights; choose a port above 1023 with --{flag}"),
        _ => format!("{key}: cannot listen on {address}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_says_whose_setting_it_is_and_what_to_do() {
        let error = DoorError::Mqtt(gateway::Error::Bind {
            key: "mqtt.bind",
            addr: SocketAddr::from(([127, 0, 0, 1], 1883)),
            source: ErrorKind::AddrInUse.into(),
        });
        assert_eq!(
            error.to_string(),
            "mqtt.bind: another program listens on 127.0.0.1:1883; stop it, or choose another address with --mqtt-bind"
        );
        assert!(!error.is_configuration());
    }

    #[test]
    fn an_address_of_another_machine_is_a_matter_of_configuration() {
        let address = SocketAddr::from(([192, 0, 2, 1], 80));
        assert!(DoorError::Http(StartError::Bind { address, source: ErrorKind::AddrNotAvailable.into() }).is_configuration());
    }
}
