//! What every request passes through: a span, a time-out, a net under panics, metrics, and headers that every answer carries.
//!
//! Whatever answers with an error and is not of our making (a library's 404, an extractor's 400) leaves here as a
//! problem document, so that a client needs one way to read errors.

mod meters;

use std::{
    borrow::Cow,
    fmt,
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use actix_web::{
    Error, ResponseError,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode, Uri,
        header::{self, HeaderName, HeaderValue},
    },
    middleware::Next,
    web::Data,
};
use futures_util::FutureExt;
use tracing::Instrument;

pub use meters::{InFlight, describe as describe_metrics};

use crate::{
    problem::{self, Problem},
    settings::Settings,
    stopping,
};

/// How long the lines of an import may take to arrive, as long as each piece comes within `http.body_timeout`.
const IMPORT_TIME_MAX: Duration = Duration::from_secs(3600);
/// Characters of a path that go to the log.
const LOGGED_PATH_MAX: usize = 256;

pub async fn pass(mut request: ServiceRequest, next: Next<impl MessageBody + 'static>) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    spell_plainly(&mut request);
    let _in_flight = InFlight::enter();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    // Made only where it would be seen: its fields cost a fifth of a read.
    let span = tracing::debug_span!("http", %method, path = ?Quoted(&shown(request.path())), principal = tracing::field::Empty);
    // HEAD is GET without the body, and the connection leaves the body out by itself. A stream has no end to leave out.
    if method == Method::HEAD && !request.path().ends_with("/live") {
        request.head_mut().method = Method::GET;
    }
    let answer = match stopping::refusal(&request) {
        Some(problem) => Err(unanswered(problem)),
        None => routed(request, next).instrument(span.clone()).await,
    };
    let answer = answer.map(|response| dressed(shaped(response.map_into_boxed_body())));
    let (status, route) = match &answer {
        Ok(response) => (response.status(), response.request().match_pattern()),
        Err(error) => (error.as_response_error().status_code(), None),
    };
    let took = started.elapsed();
    meters::record(&method, status, route, took);
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::warn!(%method, path = ?Quoted(&shown(uri.path())), "the server failed to answer a request");
    }
    tracing::debug!(parent: &span, status = status.as_u16(), ?took, "answered");
    answer
}

async fn routed<B>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error>
where
    B: MessageBody + 'static,
{
    let within = time_allowed(&request);
    let answer = AssertUnwindSafe(next.call(request)).catch_unwind();
    match tokio::time::timeout(within, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_panic)) => Err(unanswered(Problem::new(problem::INTERNAL, "the server made an error; its log says which"))),
        Err(_) => {
            let detail = format!("no answer within {within:?} (http.request_timeout)");
            Err(unanswered(Problem::new(problem::TIMED_OUT, detail).retry_after(Duration::from_secs(1))))
        }
    }
}

/// A text as `Debug` writes it, without a look at each character's properties where nothing needs one.
pub struct Quoted<'a>(pub &'a str);

impl fmt::Debug for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = self.0.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\');
        if !is_plain {
            return fmt::Debug::fmt(self.0, f);
        }
        f.write_str("\"")?;
        f.write_str(self.0)?;
        f.write_str("\"")
    }
}

/// From here on a path has one spelling, `twins` and never `%74wins`, for the router and for whoever else looks at it: quotas, the audit log.
fn spell_plainly(request: &mut ServiceRequest) {
    let uri = request.uri();
    if !uri.path().contains('%') {
        return;
    }
    let path = decoded(uri.path());
    let path = uri.query().map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
    let mut parts = uri.clone().into_parts();
    // What was decoded may stand in a path; should it not, the path stays as it came.
    let Ok(path) = path.parse() else { return };
    parts.path_and_query = Some(path);
    let Ok(uri) = Uri::from_parts(parts) else { return };
    request.match_info_mut().get_mut().update(&uri);
    request.head_mut().uri = uri;
}

/// Without the escapes that need not be: those of characters that may stand in a step of a path as they are (RFC 3986, `pchar`).
fn decoded(path: &str) -> String {
    let (mut plain, mut rest) = (String::with_capacity(path.len()), path);
    while let Some((before, behind)) = rest.split_once('%') {
        plain.push_str(before);
        let byte = behind.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte.filter(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(byte)) {
            Some(byte) => {
                plain.push(char::from(byte));
                rest = &behind[2..];
            }
            None => {
                plain.push('%');
                rest = behind;
            }
        }
    }
    plain.push_str(rest);
    plain
}

/// As much of a path as the log shows.
fn shown(path: &str) -> Cow<'_, str> {
    if path.len() <= LOGGED_PATH_MAX { path.into() } else { path.chars().take(LOGGED_PATH_MAX).collect() }
}

/// The answer to a request that routing never gave back: without the request it can only be an error, which the server
/// writes as it is, so it gets its headers here.
fn unanswered(problem: Problem) -> Error {
    HEADERS.iter().fold(problem, |problem, (name, value)| problem.header_line(name.clone(), value.to_str().unwrap_or_default())).into()
}

