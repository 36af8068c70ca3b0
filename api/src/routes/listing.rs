//! `GET /twins`: the registry, page by page.

use actix_web::{HttpResponse, get, web::Data};
use actors::Twins;
use hierarchy_models::{ModelId, TwinId, model};

use crate::{
    access::{Access, Caller, Viewer},
    json,
    params::Params,
    problem::Problem,
    query::{Page, RegistryEntry, RegistryQuery},
    wire::{
        described::{Listing, Paging, TwinPage},
        page,
        twin::ListItem,
    },
};

/// The page that holds nothing but the twin a key is confined to.
const SCOPE_CURSOR: &str = "~scope";

/// Lists twins, by id. A key with a scope sees that twin (last) and what is below it.
#[utoipa::path(operation_id = "listTwins", tag = "twins", params(Listing, Paging), responses((status = 200, description = "One page", body = TwinPage)))]
#[get("/twins")]
pub async fn list(caller: Caller<Viewer>, twins: Data<Twins>, mut params: Params) -> Result<HttpResponse, Problem> {
    let query = read(&mut params)?;
    params.finish()?;
    for named in [&query.parent, &query.under].into_iter().flatten() {
        caller.reach(&twins, named).await?;
    }
    let found = match caller.scope() {
        Some(scope) if query.parent.is_none() && query.under.is_none() => within(&caller, &twins, scope, query).await?,
        _ => twins.list(query).await?,
    };
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

/// All that a confined key may see: what is below its twin, and at the end that twin itself, which the registry's
/// `under` leaves out. When the last page is full it gets a page of its own.
async fn within(access: &Access, twins: &Twins, scope: &TwinId, query: RegistryQuery) -> Result<Page<RegistryEntry>, Problem> {
    let (limit, model) = (query.limit, query.model.clone());
    if query.cursor.as_deref() == Some(SCOPE_CURSOR) {
        return Ok(Page { items: top(access, twins, scope, model).await?.into_iter().collect(), cursor: None });
    }
    let mut page = twins.list(RegistryQuery { under: Some(scope.clone()), ..query }).await?;
    if page.cursor.is_none() && page.items.len() < limit {
        page.items.extend(top(access, twins, scope, model).await?);
    } else if page.cursor.is_none() {
        page.cursor = Some(SCOPE_CURSOR.to_owned());
    }
    Ok(page)
}

async fn top(access: &Access, twins: &Twins, scope: &TwinId, model: Option<ModelId>) -> Result<Option<RegistryEntry>, Problem> {
    let entry = twins.entry(scope).await?;
    Ok(Some(entry).filter(|e| access.sees(&e.path) && model.is_none_or(|m| m == e.row.model)))
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
