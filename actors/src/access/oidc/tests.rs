//! A small identity provider on a socket, with keys of its own, and what it and others may sign.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::atomic::{AtomicUsize, Ordering},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde_json::{Value as Json, json};

use super::*;

const RSA: &[u8] = include_bytes!("test-rsa.der");

enum Signer {
    Rsa(Box<RsaKeyPair>),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Signer {
    fn ec() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Self::Ec(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap())
    }

    fn ed() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Ed(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap())
    }

    fn rsa() -> Self {
        Self::Rsa(Box::new(RsaKeyPair::from_pkcs8(RSA).unwrap()))
    }

    fn alg(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Ec(_) => "ES256",
            Self::Ed(_) => "EdDSA",
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
            Self::Ec(key) => key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Self::Ed(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    fn jwk(&self, kid: &str) -> Json {
        let text = |bytes: &[u8]| BASE64.encode(bytes);
        match self {
            Self::Rsa(key) => {
                let public = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({"kty": "RSA", "kid": kid, "alg": "RS256", "use": "sig", "n": text(&public.n), "e": text(&public.e)})
            }
            Self::Ec(key) => {
                let point = key.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": text(&point[1..33]), "y": text(&point[33..])})
            }
            Self::Ed(key) => json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": text(key.public_key().as_ref())}),
        }
    }

    fn token_with(&self, header: Json, claims: &Json) -> String {
        let part = |json: &Json| BASE64.encode(json.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        format!("{signed}.{}", BASE64.encode(self.sign(signed.as_bytes())))
    }

    fn token(&self, kid: &str, claims: &Json) -> String {
        self.token_with(json!({"alg": self.alg(), "kid": kid, "typ": "JWT"}), claims)
    }
}

/// It answers discovery and keys, and counts who asks.
struct Issuer {
    url: String,
    keys: Arc<Mutex<Option<Json>>>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    fn start(keys: Json) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (keys, asked) = (Arc::new(Mutex::new(Some(keys))), Arc::<AtomicUsize>::default());
        let (issuer, served, counted) = (url.clone(), keys.clone(), asked.clone());
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let mut socket = socket.unwrap();
                let mut head = [0; 4096];
                let length = socket.read(&mut head).unwrap();
                let head = String::from_utf8_lossy(&head[..length]).into_owned();
                let body = if head.starts_with("GET /.well-known/openid-configuration ") {
                    Some(json!({"issuer": issuer, "jwks_uri": format!("{issuer}/keys")}))
                } else {
                    counted.fetch_add(1, Ordering::SeqCst);
                    served.lock().clone().map(|keys| json!({"keys": keys}))
                };
                let (status, body) = body.map_or(("500 Oh", String::new()), |body| ("200 OK", body.to_string()));
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
                let _ = socket.write_all(answer.as_bytes());
            }
        });
        Self { url, keys, asked }
    }

    fn settings(&self) -> OidcSettings {
        OidcSettings { issuer: self.url.clone(), audience: "twinfold".into(), jwks_url: None, roles_claim: Some("roles".into()) }
    }

    fn provider(&self) -> Provider {
        Provider::new(self.settings())
    }

    fn claims(&self) -> Json {
        json!({"iss": self.url, "aud": ["other", "twinfold"], "sub": "ann", "iat": 1_000, "exp": 4_600, "roles": ["viewer"]})
    }

    fn claims_with(&self, name: &str, value: Json) -> Json {
        let mut claims = self.claims();
        claims[name] = value;
        claims
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000).unwrap()
}

