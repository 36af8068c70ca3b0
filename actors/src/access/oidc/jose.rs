//! A signed token, taken apart: RFC 7515's compact form, and nothing of JOSE beyond what an identity provider signs for an API.
//!
//! Verifying is one call of ring; a JWT library would bring a second crypto provider or the `rsa` crate (RUSTSEC-2023-0071) for what is
//! left. `none` and the HMAC algorithms do not exist here, so a token cannot ask for them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use serde::Deserialize;

/// What a signature is made with; the header's word for it is compared with the key's sort, never believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Rs256,
    Es256,
    EdDsa,
}

impl Algorithm {
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<serde_json::Value>,
}

/// A token whose signature nobody has looked at yet.
pub struct Unverified<'a> {
    pub algorithm: Algorithm,
    pub kid: Option<String>,
    /// What was signed.
    pub signed: &'a str,
    pub signature: Vec<u8>,
    claims: Vec<u8>,
}

/// Whether a bearer looks like one: three parts, as no key of ours has.
pub fn looks_like_one(bearer: &str) -> bool {
    bearer.bytes().filter(|b| *b == b'.').count() == 2 && !bearer.starts_with("tw_")
}

/// `None` for what is no token, or one that asks for what is not done here.
pub fn parse(token: &str) -> Option<Unverified<'_>> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let decoded = |text: &str| BASE64.decode(text).ok();
    let header: Header = serde_json::from_slice(&decoded(header)?).ok()?;
    let typed = header.typ.as_deref().map(|t| t.trim_start_matches("application/").to_ascii_lowercase());
    let is_ours = typed.is_none_or(|typ| typ == "jwt" || typ == "at+jwt") && header.crit.is_none();
    let algorithm = Algorithm::parse(&header.alg).filter(|_| is_ours)?;
    Some(Unverified { algorithm, kid: header.kid, signed, signature: decoded(signature)?, claims: decoded(claims)? })
}

impl Unverified<'_> {
    /// To be called once the signature is verified.
    pub fn claims<T: for<'de> Deserialize<'de>>(&self) -> Option<T> {
        serde_json::from_slice(&self.claims).ok()
    }
}
