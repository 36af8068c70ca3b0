//! `GET /twins`: the registry, page by page.

use actix_web::{HttpResponse, get, web::Data};
use actors::Twins;
use hierarchy_models::{access::Extent, model};

use crate::{
    access::{Caller, needs},
    json,
    params::Params,
    problem::Problem,
    query::RegistryQuery,
    wire::{
        described::{Listing, Paging, TwinPage},
        page,
        twin::ListItem,
    },
};

/// Lists twins, by id: those that the caller may read.
#[utoipa::path(operation_id = "listTwins", tag = "twins", params(Listing, Paging), responses((status = 200, description = "One page", body = TwinPage)))]
#[get("/twins")]
pub async fn list(caller: Caller<needs::Read>, twins: Data<Twins>, mut params: Params) -> Result<HttpResponse, Problem> {
    let query = read(&mut params)?;
    params.finish()?;
    for named in [&query.parent, &query.under].into_iter().flatten() {
        caller.reach(&twins, named).await?;
    }
    // What lies under a twin that may be read may be read.
    let extent = if query.parent.is_none() && query.under.is_none() { caller.extent() } else { Extent::Everywhere };
    let found = twins.list_within(query, &extent).await?;
    Ok(json::ok(&page(found, ListItem::from)))
}

fn read(params: &mut Params) -> Result<RegistryQuery, Problem> {
    let query = RegistryQuery {
        model: params.read("model", |text| model::resolve(text).map_err(|e| e.to_string()))?,
        parent: params.twin("parent")?,
        under: params.twin("under")?,
        limit: params.limit()?,
        cursor: params.cursor()?,
    };
    params.not_yet(&["filter", "sort"])?;
    Ok(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(query: &str) -> serde_json::Value {
        let mut params = Params::parse(query).unwrap();
        read(&mut params).map(|_| ()).and_then(|()| params.finish()).unwrap_err().document()
    }

    #[test]
    fn every_parameter_is_checked() {
        for (query, name) in
            [("model=Rom", "model"), ("parent=a/b", "parent"), ("under=+", "under"), ("cursor=", "cursor"), ("page=2", "page")]
        {
            assert_eq!(refused(query)["parameter"], name, "{query}");
        }
        assert_eq!(refused("filter=x")["type"], "urn:twinfold:problem:unsupported-parameter");
        assert_eq!(refused("sort=id")["type"], "urn:twinfold:problem:unsupported-parameter");
    }

    #[test]
    fn a_model_may_be_given_by_its_short_name() {
        let query = read(&mut Params::parse("model=Room&limit=5").unwrap()).unwrap();
        assert_eq!(query.model.unwrap().as_str(), "dtmi:twinfold:Room;1");
        assert_eq!(query.limit, 5);
    }
}
