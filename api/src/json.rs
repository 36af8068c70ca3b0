//! Answers in JSON: a document is written once, straight into the bytes that are sent.

mod text;
mod writer;

use actix_web::{
    HttpResponse, HttpResponseBuilder, ResponseError,
    http::header::{self, HeaderValue},
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
        Ok(text) => begun.insert_header((header::CONTENT_TYPE, MEDIA_TYPE.clone())).body(text),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written");
            Problem::new(problem::INTERNAL, "the server made an error; its log says which").error_response()
        }
    }
}

fn written(document: &impl Serialize) -> Result<Bytes, serde_json::Error> {
    let mut text = Text::with_capacity(CAPACITY);
    document.serialize(Writer(&mut text))?;
    Ok(Bytes::from(text.into_bytes()))
}
