//! The HTTP API as a caller sees it: status, headers, JSON.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use ureq::http::{Method, Request};

#[derive(Clone)]
pub struct Api {
    agent: ureq::Agent,
    base: String,
    key: Option<String>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub text: String,
}

impl Api {
    pub fn new(http: SocketAddr, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..Self::anonymous(http) }
    }

    pub fn anonymous(http: SocketAddr) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(60)));
        Self { agent: config.build().into(), base: format!("http://{http}"), key: None }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], None)
    }

    pub fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, &[], Some(body.to_string()))
    }

    pub fn patch(&self, path: &str, body: Value) -> Answer {
        self.call("PATCH", path, &[], Some(body.to_string()))
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path, &[], None)
    }

    /// `path` is below `/api/v1`, or whole when it starts with `//`.
    pub fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<String>) -> Answer {
        self.try_call(method, path, headers, body).unwrap_or_else(|e| panic!("{method} {path}: {e}"))
    }

    pub fn try_call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<String>) -> Result<Answer, ureq::Error> {
        let path = path.strip_prefix('/').filter(|p| p.starts_with('/')).map_or(format!("/api/v1{path}"), str::to_owned);
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(format!("{}{path}", self.base));
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if body.is_some() && !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let mut answer = match body {
            Some(body) => self.agent.run(request.body(body).unwrap())?,
            None => self.agent.run(request.body(()).unwrap())?,
        };
        let headers = answer.headers().iter().map(|(n, v)| (n.as_str().to_owned(), v.to_str().unwrap_or_default().to_owned())).collect();
        let text = answer.body_mut().with_config().limit(256 << 20).read_to_string()?;
        Ok(Answer { status: answer.status().as_u16(), headers, text })
    }

    /// The whole document of a twin.
    pub fn twin(&self, id: &str) -> Value {
        self.get(&format!("/twins/{id}")).expect(200)
    }

    /// Every item of a paged list.
    pub fn all(&self, path: &str) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let joint = if path.contains('?') { '&' } else { '?' };
            let page = match &cursor {
                Some(cursor) => self.get(&format!("{path}{joint}cursor={cursor}")),
                None => self.get(path),
            }
            .expect(200);
            items.extend(page["items"].as_array().unwrap_or_else(|| panic!("{path} has no items: {page}")).iter().cloned());
            match page["cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return items,
            }
        }
    }
}

impl Answer {
    /// The body, when the status is this one.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        if self.text.is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    /// A problem document of this status, as RFC 9457 has it.
    #[track_caller]
    pub fn problem(&self, status: u16) -> Value {
        let body = self.expect(status);
        assert_eq!(
            self.header("content-type").map(|t| t.split(';').next().unwrap_or_default()),
            Some("application/problem+json"),
            "{body}"
        );
        assert!(body["type"].as_str().is_some_and(|t| !t.is_empty()), "a problem has a type: {body}");
        assert_eq!(body["status"].as_u64(), Some(u64::from(status)), "{body}");
        body
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}
