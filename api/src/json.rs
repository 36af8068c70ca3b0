//! Answers in JSON: a document is written once, straight into the bytes that are sent.

mod text;
mod writer;

use std::fmt::Display;

use actix_web::{
    HttpResponse, HttpResponseBuilder, ResponseError,
    http::header::{self, HeaderName, HeaderValue},
    web::Bytes,
};
use serde::Serialize;

use self::{text::Text, writer::Writer};
use crate::problem::{self, Problem};

static MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/json");
/// Room a document begins with: that of a twin with ten values. A larger one grows.
const CAPACITY: usize = 4096;

/// 200 with this document.
pub fn ok(document: &impl Serialize) -> HttpResponse {
    answer(&mut HttpResponse::Ok(), document)
}

/// An answer that has its status and headers already, with this document.
pub fn answer(begun: &mut HttpResponseBuilder, document: &impl Serialize) -> HttpResponse {
    match written(document) {
        Ok(text) => begun.insert_header(content_type()).body(text),
        Err(problem) => problem.error_response(),
    }
}

/// The document's bytes.
pub fn written(document: &impl Serialize) -> Result<Bytes, Problem> {
    let mut text = Text::with_capacity(CAPACITY);
    document.serialize(Writer(&mut text)).map_err(|error| unwritable(&error))?;
    Ok(Bytes::from(text.into_bytes()))
}

pub fn content_type() -> (HeaderName, HeaderValue) {
    (header::CONTENT_TYPE, MEDIA_TYPE.clone())
}

/// What a caller is told of an answer that cannot be written.
pub fn unwritable(error: &dyn Display) -> Problem {
    tracing::error!(%error, "an answer cannot be written");
    Problem::new(problem::INTERNAL, "the server made an error; its log says which")
}
