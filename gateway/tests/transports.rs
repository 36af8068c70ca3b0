//! The same MQTT over WebSocket and TLS.

#![allow(clippy::unwrap_used)]

mod harness;

use std::{net::SocketAddr, sync::Arc};

use harness::{pki::Pki, *};
use rcgen::KeyPair;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

async fn upgrade(door: &Door, protocol: &str) -> (tokio::net::TcpStream, String) {
    let mut socket = tokio::net::TcpStream::connect(door.gateway.websocket.unwrap()).await.unwrap();
    let request = format!(
        "GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    (socket, String::from_utf8(head).unwrap())
}

/// A masked binary frame of at most 125 bytes.
fn frame(payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0x82, 0x80 | payload.len() as u8, 1, 2, 3, 4];
    out.extend(payload.iter().enumerate().map(|(i, b)| b ^ (i as u8 % 4 + 1)));
    out
}

async fn read_frame(socket: &mut tokio::net::TcpStream) -> Vec<u8> {
    let mut head = [0; 2];
    socket.read_exact(&mut head).await.unwrap();
    assert_eq!(head[0], 0x82);
    let mut payload = vec![0; head[1].into()];
    socket.read_exact(&mut payload).await.unwrap();
    payload
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_is_spoken_over_websocket() {
    let door = Door::open_with(|s| s.websocket_bind = Some(LOCAL)).await;
    let key = door.device("d").await;
    let (mut socket, head) = upgrade(&door, "mqtt").await;
    assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("Sec-WebSocket-Protocol: mqtt\r\n"), "{head}");
    let connect = Connect { password: Some(key.as_bytes()), ..Connect::v5("d") }.bytes();
    let (begin, rest) = connect.split_at(7);
    // a packet may be spread over frames, and a frame may hold many packets
    socket.write_all(&[frame(begin), frame(rest)].concat()).await.unwrap();
    assert_eq!(read_frame(&mut socket).await[0], CONNACK);
    let two = [publish5("devices/d/telemetry", "{\"n\":1}", 1, 1), publish5("devices/d/telemetry", "{\"n\":2}", 1, 2)].concat();
    socket.write_all(&frame(&two)).await.unwrap();
    let mut acks = read_frame(&mut socket).await;
    while acks.iter().filter(|b| **b == PUBACK).count() < 2 {
        acks.extend(read_frame(&mut socket).await);
    }
    assert_eq!(door.numbers("d").await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sub_protocol_is_refused() {
    let door = Door::open_with(|s| s.websocket_bind = Some(LOCAL)).await;
    let (_, head) = upgrade(&door, "chat").await;
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_does_not_fit_its_certificate_is_named() {
    let pki = Pki::new();
    let settings = pki.settings();
    std::fs::write(&settings.key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let store = persistence::MemoryStore::new();
    let identities = actors::identity::Identities::new(Arc::new(store.clone()), Arc::new(store.clone()), [7; 32], "admin".into());
    let clock = Arc::new(actors::clock::SystemClock);
    let twins = actors::Twins::open(Arc::new(store), identities, actors::Settings::default(), clock).await.unwrap();
    let error = gateway::start(twins, gateway::Settings { bind: None, tls: Some(settings), ..Default::default() }).err().unwrap();
    assert!(error.to_string().contains("mqtt.tls.key"), "{error}");
}
