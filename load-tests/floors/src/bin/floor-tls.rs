//! Bare rustls: a full handshake, then CONNECT is answered and PINGREQ too. The floor of a device that connects over TLS.
//!
//! Called as `floor-tls CERTIFICATE KEY`, both PEM.

use std::{io, net::Ipv4Addr, path::PathBuf, sync::Arc};

use load_floors::{say_ready, workers};
use rustls::{ServerConfig, crypto::ring};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime,
};
use tokio_rustls::TlsAcceptor;

const CONNECT: u8 = 0x10;
const PINGREQ: u8 = 0xC0;
/// A CONNECT of a load is far shorter, so that one byte holds its length or two do.
const READ_BYTES: usize = 1024;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let files: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [certificate, key] = files.as_slice() else { return Err("wants a certificate and a key".into()) };
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<std::result::Result<Vec<_>, _>>()?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    runtime::Builder::new_multi_thread().worker_threads(workers()).enable_all().build()?.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        say_ready("mqtts", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            let acceptor = acceptor.clone();
            // A client that leaves early is no business of a floor.
            tokio::spawn(async move { serve(acceptor, stream).await.ok() });
        }
    })
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = acceptor.accept(stream).await?;
    let mut frame = [0; READ_BYTES];
    while stream.read(&mut frame).await? > 0 {
        // A frame of a load fits into one TLS record, so it comes whole.
        let answer: &[u8] = match frame[0] {
            CONNECT => &[0x20, 2, 0, 0],
            PINGREQ => &[0xD0, 0],
            _ => return Ok(()),
        };
        stream.write_all(answer).await?;
        stream.flush().await?;
    }
    Ok(())
}
