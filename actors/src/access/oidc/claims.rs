//! What a verified token says: for whom, until when, with which roles.

use std::time::Duration;

use hierarchy_models::{
    Name, Timestamp, TwinId,
    limits::{GRANTS_PER_PRINCIPAL_MAX, NAME_BYTES_MAX},
};
use serde::Deserialize;
use serde_json::Value as Json;

use super::{super::Refused, OidcSettings};

/// How far the provider's clock may be from ours.
pub const CLOCK_SKEW: Duration = Duration::from_secs(60);
/// Bytes of a `sub` that are taken; the standard's own bound.
const SUBJECT_BYTES_MAX: usize = 255;

#[derive(Deserialize)]
pub struct Claims {
    iss: String,
    sub: String,
    aud: Json,
    exp: f64,
    nbf: Option<f64>,
    iat: Option<f64>,
    #[serde(flatten)]
    others: serde_json::Map<String, Json>,
}

/// What is kept of a token.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    pub subject: String,
    /// For people to read.
    pub name: String,
    /// A role, and where it holds; everywhere when no twin is named.
    pub roles: Vec<(Name, Option<TwinId>)>,
    not_before: Timestamp,
    end: Timestamp,
}

fn at(seconds: f64) -> Timestamp {
    // `as` saturates, and what is no number becomes 0.
    Timestamp::from_millis_clamped((seconds * 1_000.0) as i64)
}

impl Claims {
    /// That it is from whom we trust, and for us. What goes by the clock is asked at each use.
    pub fn accept(self, settings: &OidcSettings) -> Result<Verified, Refused> {
        let for_us = match &self.aud {
            Json::String(one) => *one == settings.audience,
            Json::Array(several) => several.iter().any(|one| one.as_str() == Some(settings.audience.as_str())),
            _ => false,
        };
        let subject_fits = (1..=SUBJECT_BYTES_MAX).contains(&self.sub.len()) && !self.sub.chars().any(char::is_control);
        if self.iss != settings.issuer || !for_us || !subject_fits {
            return Err(Refused::NotForUs);
        }
        let begins = [self.nbf, self.iat].into_iter().flatten().map(at).max().unwrap_or(Timestamp::EPOCH);
        let text = |name: &str| self.others.get(name).and_then(Json::as_str);
        let name = ["preferred_username", "email", "name"].into_iter().find_map(text).unwrap_or(&self.sub);
        let name = name.chars().filter(|c| !c.is_control()).take(NAME_BYTES_MAX / 4).collect();
        let roles = roles(settings.roles_claim.as_ref().and_then(|claim| member(&self.others, claim)));
        Ok(Verified { name, roles, not_before: begins, end: at(self.exp), subject: self.sub })
    }
}

/// A claim by its name, or by a path of names joined by dots: `realm_access.roles`.
fn member<'a>(claims: &'a serde_json::Map<String, Json>, path: &str) -> Option<&'a Json> {
    if let Some(found) = claims.get(path) {
        return Some(found);
    }
    let mut steps = path.split('.');
    let first = claims.get(steps.next()?)?;
    steps.try_fold(first, |value, step| value.get(step))
}

/// `["viewer", "operator@site-1"]`, or one text with spaces. What is no role here gives nothing; that is found out when it is used.
fn roles(claim: Option<&Json>) -> Vec<(Name, Option<TwinId>)> {
    let words: Vec<&str> = match claim {
        Some(Json::String(text)) => text.split_whitespace().collect(),
        Some(Json::Array(list)) => list.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    };
    let role = |word: &str| match word.split_once('@') {
        None => Some((Name::from(word), None)),
        Some((role, place)) => Some((Name::from(role), Some(TwinId::new(place).ok()?))),
    };
    words.into_iter().filter_map(role).take(GRANTS_PER_PRINCIPAL_MAX).collect()
}

impl Verified {
    pub fn check_time(&self, now: Timestamp) -> Result<(), Refused> {
        if self.end.plus(CLOCK_SKEW) <= now {
            return Err(Refused::Expired);
        }
        if self.not_before > now.plus(CLOCK_SKEW) { Err(Refused::NotYet) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn roles_are_found_wherever_a_provider_puts_them() {
        let of = |claims: Json, path: &str| roles(member(claims.as_object().unwrap(), path));
        let viewer = || ("viewer".into(), None);
        assert_eq!(of(json!({"roles": ["viewer"]}), "roles"), [viewer()]);
        assert_eq!(of(json!({"scope": "viewer operator@site-1"}), "scope")[1], ("operator".into(), TwinId::new("site-1").ok()));
        assert_eq!(of(json!({"realm_access": {"roles": ["viewer"]}}), "realm_access.roles"), [viewer()]);
        assert_eq!(of(json!({"https://a.example/roles": ["viewer"]}), "https://a.example/roles"), [viewer()]);
        // A place that cannot be one is no grant over everything.
        assert_eq!(of(json!({"roles": ["admin@a/b", "admin@", 7, null]}), "roles"), []);
        assert_eq!(of(json!({"roles": {"admin": true}}), "roles"), []);
    }
}
