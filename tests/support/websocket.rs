//! As much of RFC 6455 as an MQTT client needs: the hand-shake, masked binary frames out, frames in.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
};

pub struct WebSocket {
    stream: TcpStream,
    /// Payload bytes that were read off frames and not asked for yet.
    ready: Vec<u8>,
}

impl WebSocket {
    /// The head of the server's answer, and the connection when it agreed.
    pub fn open(to: SocketAddr, path: &str, protocol: Option<&str>) -> (String, Option<Self>) {
        let mut stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(super::PATIENCE)).unwrap();
        let protocol = protocol.map_or(String::new(), |p| format!("Sec-WebSocket-Protocol: {p}\r\n"));
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {to}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{protocol}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
            answer.push(byte[0]);
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let agreed = answer.starts_with("HTTP/1.1 101");
        (answer, agreed.then_some(Self { stream, ready: Vec::new() }))
    }

    pub fn socket(&self) -> &TcpStream {
        &self.stream
    }

    fn read_frame(&mut self) -> io::Result<()> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head)?;
        let length = match head[1] & 0x7F {
            126 => {
                let mut long = [0; 2];
                self.stream.read_exact(&mut long)?;
                usize::from(u16::from_be_bytes(long))
            }
            127 => {
                let mut long = [0; 8];
                self.stream.read_exact(&mut long)?;
                u64::from_be_bytes(long) as usize
            }
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload)?;
        match head[0] & 0x0F {
            0 | 2 => self.ready.extend(payload),
            8 => return Err(io::ErrorKind::UnexpectedEof.into()),
            _ => {}
        }
        Ok(())
    }
}

impl Read for WebSocket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.ready.is_empty() {
            match self.read_frame() {
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                other => other?,
            }
        }
        let count = into.len().min(self.ready.len());
        into[..count].copy_from_slice(&self.ready[..count]);
        self.ready.drain(..count);
        Ok(count)
    }
}

impl Write for WebSocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mask = [1, 2, 3, 4];
        let mut frame = vec![0x82];
        match bytes.len() {
            short @ 0..126 => frame.push(0x80 | short as u8),
            long => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(long).map_err(io::Error::other)?.to_be_bytes());
            }
        }
        frame.extend(mask);
        frame.extend(bytes.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.stream.write_all(&frame)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
