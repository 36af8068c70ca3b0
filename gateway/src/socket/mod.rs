//! A connection's bytes: one socket, what was read of it and is not yet a packet, and what waits to be written.
//!
//! Ours and not `ntex-io`'s, for three things that cost most at one message a wake-up: a read that came back short is
//! not followed by one that finds nothing, reading and handling are one task, and an idle connection holds no buffer.

mod stream;
mod websocket;

use std::{
    io,
    pin::pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use ntex::{
    codec::{Decoder, Encoder},
    util::{BytePageSize, BytePages, BytesMut},
};
use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

pub(crate) use stream::Stream;
pub(crate) use websocket::WebSocket;

/// Bytes written and not read, from which on a client gets nothing more; and down to which it must come again.
const WRITE_HIGH_BYTES: usize = 64 * 1024;
const WRITE_LOW_BYTES: usize = 16 * 1024;
/// What is read at a time, and where a burst of answers begins to be written before the burst is over.
const PAGE: BytePageSize = BytePageSize::Size16;
const PAGE_BYTES: usize = 16 * 1024;
/// Less room than this is not worth a read.
const READ_ROOM_MIN: usize = 1_024;
/// A packet's beginning up to this size moves out of its page, so that a client that never ends one holds little.
const FRAGMENT_BYTES_MAX: usize = 2_048;
/// How long a closed connection may take to be read to its end by the other side.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// Why there is no packet.
#[derive(Debug)]
pub(crate) enum NoPacket<E> {
    Decode(E),
    /// The other side has closed it, or it broke.
    Closed,
}

pub(crate) struct Socket {
    /// `None` once it was taken to be closed: what is written from then on is dropped.
    stream: Option<Stream>,
    /// Read and not decoded.
    unread: Option<BytesMut>,
    /// Encoded and not written.
    unwritten: Option<BytePages>,
    /// The other side sends no more.
    ended: bool,
    /// Nothing that is left to say would be read.
    given_up: bool,
}

impl Socket {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream: Some(stream), unread: None, unwritten: None, ended: false, given_up: false }
    }

    /// The next packet.
    pub(crate) async fn recv<D: Decoder>(&mut self, codec: &D) -> Result<D::Item, NoPacket<D::Error>> {
        std::future::poll_fn(|cx| self.poll_recv(codec, cx)).await
    }

    pub(crate) fn poll_recv<D: Decoder>(&mut self, codec: &D, cx: &mut Context<'_>) -> Poll<Result<D::Item, NoPacket<D::Error>>> {
        loop {
            if let Some(unread) = &mut self.unread
                && let Some(packet) = codec.decode(unread).map_err(NoPacket::Decode)?
            {
                return Poll::Ready(Ok(packet));
            }
            if self.ended {
                return Poll::Ready(Err(NoPacket::Closed));
            }
            match self.poll_fill(cx) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0) | Err(_)) => self.ended = true,
                Poll::Pending => {
                    release(&mut self.unread);
                    return Poll::Pending;
                }
            }
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let unread = room(&mut self.unread);
        match &mut self.stream {
            Some(stream) => pin!(stream.read_buf(unread)).poll(cx),
            None => Poll::Ready(Ok(0)),
        }
    }

    /// Queues a packet.
    pub(crate) fn write<E: Encoder>(&mut self, packet: E::Item, codec: &E) -> Result<(), E::Error> {
        codec.encodev(packet, self.unwritten.get_or_insert_with(|| BytePages::new(PAGE)))
    }

    /// Queues bytes.
    pub(crate) fn write_bytes(&mut self, bytes: &[u8]) {
        self.unwritten.get_or_insert_with(|| BytePages::new(PAGE)).extend_from_slice(bytes);
    }

    fn unwritten_bytes(&self) -> usize {
        self.unwritten.as_ref().map_or(0, BytePages::len)
    }

    /// So much waits that it should be written before more is added.
    pub(crate) fn has_a_page(&self) -> bool {
        self.unwritten_bytes() >= PAGE_BYTES
    }

    /// The client does not read, and gets nothing more.
    pub(crate) fn is_full(&self) -> bool {
        self.unwritten_bytes() >= WRITE_HIGH_BYTES
    }

    /// The client has read what it was to read after [`Self::is_full`].
    pub(crate) fn has_drained(&self) -> bool {
        self.unwritten_bytes() <= WRITE_LOW_BYTES
    }

    /// Writes what waits; ready when nothing does.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (Some(pages), Some(stream)) = (&mut self.unwritten, &mut self.stream) else {
            self.unwritten = None;
            return Poll::Ready(Ok(()));
        };
        loop {
            let written = match pages.iter().next() {
                Some(page) => ready!(pin!(&mut *stream).poll_write(cx, page))?,
                None => break,
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            pages.advance_to(written);
        }
        ready!(pin!(stream).poll_flush(cx))?;
        self.unwritten = None;
        Poll::Ready(Ok(()))
    }

    /// Gives the other side up: closing will not wait for it.
    pub(crate) fn give_up(&mut self) {
        self.given_up = true;
    }

    /// Leaves one behind that reads and writes nothing.
    pub(crate) fn take(&mut self) -> Self {
        let nothing = Self { stream: None, unread: None, unwritten: None, ended: true, given_up: true };
        std::mem::replace(self, nothing)
    }

    /// Writes what waits, says that nothing follows, and reads to the end, lest what was written be lost to a reset.
    pub(crate) async fn close(mut self) {
        if self.given_up {
            return;
        }
        let _ = timeout(CLOSE_MAX, async {
            std::future::poll_fn(|cx| self.poll_flush(cx)).await?;
            let Some(mut stream) = self.stream else { return Ok(()) };
            stream.shutdown().await?;
            let mut page = BytesMut::with_page_size(PAGE);
            while !self.ended && stream.read_buf(&mut page).await? > 0 {
                page.clear();
            }
            io::Result::Ok(())
        })
        .await;
    }
}

