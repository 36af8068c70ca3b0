//! Who vouches for devices' certificates: the authorities of `mqtt.tls.client_ca`, with their revocation list, and those of enrolments.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use actors::identity::{Certificate, Signers};
use hierarchy_models::{Name, Timestamp};
use ring::digest;
use rustls::{
    CertificateError, Error as TlsError, RootCertStore,
    crypto::{CryptoProvider, ring as provider},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime, pem::PemObject};

use super::{Chain, der};
use crate::{Error, settings::TlsSettings};

const CLIENT_CA: &str = "mqtt.tls.client_ca";
const CLIENT_CRL: &str = "mqtt.tls.client_crl";

type Verifier = Arc<dyn ClientCertVerifier>;
type EnrolmentAuthorities = Arc<Vec<Signers>>;

pub(crate) struct Authorities {
    provider: Arc<CryptoProvider>,
    roots: Option<Arc<RootCertStore>>,
    crl: Option<Crl>,
    /// Of `roots` and the revocation list as it is now.
    verifier: RwLock<Option<Verifier>>,
    enrolments: Mutex<Option<OfEnrolments>>,
}

/// Made once for what the runtime gave.
struct OfEnrolments {
    given: EnrolmentAuthorities,
    /// Of each of these.
    verifiers: Vec<Option<Verifier>>,
}

struct Crl {
    path: PathBuf,
    /// Of the file that was read last.
    seen: Mutex<Option<Stamp>>,
}

/// Changes when a file does.
type Stamp = (Option<SystemTime>, u64);

/// What a certificate is worth by itself, before anybody asks whose it is.
#[derive(Debug, PartialEq)]
pub(crate) enum Judged {
    Fit(Certificate),
    /// It opens nothing, whoever shows it; why, for the log and the metrics.
    Unfit(&'static str),
}

impl Authorities {
    pub(crate) fn read(tls: &TlsSettings) -> Result<Self, Error> {
        let roots = tls.client_ca.as_deref().map(roots_in).transpose()?.map(Arc::new);
        let crl = tls.client_crl.clone().map(|path| Crl { path, seen: Mutex::default() });
        let all = Self {
            provider: Arc::new(provider::default_provider()),
            roots,
            crl,
            verifier: RwLock::default(),
            enrolments: Mutex::default(),
        };
        all.read_again()?;
        Ok(all)
    }

    /// Looks whether the revocation list has changed, and reads it again then. One that cannot be read leaves the last one in force.
    pub(crate) fn refresh(&self) -> bool {
        let Some(crl) = &self.crl else { return false };
        let changed = match stamp(&crl.path) {
            Ok(now) => *lock(&crl.seen) != Some(now),
            Err(_) => false,
        };
        if !changed {
            return false;
        }
        match self.read_again() {
            Ok(()) => {
                tracing::info!(file = %crl.path.display(), "the revocation list was read again");
                metrics::counter!("twinfold_mqtt_crl_reloads_total", "outcome" => "read").increment(1);
                true
            }
            Err(error) => {
                metrics::counter!("twinfold_mqtt_crl_reloads_total", "outcome" => "failed").increment(1);
                tracing::error!(%error, "the revocation list cannot be read; the last one stays in force");
                false
            }
        }
    }

