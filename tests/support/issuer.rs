//! An identity provider on a socket: its discovery document, its keys, and tokens that it signs.

use std::{
    io::{Read, Write},
    net::TcpListener,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use serde_json::{Value as Json, json};

/// Whom its tokens are for.
pub const AUDIENCE: &str = "twinfold";
const KID: &str = "1";

pub struct Issuer {
    pub url: String,
    key: Ed25519KeyPair,
}

impl Issuer {
    /// It answers for as long as the process lives.
    pub fn start() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let key = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let discovery = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
        let x = BASE64.encode(key.public_key().as_ref());
        let keys = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": KID, "x": x}]});
        std::thread::spawn(move || {
            for mut socket in listener.incoming().flatten() {
                let mut head = [0; 4096];
                let Ok(length) = socket.read(&mut head) else { continue };
                let body = if head[..length].starts_with(b"GET /keys ") { &keys } else { &discovery }.to_string();
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
                let _ = socket.write_all(answer.as_bytes());
            }
        });
        Self { url, key }
    }

    /// A token of somebody with these roles, that is good between these seconds since 1970.
    pub fn token(&self, subject: &str, roles: &[&str], (from, to): (u64, u64)) -> String {
        let claims = json!({"iss": self.url, "aud": AUDIENCE, "sub": subject, "iat": from, "nbf": from, "exp": to, "roles": roles});
        let part = |json: &Json| BASE64.encode(json.to_string());
        let signed = format!("{}.{}", part(&json!({"alg": "EdDSA", "kid": KID, "typ": "JWT"})), part(&claims));
        format!("{signed}.{}", BASE64.encode(self.key.sign(signed.as_bytes()).as_ref()))
    }
}
