//! Sessions for browsers: a key or a signed token is shown once, and from then on a cookie stands for it that no script can read.

use actix_web::{HttpRequest, HttpResponse, http::header, post, web::Data};
use actors::Twins;
use hierarchy_models::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    access::{self, Access, cookie},
    json,
    params::NoParams,
    problem::Problem,
};

/// Who is logged in, and until when.
#[derive(Serialize, ToSchema)]
pub struct SessionDocument {
    id: String,
    name: String,
    /// It ends then at the latest; with its key it ends sooner.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// Opens a session for the key or token in `Authorization`; the answer sets its cookie. A write by cookie needs `Sec-Fetch-Site:
/// same-origin`, which browsers send by themselves, or `X-Twinfold-Request`.
#[utoipa::path(
    operation_id = "login",
    tag = "sessions",
    responses(
        (status = 200, description = "Logged in", body = SessionDocument, headers(("Set-Cookie" = String))),
        (status = 429, response = crate::openapi::ProblemResponse),
    )
)]
#[post("/login")]
pub async fn login(access: Access, request: HttpRequest, twins: Data<Twins>, _params: NoParams) -> Result<HttpResponse, Problem> {
    let bearer = access::bearer(request.headers())?;
    let now = twins.clock().now();
    let (token, expires_at) = twins.access().open_session(bearer, &access.subject, now)?;
    let seconds = expires_at.since(now).as_secs();
    let session = SessionDocument { id: access.subject.id.clone(), name: access.subject.name.clone(), expires_at };
    let mut response = HttpResponse::Ok();
    response.insert_header((header::SET_COOKIE, cookie::set(Some((&token, seconds)), cookie::is_over_tls(&request))));
    Ok(json::answer(&mut response, &session))
}

/// Ends the session of the cookie; live streams that were opened with it end too.
#[utoipa::path(operation_id = "logout", tag = "sessions", responses((status = 204, description = "Logged out")))]
#[post("/logout")]
pub async fn logout(_access: Access, request: HttpRequest, twins: Data<Twins>, _params: NoParams) -> Result<HttpResponse, Problem> {
    if let Some(token) = cookie::of(&request) {
        twins.access().close_session(token);
    }
    Ok(HttpResponse::NoContent().insert_header((header::SET_COOKIE, cookie::set(None, cookie::is_over_tls(&request)))).finish())
}