/// Room for a read. It grows with what has come, and not with what a header says will come.
fn room(unread: &mut Option<BytesMut>) -> &mut BytesMut {
    let unread = unread.get_or_insert_with(|| BytesMut::with_page_size(PAGE));
    if unread.capacity() - unread.len() < READ_ROOM_MIN {
        let mut larger = BytesMut::with_capacity(unread.len() + unread.len().max(PAGE.capacity()));
        larger.extend_from_slice(unread);
        *unread = larger;
    }
    unread
}

/// Nothing more has come: the page goes back to its thread, and a beginning moves into what it needs.
fn release(unread: &mut Option<BytesMut>) {
    match unread {
        Some(bytes) if bytes.is_empty() => *unread = None,
        Some(bytes) if bytes.len() <= FRAGMENT_BYTES_MAX && bytes.capacity() > 2 * FRAGMENT_BYTES_MAX => {
            *bytes = BytesMut::copy_from_slice(&*bytes);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use ntex_mqtt::error::DecodeError;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::wire::{Codec, Inbound, Version};

    /// Both ends of a connection.
    async fn pair() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Socket::new(Stream::Plain(listener.accept().await.unwrap().0)), client)
    }

    fn codec() -> Codec {
        Codec::new(Version::V3, 100_000)
    }

    /// PUBLISH at QoS 0 with this many bytes of payload.
    fn publish(payload: usize) -> Vec<u8> {
        let mut packet = vec![0x30];
        let mut length = 3 + payload;
        while length >= 0x80 {
            packet.push(length as u8 | 0x80);
            length >>= 7;
        }
        packet.extend([length as u8, 0, 1, b't']);
        packet.resize(packet.len() + payload, b'x');
        packet
    }

    async fn payload_bytes(socket: &mut Socket, codec: &Codec) -> usize {
        match socket.recv(codec).await {
            Ok(Inbound::Publish(publish)) => publish.payload.len(),
            other => panic!("{other:?}"),
        }
    }

    /// Polls once more than there is something to read.
    async fn nothing_more(socket: &mut Socket, codec: &Codec) {
        poll_fn(|cx| {
            assert!(socket.poll_recv(codec, cx).is_pending());
            Poll::Ready(())
        })
        .await;
    }

    #[tokio::test]
    async fn a_connection_that_waits_holds_no_page() {
        let ((mut socket, mut client), codec) = (pair().await, codec());
        client.write_all(&[publish(10), publish(20)].concat()).await.unwrap();
        assert_eq!((payload_bytes(&mut socket, &codec).await, payload_bytes(&mut socket, &codec).await), (10, 20));
        nothing_more(&mut socket, &codec).await;
        assert!(socket.unread.is_none());
        socket.write(crate::wire::Outbound::Pong, &codec).unwrap();
        poll_fn(|cx| socket.poll_flush(cx)).await.unwrap();
        assert!(socket.unwritten.is_none());
    }

    #[tokio::test]
    async fn a_packet_that_never_ends_holds_little() {
        let ((mut socket, mut client), codec) = (pair().await, codec());
        let packet = publish(50_000);
        client.write_all(&publish(1)).await.unwrap();
        client.write_all(&packet[..2]).await.unwrap();
        assert_eq!(payload_bytes(&mut socket, &codec).await, 1);
        nothing_more(&mut socket, &codec).await;
        let held = socket.unread.as_ref().map_or(0, BytesMut::capacity);
        assert!(held <= 256, "{held} bytes for two");
        client.write_all(&packet[2..]).await.unwrap();
        assert_eq!(payload_bytes(&mut socket, &codec).await, 50_000, "it goes on where it was");
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_fills_the_socket_and_drains_it_later() {
        let ((mut socket, mut client), page) = (pair().await, vec![7; PAGE_BYTES]);
        let mut written = 0;
        while !socket.is_full() {
            socket.write_bytes(&page);
            written += page.len();
            poll_fn(|cx| Poll::Ready(socket.poll_flush(cx).is_ready())).await;
        }
        assert!(!socket.has_drained());
        let read = async {
            let mut bytes = vec![0; written];
            client.read_exact(&mut bytes).await.unwrap();
            assert!(bytes.iter().all(|b| *b == 7));
        };
        let (flushed, ()) = tokio::join!(poll_fn(|cx| socket.poll_flush(cx)), read);
        flushed.unwrap();
        assert!(socket.has_drained());
    }

    #[tokio::test]
    async fn what_came_before_the_end_is_still_read() {
        let ((mut socket, mut client), codec) = (pair().await, codec());
        client.write_all(&[publish(3), vec![0x30]].concat()).await.unwrap();
        drop(client);
        assert_eq!(payload_bytes(&mut socket, &codec).await, 3);
        assert!(matches!(socket.recv(&codec).await, Err(NoPacket::<DecodeError>::Closed)));
    }
}
