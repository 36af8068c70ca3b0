//! The stream of bytes that MQTT is spoken on: TCP, TLS, or the frames of a WebSocket.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use rustls_pki_types::CertificateDer;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use super::WebSocket;

/// The rarer and larger ones are boxed, so that a plain connection does not carry their room.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    WebSocket(Box<WebSocket>),
}

impl Stream {
    pub(crate) fn peer_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
            Self::WebSocket(frames) => frames.tcp(),
        }
        .peer_addr()
    }

    /// The client's certificates, its own first. It holds the key of that one.
    pub(crate) fn peer_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        match self {
            Self::Tls(tls) => tls.get_ref().1.peer_certificates(),
            Self::Plain(_) | Self::WebSocket(_) => None,
        }
    }
}

macro_rules! forward {
    ($self:ident, $method:ident, $cx:ident $(, $more:ident)*) => {
        match $self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).$method($cx $(, $more)*),
            Self::Tls(tls) => Pin::new(tls.as_mut()).$method($cx $(, $more)*),
            Self::WebSocket(frames) => Pin::new(frames.as_mut()).$method($cx $(, $more)*),
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        forward!(self, poll_read, cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        forward!(self, poll_write, cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, poll_flush, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, poll_shutdown, cx)
    }
}
