//! The stream of bytes inside the binary frames of a WebSocket (MQTT 5, section 6): a packet may be spread over frames,
//! and a frame may hold many.

use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use ntex::{
    codec::{Decoder, Encoder},
    util::{BytePages, Bytes, BytesMut},
    ws::{CloseCode, Codec, Frame, Item, Message},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{PAGE, release, room};

/// Pongs and frames that wait to be written; beyond it nothing more is read or taken.
const UNWRITTEN_BYTES_MAX: usize = 16 * 1024;

pub(crate) struct WebSocket {
    tcp: TcpStream,
    codec: Codec,
    /// Frames that are not all there.
    frames: Option<BytesMut>,
    /// What a frame held and was not yet asked for.
    content: Bytes,
    unwritten: Option<BytePages>,
    /// The other side has closed.
    ended: bool,
    /// The CLOSE frame has been queued.
    closing: bool,
}

impl WebSocket {
    /// `early` came with the upgrade's request; a frame holds at most `frame_max` bytes.
    pub(crate) fn new(tcp: TcpStream, early: BytesMut, frame_max: usize) -> Self {
        let codec = Codec::new().max_size(frame_max);
        Self { tcp, codec, frames: Some(early), content: Bytes::new(), unwritten: None, ended: false, closing: false }
    }

    pub(super) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    fn queue(&mut self, message: Message) -> io::Result<()> {
        let pages = self.unwritten.get_or_insert_with(|| BytePages::new(PAGE));
        self.codec.encodev(message, pages).map_err(invalid)
    }

    /// The content of the next binary frame; `None` when there is none to be had without reading.
    fn next_content(&mut self) -> io::Result<Option<Bytes>> {
        while let Some(frames) = &mut self.frames
            && let Some(frame) = self.codec.decode(frames).map_err(invalid)?
        {
            match frame {
                Frame::Binary(bytes) | Frame::Continuation(Item::FirstBinary(bytes) | Item::Continue(bytes) | Item::Last(bytes)) => {
                    if !bytes.is_empty() {
                        return Ok(Some(bytes));
                    }
                }
                Frame::Text(_) | Frame::Continuation(Item::FirstText(_)) => return Err(invalid("MQTT is spoken in binary frames only")),
                Frame::Ping(bytes) => self.queue(Message::Pong(bytes))?,
                Frame::Pong(_) => {}
                Frame::Close(_) => {
                    self.ended = true;
                    break;
                }
            }
        }
        Ok(None)
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let frames = room(&mut self.frames);
        pin!(self.tcp.read_buf(frames)).poll(cx)
    }

    fn poll_unwritten(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(pages) = &mut self.unwritten {
            loop {
                let written = match pages.iter().next() {
                    Some(page) => ready!(pin!(&mut self.tcp).poll_write(cx, page))?,
                    None => break,
                };
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                pages.advance_to(written);
            }
            self.unwritten = None;
        }
        Poll::Ready(Ok(()))
    }

    fn is_full(&self) -> bool {
        self.unwritten.as_ref().is_some_and(|pages| pages.len() >= UNWRITTEN_BYTES_MAX)
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl AsyncRead for WebSocket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            if !self.content.is_empty() {
                let n = buf.remaining().min(self.content.len());
                buf.put_slice(&self.content.split_to(n));
                return Poll::Ready(Ok(()));
            }
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            if let Some(content) = self.next_content()? {
                self.content = content;
                continue;
            }
            // pongs go out as they come; a peer that asks and does not read is not read either
            if self.unwritten.is_some() && self.poll_unwritten(cx)?.is_pending() && self.is_full() {
                return Poll::Pending;
            }
            if self.ended {
                continue;
            }
            match self.poll_fill(cx)? {
                Poll::Ready(0) => self.ended = true,
                Poll::Ready(_) => {}
                Poll::Pending => {
                    release(&mut self.frames);
                    return Poll::Pending;
                }
            }
        }
    }
}

impl AsyncWrite for WebSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_full() {
            ready!(self.poll_unwritten(cx))?;
        }
        self.queue(Message::Binary(Bytes::copy_from_slice(buf)))?;
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_unwritten(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closing {
            self.closing = true;
            self.queue(Message::Close(Some(CloseCode::Normal.into())))?;
        }
        ready!(self.poll_unwritten(cx))?;
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    use super::*;

    async fn pair() -> (WebSocket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (WebSocket::new(listener.accept().await.unwrap().0, BytesMut::new(), 1_000), client)
    }

    /// A masked frame of at most 125 bytes.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![first, 0x80 | payload.len() as u8, 1, 2, 3, 4];
        out.extend(payload.iter().enumerate().map(|(i, b)| b ^ (i as u8 % 4 + 1)));
        out
    }

    #[tokio::test]
    async fn frames_and_their_pieces_are_one_stream() {
        let (mut socket, mut client) = pair().await;
        // whole, empty, and in three pieces with a ping between
        let frames = [
            frame(0x82, b"ab"),
            frame(0x82, b""),
            frame(0x02, b"cd"),
            frame(0x89, b"?"),
            frame(0x00, b"e"),
            frame(0x80, b"f"),
            frame(0x88, b""),
        ];
        client.write_all(&frames.concat()).await.unwrap();
        let mut read = Vec::new();
        socket.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"abcdef");
        socket.write_all(b"gh").await.unwrap();
        socket.shutdown().await.unwrap();
        drop(socket);
        let mut answers = Vec::new();
        client.read_to_end(&mut answers).await.unwrap();
        assert_eq!(answers, b"\x8a\x01?\x82\x02gh\x88\x02\x03\xe8", "a pong, a frame, and a close");
    }

    #[tokio::test]
    async fn a_frame_that_never_ends_holds_little() {
        let (mut socket, mut client) = pair().await;
        client.write_all(&[frame(0x82, b"a"), vec![0x82]].concat()).await.unwrap();
        assert_eq!(socket.read_u8().await.unwrap(), b'a');
        std::future::poll_fn(|cx| {
            assert!(pin!(socket.read_u8()).poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        let held = socket.frames.as_ref().map_or(0, BytesMut::capacity);
        assert!(held <= 256, "{held} bytes for one");
    }

    #[tokio::test]
    async fn text_and_frames_beyond_the_bound_are_refused() {
        for bytes in [frame(0x81, b"hi"), frame(0x01, b"hi"), vec![0x82, 0xfe, 0xff, 0xff, 1, 2, 3, 4], frame(0x80, b"no beginning")] {
            let (mut socket, mut client) = pair().await;
            client.write_all(&bytes).await.unwrap();
            let error = socket.read_to_end(&mut Vec::new()).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{bytes:?}");
        }
    }
}
