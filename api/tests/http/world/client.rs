//! A small HTTP client over a plain socket: it can send what a well-behaved library would not, and read a stream event by event.

use std::{collections::BTreeMap, net::SocketAddr};

use serde_json::Value as Json;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub text: String,
    /// `null` when the body is not JSON.
    pub json: Json,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The last part of a problem's `type`, when it is one.
    pub fn problem(&self) -> &str {
        if self.header("content-type") != "application/problem+json" {
            return "no problem document";
        }
        assert_eq!(self.json["status"], self.status);
        self.json["type"].as_str().unwrap().rsplit(':').next().unwrap()
    }
}

#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    /// The line that says who it is.
    shows: Option<String>,
}

impl Client {
    pub fn new(address: SocketAddr, key: Option<&str>) -> Self {
        Self { address, shows: key.map(|key| format!("authorization: Bearer {key}")) }
    }

    /// One that shows the cookie of this answer to a login, as a page of ours does.
    pub fn with_cookie(&self, login: &Answer) -> Self {
        let cookie = login.header("set-cookie").split(';').next().unwrap();
        Self { address: self.address, shows: Some(format!("cookie: {cookie}\r\nsec-fetch-site: same-origin")) }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], "").await
    }

    pub async fn post(&self, path: &str, body: Json) -> Answer {
        self.call("POST", path, &[("content-type", "application/json")], &body.to_string()).await
    }

    pub async fn patch(&self, path: &str, if_match: &str, body: Json) -> Answer {
        let condition = ("if-match", if_match);
        let headers = [("content-type", "application/merge-patch+json"), condition];
        self.call("PATCH", path, &headers[..if if_match.is_empty() { 1 } else { 2 }], &body.to_string()).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path, &[], "").await
    }

    /// `path` is under `/api/v1` unless it begins with two slashes.
    pub async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.send(method, path, headers, body).await.answer().await
    }

    /// Sends all but the last byte of the body, and looks that the server has read on meanwhile.
    pub async fn hold_back(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Held {
        // One without a byte ends by its last chunk.
        let (first, last) = if body.is_empty() { ("", "0\r\n\r\n") } else { body.split_at(body.len() - 1) };
        let length = body.len().to_string();
        let framing = if body.is_empty() { ("transfer-encoding", "chunked") } else { ("content-length", length.as_str()) };
        let headers: Vec<_> = headers.iter().copied().chain([framing]).collect();
        let mut sent = self.send(method, path, &headers, "").await;
        sent.0.write_all(first.as_bytes()).await.unwrap();
        for _ in 0..3 {
            self.get("/models").await;
        }
        Held { sent, last: last.to_owned() }
    }

    /// Opens the live stream.
    pub async fn follow(&self, path: &str, last_event_id: &str) -> Stream {
        let headers = [("last-event-id", last_event_id)];
        let mut socket = self.send("GET", path, &headers[usize::from(last_event_id.is_empty())..], "").await.0;
        let (status, headers) = head(&mut socket).await;
        assert_eq!((status, headers["content-type"].as_str()), (200, "text/event-stream"));
        Stream { socket, buffer: String::new() }
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Sent {
        let path = path.strip_prefix('/').filter(|p| p.starts_with('/')).map_or(format!("/api/v1{path}"), str::to_owned);
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
        if let Some(line) = &self.shows {
            request += &format!("{line}\r\n");
        }
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            request += &format!("content-length: {}\r\n", body.len());
        }
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        socket.write_all(format!("{request}\r\n{body}").as_bytes()).await.unwrap();
        Sent(BufReader::new(socket))
    }
}

/// A request that was sent.
struct Sent(BufReader<TcpStream>);

/// A request whose body lacks its last byte.
pub struct Held {
    sent: Sent,
    last: String,
}

impl Held {
    pub async fn finish(mut self) -> Answer {
        self.sent.0.write_all(self.last.as_bytes()).await.unwrap();
        self.sent.answer().await
    }
}

impl Sent {
    async fn answer(self) -> Answer {
        let mut socket = self.0;
        let (status, headers) = head(&mut socket).await;
        let mut bytes = Vec::new();
        // Every request asks to close, so the end of the stream is the end of the body.
        socket.read_to_end(&mut bytes).await.unwrap();
        if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
            bytes = unchunked(&bytes);
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status, headers, json: serde_json::from_str(&text).unwrap_or_default(), text }
    }
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let line = bytes.windows(2).position(|two| two == b"\r\n").expect("a chunk has a size");
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..line]).unwrap(), 16).unwrap();
        if size == 0 {
            return whole;
        }
        whole.extend_from_slice(&bytes[line + 2..line + 2 + size]);
        bytes = &bytes[line + 4 + size..];
    }
}

async fn head(socket: &mut BufReader<TcpStream>) -> (u16, BTreeMap<String, String>) {
    let mut line = String::new();
    socket.read_line(&mut line).await.unwrap();
    let status = line.split(' ').nth(1).expect("a status line").parse().unwrap();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        socket.read_line(&mut line).await.unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { return (status, headers) };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
}

/// A live stream, read event by event.
pub struct Stream {
    socket: BufReader<TcpStream>,
    buffer: String,
}

#[derive(Debug, PartialEq)]
pub struct Event {
    pub name: String,
    /// `None` when the event does not touch it.
    pub id: Option<String>,
    pub data: Json,
}

impl Stream {
    /// The next event; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let block = self.block().await?;
            let field = |name: &str| block.lines().find_map(|l| l.strip_prefix(name)).map(|v| v.trim_start().to_owned());
            if let Some(name) = field("event:") {
                return Some(Event { name, id: field("id:"), data: serde_json::from_str(&field("data:").unwrap()).unwrap() });
            }
        }
    }

    /// The next event of this name; others are passed over.
    pub async fn until(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().await.expect("the stream goes on");
            if event.name == name {
                return event;
            }
        }
    }

    /// What stands before the next empty line, comments included.
    pub async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.buffer = rest;
                return Some(block);
            }
            self.chunk().await?;
        }
    }

    /// One chunk of the transfer coding.
    async fn chunk(&mut self) -> Option<()> {
        let mut size = String::new();
        self.socket.read_line(&mut size).await.ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok().filter(|size| *size > 0)?;
        let mut bytes = vec![0; size + 2];
        self.socket.read_exact(&mut bytes).await.ok()?;
        self.buffer.push_str(std::str::from_utf8(&bytes[..size]).unwrap());
        Some(())
    }
}
