//! HTTPS: certificate chain and key from PEM files, on rustls with ring, TLS 1.2 and 1.3.

use std::sync::Arc;

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::{server::StartError, settings::Tls};

pub fn config(tls: &Tls) -> Result<ServerConfig, StartError> {
    let refused = |file: &std::path::Path, why: String| StartError::Tls { file: file.to_owned(), why };
    let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_file_iter(&tls.cert).and_then(Iterator::collect);
    let chain = chain.map_err(|e| refused(&tls.cert, e.to_string()))?;
    if chain.is_empty() {
        return Err(refused(&tls.cert, "it holds no certificate".into()));
    }
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|e| refused(&tls.key, e.to_string()))?;
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|e| refused(&tls.cert, e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_and_its_key_are_taken_and_anything_else_named() {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        assert!(config(&Tls { cert: cert.clone(), key: key.clone() }).is_ok());
        let missing = config(&Tls { cert: folder.path().join("nowhere.pem"), key: key.clone() }).unwrap_err();
        assert!(missing.to_string().contains("nowhere.pem"), "{missing}");
        assert!(config(&Tls { cert: key, key: cert }).is_err());
    }
}
