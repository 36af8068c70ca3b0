//! The cookie of a browser's session, and why a page of somebody else gains nothing by it.
//!
//! `SameSite=Strict` keeps the browser from sending it for other sites. That is the browser's promise; ours is that a write by cookie
//! needs a word that a form of another site cannot say: `Sec-Fetch-Site: same-origin`, which scripts cannot set, or, from browsers
//! that do not say it, a header of our own, for which another site would need a permission (CORS) that nobody gives.

use actix_web::{
    HttpRequest,
    http::{
        Method,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
};

use crate::{
    Settings,
    problem::{self, Problem},
};

/// A browser takes a cookie of this name only over HTTPS, for the whole host and no other.
const OVER_TLS: &str = "__Host-twinfold";
const IN_CLEAR: &str = "twinfold";
/// What scripts send with a write, where the browser does not say by itself who sends it.
pub const OWN_HEADER: &str = "x-twinfold-request";
/// Characters of a session's token at most.
const TOKEN_BYTES_MAX: usize = 128;

/// Where a proxy says how its client speaks.
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Whether the browser speaks HTTPS: to us, or to a proxy that says so. Who lies about it makes its own cookie stricter.
pub fn is_over_tls(request: &HttpRequest) -> bool {
    let is_https = |proto: &HeaderValue| proto.as_bytes() == b"https";
    Settings::of(request).tls.is_some() || request.headers().get(&FORWARDED_PROTO).is_some_and(is_https)
}

/// The token of the session, when the request carries one.
pub fn of(request: &HttpRequest) -> Option<&str> {
    if request.headers().contains_key(header::COOKIE) { token(request.headers(), is_over_tls(request)) } else { None }
}

/// Over TLS only in the cookie that nobody in clear can have set.
fn token(headers: &HeaderMap, over_tls: bool) -> Option<&str> {
    let mut pairs = headers.get_all(header::COOKIE).filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';'));
    let names: &[&str] = if over_tls { &[OVER_TLS] } else { &[OVER_TLS, IN_CLEAR] };
    let own = |pair: &'_ str| pair.split_once('=').is_some_and(|(name, _)| names.contains(&name.trim()));
    let (_, token) = pairs.find(|pair| own(pair))?.split_once('=')?;
    Some(token.trim()).filter(|token| (1..=TOKEN_BYTES_MAX).contains(&token.len()))
}

/// That a page of ours sent it.
pub fn same_origin(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let said = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    match said {
        Some(b"same-origin") => Ok(()),
        None if headers.contains_key(OWN_HEADER) => Ok(()),
        _ => {
            let detail =
                format!("a write by cookie must come from a page of this server: `Sec-Fetch-Site: same-origin`, or `{OWN_HEADER}`");
            Err(Problem::new(problem::CROSS_SITE, detail))
        }
    }
}

/// The value of `Set-Cookie`; without a token the cookie goes away.
pub fn set(token: Option<(&str, u64)>, over_tls: bool) -> String {
    let (name, secure) = if over_tls { (OVER_TLS, "; Secure") } else { (IN_CLEAR, "") };
    let (token, seconds) = token.unwrap_or(("", 0));
    format!("{name}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let of = |line: &'static str, over_tls| token(&headers(&[("cookie", line)]), over_tls).map(str::to_owned);
        assert_eq!(of("a=b; __Host-twinfold=x1; c=d", true).as_deref(), Some("x1"));
        assert_eq!(of("twinfold=x2", false).as_deref(), Some("x2"));
        for line in ["twinfolds=x; xtwinfold=y", "twinfold=", "twinfold"] {
            assert_eq!((of(line, false), of(line, true)), (None, None), "{line}");
        }
    }

    #[test]
    fn over_https_only_a_cookie_that_was_set_over_https_counts() {
        let both = headers(&[("cookie", "twinfold=planted; __Host-twinfold=own")]);
        assert_eq!((token(&both, true), token(&both, false)), (Some("own"), Some("planted")));
        assert_eq!(token(&headers(&[("cookie", "twinfold=planted")]), true), None);
    }

    #[test]
    fn a_write_of_another_site_is_refused_and_a_look_is_not() {
        let may = |method: Method, pairs: &[(&'static str, &'static str)]| same_origin(&method, &headers(pairs)).is_ok();
        assert!(may(Method::POST, &[("sec-fetch-site", "same-origin")]));
        assert!(may(Method::DELETE, &[("x-twinfold-request", "1")]));
        for site in ["cross-site", "same-site", "none", ""] {
            let pairs: &[_] = &[("sec-fetch-site", site), ("x-twinfold-request", "1")];
            assert!(!may(Method::POST, pairs) && may(Method::GET, pairs), "{site}");
        }
        assert!(!may(Method::PATCH, &[]));
    }

    #[test]
    fn a_cookie_over_https_is_bound_to_the_host() {
        assert_eq!(set(Some(("t", 60)), true), "__Host-twinfold=t; Path=/; HttpOnly; SameSite=Strict; Max-Age=60; Secure");
        assert_eq!(set(None, false), "twinfold=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    }
}
