//! Conditions on entity tags. `If-Match` (RFC 9110, 13.1.1): a write goes through only if the twin is still as its reader saw it.
//!
//! An entity tag begins with the version and a dot. Only the version is compared for a write: telemetry moves `seq` all the time, and a person
//! who edits metadata should not lose against a thermometer.

use std::future::{Ready, ready};

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header::{self, HeaderValue},
};
use actors::Twins;
use hierarchy_models::TwinId;

use crate::problem::{self, Problem};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// No header, or `*`: whatever version there is.
    Any,
    /// One of these versions; none of them can match when it is empty.
    OneOf(Vec<u64>),
}

impl FromRequest for IfMatch {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let lines: Option<Vec<&str>> = request.headers().get_all(header::IF_MATCH).map(|line| line.to_str().ok()).collect();
        ready(match lines {
            Some(lines) if lines.is_empty() => Ok(Self::Any),
            Some(lines) => Self::parse(&lines.join(",")),
            None => Err(malformed()),
        })
    }
}

fn malformed() -> Problem {
    Problem::header("If-Match", "must be *, or entity tags in quotes, separated by commas, such as \"3.17\"")
}

impl IfMatch {
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if text.trim() == "*" {
            return Ok(Self::Any);
        }
        let mut rest = text.trim();
        let mut versions = Vec::new();
        loop {
            let (weak, quoted) = rest.strip_prefix("W/").map_or((false, rest), |quoted| (true, quoted));
            let (tag, behind) = quoted.strip_prefix('"').and_then(|t| t.split_once('"')).ok_or_else(malformed)?;
            // A weak tag never matches here: If-Match asks for the strong comparison.
            versions.extend(Self::version(tag).filter(|_| !weak));
            match behind.trim_start().strip_prefix(',') {
                Some(next) => rest = next.trim_start(),
                None if behind.trim().is_empty() => return Ok(Self::OneOf(versions)),
                None => return Err(malformed()),
            }
        }
    }

    /// The version in a tag; a tag that is not one of ours matches nothing.
    fn version(tag: &str) -> Option<u64> {
        let version = tag.split_once('.').map_or(tag, |(version, _)| version);
        version.parse().ok()
    }

    /// The version to hand to the runtime, which compares it in the same turn as it writes. Of several tags the one
    /// that matches now is chosen here; if the twin changes in between, the runtime still refuses.
    pub async fn expected(&self, twins: &Twins, twin: &TwinId) -> Result<Option<u64>, Problem> {
        match self {
            Self::Any => Ok(None),
            Self::OneOf(versions) if versions.len() == 1 => Ok(Some(versions[0])),
            Self::OneOf(_) => {
                let current = twins.get(twin).await?.version;
                self.allows(current).map(|()| Some(current))
            }
        }
    }

    /// Whether a write may go on at this version.
    pub fn allows(&self, current: u64) -> Result<(), Problem> {
        match self {
            Self::OneOf(versions) if !versions.contains(&current) => Err(mismatch(current)),
            _ => Ok(()),
        }
    }

    /// For writes that the runtime cannot make conditional: compared just before, so two writers at the same instant
    /// may both pass.
    pub async fn check(&self, twins: &Twins, twin: &TwinId) -> Result<(), Problem> {
        if *self == Self::Any {
            return Ok(());
        }
        self.allows(twins.get(twin).await?.version)
    }
}

/// Whether the caller holds what this tag stands for already (`If-None-Match`, compared weakly as RFC 9110, 13.1.2 asks).
pub fn is_held(request: &HttpRequest, etag: &HeaderValue) -> bool {
    let lines = request.headers().get_all(header::IF_NONE_MATCH).filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).any(|tag| tag == "*" || *etag == tag.trim_start_matches("W/"))
}

fn mismatch(current: u64) -> Problem {
    Problem::new(problem::VERSION_MISMATCH, format!("it has changed: its version is {current}")).with("version", current)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_version_part_is_compared() {
        assert_eq!(IfMatch::parse("\"3.17\"").unwrap(), IfMatch::OneOf(vec![3]));
        assert_eq!(IfMatch::parse(" \"3.17\" , \"4.1\"").unwrap(), IfMatch::OneOf(vec![3, 4]));
        assert_eq!(IfMatch::parse("*").unwrap(), IfMatch::Any);
    }

    #[test]
    fn tags_that_are_not_ours_or_weak_match_nothing() {
        assert_eq!(IfMatch::parse("\"abc,def\"").unwrap(), IfMatch::OneOf(vec![]));
        assert_eq!(IfMatch::parse("W/\"3.17\"").unwrap(), IfMatch::OneOf(vec![]));
    }

    #[test]
    fn what_the_caller_holds_is_compared_as_a_whole_and_weakly() {
        let held = |tags: &str| {
            let request = actix_web::test::TestRequest::get().insert_header(("if-none-match", tags)).to_http_request();
            is_held(&request, &HeaderValue::from_static("\"3.17\""))
        };
        assert!(held("\"3.17\"") && held("\"1.1\", W/\"3.17\"") && held("*"));
        assert!(!held("\"3.18\"") && !held("\"3\"") && !held("3.17"));
    }

    #[test]
    fn what_is_not_a_tag_is_refused() {
        for bad in ["", "3", "\"3", "3\"", "\"3\" \"4\"", "\"3\",", "*,\"3\""] {
            assert_eq!(IfMatch::parse(bad).unwrap_err().document()["header"], "If-Match", "{bad:?}");
        }
    }
}
