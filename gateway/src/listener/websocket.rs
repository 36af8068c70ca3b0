//! MQTT over WebSocket (MQTT 5, section 6): the upgrade of one HTTP request, then a byte stream in binary frames.
//!
//! The request is read by hand: a port that knows one path and one answer needs no web server behind it, and ntex's
//! own answer carries a `Transfer-Encoding` that RFC 9110 forbids in a 101.

use std::io;

use ntex::{util::BytesMut, ws};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::socket::WebSocket;

const PATH: &str = "/mqtt";
const PROTOCOL: &str = "mqtt";
const REQUEST_BYTES_MAX: usize = 8 * 1024;
/// A frame's own header, which does not count as MQTT.
const FRAME_HEADER_BYTES_MAX: usize = 14;

pub(super) async fn upgrade(mut tcp: TcpStream, packet_max: u32) -> io::Result<WebSocket> {
    let mut unread = BytesMut::with_capacity(REQUEST_BYTES_MAX);
    let request = loop {
        if let Some(head) = take_head(&mut unread)? {
            break head;
        }
        if tcp.read_buf(&mut unread).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let answer = answer(&request);
    tcp.write_all(answer.text().as_bytes()).await?;
    match answer {
        Answer::Switch { .. } => Ok(WebSocket::new(tcp, unread, packet_max as usize + FRAME_HEADER_BYTES_MAX)),
        Answer::Refuse { .. } => {
            tcp.shutdown().await?;
            Err(io::Error::new(io::ErrorKind::InvalidData, "not a WebSocket for MQTT"))
        }
    }
}

/// Everything up to the empty line, once it is there.
fn take_head(unread: &mut BytesMut) -> io::Result<Option<String>> {
    match unread.windows(4).position(|w| w == b"\r\n\r\n") {
        Some(at) if at <= REQUEST_BYTES_MAX => {
            let head = unread.split_to(at + 4);
            Ok(Some(String::from_utf8_lossy(&head[..at]).into_owned()))
        }
        None if unread.len() < REQUEST_BYTES_MAX => Ok(None),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the request is too long")),
    }
}

#[derive(Debug, PartialEq)]
enum Answer {
    Switch { accept: String },
    Refuse { status: &'static str, why: &'static str },
}

impl Answer {
    fn text(&self) -> String {
        match self {
            Self::Switch { accept } => format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {PROTOCOL}\r\n\r\n"
            ),
            Self::Refuse { status, why } => format!(
                "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nSec-WebSocket-Version: 13\r\n\
                 Connection: close\r\n\r\n{why}",
                why.len()
            ),
        }
    }
}

fn answer(request: &str) -> Answer {
    let bad = |why| Answer::Refuse { status: "400 Bad Request", why };
    let mut lines = request.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target, version) = (words.next(), words.next().unwrap_or_default(), words.next());
    if method != Some("GET") || version != Some("HTTP/1.1") {
        return bad("only GET over HTTP/1.1 is served here");
    }
    if target.split('?').next() != Some(PATH) {
        return Answer::Refuse { status: "404 Not Found", why: "MQTT over WebSocket is at /mqtt" };
    }
    let headers: Vec<(&str, &str)> =
        lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name.trim(), value.trim())).collect();
    let values = |name: &'static str| {
        headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).flat_map(|(_, v)| v.split(',')).map(str::trim)
    };
    if !values("upgrade").any(|v| v.eq_ignore_ascii_case("websocket")) || !values("connection").any(|v| v.eq_ignore_ascii_case("upgrade")) {
        return bad("this port speaks WebSocket only");
    }
    if !values("sec-websocket-version").any(|v| v == "13") {
        return bad("only version 13 of WebSocket is served");
    }
    if !values("sec-websocket-protocol").any(|v| v == PROTOCOL) {
        return bad("the sub-protocol must be mqtt");
    }
    let key = values("sec-websocket-key").next().filter(|key| key.len() == 24);
    match key.and_then(|key| ws::hash_key(key.as_bytes()).ok()) {
        Some(accept) => Answer::Switch { accept },
        None => bad("there is no Sec-WebSocket-Key"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str, protocol: &str) -> String {
        format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{protocol}"
        )
    }

    #[test]
    fn the_sub_protocol_is_chosen_and_the_key_answered() {
        let got = answer(&request("/mqtt?x=1", "Sec-WebSocket-Protocol: mqttv3.1, mqtt"));
        // the key and its answer are RFC 6455's own example
        assert_eq!(got, Answer::Switch { accept: "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".into() });
        assert!(got.text().contains("\r\nSec-WebSocket-Protocol: mqtt\r\n"));
    }

    #[test]
    fn what_is_not_mqtt_over_websocket_is_refused() {
        let status = |request: &str| match answer(request) {
            Answer::Refuse { status, .. } => status,
            Answer::Switch { .. } => "101",
        };
        assert_eq!(status(&request("/mqtt", "")), "400 Bad Request");
        assert_eq!(status(&request("/mqtt", "Sec-WebSocket-Protocol: chat")), "400 Bad Request");
        assert_eq!(status(&request("/other", "Sec-WebSocket-Protocol: mqtt")), "404 Not Found");
        assert_eq!(status("GET /mqtt HTTP/1.1\r\nHost: x"), "400 Bad Request");
        assert_eq!(status("POST /mqtt HTTP/1.1"), "400 Bad Request");
        assert_eq!(status(""), "400 Bad Request");
    }
}
