//! Certificates and keys, read once at start, with an error that names the file and the setting.

use std::sync::Arc;

use rustls::{ServerConfig, crypto::ring};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};

use crate::{
    Error,
    certificates::{Possession, certificates, fault},
    settings::TlsSettings,
};

const CERT: &str = "mqtt.tls.cert";
const KEY: &str = "mqtt.tls.key";

pub(super) fn server_config(tls: &TlsSettings) -> Result<Arc<ServerConfig>, Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| fault(CERT, &tls.cert, e))?;
    let builder = builder.with_client_cert_verifier(Arc::new(Possession(provider)));
    let chain = certificates(CERT, &tls.cert)?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|e| fault(KEY, &tls.key, e))?;
    let config = builder.with_single_cert(chain, key).map_err(|e| fault(KEY, &tls.key, format!("it does not go with {CERT}: {e}")))?;
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_named_with_its_setting() {
        let tls = TlsSettings {
            bind: ([127, 0, 0, 1], 0).into(),
            cert: "/nowhere.pem".into(),
            key: "/nowhere.key".into(),
            client_ca: None,
            client_crl: None,
        };
        let text = server_config(&tls).unwrap_err().to_string();
        assert!(text.starts_with("mqtt.tls.cert = /nowhere.pem: "), "{text}");
    }
}
