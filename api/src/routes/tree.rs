//! `GET /twins/{id}/tree`: a twin and what is under it, with roll-ups.

use actix_web::{HttpResponse, get, web::Data};
use actors::{TwinError, Twins};
use hierarchy_models::limits::TREE_DEPTH_MAX;

use super::path::TwinPath;
use crate::{
    access::{Caller, needs},
    documents::Documents,
    json,
    params::Params,
    problem::Problem,
    settings::Settings,
    wire::{described::Tree, tree},
};

/// The twin and what is under it, to a depth and to a number of twins (`http.tree_nodes_max`).
#[utoipa::path(
    operation_id = "readTree",
    tag = "twins",
    params(
        ("id" = String, Path, description = "The twin"),
        ("depth" = Option<usize>, Query, description = "Levels below the twin, 0 to 16; 16 when absent", minimum = 0, maximum = 16),
    ),
    responses((status = 200, description = "The tree; `children_left_out` says where it was cut", body = Tree))
)]
#[get("/twins/{id}/tree")]
pub async fn read(
    caller: Caller<needs::Read>,
    twins: Data<Twins>,
    settings: Data<Settings>,
    documents: Documents,
    id: TwinPath,
    mut params: Params,
) -> Result<HttpResponse, Problem> {
    let depth = depth(&mut params)?;
    params.finish()?;
    caller.reach(&twins, &id.0).await?;
    let nodes = twins.tree(&id.0, depth, settings.tree_nodes_max).await?;
    let texts: Vec<_> = documents.read_all(&twins, &nodes).await?.into_iter().map(|read| read.map(|document| document.text)).collect();
    if texts.first().is_none_or(Option::is_none) {
        return Err(TwinError::NoSuchTwin(id.0).into());
    }
    Ok(HttpResponse::Ok().insert_header(json::content_type()).body(tree::written(&nodes, &texts)))
}

fn depth(params: &mut Params) -> Result<usize, Problem> {
    let depth = params.read("depth", |text| match text.parse() {
        Ok(depth) if depth <= TREE_DEPTH_MAX => Ok(depth),
        _ => Err(format!("must be a whole number from 0 to {TREE_DEPTH_MAX}")),
    })?;
    Ok(depth.unwrap_or(TREE_DEPTH_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_depth_is_at_most_that_of_the_deepest_tree() {
        let asked = |query: &str| depth(&mut Params::parse(query).unwrap());
        assert_eq!(asked("").unwrap(), 16);
        assert_eq!(asked("depth=0").unwrap(), 0);
        for bad in ["depth=17", "depth=-1", "depth=all"] {
            assert_eq!(asked(bad).unwrap_err().document()["parameter"], "depth", "{bad}");
        }
    }
}