fn time_allowed(request: &ServiceRequest) -> Duration {
    let of = |settings: &Settings| (settings.request_timeout, settings.wait_max);
    let (timeout, wait_max) = request.app_data::<Data<Settings>>().map_or_else(|| of(&Settings::default()), |settings| of(settings));
    if request.method() == Method::POST && request.path().ends_with("/twins/import") {
        return IMPORT_TIME_MAX;
    }
    let waits = request.method() == Method::POST && request.path().ends_with("/commands");
    timeout + if waits { wait_max } else { Duration::ZERO }
}

/// An error that is not a problem document becomes one, with the headers it came with.
fn shaped(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let is_problem = response.headers().get(header::CONTENT_TYPE).is_some_and(|t| t == problem::MEDIA_TYPE);
    if !is_error || is_problem {
        return response;
    }
    let kind = match status {
        StatusCode::NOT_FOUND => problem::NO_SUCH_ROUTE,
        StatusCode::PAYLOAD_TOO_LARGE => problem::BODY_TOO_LARGE,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => problem::UNSUPPORTED_MEDIA_TYPE,
        StatusCode::METHOD_NOT_ALLOWED => problem::METHOD_NOT_ALLOWED,
        s if s.is_client_error() => problem::BAD_REQUEST,
        _ => problem::INTERNAL,
    };
    let kept: Vec<_> = [header::ALLOW, header::RETRY_AFTER, header::WWW_AUTHENTICATE]
        .into_iter()
        .filter_map(|name| Some((name.clone(), response.headers().get(name)?.clone())))
        .collect();
    let problem = Problem::new(kind, kind.title);
    let mut shaped = ServiceResponse::new(response.request().clone(), problem.error_response());
    for (name, value) in kept {
        shaped.headers_mut().insert(name, value);
    }
    shaped
}

/// In a `static`, as making a value looks at each of its bytes.
static HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    ),
    // Answers hold keys and live state: nobody keeps them.
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// Who came by HTTPS once does so for a year.
const STRICT_TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Adds the headers that every answer carries, unless the route has set its own.
fn dressed(mut response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    for (name, value) in &HEADERS {
        if !response.headers().contains_key(name) {
            response.headers_mut().insert(name.clone(), value.clone());
        }
    }
    if response.request().app_config().secure() {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
    }
    response
}

#[cfg(test)]
mod tests {
    use actix_web::{App, HttpResponse, middleware::from_fn, test, web};

    use super::*;

    async fn get(path: &str) -> HttpResponse<BoxBody> {
        let settings = Settings { request_timeout: Duration::from_millis(20), ..Settings::default() };
        let app = App::new()
            .app_data(Data::new(settings))
            .route("/panics", web::get().to(|| async { if true { panic!("on purpose") } else { "" } }))
            .route("/hangs", web::get().to(|| async { futures_util::future::pending::<HttpResponse>().await }))
            .route("/plain", web::get().to(|| async { HttpResponse::NotFound().body("not here") }))
            .route("/own", web::get().to(|| async { HttpResponse::Ok().insert_header(("content-security-policy", "x")).finish() }))
            .wrap(from_fn(pass));
        let app = test::init_service(app).await;
        match test::try_call_service(&app, test::TestRequest::get().uri(path).to_request()).await {
            Ok(response) => response.into_parts().1,
            Err(error) => error.error_response(),
        }
    }

    #[actix_web::test]
    async fn a_panic_is_a_500_and_a_hang_a_503() {
        assert_eq!(get("/panics").await.status(), 500);
        let hung = get("/hangs").await;
        assert_eq!(hung.status(), 503);
        assert!(hung.headers().contains_key("retry-after"));
    }

    #[actix_web::test]
    async fn every_error_is_a_problem_document() {
        for path in ["/panics", "/hangs", "/plain", "/unknown"] {
            assert_eq!(get(path).await.headers().get("content-type").unwrap(), problem::MEDIA_TYPE, "{path}");
        }
    }

    #[actix_web::test]
    async fn a_path_has_one_spelling() {
        for (path, plain) in [
            ("/api/v1/%74wins", "/api/v1/twins"),
            ("/twins/a%3Ab%2fc%20%25%zz%", "/twins/a:b%2fc%20%25%zz%"),
            ("/twins/%C3%BC", "/twins/%C3%BC"),
            ("/twins/%2525", "/twins/%2525"),
        ] {
            assert_eq!(decoded(path), plain);
        }
    }

    #[actix_web::test]
    async fn what_a_caller_names_is_quoted_in_the_log_as_a_text() {
        for text in ["", "/api/v1/twins/room-1", "O'Hara", "a\"b", "a\\b", "a\nb", "Grüße", "\u{7f}"] {
            assert_eq!(format!("{:?}", Quoted(text)), format!("{text:?}"));
        }
    }

    #[actix_web::test]
    async fn every_answer_carries_the_safety_headers() {
        let response = get("/unknown").await;
        for (name, value) in &HEADERS {
            assert_eq!(response.headers().get(name).unwrap(), value);
        }
        assert_eq!(get("/own").await.headers().get("content-security-policy").unwrap(), "x");
    }
}