#[tokio::test]
async fn a_token_of_each_sort_is_taken_and_its_signature_verified_once() {
    let (rsa, ec, ed) = (Signer::rsa(), Signer::ec(), Signer::ed());
    let issuer = Issuer::start(json!([rsa.jwk("r"), ec.jwk("e"), ed.jwk("d")]));
    let provider = issuer.provider();
    for (signer, kid) in [(&rsa, "r"), (&ec, "e"), (&ed, "d")] {
        let token = signer.token(kid, &issuer.claims());
        let verified = provider.verify(&token, at(1_000)).await.unwrap();
        assert_eq!((verified.subject.as_str(), verified.roles[0].0.as_str()), ("ann", "viewer"));
        let again = provider.verify(&token, at(1_001)).await.unwrap();
        assert!(Arc::ptr_eq(&verified, &again));
        // One letter of the content changed, or of the signature.
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let other = BASE64.encode(issuer.claims_with("sub", "eve".into()).to_string());
        let forged = format!("{}.{other}.{signature}", signed.split_once('.').unwrap().0);
        assert_eq!(provider.verify(&forged, at(1_000)).await, Err(Refused::Unknown));
        let last = if signature.ends_with('A') { "Q" } else { "A" };
        let bent = format!("{signed}.{}{last}", &signature[..signature.len() - 1]);
        assert_eq!(provider.verify(&bent, at(1_000)).await.err(), Some(Refused::Unknown));
    }
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn what_is_not_for_us_or_not_from_whom_we_trust_is_refused() {
    let ed = Signer::ed();
    let issuer = Issuer::start(json!([ed.jwk("d")]));
    let provider = issuer.provider();
    for (name, value) in [
        ("iss", json!("https://evil.example")),
        ("aud", json!("another")),
        ("aud", json!(["another"])),
        ("aud", json!({"twinfold": true})),
        ("sub", json!("")),
    ] {
        let token = ed.token("d", &issuer.claims_with(name, value.clone()));
        assert_eq!(provider.verify(&token, at(1_000)).await, Err(Refused::NotForUs), "{name} {value}");
    }
    for name in ["iss", "aud", "sub", "exp"] {
        let mut claims = issuer.claims();
        claims.as_object_mut().unwrap().remove(name);
        assert_eq!(provider.verify(&ed.token("d", &claims), at(1_000)).await, Err(Refused::Unknown), "without {name}");
    }
    assert!(provider.verify(&ed.token("d", &issuer.claims_with("aud", "twinfold".into())), at(1_000)).await.is_ok());
}

#[tokio::test]
async fn time_is_kept_with_a_minute_of_skew() {
    let ed = Signer::ed();
    let issuer = Issuer::start(json!([ed.jwk("d")]));
    let provider = issuer.provider();
    let token = ed.token("d", &issuer.claims_with("nbf", 2_000.into()));
    assert_eq!(provider.verify(&token, at(1_939)).await, Err(Refused::NotYet));
    assert!(provider.verify(&token, at(1_940)).await.is_ok());
    assert!(provider.verify(&token, at(4_659)).await.is_ok());
    assert_eq!(provider.verify(&token, at(4_660)).await, Err(Refused::Expired));
    let future = ed.token("d", &issuer.claims_with("iat", 9_000.into()));
    assert_eq!(provider.verify(&future, at(4_659)).await, Err(Refused::NotYet));
}

#[tokio::test]
async fn a_token_does_not_choose_how_it_is_verified() {
    let (rsa, ed) = (Signer::rsa(), Signer::ed());
    let issuer = Issuer::start(json!([rsa.jwk("r"), ed.jwk("d")]));
    let provider = issuer.provider();
    let claims = issuer.claims();
    let part = |json: Json| BASE64.encode(json.to_string());
    let none = format!("{}.{}.", part(json!({"alg": "none"})), part(claims.clone()));
    // The public key as the secret of an HMAC: the classic.
    let signed = format!("{}.{}", part(json!({"alg": "HS256", "kid": "r"})), part(claims.clone()));
    let public = rsa.jwk("r")["n"].as_str().unwrap().to_owned();
    let tag = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, public.as_bytes()), signed.as_bytes());
    let confused = format!("{signed}.{}", BASE64.encode(tag.as_ref()));
    // A good signature under the name of a key of another sort, or of another algorithm.
    let other_key = ed.token_with(json!({"alg": "RS256", "kid": "r"}), &claims);
    let other_name = ed.token_with(json!({"alg": "EdDSA", "kid": "r"}), &claims);
    let critical = ed.token_with(json!({"alg": "EdDSA", "kid": "d", "crit": ["b64"], "b64": false}), &claims);
    let logout = ed.token_with(json!({"alg": "EdDSA", "kid": "d", "typ": "logout+jwt"}), &claims);
    for token in [none, confused, other_key, other_name, critical, logout, "a.b.c".into(), "..".into()] {
        assert_eq!(provider.verify(&token, at(1_000)).await, Err(Refused::Unknown), "{token}");
    }
    assert!(provider.verify(&ed.token_with(json!({"alg": "EdDSA", "kid": "d", "typ": "at+JWT"}), &claims), at(1_000)).await.is_ok());
}

#[tokio::test]
async fn a_rotated_key_is_fetched_and_the_one_before_ends() {
    let (old, new) = (Signer::ed(), Signer::ec());
    let issuer = Issuer::start(json!([old.jwk("1")]));
    let provider = issuer.provider();
    let (before, after) = (old.token("1", &issuer.claims()), new.token("2", &issuer.claims()));
    assert!(provider.verify(&before, at(1_000)).await.is_ok());
    *issuer.keys.lock() = Some(json!([new.jwk("2")]));
    assert_eq!(provider.verify(&after, at(1_009)).await, Err(Refused::Unknown), "the provider was asked a moment ago");
    assert!(provider.verify(&after, at(1_010)).await.is_ok());
    assert_eq!(provider.verify(&before, at(1_030)).await, Err(Refused::Unknown), "verified before, by a key that is no more");
}

#[tokio::test]
async fn made_up_tokens_do_not_make_us_a_hammer() {
    let (ed, stranger) = (Signer::ed(), Signer::ed());
    let issuer = Issuer::start(json!([ed.jwk("d")]));
    let provider = issuer.provider();
    for n in 0..200 {
        let token = stranger.token(&format!("kid-{n}"), &issuer.claims());
        assert_eq!(provider.verify(&token, at(1_000 + n / 20)).await, Err(Refused::Unknown));
    }
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn keys_outlast_a_provider_that_is_away_for_a_day_and_no_longer() {
    let ed = Signer::ed();
    let issuer = Issuer::start(json!([ed.jwk("d")]));
    let provider = issuer.provider();
    let token = ed.token("d", &issuer.claims_with("exp", 1_000_000.into()));
    *issuer.keys.lock() = None;
    assert_eq!(provider.verify(&token, at(1_000)).await, Err(Refused::NoProvider));
    *issuer.keys.lock() = Some(json!([ed.jwk("d")]));
    assert!(provider.verify(&token, at(1_010)).await.is_ok());
    *issuer.keys.lock() = None;
    assert!(provider.verify(&token, at(1_010 + 86_399)).await.is_ok());
    assert_eq!(provider.verify(&token, at(1_010 + 86_400)).await, Err(Refused::NoProvider));
}

#[test]
fn keys_come_over_an_encrypted_wire_or_none_at_all() {
    for good in ["https://a.example/x", "http://127.0.0.1:80/x", "http://localhost", "http://[::1]:8/x"] {
        assert!(check_url(good).is_ok(), "{good}");
    }
    for bad in ["http://a.example", "http://127.0.0.1.evil.example/", "http://localhost.evil.example", "ftp://a", ""] {
        assert!(check_url(bad).is_err(), "{bad}");
    }
}
