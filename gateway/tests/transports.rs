//! The same MQTT over WebSocket and TLS.

#![allow(clippy::unwrap_used)]

mod harness;

use std::{io::Write, net::SocketAddr, sync::Arc};

use gateway::TlsSettings;
use harness::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, pki_types::PrivateKeyDer};
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

struct Pki {
    folder: tempfile::TempDir,
    ca: Issuer<'static, KeyPair>,
    ca_der: rustls::pki_types::CertificateDer<'static>,
}

impl Pki {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { folder, ca_der: certificate.der().clone(), ca: Issuer::new(params, key) }
    }

    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::new(vec!["localhost".into()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.ca).unwrap(), key)
    }

    fn settings(&self) -> TlsSettings {
        let (certificate, key) = self.issue("localhost");
        let path = |name: &str| self.folder.path().join(name);
        std::fs::write(path("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(path("key.pem"), key.serialize_pem()).unwrap();
        TlsSettings { bind: LOCAL, cert: path("cert.pem"), key: path("key.pem"), client_ca: Some(path("ca.pem")) }
    }

    /// The CONNACK's code for this CONNECT, sent with a certificate for `name` if there is one.
    fn connect(&self, addr: SocketAddr, name: Option<&str>, connect: &[u8]) -> u8 {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca_der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let config = match name.map(|name| self.issue(name)) {
            Some((certificate, key)) => {
                let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
                builder.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        let session = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
        let mut stream = StreamOwned::new(session, std::net::TcpStream::connect(addr).unwrap());
        stream.write_all(connect).unwrap();
        let mut ack = [0; 4];
        std::io::Read::read_exact(&mut stream, &mut ack).unwrap();
        assert_eq!(ack[0], CONNACK);
        ack[3]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_a_credential_for_the_device_it_names() {
    let pki = Pki::new();
    let door = Door::open_with(|s| s.tls = Some(pki.settings())).await;
    let key = door.device("d").await;
    door.device("other").await;
    let addr = door.gateway.tls.unwrap();
    tokio::task::spawn_blocking(move || {
        let plain = Connect { user_name: None, ..Connect::v5("d") }.bytes();
        assert_eq!(pki.connect(addr, Some("d"), &plain), 0);
        assert_eq!(pki.connect(addr, Some("other"), &plain), 0x86, "a certificate of another device");
        assert_eq!(pki.connect(addr, None, &plain), 0x86, "no certificate");
        let keyed = Connect { password: Some(key.as_bytes()), ..Connect::v3("d") }.bytes();
        assert_eq!(pki.connect(addr, None, &keyed), 0, "a key over TLS");
    })
    .await
    .unwrap();
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
