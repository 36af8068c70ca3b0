//! MQTT over WebSocket and over TLS, with and without client certificates.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
};

use crate::support::{Connect, PATIENCE, Server, json, server::free_address, skip, stock::mosquitto, until, websocket::WebSocket};

fn with_web_socket() -> (Server, SocketAddr) {
    let door = free_address();
    (Server::with(&[("MQTT__WEBSOCKET_BIND", &door.to_string())]), door)
}

#[test]
fn mqtt_runs_over_a_web_socket_in_both_versions() {
    for version in crate::support::mqtt::BOTH {
        let (server, door) = with_web_socket();
        let key = server.device("t");
        let (head, socket) = WebSocket::open(door, "/mqtt", Some("mqtt"));
        assert!(head.to_lowercase().contains("sec-websocket-protocol: mqtt"), "{head}");
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "the accept key of RFC 6455's example: {head}");
        let mut device = Connect::new(version, "t", &key).open_over(Box::new(socket.unwrap()));
        device.say("devices/t/telemetry", r#"{"a": 1}"#);
        device.subscribe(&[("devices/t/commands/#", 1)]);
        server.api().post("/twins/t/commands", json!({"name": "open", "ttl": 60})).expect(202);
        assert!(device.message().topic.contains("/open/"));
        assert_eq!(server.api().twin("t")["telemetry"]["a"]["value"], 1);
    }
}

#[test]
fn a_web_socket_without_the_sub_protocol_is_refused() {
    let (_server, door) = with_web_socket();
    assert!(WebSocket::open(door, "/mqtt", None).1.is_none());
}

/// An authority, and certificates of a server and of a client that it signed, as PEM files.
struct Certificates(tempfile::TempDir);

impl Certificates {
    fn new(client: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        authority.distinguished_name.push(rcgen::DnType::CommonName, "tests");
        let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
        let issuer = rcgen::Issuer::new(authority, authority_key);
        let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
        write("ca.pem", authority_pem);
        for (file, common_name, names) in
            [("server", "server", vec!["localhost".to_owned(), "127.0.0.1".to_owned()]), ("client", client, Vec::new())]
        {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut certificate = rcgen::CertificateParams::new(names).unwrap();
            certificate.distinguished_name.push(rcgen::DnType::CommonName, common_name);
            write(&format!("{file}.pem"), certificate.signed_by(&key, &issuer).unwrap().pem());
            write(&format!("{file}.key"), key.serialize_pem());
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        Path::join(self.0.path(), name).to_str().unwrap().to_owned()
    }

    /// A server with these certificates, and its TLS door.
    fn server(&self, client_ca: bool) -> (Server, SocketAddr) {
        let door = free_address();
        let bind = door.to_string();
        let (cert, key, ca) = (self.path("server.pem"), self.path("server.key"), self.path("ca.pem"));
        let mut settings = vec![("MQTT__TLS__BIND", bind.as_str()), ("MQTT__TLS__CERT", &cert), ("MQTT__TLS__KEY", &key)];
        if client_ca {
            settings.push(("MQTT__TLS__CLIENT_CA", &ca));
        }
        (Server::with(&settings), door)
    }
}

/// Publishes over TLS with mosquitto; `None` where it is not installed.
fn publishes(server: &Server, door: SocketAddr, key: &str, more: &[&str]) -> Option<bool> {
    let port = door.port().to_string();
    let message = ["-q", "1", "-t", "devices/t/telemetry", "-m", r#"{"a": 1}"#, "-p", &port];
    Some(mosquitto("mosquitto_pub", server, "t", key, &[&message, more].concat())?.output().unwrap().status.success())
}

#[test]
fn mqtt_runs_over_tls() {
    let certificates = Certificates::new("t");
    let (server, door) = certificates.server(false);
    let key = server.device("t");
    let Some(done) = publishes(&server, door, &key, &["--cafile", &certificates.path("ca.pem")]) else {
        return skip("mqtt_runs_over_tls", "mosquitto_pub is missing");
    };
    assert!(done);
    until("the record arrives", || server.api().twin("t")["telemetry"]["a"]["value"] == 1);
    assert_eq!(publishes(&server, door, "wrong", &["--cafile", &certificates.path("ca.pem")]), Some(false));
}

#[test]
fn a_certificate_is_a_devices_key_and_only_its_own() {
    let certificates = Certificates::new("t");
    let (server, door) = certificates.server(true);
    server.device("t");
    let (ca, cert, key) = (certificates.path("ca.pem"), certificates.path("client.pem"), certificates.path("client.key"));
    let signed = ["--cafile", &ca, "--cert", &cert, "--key", &key];
    let Some(done) = publishes(&server, door, "", &signed) else {
        return skip("a_certificate_is_a_devices_key", "mosquitto_pub is missing");
    };
    assert!(done);
    let strangers = Certificates::new("t");
    let (cert, key) = (strangers.path("client.pem"), strangers.path("client.key"));
    assert_eq!(
        publishes(&server, door, "", &["--cafile", &ca, "--cert", &cert, "--key", &key]),
        Some(false),
        "signed by another authority"
    );
    let certificates = Certificates::new("u");
    let (server, door) = certificates.server(true);
    server.device("t");
    let (ca, cert, key) = (certificates.path("ca.pem"), certificates.path("client.pem"), certificates.path("client.key"));
    assert_eq!(publishes(&server, door, "", &["--cafile", &ca, "--cert", &cert, "--key", &key]), Some(false), "made out to another device");
}

#[test]
fn plain_words_at_the_tls_door_are_not_answered() {
    let certificates = Certificates::new("t");
    let (server, door) = certificates.server(false);
    let key = server.device("t");
    let mut socket = TcpStream::connect(door).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(&Connect::v311("t", &key).encode()).unwrap();
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    const ALERT: u8 = 0x15;
    assert!(answer.first().is_none_or(|first| *first == ALERT), "TLS says what is wrong, MQTT nothing: {answer:?}");
}
