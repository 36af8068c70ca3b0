//! `GET /twins`: the registry, page by page.

use actix_web::{HttpResponse, get, web::Data};
use actors::Twins;
use hierarchy_models::{
    TwinId,
    access::Extent,
    expression::SyntaxError,
    filter::{Filter, Sort},
    model,
};

use crate::{
    access::{Caller, Needs, needs},
    json,
    params::Params,
    problem::Problem,
    query::RegistryQuery,
    wire::{
        described::{Paging, Searching, Sorting, TwinPage},
        page,
        twin::ListItem,
    },
};

/// Searches the twins that the caller may read. A page that is not the last may hold fewer twins than its
/// limit, down to none, when little is found among much that no index answers: its cursor goes on.
#[utoipa::path(operation_id = "listTwins", tag = "twins", params(Searching, Sorting, Paging), responses((status = 200, description = "One page", body = TwinPage)))]
#[get("/twins")]
pub async fn list(caller: Caller<needs::Read>, twins: Data<Twins>, mut params: Params) -> Result<HttpResponse, Problem> {
    let mut query = read(&mut params)?;
    params.finish()?;
    query.cursor = query.cursor.map(|cursor| twins.open_cursor(&cursor)).transpose()?;
    let mut found = twins.list(within(&caller, &twins, query).await?).await?;
    found.cursor = found.cursor.map(|cursor| twins.seal_cursor(&cursor)).transpose()?;
    Ok(json::ok(&page(found, ListItem::from)))
}

/// The query as far as the caller's right goes; before paging, so that what it may not see takes no place on a page.
pub async fn within<R: Needs>(caller: &Caller<R>, twins: &Twins, query: RegistryQuery) -> Result<RegistryQuery, Problem> {
    for named in [&query.parent, &query.under].into_iter().flatten() {
        caller.reach(twins, named).await?;
    }
    Ok(RegistryQuery { within: tops(caller), ..query })
}

/// The parts of the tree over which the caller has its right; all of it without.
pub fn tops<R: Needs>(caller: &Caller<R>) -> Option<Vec<TwinId>> {
    match caller.extent() {
        Extent::Everywhere => None,
        Extent::Under(tops) => Some(tops),
    }
}

/// Which twins are meant.
pub fn conditions(params: &mut Params) -> Result<RegistryQuery, Problem> {
    Ok(RegistryQuery {
        model: params.read("model", |text| model::resolve(text).map_err(|e| e.to_string()))?,
        parent: params.twin("parent")?,
        under: params.twin("under")?,
        filter: expression(params, "filter", Filter::parse)?,
        ..RegistryQuery::default()
    })
}

fn read(params: &mut Params) -> Result<RegistryQuery, Problem> {
    let conditions = conditions(params)?;
    let sort = expression(params, "sort", Sort::parse)?.unwrap_or_default();
    Ok(RegistryQuery { sort, limit: params.limit()?, cursor: params.cursor()?, ..conditions })
}

/// An expression of the caller's; a fault is told by its column.
fn expression<T>(params: &mut Params, name: &'static str, read: fn(&str) -> Result<T, SyntaxError>) -> Result<Option<T>, Problem> {
    let Some(text) = params.text(name) else { return Ok(None) };
    let fault = |error: SyntaxError| Problem::parameter(name, error.to_string()).with("column", error.column);
    read(&text).map(Some).map_err(fault)
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
        for (query, name, column) in [("filter=metadata.a%20%3D%3D", "filter", 14), ("filter=", "filter", 1), ("sort=-name", "sort", 2)] {
            let problem = refused(query);
            assert_eq!((problem["parameter"].as_str(), problem["column"].as_u64()), (Some(name), Some(column)), "{query}");
        }
    }

    #[test]
    fn a_model_may_be_given_by_its_short_name() {
        let query = read(&mut Params::parse("model=Room&limit=5").unwrap()).unwrap();
        assert_eq!(query.model.unwrap().as_str(), "dtmi:twinfold:Room;1");
        assert_eq!(query.limit, 5);
    }
}
