//! The keys of an identity provider: RFC 7517, the sorts that are taken here.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;

use super::jose::{Algorithm, Unverified};

/// Keys that are kept of one provider.
const KEYS_MAX: usize = 64;

#[derive(Deserialize)]
struct Set {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Debug, PartialEq)]
enum Public {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point of P-256.
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Debug, PartialEq)]
struct Key {
    kid: Option<String>,
    public: Public,
}

/// What a provider publishes, less what cannot be used here.
#[derive(Debug, Default, PartialEq)]
pub struct Keys(Vec<Key>);

impl Keys {
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let set: Set = serde_json::from_slice(text).map_err(|e| format!("its keys are no JSON Web Key Set: {e}"))?;
        Ok(Self(set.keys.into_iter().filter_map(Jwk::key).take(KEYS_MAX).collect()))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    fn candidates<'a>(&'a self, token: &'a Unverified<'_>) -> impl Iterator<Item = &'a Key> {
        self.0.iter().filter(|key| key.public.algorithm() == token.algorithm && (token.kid.is_none() || key.kid == token.kid))
    }

    /// Whether there is a key that could have signed it.
    pub fn has_one_for(&self, token: &Unverified<'_>) -> bool {
        self.candidates(token).next().is_some()
    }

    pub fn verify(&self, token: &Unverified<'_>) -> bool {
        self.candidates(token).any(|key| key.public.verify(token))
    }
}

impl Jwk {
    fn key(self) -> Option<Key> {
        let bytes = |text: &Option<String>| BASE64.decode(text.as_deref()?.trim_end_matches('=')).ok();
        let public = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => Public::Rsa { n: bytes(&self.n)?, e: bytes(&self.e)? },
            ("EC", Some("P-256")) => {
                let (x, y) = (bytes(&self.x)?, bytes(&self.y)?);
                (x.len() == 32 && y.len() == 32).then(|| Public::P256([&[4], &x[..], &y[..]].concat()))?
            }
            ("OKP", Some("Ed25519")) => Public::Ed25519(bytes(&self.x)?),
            _ => return None,
        };
        let for_signing = self.usage.as_deref().is_none_or(|usage| usage == "sig");
        // A key that says what it is for is for nothing else.
        let fits = self.alg.as_deref().is_none_or(|alg| Algorithm::parse(alg) == Some(public.algorithm()));
        (for_signing && fits).then_some(Key { kid: self.kid, public })
    }
}

impl Public {
    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa { .. } => Algorithm::Rs256,
            Self::P256(_) => Algorithm::Es256,
            Self::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    fn verify(&self, token: &Unverified<'_>) -> bool {
        let (message, made) = (token.signed.as_bytes(), &token.signature);
        match self {
            // ring takes 2048 bits and more.
            Self::Rsa { n, e } => RsaPublicKeyComponents { n, e }.verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, made).is_ok(),
            Self::P256(point) => UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).verify(message, made).is_ok(),
            Self::Ed25519(x) => UnparsedPublicKey::new(&signature::ED25519, x).verify(message, made).is_ok(),
        }
    }
}
