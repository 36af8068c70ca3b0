//! `/twins/{id}/rollups`: what a twin folds from below beyond what every twin folds, as data.

use actix_web::{
    HttpResponse, delete, get,
    http::header::{self, HeaderValue},
    put,
    web::Data,
};
use actors::{Definitions, Twins};
use hierarchy_models::rollup::RollupSet;

use super::path::TwinPath;
use crate::{
    access::{Caller, needs},
    body::{Body, FromBody},
    json,
    members::{self, Members, pointer_to},
    params::NoParams,
    precondition::IfMatch,
    problem::Problem,
    uncut::uncut,
    wire::{described::Conditional, rollups::DefinitionsDocument},
};

/// What is defined on a twin, by itself and by its model.
#[utoipa::path(
    operation_id = "readRollups",
    tag = "twins",
    params(("id" = String, Path, description = "The twin")),
    responses((
        status = 200,
        description = "Definitions by name",
        body = DefinitionsDocument,
        headers(("ETag" = String, description = "What `If-Match` takes"))
    ))
)]
#[get("/twins/{id}/rollups")]
pub async fn read(caller: Caller<needs::Read>, twins: Data<Twins>, id: TwinPath, _params: NoParams) -> Result<HttpResponse, Problem> {
    caller.reach(&twins, &id.0).await?;
    answer(&twins.rollups(&id.0).await?)
}

/// Replaces what a twin defines itself: all of it, or nothing when one text cannot be read.
#[utoipa::path(
    operation_id = "putRollups",
    tag = "twins",
    params(("id" = String, Path, description = "The twin"), Conditional),
    request_body = crate::wire::rollups::NewRollups,
    responses(
        (status = 200, description = "What is defined on it now", body = DefinitionsDocument, headers(("ETag" = String))),
        (status = 412, response = crate::openapi::ProblemResponse),
    )
)]
#[put("/twins/{id}/rollups")]
pub async fn put(
    caller: Caller<needs::Write>,
    twins: Data<Twins>,
    id: TwinPath,
    if_match: IfMatch,
    _params: NoParams,
    body: Body<NewRollups>,
) -> Result<HttpResponse, Problem> {
    caller.reach(&twins, &id.0).await?;
    let expected = if_match.expected(&twins, &id.0).await?;
    let rollups = body.value.0;
    answer(&uncut(async move { Ok(twins.set_rollups(&id.0, rollups, expected).await?) }).await?)
}

/// Removes what a twin defines itself; what its model defines stands.
#[utoipa::path(
    operation_id = "deleteRollups",
    tag = "twins",
    params(("id" = String, Path, description = "The twin"), Conditional),
    responses((status = 204, description = "It defines nothing itself"), (status = 412, response = crate::openapi::ProblemResponse))
)]
#[delete("/twins/{id}/rollups")]
pub async fn delete(
    caller: Caller<needs::Write>,
    twins: Data<Twins>,
    id: TwinPath,
    if_match: IfMatch,
    _params: NoParams,
) -> Result<HttpResponse, Problem> {
    caller.reach(&twins, &id.0).await?;
    let expected = if_match.expected(&twins, &id.0).await?;
    uncut(async move { Ok(twins.set_rollups(&id.0, RollupSet::default(), expected).await?) }).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn answer(definitions: &Definitions) -> Result<HttpResponse, Problem> {
    let text = json::written(&DefinitionsDocument::from(definitions))?;
    let etag = HeaderValue::from_str(&format!("\"{}\"", definitions.version)).map_err(|error| json::unwritable(&error))?;
    Ok(HttpResponse::Ok().insert_header((header::ETAG, etag)).insert_header(json::content_type()).body(text))
}

#[derive(Debug)]
pub struct NewRollups(RollupSet);

impl FromBody for NewRollups {
    fn read(body: &mut Members) -> Result<Self, Problem> {
        let mut texts = Vec::new();
        for (name, value) in body.all() {
            let text = members::text(value, &pointer_to("", &name))?;
            texts.push((name, text));
        }
        let refused = |error: hierarchy_models::rollup::DefinitionError| {
            let pointer = error.name().map_or_else(String::new, |name| pointer_to("", name));
            Problem::member(&pointer, error.to_string())
        };
        RollupSet::parse(&texts).map(Self).map_err(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::parse;

    #[test]
    fn a_text_that_cannot_be_read_is_told_with_its_name_and_column() {
        for (body, pointer, detail) in [
            (r#"{"a": "count()", "b/c": "sum(power)"}"#, "/b~1c", "column 5: "),
            (r#"{"a": 1}"#, "/a", "must be a string"),
            (r#"{"": "count()"}"#, "/", "a roll-up's name"),
        ] {
            let problem = parse::<NewRollups>(body.as_bytes()).unwrap_err().document();
            assert_eq!(problem["pointer"], pointer, "{body}");
            assert!(problem["detail"].as_str().unwrap().contains(detail), "{problem}");
        }
        assert_eq!(parse::<NewRollups>(br#"{"a": "count()"}"#).unwrap().0.len(), 1);
    }
}
