//! TLS to the cluster: which authority its nodes are trusted by, and the certificate that this client shows.
//!
//! The driver checks a node's certificate against the node's address, as it knows no name of it. Where certificates carry a name
//! instead, the one they all carry is given. The provider of the cryptography is named here and not left to rustls to choose:
//! the driver's feature compiles a second one in, and rustls refuses to choose between two.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as RustlsError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};

/// What is wrong with the files.
#[derive(Debug, thiserror::Error)]
#[error("{setting} = {value}: {why}")]
pub struct TlsError {
    setting: &'static str,
    value: String,
    why: String,
}

/// Files, all PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Authorities that nodes must have their certificates from.
    pub ca: PathBuf,
    /// The certificate chain of this client, and its private key.
    pub client: Option<(PathBuf, PathBuf)>,
    /// What every node's certificate is for; its address when not given.
    pub name: Option<String>,
}

/// Checked files; cheap to clone.
#[derive(Debug, Clone)]
pub struct Tls(pub(crate) Arc<ClientConfig>);

impl TlsFiles {
    /// Reads and checks them. The error names the setting and the file.
    pub fn read(&self) -> Result<Tls, TlsError> {
        let of_ca = |why: String| fault("scylla.tls.ca", &self.ca, why);
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        for authority in certificates("scylla.tls.ca", &self.ca)? {
            roots.add(authority).map_err(|e| of_ca(e.to_string()))?;
        }
        let chain = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone()).build();
        let name = self.name.as_deref().map(server_name).transpose()?;
        let verifier = Arc::new(Nodes { chain: chain.map_err(|e| of_ca(e.to_string()))?, name });
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| of_ca(e.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let config = match &self.client {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let chain = certificates("scylla.tls.cert", cert)?;
                let secret = PrivateKeyDer::from_pem_file(key).map_err(|e| fault("scylla.tls.key", key, e.to_string()))?;
                builder.with_client_auth_cert(chain, secret).map_err(|e| fault("scylla.tls.key", key, e.to_string()))?
            }
        };
        Ok(Tls(Arc::new(config)))
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    let wrong = |_| TlsError { setting: "scylla.tls.name", value: name.into(), why: "it is neither a host name nor an address".into() };
    ServerName::try_from(name.to_owned()).map_err(wrong)
}

fn certificates(setting: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|e| fault(setting, file, e.to_string()))?;
    if found.is_empty() { Err(fault(setting, file, "it holds no certificate".into())) } else { Ok(found) }
}

fn fault(setting: &'static str, file: &Path, why: String) -> TlsError {
    TlsError { setting, value: file.display().to_string(), why }
}

/// Checks the chain as ever, and the name that was given in place of the address.
#[derive(Debug)]
struct Nodes {
    chain: Arc<WebPkiServerVerifier>,
    name: Option<ServerName<'static>>,
}

impl ServerCertVerifier for Nodes {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        address: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, RustlsError> {
        self.chain.verify_server_cert(certificate, intermediates, self.name.as_ref().unwrap_or(address), ocsp, now).inspect_err(|error| {
            // The driver says only that it could not connect.
            let hint = match error {
                RustlsError::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => {
                    "; scylla.tls.name can say what its certificate is for"
                }
                _ => "",
            };
            tracing::warn!(%error, "the certificate of a node is refused{hint}");
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        self.chain.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        self.chain.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn text(files: &TlsFiles) -> String {
        files.read().unwrap_err().to_string()
    }

    #[test]
    fn files_are_taken_whole_or_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let made = rcgen::generate_simple_self_signed(["node.example".to_owned()]).unwrap();
        let other = rcgen::generate_simple_self_signed(["other.example".to_owned()]).unwrap();
        fs::write(at("ca.pem"), made.cert.pem()).unwrap();
        fs::write(at("key.pem"), made.signing_key.serialize_pem()).unwrap();
        fs::write(at("other.pem"), other.signing_key.serialize_pem()).unwrap();
        let alone = TlsFiles { ca: at("ca.pem"), client: None, name: Some("node.example".into()) };
        alone.read().unwrap();
        let client = |cert: &str, key: &str| TlsFiles { client: Some((at(cert), at(key))), ..alone.clone() };
        client("ca.pem", "key.pem").read().unwrap();
        assert!(text(&TlsFiles { ca: at("nowhere.pem"), ..alone.clone() }).starts_with("scylla.tls.ca = "));
        assert!(text(&TlsFiles { ca: at("key.pem"), ..alone.clone() }).contains("no certificate"));
        assert!(text(&TlsFiles { name: Some("a b".into()), ..alone.clone() }).contains("neither a host name"));
        assert!(text(&client("key.pem", "key.pem")).starts_with("scylla.tls.cert = "));
        assert!(text(&client("ca.pem", "ca.pem")).starts_with("scylla.tls.key = "));
        assert!(text(&client("ca.pem", "other.pem")).starts_with("scylla.tls.key = "), "a key of another certificate");
    }
}
