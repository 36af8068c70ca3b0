//! Client certificates: who holds one, who vouches for it, and whether that is still so.
//!
//! The TLS handshake shows only that a peer holds the key of its certificate ([`possession`]). Whether it opens a door is
//! judged at every CONNECT, a resumed TLS session's too, and again for live sessions whenever the revocation list changes.

mod authorities;
mod der;
mod possession;

pub(crate) use authorities::{Authorities, Judged, certificates, fault};
pub(crate) use possession::Possession;

use rustls_pki_types::CertificateDer;

/// A peer's own certificate, and those that came with it to show who signed it. Never empty.
pub(crate) type Chain = Vec<CertificateDer<'static>>;
