//! One socket and the packets on it.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{DISCONNECT, PATIENCE};

pub struct Client {
    pub socket: TcpStream,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Packet {
    pub first: u8,
    pub body: Vec<u8>,
}

impl Packet {
    pub fn kind(&self) -> u8 {
        self.first & 0xF0
    }

    pub fn id(&self) -> u16 {
        u16::from_be_bytes([self.body[0], self.body[1]])
    }

    /// A v5 acknowledgement's reason code; absent means success.
    pub fn code(&self) -> u8 {
        self.body.get(2).copied().unwrap_or(0)
    }

    /// Topic, id and the rest of a PUBLISH.
    pub fn publish(&self) -> (String, u16, &[u8]) {
        let length = usize::from(u16::from_be_bytes([self.body[0], self.body[1]]));
        let topic = String::from_utf8(self.body[2..2 + length].to_vec()).unwrap();
        let rest = &self.body[2 + length..];
        if self.first & 0b110 == 0 { (topic, 0, rest) } else { (topic, u16::from_be_bytes([rest[0], rest[1]]), &rest[2..]) }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    pub async fn dial(addr: SocketAddr) -> Self {
        Self { socket: TcpStream::connect(addr).await.unwrap() }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    /// Sends and reads one answer.
    pub async fn ask(&mut self, bytes: &[u8]) -> Packet {
        self.send(bytes).await;
        self.read().await
    }

    /// The next packet; fails the test when the connection ends or nothing comes.
    pub async fn read(&mut self) -> Packet {
        self.try_read().await.expect("the connection has ended")
    }

    /// The next packet that is no PUBLISH; those are acknowledged.
    pub async fn read_answer(&mut self) -> Packet {
        loop {
            let packet = self.read().await;
            if packet.kind() != super::PUBLISH {
                return packet;
            }
            self.send(&super::puback(packet.publish().1)).await;
        }
    }

    /// `None` at the end of the connection.
    pub async fn try_read(&mut self) -> Option<Packet> {
        timeout(PATIENCE, self.next()).await.expect("nothing came")
    }

    async fn next(&mut self) -> Option<Packet> {
        let first = self.socket.read_u8().await.ok()?;
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = self.socket.read_u8().await.ok()?;
            length |= usize::from(byte & 0x7F) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.socket.read_exact(&mut body).await.ok()?;
        Some(Packet { first, body })
    }

    /// Nothing has come so far: the answer to a PINGREQ is the next thing there is.
    pub async fn nothing_came(&mut self) {
        let packet = self.ask(&[0xC0, 0]).await;
        assert_eq!(packet, Packet { first: 0xD0, body: vec![] });
    }

    /// A v5 DISCONNECT with this code, and then the end.
    pub async fn ends_with(&mut self, code: u8) {
        let packet = self.read().await;
        assert_eq!((packet.kind(), packet.body.first().copied().unwrap_or(0)), (DISCONNECT, code), "{packet:?}");
        self.ends().await;
    }

    /// The end, without another word.
    pub async fn ends(&mut self) {
        assert_eq!(self.try_read().await, None);
    }

    /// Whether the connection ends within `patience`; packets on the way are skipped.
    pub async fn ends_within(&mut self, patience: Duration) -> bool {
        timeout(patience, async { while self.next().await.is_some() {} }).await.is_ok()
    }

    /// Cuts the connection without a goodbye.
    pub fn cut(self) {
        drop(self);
    }
}
