//! Certificates and keys, read once at start, with an error that names the file and the setting.

use std::{path::Path, sync::Arc};

use rustls::{RootCertStore, ServerConfig, crypto::ring, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use crate::{Error, settings::TlsSettings};

const CERT: &str = "mqtt.tls.cert";
const KEY: &str = "mqtt.tls.key";
const CLIENT_CA: &str = "mqtt.tls.client_ca";

pub(super) fn server_config(tls: &TlsSettings) -> Result<Arc<ServerConfig>, Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| fault(CERT, &tls.cert, e))?;
    let builder = match &tls.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(authorities(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).allow_unauthenticated();
            builder.with_client_cert_verifier(verifier.build().map_err(|e| fault(CLIENT_CA, path, e))?)
        }
    };
    let chain = certificates(CERT, &tls.cert)?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|e| fault(KEY, &tls.key, e))?;
    let config = builder.with_single_cert(chain, key).map_err(|e| fault(KEY, &tls.key, format!("it does not go with {CERT}: {e}")))?;
    Ok(Arc::new(config))
}

fn authorities(path: &Path) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(CLIENT_CA, path)? {
        roots.add(certificate).map_err(|e| fault(CLIENT_CA, path, e))?;
    }
    Ok(roots)
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|e| fault(key, path, e))?;
    if certificates.is_empty() { Err(fault(key, path, "there is no certificate in it")) } else { Ok(certificates) }
}

fn fault(key: &'static str, path: &Path, why: impl ToString) -> Error {
    Error::Tls { key, path: path.into(), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_named_with_its_setting() {
        let tls =
            TlsSettings { bind: ([127, 0, 0, 1], 0).into(), cert: "/nowhere.pem".into(), key: "/nowhere.key".into(), client_ca: None };
        let text = server_config(&tls).unwrap_err().to_string();
        assert!(text.starts_with("mqtt.tls.cert = /nowhere.pem: "), "{text}");
    }
}
