//! An authority and a certificate for 127.0.0.1, made anew for each start: no key lies about in the repository.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::Result;

/// PEM files in a peer's folder.
pub struct Certificates {
    /// The authority that a client must trust.
    pub ca: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Makes them, or finds those of an earlier start in the same folder.
pub fn certificates(folder: &Path) -> Result<Certificates> {
    let files = Certificates { ca: folder.join("ca.pem"), certificate: folder.join("certificate.pem"), key: folder.join("key.pem") };
    if files.ca.exists() {
        return Ok(files);
    }
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate()?;
    let authority = params.self_signed(&authority_key)?;
    let issuer = Issuer::new(params, authority_key);
    let key = KeyPair::generate()?;
    let server = CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()])?.signed_by(&key, &issuer)?;
    fs::write(&files.certificate, server.pem())?;
    fs::write(&files.key, key.serialize_pem())?;
    fs::write(&files.ca, authority.pem())?;
    Ok(files)
}
