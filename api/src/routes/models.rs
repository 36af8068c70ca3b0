//! Models: the Interfaces of the model language that are known here. A model never changes; a change is another version.

use actix_web::{FromRequest, HttpRequest, HttpResponse, delete, dev::Payload, get, http::header, put, web::Data};
use actors::{Known, Twins};
use futures_util::future::LocalBoxFuture;
use hierarchy_models::dtdl::Json;

use super::path::ModelPath;
use crate::{
    access::{Caller, needs},
    body, json,
    params::{NoParams, Params},
    problem::Problem,
    query::Page,
    settings::Settings,
    uncut::uncut,
    wire::{
        described::{ModelPage, Paging},
        model::{ModelSummary, PutModels},
        page,
    },
};

/// The models that are known, by id.
#[utoipa::path(operation_id = "listModels", tag = "models", params(Paging), responses((status = 200, description = "One page of models", body = ModelPage)))]
#[get("/models")]
pub async fn list(_caller: Caller<needs::Read>, twins: Data<Twins>, mut params: Params) -> Result<HttpResponse, Problem> {
    let (limit, cursor) = (params.limit()?, params.cursor()?);
    params.finish()?;
    Ok(json::ok(&page(paged(&twins.models(), limit, cursor), |summary| summary)))
}

/// The cursor is the id of the last model of the page before.
fn paged(known: &Known, limit: usize, after: Option<String>) -> Page<ModelSummary> {
    let behind = known.sources.iter().filter(|(id, _)| after.as_deref().is_none_or(|after| id.as_str() > after));
    let mut items: Vec<ModelSummary> = behind
        .filter_map(|(id, source)| {
            let model = known.catalogue.get(id)?;
            Some(ModelSummary {
                id: id.clone(),
                display_name: model.display_name.as_deref().map(str::to_owned),
                dtdl_version: model.version.number(),
                extends: model.extends.clone(),
                is_place: model.is_place,
                is_built_in: source.stored_in.is_none(),
            })
        })
        .take(limit + 1)
        .collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let cursor = items.last().filter(|_| more).map(|last| last.id.to_string());
    Page { items, cursor }
}

/// One model: its Interface as it was put. Of one that is defined inside another, the whole other one.
#[utoipa::path(
    operation_id = "readModel",
    tag = "models",
    params(("dtmi" = String, Path, description = "The model, or the short name of a built-in one", example = "dtmi:twinfold:Room;1")),
    responses((status = 200, description = "The Interface, in the Digital Twins Definition Language", body = Object))
)]
#[get("/models/{dtmi}")]
pub async fn read(_caller: Caller<needs::Read>, twins: Data<Twins>, model: ModelPath, _params: NoParams) -> Result<HttpResponse, Problem> {
    let known = twins.models();
    let source = known.sources.get(&model.0).ok_or_else(|| actors::TwinError::NoSuchModel(model.0.clone()))?;
    Ok(json::ok(&*source.document))
}

/// Makes a model known, or several that belong together: all of them or none.
#[utoipa::path(
    operation_id = "putModels",
    tag = "models",
    params(("dtmi" = String, Path, description = "The model, or one of them", example = "dtmi:example:Pump;1")),
    request_body(content((serde_json::Value = "application/json"), (serde_json::Value = "application/ld+json")), description = "An Interface of the Digital Twins Definition Language, version 2, 3 or 4, or an array of them"),
    responses(
        (status = 200, description = "All were known with the same content", body = PutModels),
        (status = 201, description = "Known from here on", body = PutModels, headers(("Location" = String))),
        (status = 409, response = crate::openapi::ProblemResponse),
        (status = 422, response = crate::openapi::ProblemResponse),
    )
)]
#[put("/models/{dtmi}")]
pub async fn put(
    caller: Caller<needs::Models>,
    twins: Data<Twins>,
    model: ModelPath,
    _params: NoParams,
    body: Documents,
) -> Result<HttpResponse, Problem> {
    caller.everywhere()?;
    let Documents(interfaces) = body;
    let is_named = |interface: &Json| interface.member("@id").and_then(Json::as_text).is_some_and(|id| id.as_str() == model.0.as_str());
    if !interfaces.iter().any(is_named) {
        return Err(Problem::member("", format!("the body does not define {}, which the address names", model.0)));
    }
    let added = uncut(async move { Ok(twins.put_models(interfaces).await?) }).await?;
    let answer = PutModels { new: added.new, known: added.known };
    if added.new == 0 {
        return Ok(json::ok(&answer));
    }
    let location = format!("/api/v1/models/{}", model.0);
    Ok(json::answer(HttpResponse::Created().insert_header((header::LOCATION, location)), &answer))
}

/// Forgets a model that no twin is of and that no other model needs.
#[utoipa::path(
    operation_id = "deleteModel",
    tag = "models",
    params(("dtmi" = String, Path, description = "The model")),
    responses((status = 204, description = "Forgotten"), (status = 409, response = crate::openapi::ProblemResponse))
)]
#[delete("/models/{dtmi}")]
pub async fn delete(
    caller: Caller<needs::Models>,
    twins: Data<Twins>,
    model: ModelPath,
    _params: NoParams,
) -> Result<HttpResponse, Problem> {
    caller.everywhere()?;
    uncut(async move { Ok(twins.delete_model(&model.0).await?) }).await?;
    Ok(HttpResponse::NoContent().finish())
}

const MEDIA_TYPES: &[&str] = &["application/json", "application/ld+json"];
/// What some editors put in front of a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A body of Interfaces.
#[derive(Debug)]
pub struct Documents(Vec<Json>);

impl FromRequest for Documents {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let payload = payload.take();
        Box::pin(read_documents(request, payload))
    }
}

async fn read_documents(request: HttpRequest, payload: Payload) -> Result<Documents, Problem> {
    let settings = Settings::of(&request);
    let max = (settings.models_body_max_bytes, "http.models_body_max_bytes");
    let bytes = body::whole(&request, payload, max, settings.body_timeout).await?;
    body::media_type_ok(&request, MEDIA_TYPES)?;
    let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
    Ok(Documents(match body::json::<Json>(text)? {
        Json::List(interfaces) => interfaces,
        interface => vec![interface],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_models_follow_each_other_without_gap_or_overlap() {
        let known = actors::Known::built_in();
        let mut seen: Vec<String> = Vec::new();
        let mut cursor = None;
        loop {
            let page = paged(&known, 5, cursor);
            assert!(page.items.len() <= 5);
            seen.extend(page.items.iter().map(|summary| summary.id.to_string()));
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        let all: Vec<String> = known.sources.keys().map(ToString::to_string).collect();
        assert_eq!(seen, all);
    }
}
