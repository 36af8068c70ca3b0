//! One keep-alive connection of HTTP/1.1: a request is written, its answer read, no more. A general client would cost more
//! than the server that is measured.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{Result, peer::Running};

const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// Of an answer that is kept whole.
const ANSWER_BYTES_MAX: usize = 64 << 20;
const API: &str = "/api/v1";

pub struct Client {
    stream: TcpStream,
    /// What every request's head ends with.
    head: String,
    /// Bytes that came, the answer in use at their front.
    buffer: Vec<u8>,
    /// Length of the answer in use.
    used: usize,
    body: Vec<u8>,
    request: Vec<u8>,
}

/// An answer's first lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    /// Bytes before the body.
    pub length: usize,
    /// Bytes of the body; none when it comes in chunks.
    pub content: Option<usize>,
}

impl Client {
    pub async fn open(server: &Running) -> Result<Self> {
        let to = server.http.ok_or_else(|| format!("{:?} speaks no HTTP", server.kind))?;
        Self::connect(to, server.admin.as_deref()).await
    }

    async fn connect(to: SocketAddr, key: Option<&str>) -> Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let key = key.map(|key| format!("authorization: Bearer {key}\r\n")).unwrap_or_default();
        let head = format!(" HTTP/1.1\r\nhost: {to}\r\n{key}");
        Ok(Self { stream, head, buffer: Vec::new(), used: 0, body: Vec::new(), request: Vec::new() })
    }

    /// The status of a GET; the body is then in [`Client::body`].
    pub async fn get(&mut self, path: &str) -> Result<u16> {
        self.call("GET", path, "", "application/json").await
    }

    pub async fn post(&mut self, path: &str, body: &str) -> Result<u16> {
        self.call("POST", path, body, "application/json").await
    }

    pub async fn patch(&mut self, path: &str, body: &str) -> Result<u16> {
        self.call("PATCH", path, body, "application/merge-patch+json").await
    }

    /// A GET that must answer 200.
    pub async fn read(&mut self, path: &str) -> Result<&[u8]> {
        match self.get(path).await? {
            200 => Ok(&self.body),
            status => Err(format!("{path}: {status} {}", self.text()).into()),
        }
    }

    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body for an error message.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(300).collect()
    }

    async fn call(&mut self, method: &str, path: &str, body: &str, content_type: &str) -> Result<u16> {
        self.ask(method, path, body, content_type).await?;
        timeout(ANSWER_WITHIN, self.answer()).await?
    }

    async fn ask(&mut self, method: &str, path: &str, body: &str, content_type: &str) -> Result<()> {
        self.request.clear();
        for part in [method, " ", API, path, &self.head] {
            self.request.extend(part.as_bytes());
        }
        if !body.is_empty() {
            let length = format!("content-type: {content_type}\r\ncontent-length: {}\r\n", body.len());
            self.request.extend(length.as_bytes());
        }
        self.request.extend(b"\r\n");
        self.request.extend(body.as_bytes());
        Ok(self.stream.write_all(&self.request).await?)
    }

    async fn answer(&mut self) -> Result<u16> {
        let head = self.answer_head().await?;
        self.body.clear();
        match head.content {
            Some(length) => {
                self.used = head.length + length;
                while self.buffer.len() < self.used {
                    self.more().await?;
                }
                self.body.extend(&self.buffer[head.length..self.used]);
            }
            None => {
                self.used = head.length;
                while let Some(chunk) = self.chunk().await? {
                    self.body.extend(&self.buffer[chunk]);
                }
            }
        }
        Ok(head.status)
    }

    async fn answer_head(&mut self) -> Result<Head> {
        self.buffer.drain(..self.used);
        self.used = 0;
        loop {
            if let Some(head) = head(&self.buffer)? {
                return Ok(head);
            }
            self.more().await?;
        }
    }

    /// Where the next chunk of the body stands in the buffer; none at its end.
    async fn chunk(&mut self) -> Result<Option<std::ops::Range<usize>>> {
        loop {
            if let Some((begin, length)) = chunk_size(&self.buffer[self.used..])? {
                let begin = self.used + begin;
                let end = begin + length + 2;
                if self.buffer.len() >= end {
                    self.used = end;
                    return Ok((length > 0).then_some(begin..end - 2));
                }
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Result<()> {
        if self.buffer.len() > ANSWER_BYTES_MAX {
            return Err(format!("an answer is longer than {ANSWER_BYTES_MAX} bytes").into());
        }
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err("the server closed the HTTP connection".into()),
            _ => Ok(()),
        }
    }

    /// A GET whose answer does not end: its chunks are then read one by one with [`Client::next`].
    pub async fn follow(&mut self, path: &str) -> Result<()> {
        self.ask("GET", path, "", "").await?;
        let head = timeout(ANSWER_WITHIN, self.answer_head()).await??;
        self.used = head.length;
        if head.status == 200 && head.content.is_none() { Ok(()) } else { Err(format!("{path}: {}", head.status).into()) }
    }

    /// The next chunk of an answer without end. Nobody answers it, so nobody waits for it but the caller.
    pub async fn next(&mut self) -> Result<&[u8]> {
        if self.used > FOLLOW_BYTES_KEPT {
            self.buffer.drain(..self.used);
            self.used = 0;
        }
        let chunk = self.chunk().await?.ok_or("the server ended the stream")?;
        Ok(&self.buffer[chunk])
    }
}

/// Bytes read already that a stream's buffer keeps before they are moved out.
const FOLLOW_BYTES_KEPT: usize = 1 << 16;

/// Reads the head at the front, if it is whole.
fn head(bytes: &[u8]) -> Result<Option<Head>> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&bytes[..end])?;
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(|| format!("no status in {first:?}"))?;
    let mut content = Some(0);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            content = Some(value.trim().parse()?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            content = None;
        }
    }
    Ok(Some(Head { status, length: end + 4, content }))
}

/// Length of the size line at the front, and the size it gives.
fn chunk_size(bytes: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(end) = memchr::memchr(b'\n', bytes) else { return Ok(None) };
    let line = std::str::from_utf8(&bytes[..end])?.trim();
    let size = usize::from_str_radix(line.split(';').next().unwrap_or_default(), 16)?;
    if size > ANSWER_BYTES_MAX { Err("a chunk is too large".into()) } else { Ok(Some((end + 1, size))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_how_long_its_body_is() {
        let whole = b"HTTP/1.1 201 Created\r\nContent-Length: 7\r\nx: y\r\n\r\nbody...";
        assert_eq!(head(whole).unwrap(), Some(Head { status: 201, length: whole.len() - 7, content: Some(7) }));
        assert_eq!(head(&whole[..20]).unwrap(), None);
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        assert_eq!(head(chunked).unwrap().unwrap().content, None);
    }

    #[test]
    fn a_chunk_begins_with_its_size() {
        assert_eq!(chunk_size(b"1a\r\nxyz").unwrap(), Some((4, 26)));
        assert_eq!(chunk_size(b"1a").unwrap(), None);
        assert!(chunk_size(b"zz\r\n").is_err());
    }
}
