//! One device's connection: CONNECT, SUBSCRIBE, PING, and what both kinds of load read and write with.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::frame::{self, Frame};
use crate::{Result, http::registry::Device};

/// Long, for what a flood at QoS 0 leaves in the buffers of a slow server.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);
/// Long enough never to be needed; not zero, because real devices send one and rumqttd drops those that do not.
const KEEP_ALIVE_SECONDS: u16 = 1_800;

pub struct Connection<S = TcpStream> {
    pub device: String,
    pub stream: S,
    unread: Vec<u8>,
}

impl Connection {
    pub async fn open(to: SocketAddr, device: &Device) -> Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Self::over(stream, device).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// CONNECT over a stream that stands.
    pub async fn over(stream: S, device: &Device) -> Result<Self> {
        let mut this = Self { device: device.id.clone(), stream, unread: Vec::new() };
        this.stream.write_all(&frame::connect(&device.id, device.key.as_deref(), KEEP_ALIVE_SECONDS)).await?;
        let mut code = None;
        while code.is_none() {
            this.read(|frame| code = (frame.kind() == frame::CONNACK).then(|| frame.body.get(1).copied().unwrap_or(255))).await?;
        }
        match code {
            Some(0) => Ok(this),
            code => Err(format!("{} was refused with code {code:?}", this.device).into()),
        }
    }

    pub fn topic(&self, rest: &str) -> String {
        format!("devices/{}/{rest}", self.device)
    }

    pub async fn subscribe(&mut self, filter: &str, qos: u8) -> Result<()> {
        self.ask(&frame::subscribe(filter, qos), frame::SUBACK).await
    }

    /// Whether the server still answers.
    pub async fn ping(&mut self) -> Result<()> {
        self.ask(&frame::ping(), frame::PINGRESP).await
    }

    /// Sends one QoS 1 message and waits for its acknowledgement.
    pub async fn say(&mut self, message: &[u8]) -> Result<()> {
        self.ask(message, frame::PUBACK).await
    }

    async fn ask(&mut self, bytes: &[u8], answer: u8) -> Result<()> {
        self.stream.write_all(bytes).await?;
        let mut answered = false;
        while !answered {
            self.read(|frame| answered |= frame.kind() == answer).await?;
        }
        Ok(())
    }

    /// Waits for bytes and takes the whole frames in them.
    pub async fn read(&mut self, each: impl FnMut(Frame<'_>)) -> Result<()> {
        read(&mut self.stream, &mut self.unread, each).await.map_err(|e| format!("{}: {e}", self.device).into())
    }
}

/// [`Connection::read`] for one half of a connection.
pub async fn read(from: &mut (impl AsyncRead + Unpin), unread: &mut Vec<u8>, each: impl FnMut(Frame<'_>)) -> Result<()> {
    if timeout(ANSWER_WITHIN, from.read_buf(unread)).await?? == 0 {
        return Err("the server closed the connection".into());
    }
    let taken = frame::take(unread, each);
    unread.drain(..taken);
    Ok(())
}
