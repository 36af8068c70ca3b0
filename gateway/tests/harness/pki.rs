//! Authorities, certificates, revocation lists, and devices that show them over TLS.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    sync::Arc,
};

use gateway::TlsSettings;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer},
};

use super::{CONNACK, PATIENCE};

/// An authority, and a folder for what is written of it.
pub struct Pki {
    folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
    pub authority: Certificate,
}

/// A certificate and its key.
pub struct Own {
    pub certificate: Certificate,
    key: KeyPair,
    serial: u64,
}

impl Own {
    pub fn sha256(&self) -> [u8; 32] {
        ring::digest::digest(&ring::digest::SHA256, self.certificate.der()).as_ref().try_into().unwrap()
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec!["localhost".into()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl Pki {
    pub fn new() -> Self {
        let mut params = named("authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        Self { folder, issuer: Issuer::new(params, key), authority }
    }

    pub fn issue(&self, name: &str, serial: u64) -> Own {
        self.issue_with(name, serial, |_| {})
    }

    pub fn issue_with(&self, name: &str, serial: u64, change: impl FnOnce(&mut CertificateParams)) -> Own {
        let mut params = named(name);
        params.serial_number = Some(SerialNumber::from(serial));
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Own { certificate: params.signed_by(&key, &self.issuer).unwrap(), key, serial }
    }

    /// Signed by nobody else.
    pub fn self_signed(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Own {
        let mut params = named(name);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Own { certificate: params.self_signed(&key).unwrap(), key, serial: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn settings(&self) -> TlsSettings {
        let server = self.issue("localhost", 1);
        std::fs::write(self.path("cert.pem"), server.certificate.pem()).unwrap();
        std::fs::write(self.path("key.pem"), server.key.serialize_pem()).unwrap();
        let bind = SocketAddr::from(([127, 0, 0, 1], 0));
        TlsSettings { bind, cert: self.path("cert.pem"), key: self.path("key.pem"), client_ca: Some(self.path("ca.pem")), client_crl: None }
    }

    pub fn crl(&self) -> PathBuf {
        self.path("crl.pem")
    }

    /// Writes a list of these; the file changes in one step, as whoever distributes one does it.
    pub fn revoke(&self, number: u64, revoked: &[&Own]) {
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2090, 1, 1),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked
                .iter()
                .map(|own| RevokedCertParams {
                    serial_number: SerialNumber::from(own.serial),
                    revocation_time: date_time_ymd(2020, 1, 1),
                    reason_code: None,
                    invalidity_date: None,
                })
                .collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let pem = list.signed_by(&self.issuer).unwrap().pem().unwrap();
        std::fs::write(self.path("crl.new"), pem).unwrap();
        std::fs::rename(self.path("crl.new"), self.crl()).unwrap();
    }

    /// A device that trusts the server and shows this certificate; it resumes TLS sessions.
    pub fn device(&self, own: Option<&Own>) -> TlsDevice {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let config = match own {
            Some(Own { certificate, key, .. }) => {
                let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
                builder.with_client_auth_cert(vec![CertificateDer::from(certificate.der().to_vec())], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        TlsDevice(Arc::new(config))
    }
}

pub struct TlsDevice(Arc<ClientConfig>);

pub struct TlsClient {
    stream: StreamOwned<ClientConnection, TcpStream>,
}

impl TlsDevice {
    /// The CONNACK's code (v5), and the connection.
    pub fn connect(&self, addr: SocketAddr, connect: &[u8]) -> (u8, TlsClient) {
        let session = ClientConnection::new(self.0.clone(), "localhost".try_into().unwrap()).unwrap();
        let tcp = TcpStream::connect(addr).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut stream = StreamOwned::new(session, tcp);
        stream.write_all(connect).unwrap();
        let mut client = TlsClient { stream };
        let ack = client.read();
        assert_eq!(ack[0], CONNACK);
        (ack[3], client)
    }

    pub fn knock(&self, addr: SocketAddr, connect: &[u8]) -> u8 {
        self.connect(addr, connect).0
    }
}

impl TlsClient {
    pub fn is_resumed(&self) -> bool {
        self.stream.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The next packet, of less than 128 bytes.
    fn read(&mut self) -> Vec<u8> {
        let mut packet = vec![0; 2];
        self.stream.read_exact(&mut packet).unwrap();
        let mut body = vec![0; packet[1].into()];
        self.stream.read_exact(&mut body).unwrap();
        packet.extend(body);
        packet
    }

    /// A v5 DISCONNECT with this code, and then the end.
    pub fn ends_with(&mut self, code: u8) {
        let packet = self.read();
        assert_eq!((packet[0], packet[2]), (super::DISCONNECT, code), "{packet:x?}");
        let mut rest = Vec::new();
        let _ = self.stream.read_to_end(&mut rest);
        assert!(rest.is_empty());
    }
}

/// Far from now in either direction.
pub fn valid(from: i32, until: i32) -> impl FnOnce(&mut CertificateParams) {
    move |params| {
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
    }
}
