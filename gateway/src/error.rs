//! Why the front door does not open.

use std::{io, net::SocketAddr, path::PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Settings(&'static str),
    #[error("{key} = {addr}: cannot listen there: {source}")]
    Bind { key: &'static str, addr: SocketAddr, source: io::Error },
    #[error("{key} = {}: {why}", path.display())]
    Tls { key: &'static str, path: PathBuf, why: String },
    #[error("the MQTT threads cannot be started: {0}")]
    Threads(#[source] io::Error),
}
