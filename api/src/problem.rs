//! RFC 9457 problem details: the one form in which this API says no, and the closed list of reasons.
//!
//! The `type` is a URN, stable for ever. A URL that nobody serves would promise a page; `about:blank` would make clients
//! read the text. What the caller reads stands here; what only the log should know never enters a [`Problem`].

use std::{fmt, time::Duration};

use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
};
use serde_json::Value;

pub const MEDIA_TYPE: &str = "application/problem+json";

/// A reason, with its stable name and the status it is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    pub slug: &'static str,
    pub title: &'static str,
    pub status: u16,
}

impl Kind {
    /// The stable `type` member.
    pub fn urn(&self) -> String {
        format!("urn:twinfold:problem:{}", self.slug)
    }
}

macro_rules! kinds {
    ($($name:ident $status:literal $slug:literal $title:literal)*) => {
        $(pub const $name: Kind = Kind { slug: $slug, title: $title, status: $status };)*
        /// Every reason there is.
        pub const ALL: &[Kind] = &[$($name),*];
    };
}

kinds! {
    BAD_REQUEST 400 "bad-request" "The request cannot be read"
    MALFORMED_JSON 400 "malformed-json" "The body is not JSON"
    INVALID_MEMBER 400 "invalid-member" "A member of the body is not as it must be"
    UNKNOWN_MEMBER 400 "unknown-member" "The body has a member that is not known here"
    INVALID_EXPRESSION 400 "invalid-expression" "An expression of a rule cannot be read"
    INVALID_PARAMETER 400 "invalid-parameter" "A query parameter is not as it must be"
    UNKNOWN_PARAMETER 400 "unknown-parameter" "The query has a parameter that is not known here"
    INVALID_HEADER 400 "invalid-header" "A header field is not as it must be"
    UNAUTHENTICATED 401 "unauthenticated" "A valid key is needed"
    FORBIDDEN 403 "forbidden" "This key may not do that"
    CROSS_SITE 403 "cross-site" "A page of another site may not do that"
    NO_SUCH_ROUTE 404 "no-such-route" "There is nothing at this address"
    NO_SUCH_TWIN 404 "no-such-twin" "There is no such twin"
    NO_SUCH_COMMAND 404 "no-such-command" "There is no such command"
    NO_SUCH_MODEL 404 "no-such-model" "There is no such model"
    NO_SUCH_PRINCIPAL 404 "no-such-principal" "There is no such principal"
    NO_SUCH_GRANT 404 "no-such-grant" "There is no such grant"
    NO_SUCH_ROLE 404 "no-such-role" "There is no such role"
    NO_SUCH_ALERT 404 "no-such-alert" "There is no such alert"
    NO_SUCH_CLAIM 404 "no-such-claim" "There is no such claim"
    NO_SUCH_ENROLMENT 404 "no-such-enrolment" "There is no such enrolment"
    NO_SUCH_RULE 404 "no-such-rule" "There is no such rule"
    NO_SUCH_JOB 404 "no-such-job" "There is no such job"
    METHOD_NOT_ALLOWED 405 "method-not-allowed" "This address does not take this method"
    BODY_TOO_SLOW 408 "body-too-slow" "The body did not arrive in time"
    ALREADY_REGISTERED 409 "already-registered" "A twin of this id is registered already"
    HAS_CHILDREN 409 "has-children" "The twin has children"
    TREE_CONFLICT 409 "tree-conflict" "The twin cannot stand there"
    COMMAND_ENDED 409 "command-ended" "The command has ended already"
    ALERT_CLEARED 409 "alert-cleared" "The alert is cleared already"
    RULE_EXISTS 409 "rule-exists" "A rule of this id is there already"
    REQUEST_IN_PROGRESS 409 "request-in-progress" "The same request is being worked on"
    REGISTRY_CONFLICT 409 "registry-conflict" "The registry refuses the change"
    MODEL_DIFFERS 409 "model-differs" "The model is known with another content"
    MODEL_IN_USE 409 "model-in-use" "The model is in use"
    ROLE_FIXED 409 "role-fixed" "The role is built in"
    ROLE_IN_USE 409 "role-in-use" "The role is in use"
    SUBJECT_TAKEN 409 "subject-taken" "Another principal has this subject"
    VERSION_MISMATCH 412 "version-mismatch" "It has changed since it was read"
    BODY_TOO_LARGE 413 "body-too-large" "The body is too large"
    UNSUPPORTED_MEDIA_TYPE 415 "unsupported-media-type" "The body is of a type that is not taken here"
    NO_SUCH_PARENT 422 "no-such-parent" "There is no such parent"
    NO_SUCH_GATEWAY 422 "no-such-gateway" "There is no such gateway"
    NO_SUCH_SCOPE 422 "no-such-scope" "There is no such twin to confine it to"
    UNKNOWN_PRINCIPAL 422 "unknown-principal" "There is no such principal to grant it to"
    UNKNOWN_ROLE 422 "unknown-role" "There is no such role to give"
    INVALID_MODEL 422 "invalid-model" "The model breaks a rule of its language"
    UNKNOWN_MODEL 422 "unknown-model" "There is no such model to change to"
    MODEL_MISFIT 422 "model-misfit" "It does not fit the twin's model"
    BEHAVIOUR_FAILED 422 "behaviour-failed" "The twin's behaviour failed on it"
    KEY_REUSED 422 "key-reused" "The idempotency key was used for another request"
    QUOTA_EXCEEDED 429 "quota-exceeded" "Too much in too short a time"
    LIMIT_REACHED 429 "limit-reached" "A limit is reached"
    INTERNAL 500 "internal" "The server made an error"
    OVERLOADED 503 "overloaded" "The server sheds load"
    NOT_READY 503 "not-ready" "The server is starting or stopping"
    TAKEN_OVER 503 "taken-over" "Another server has taken this one's place"
    STORE_FULL 503 "store-full" "The store is full"
    STORE_UNAVAILABLE 503 "store-unavailable" "The store does not answer"
    NO_IDENTITY_PROVIDER 503 "no-identity-provider" "The identity provider does not answer"
    TIMED_OUT 503 "timed-out" "The server took too long"
    WAIT_TIMED_OUT 504 "wait-timed-out" "The device did not answer in time"
}

