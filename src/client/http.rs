//! The HTTP API as the client commands and the demo call it: JSON in, JSON out, errors in the server's own words.
//!
//! `ureq` blocks, which suits a command line: no runtime to start for one request. Bodies are `serde_json::Value`: a
//! client that knows less of the schema breaks less when the schema grows.

use std::{fs, path::Path, sync::Arc, time::Duration};

use serde_json::Value;
use ureq::{
    Agent, Body,
    http::{Request, Response, StatusCode},
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
};

/// Longest answer read into memory.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Beyond what the caller asked the server to wait.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// A live stream that says nothing for this long, not even a heartbeat, is dead.
const SILENCE_MAX: Duration = Duration::from_secs(60);

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("no answer from {url}: {reason}. Is `twinfold serve` running there?")]
    Unreachable { url: String, reason: String },
    /// The server's own words.
    #[error("{detail} ({status})")]
    Refused { status: u16, detail: String, retry_after: Option<Duration> },
    #[error("the answer of {url} is not understood: {reason}")]
    Strange { url: String, reason: String },
    #[error("{0}")]
    Usage(String),
}

impl ClientError {
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// A server and the key to call it with. Cheap to clone, usable from many threads.
#[derive(Clone)]
pub struct Api {
    agent: Agent,
    base: String,
    token: String,
}

impl Api {
    /// `base` such as `http://127.0.0.1:8080`; the `/api/v1` is added here. With HTTPS the server's certificate must come from
    /// one of the authorities in the file `ca`, or of the public ones when there is none.
    pub fn new(base: &str, token: &str, ca: Option<&Path>) -> Result<Self, ClientError> {
        let roots = ca.map_or(Ok(RootCerts::WebPki), authorities)?;
        let config = Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .user_agent(concat!("twinfold/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { agent: config.new_agent(), base: format!("{}/api/v1", base.trim_end_matches('/')), token: token.to_owned() })
    }

    pub fn get(&self, path: &str) -> Result<Value, ClientError> {
        self.call("GET", path, None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        self.call("POST", path, Some(body))
    }

    pub fn patch(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        self.call("PATCH", path, Some(body))
    }

    pub fn delete(&self, path: &str) -> Result<Value, ClientError> {
        self.call("DELETE", path, None)
    }

    /// An answer without a body is `Null`.
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, ClientError> {
        self.call_patiently(method, path, body, Duration::ZERO)
    }

    /// As [`Self::call`], for a request that the server may hold for `patience`.
    pub fn call_patiently(&self, method: &str, path: &str, body: Option<&Value>, patience: Duration) -> Result<Value, ClientError> {
        let request = self.request(method, path, "application/json")?;
        let request = match body {
            Some(body) => request.header("content-type", content_type(method)).body(body.to_string()),
            None => request.body(String::new()),
        };
        let request = request.map_err(|e| ClientError::Usage(e.to_string()))?;
        let request = self.agent.configure_request(request).timeout_global(Some(ANSWER_TIMEOUT + patience)).build();
        let mut answer = accepted(self.agent.run(request).map_err(|e| self.unreachable(&e))?)?;
        let text = read(&mut answer).map_err(|reason| self.strange(reason))?;
        if text.is_empty() { Ok(Value::Null) } else { serde_json::from_str(&text).map_err(|e| self.strange(e.to_string())) }
    }

    /// Opens an endless answer, such as the live stream.
    pub fn follow(&self, path: &str, last_event_id: Option<&str>) -> Result<ureq::BodyReader<'static>, ClientError> {
        let mut request = self.request("GET", path, "text/event-stream")?;
        if let Some(id) = last_event_id.filter(|id| !id.is_empty()) {
            request = request.header("last-event-id", id);
        }
        let request = request.body(()).map_err(|e| ClientError::Usage(e.to_string()))?;
        let request = self.agent.configure_request(request).timeout_per_read(Some(SILENCE_MAX)).build();
        let answer = accepted(self.agent.run(request).map_err(|e| self.unreachable(&e))?)?;
        Ok(answer.into_body().into_with_config().limit(u64::MAX).reader())
    }

    fn request(&self, method: &str, path: &str, accept: &str) -> Result<ureq::http::request::Builder, ClientError> {
        let builder = Request::builder().method(method).uri(format!("{}{path}", self.base)).header("accept", accept);
        Ok(if self.token.is_empty() { builder } else { builder.header("authorization", format!("Bearer {}", self.token)) })
    }

    fn unreachable(&self, error: &ureq::Error) -> ClientError {
        ClientError::Unreachable { url: self.base.clone(), reason: error.to_string() }
    }

    fn strange(&self, reason: String) -> ClientError {
        ClientError::Strange { url: self.base.clone(), reason }
    }
}

fn authorities(file: &Path) -> Result<RootCerts, ClientError> {
    let unusable = |why: String| ClientError::Usage(format!("{}: {why}", file.display()));
    let pem = fs::read(file).map_err(|e| unusable(e.to_string()))?;
    let certificates: Vec<Certificate<'static>> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        Err(unusable("there is no certificate in it".into()))
    } else {
        Ok(RootCerts::Specific(Arc::new(certificates)))
    }
}

fn content_type(method: &str) -> &'static str {
    if method == "PATCH" { "application/merge-patch+json" } else { "application/json" }
}

fn read(answer: &mut Response<Body>) -> Result<String, String> {
    answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string().map_err(|e| e.to_string())
}

/// Turns an answer outside 2xx into the problem it tells.
fn accepted(mut answer: Response<Body>) -> Result<Response<Body>, ClientError> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let retry_after = answer.headers().get("retry-after").and_then(|v| v.to_str().ok()?.parse().ok()).map(Duration::from_secs);
    let detail = detail_of(&read(&mut answer).unwrap_or_default(), status);
    Err(ClientError::Refused { status: status.as_u16(), detail, retry_after })
}

/// The `detail` of a problem (RFC 9457) and where it is at fault, else its `title`, else the status in words.
fn detail_of(body: &str, status: StatusCode) -> String {
    let problem: Value = serde_json::from_str(body).unwrap_or_default();
    let member = |name: &str| problem.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let told = member("detail").or_else(|| member("title")).or(status.canonical_reason()).unwrap_or("refused");
    match member("pointer") {
        Some(pointer) => format!("{told} (at {pointer})"),
        None => told.to_owned(),
    }
}

/// Text made safe as one part of a path or a query.
pub fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}

/// `?a=1&b=2` of those that are given.
pub fn query(parts: &[(&str, Option<&str>)]) -> String {
    let given: Vec<String> = parts.iter().filter_map(|(name, value)| value.map(|v| format!("{name}={}", escaped(v)))).collect();
    if given.is_empty() { String::new() } else { format!("?{}", given.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_speaks_the_problems_words() {
        let body = r#"{"type":"x","title":"Not found","detail":"there is no twin a","status":404}"#;
        assert_eq!(detail_of(body, StatusCode::NOT_FOUND), "there is no twin a");
        assert_eq!(detail_of("<html>", StatusCode::BAD_GATEWAY), "Bad Gateway");
        assert_eq!(detail_of(r#"{"detail":"not a number","pointer":"/ttl"}"#, StatusCode::BAD_REQUEST), "not a number (at /ttl)");
    }

    #[test]
    fn a_query_holds_only_what_is_given() {
        assert_eq!(query(&[("a", None)]), "");
        assert_eq!(query(&[("a", Some("x y&z")), ("b", None), ("c", Some("1"))]), "?a=x%20y%26z&c=1");
    }
}
