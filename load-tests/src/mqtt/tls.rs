//! TLS as a device speaks it: a full handshake each time, nothing resumed.

use std::{net::SocketAddr, path::Path, sync::Arc};

use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        client::Resumption,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

use super::connection::Connection;
use crate::{Result, http::registry::Device};

/// A connector that trusts only the authority in this file.
pub fn connector(ca: &Path) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca)? {
        roots.add(certificate?)?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions()?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

pub async fn open(connector: &TlsConnector, to: SocketAddr, device: &Device) -> Result<Connection<TlsStream<TcpStream>>> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let stream = connector.connect(ServerName::from(to.ip()), stream).await?;
    Connection::over(stream, device).await
}