/// One refusal. Small to return: what it says lies in a box.
#[derive(Debug, Clone)]
pub struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: Kind,
    detail: String,
    members: Vec<(&'static str, Value)>,
    headers: Vec<(HeaderName, HeaderValue)>,
    hides: bool,
}

/// Of an id that is not there, what is shown again.
const SHOWN_CHARS_MAX: usize = 64;

impl Problem {
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, detail: detail.into(), members: Vec::new(), headers: Vec::new(), hides: false }))
    }

    /// Something that the path names and that is not there, or may not be seen.
    pub fn no_such(kind: Kind, what: &str, id: &str) -> Self {
        let shown: String = id.chars().take(SHOWN_CHARS_MAX).collect();
        Self::new(kind, format!("there is no {what} {shown:?}"))
    }

    /// A fault in the body; `pointer` is an RFC 6901 pointer to it.
    pub fn member(pointer: &str, detail: impl Into<String>) -> Self {
        Self::new(INVALID_MEMBER, detail).pointing_at(pointer)
    }

    /// A fault in the query.
    pub fn parameter(name: &str, detail: impl Into<String>) -> Self {
        Self::new(INVALID_PARAMETER, detail).with("parameter", name)
    }

    /// A fault in a header field.
    pub fn header(name: &str, detail: impl Into<String>) -> Self {
        Self::new(INVALID_HEADER, detail).with("header", name)
    }

    pub fn pointing_at(self, pointer: &str) -> Self {
        self.with("pointer", pointer)
    }

    /// Adds a member beside the standard ones.
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.members.push((name, value.into()));
        self
    }

    pub fn header_line(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers.push((name, value));
        }
        self
    }

    pub fn retry_after(self, wait: Duration) -> Self {
        self.header_line(header::RETRY_AFTER, &wait.as_secs().max(1).to_string())
    }

    /// The caller is told that it is not there, and may not see it: the audit log says so.
    pub fn hiding(mut self) -> Self {
        self.0.hides = true;
        self
    }

    pub fn hides(&self) -> bool {
        self.0.hides
    }

    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The JSON document.
    pub fn document(&self) -> Value {
        let mut members = serde_json::Map::new();
        members.insert("type".into(), self.0.kind.urn().into());
        members.insert("title".into(), self.0.kind.title.into());
        members.insert("status".into(), self.0.kind.status.into());
        members.insert("detail".into(), self.0.detail.clone().into());
        members.extend(self.0.members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        Value::Object(members)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.kind.slug, self.0.detail)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code()).content_type(MEDIA_TYPE).body(self.document().to_string());
        for (name, value) in &self.0.headers {
            response.headers_mut().insert(name.clone(), value.clone());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_has_a_name_of_its_own() {
        let slugs: HashSet<_> = ALL.iter().map(|k| k.slug).collect();
        assert_eq!(slugs.len(), ALL.len());
        assert!(ALL.iter().all(|k| StatusCode::from_u16(k.status).is_ok_and(|s| s.is_client_error() || s.is_server_error())));
    }

    #[test]
    fn a_problem_says_what_where_and_when_to_try_again() {
        let problem = Problem::member("/ttl", "must be above 0").retry_after(Duration::from_millis(10));
        let response = problem.error_response();
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers().get("content-type").unwrap(), MEDIA_TYPE);
        assert_eq!(response.headers().get("retry-after").unwrap(), "1");
        let document = problem.document();
        assert_eq!(document["type"], "urn:twinfold:problem:invalid-member");
        assert_eq!(document["pointer"], "/ttl");
    }
}