    fn read_again(&self) -> Result<(), Error> {
        let Some(roots) = &self.roots else { return Ok(()) };
        let mut builder = WebPkiClientVerifier::builder_with_provider(roots.clone(), self.provider.clone());
        if let Some(crl) = &self.crl {
            let at = |why: String| Error::Tls { key: CLIENT_CRL, path: crl.path.clone(), why };
            // A file that is bad now is looked at again when it changes.
            *lock(&crl.seen) = Some(stamp(&crl.path).map_err(|e| at(e.to_string()))?);
            let read = CertificateRevocationListDer::pem_file_iter(&crl.path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let lists = read.map_err(|e| at(e.to_string()))?;
            if lists.is_empty() {
                return Err(at("there is no revocation list in it".into()));
            }
            // An authority without a list has revoked nothing.
            builder = builder.with_crls(lists).allow_unknown_revocation_status();
        }
        let path = || self.crl.as_ref().map_or_else(PathBuf::new, |crl| crl.path.clone());
        let verifier = builder.build().map_err(|e| Error::Tls { key: CLIENT_CRL, path: path(), why: e.to_string() })?;
        *self.verifier.write().unwrap_or_else(PoisonError::into_inner) = Some(verifier);
        Ok(())
    }

    pub(crate) fn judge(&self, chain: &Chain, now: Timestamp) -> Judged {
        let Some((own, others)) = chain.split_first() else { return Judged::Unfit("no_certificate") };
        let Some((not_before, not_after)) = der::validity(own) else { return Judged::Unfit("certificate_unreadable") };
        if now < not_before {
            return Judged::Unfit("certificate_not_yet_valid");
        }
        if not_after <= now {
            return Judged::Unfit("certificate_expired");
        }
        let verifier = self.verifier.read().unwrap_or_else(PoisonError::into_inner).clone();
        let vouched_for = match verifier.map(|verifier| verifier.verify_client_cert(own, others, unix(now))) {
            Some(Ok(_)) => der::common_name(own).map(str::to_owned),
            Some(Err(TlsError::InvalidCertificate(CertificateError::Revoked))) => return Judged::Unfit("certificate_revoked"),
            Some(Err(_)) | None => None,
        };
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest::digest(&digest::SHA256, own).as_ref());
        Judged::Fit(Certificate { sha256, not_after, vouched_for })
    }

    /// The first enrolment that is for such names and whose authority has signed this certificate for this one.
    pub(crate) fn enrolment(&self, chain: &Chain, name: &str, of_enrolments: EnrolmentAuthorities, now: Timestamp) -> Option<Name> {
        let (own, others) = chain.split_first()?;
        if der::common_name(own) != Some(name) {
            return None;
        }
        let mut known = lock(&self.enrolments);
        if !known.as_ref().is_some_and(|known| Arc::ptr_eq(&known.given, &of_enrolments)) {
            let verifiers = of_enrolments.iter().map(|of| self.verifier_of(&of.enrolment, &of.authorities)).collect();
            *known = Some(OfEnrolments { given: of_enrolments, verifiers });
        }
        let OfEnrolments { given, verifiers } = known.as_ref()?;
        let has_signed = |verifier: &Option<Verifier>| {
            verifier.as_ref().is_some_and(|verifier| verifier.verify_client_cert(own, others, unix(now)).is_ok())
        };
        let mut all = given.iter().zip(verifiers);
        all.find(|(of, verifier)| name.starts_with(&of.id_prefix) && has_signed(verifier)).map(|(of, _)| of.enrolment.clone())
    }

    fn verifier_of(&self, id: &Name, authorities: &[Vec<u8>]) -> Option<Verifier> {
        let mut roots = RootCertStore::empty();
        for der in authorities {
            if let Err(error) = roots.add(CertificateDer::from(der.as_slice())) {
                tracing::warn!(enrolment = %id, %error, "an enrolment's authority cannot be used");
            }
        }
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), self.provider.clone()).build().ok()
    }
}

fn roots_in(path: &Path) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(CLIENT_CA, path)? {
        roots.add(certificate).map_err(|e| fault(CLIENT_CA, path, e))?;
    }
    Ok(roots)
}

/// Those in a PEM file, at least one.
pub(crate) fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|e| fault(key, path, e))?;
    if certificates.is_empty() { Err(fault(key, path, "there is no certificate in it")) } else { Ok(certificates) }
}

pub(crate) fn fault(key: &'static str, path: &Path, why: impl ToString) -> Error {
    Error::Tls { key, path: path.into(), why: why.to_string() }
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.modified().ok(), metadata.len()))
}

fn unix(now: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or(0)))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
