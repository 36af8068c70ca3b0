//! A request's body: its media type, its size and its time are checked before anything is parsed.

use std::time::Duration;

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    http::header,
    web::{Bytes, BytesMut},
};
use futures_util::{StreamExt, future::LocalBoxFuture};
use hierarchy_models::{Map, Value};
use serde_json::error::Category;

use crate::{
    access,
    members::Members,
    problem::{self, Problem},
    settings::Settings,
};

/// A body that can be read member by member.
pub trait FromBody: Sized + 'static {
    const MEDIA_TYPES: &'static [&'static str] = &["application/json"];
    /// Whether no body at all is the same as `{}`.
    const MAY_BE_EMPTY: bool = false;

    fn read(members: &mut Members) -> Result<Self, Problem>;
}

/// A body that was read to its last member, and its bytes, by which a repeated request is known again.
#[derive(Debug)]
pub struct Body<T> {
    pub value: T,
    pub bytes: Bytes,
}

impl<T: FromBody> FromRequest for Body<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let payload = payload.take();
        Box::pin(async move {
            let settings = Settings::of(&request);
            let bytes = whole(&request, payload, (settings.body_max_bytes, "http.body_max_bytes"), settings.body_timeout).await?;
            if !(T::MAY_BE_EMPTY && bytes.is_empty()) {
                media_type_ok(&request, T::MEDIA_TYPES)?;
            }
            Ok(Body { value: parse(&bytes)?, bytes })
        })
    }
}

/// All of a body, of at most `max` bytes; the bound's name goes with it. When it has ended, also without a byte, its sender must still be who
/// it was.
pub async fn whole(request: &HttpRequest, payload: Payload, max: (usize, &'static str), within: Duration) -> Result<Bytes, Problem> {
    let bytes = tokio::time::timeout(within, collect(request, payload, max)).await.map_err(|_| too_slow(within))??;
    access::confirm(request).await?;
    Ok(bytes)
}

fn too_slow(within: Duration) -> Problem {
    Problem::new(problem::BODY_TOO_SLOW, format!("the body did not arrive within {within:?} (http.body_timeout)"))
}

fn too_large((max, limit): (usize, &'static str)) -> Problem {
    Problem::new(problem::BODY_TOO_LARGE, format!("the body is larger than {max} bytes ({limit})")).with("limit", limit)
}

async fn collect(request: &HttpRequest, mut payload: Payload, max: (usize, &'static str)) -> Result<Bytes, Problem> {
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > max.0) {
        return Err(too_large(max));
    }
    let mut bytes = BytesMut::with_capacity(announced.unwrap_or(0));
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Problem::new(problem::BAD_REQUEST, "the body broke off"))?;
        if bytes.len() + chunk.len() > max.0 {
            return Err(too_large(max));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

pub fn media_type_ok(request: &HttpRequest, taken: &[&str]) -> Result<(), Problem> {
    let refuse = |why: String| {
        let accept = if request.method() == actix_web::http::Method::PATCH { "Accept-Patch" } else { "Accept-Post" };
        let problem = Problem::new(problem::UNSUPPORTED_MEDIA_TYPE, format!("{why}; taken is {}", taken.join(" or ")));
        Err(problem.header_line(
            header::HeaderName::from_static(if accept == "Accept-Patch" { "accept-patch" } else { "accept-post" }),
            &taken.join(", "),
        ))
    };
    if request.headers().get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return refuse("a compressed body is not taken".into());
    }
    let Ok(Some(mime)) = request.mime_type() else { return refuse("the Content-Type is missing or malformed".into()) };
    if !taken.contains(&mime.essence_str()) {
        return refuse(format!("a body of type {} is not taken", mime.essence_str()));
    }
    match mime.get_param("charset") {
        Some(charset) if !charset.as_str().eq_ignore_ascii_case("utf-8") => refuse(format!("charset {charset} is not taken")),
        _ => Ok(()),
    }
}

/// Reads a whole document.
pub fn parse<T: FromBody>(bytes: &[u8]) -> Result<T, Problem> {
    let value = if T::MAY_BE_EMPTY && bytes.is_empty() { Value::from(Map::new()) } else { json::<Value>(bytes)? };
    let mut members = Members::of(value, "")?;
    let read = T::read(&mut members)?;
    members.finish()?;
    Ok(read)
}

/// Any JSON document.
pub fn json<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        let detail = match error.classify() {
            Category::Eof => format!("the body ends too early: {error}"),
            _ => format!("the body is not JSON that can be taken: {error}"),
        };
        Problem::new(problem::MALFORMED_JSON, detail).pointing_at("").with("line", error.line()).with("column", error.column())
    })
}

#[cfg(test)]
mod tests {
    use actix_web::{App, HttpResponse, http::StatusCode, test, web};

    use super::*;
    use crate::members::text;

    #[derive(Debug)]
    struct Hello(String);

    impl FromBody for Hello {
        fn read(members: &mut Members) -> Result<Self, Problem> {
            members.required("hello", text).map(Self)
        }
    }

    async fn answer(content_type: Option<&str>, body: &str) -> (StatusCode, serde_json::Value) {
        let settings = Settings { body_max_bytes: 64, ..Settings::default() };
        let app = App::new()
            .app_data(web::Data::new(settings))
            .route("/", web::post().to(|body: Body<Hello>| async move { HttpResponse::Ok().json(body.value.0) }));
        let app = test::init_service(app).await;
        let mut request = test::TestRequest::post().uri("/").set_payload(body.to_owned());
        if let Some(content_type) = content_type {
            request = request.insert_header(("content-type", content_type));
        }
        let response = test::call_service(&app, request.to_request()).await;
        let status = response.status();
        (status, serde_json::from_slice(&test::read_body(response).await).unwrap_or_default())
    }

    #[actix_web::test]
    async fn a_body_of_the_right_type_is_read() {
        assert_eq!(answer(Some("application/json; charset=UTF-8"), r#"{"hello":"you"}"#).await.0, 200);
    }

    #[actix_web::test]
    async fn other_types_are_refused_with_415() {
        for content_type in [None, Some("text/plain"), Some("application/json; charset=latin1"), Some("nonsense")] {
            let (status, problem) = answer(content_type, r#"{"hello":"you"}"#).await;
            assert_eq!(
                (status.as_u16(), &problem["type"]),
                (415, &"urn:twinfold:problem:unsupported-media-type".into()),
                "{content_type:?}"
            );
        }
    }

    #[actix_web::test]
    async fn malformed_json_is_found_by_line_and_column() {
        let (status, problem) = answer(Some("application/json"), "{\n  \"hello\": }").await;
        assert_eq!((status.as_u16(), &problem["line"], &problem["column"]), (400, &2.into(), &12.into()));
        for body in ["", "{", "[1]", "{\"hello\":1}", "{\"hello\":\"a\",\"b\":1}", &"[".repeat(60)] {
            assert_eq!(answer(Some("application/json"), body).await.0, 400, "{body:?}");
        }
    }

    #[actix_web::test]
    async fn a_large_body_is_refused_with_413() {
        let (status, problem) = answer(Some("application/json"), &format!("{{\"hello\":\"{}\"}}", "x".repeat(64))).await;
        assert_eq!((status.as_u16(), &problem["limit"]), (413, &"http.body_max_bytes".into()));
    }
}
