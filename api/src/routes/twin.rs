//! One twin: the whole of it, and its end.

use actix_web::{HttpRequest, HttpResponse, delete, get, web::Data};
use actors::Twins;

use super::path::TwinPath;
use crate::{
    access::{Caller, needs},
    documents::Documents,
    params::{NoParams, Params},
    precondition::{IfMatch, is_held},
    problem::Problem,
    uncut::uncut,
    wire::described::{Conditional, Twin},
};

/// The whole twin, unless the caller holds it already.
#[utoipa::path(
    operation_id = "readTwin",
    tag = "twins",
    params(
        ("id" = String, Path, description = "The twin"),
        ("If-None-Match" = Option<String>, Header, description = "The entity tag of what the caller holds", nullable = false),
    ),
    responses(
        (status = 200, description = "The twin", body = Twin, headers(("ETag" = String, description = "What `If-Match` takes"))),
        (status = 304, description = "The caller holds it already"),
    )
)]
#[get("/twins/{id}")]
pub async fn read(
    caller: Caller<needs::Read>,
    request: HttpRequest,
    twins: Data<Twins>,
    documents: Documents,
    id: TwinPath,
    _params: NoParams,
) -> Result<HttpResponse, Problem> {
    caller.reach(&twins, &id.0).await?;
    let document = documents.read(&twins, &id.0).await?;
    Ok(if is_held(&request, &document.etag) { document.answer_held() } else { document.answer() })
}

/// Unregisters a twin; its keys stop working and its session ends.
#[utoipa::path(
    operation_id = "deleteTwin",
    tag = "twins",
    params(
        ("id" = String, Path, description = "The twin"),
        ("recursive" = Option<bool>, Query, description = "Whether all below it goes too; without it, a twin with children stays"),
        Conditional,
    ),
    responses(
        (status = 204, description = "Gone"),
        (status = 409, response = crate::openapi::ProblemResponse),
        (status = 412, response = crate::openapi::ProblemResponse),
    )
)]
#[delete("/twins/{id}")]
pub async fn delete(
    caller: Caller<needs::Provision>,
    twins: Data<Twins>,
    id: TwinPath,
    if_match: IfMatch,
    mut params: Params,
) -> Result<HttpResponse, Problem> {
    let recursive = params.flag("recursive")?;
    params.finish()?;
    caller.reach(&twins, &id.0).await?;
    let expected = if_match.expected(&twins, &id.0).await?;
    let twins = caller.acting(&twins);
    uncut(async move { Ok(twins.delete(&id.0, recursive, expected).await?) }).await?;
    Ok(HttpResponse::NoContent().finish())
}
