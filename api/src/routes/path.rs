//! The variable parts of an address. What cannot be an id names nothing, so it is a 404 that says why.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use hierarchy_models::{CommandId, ModelId, TwinId};

use crate::problem::{self, Kind, Problem};

/// `{id}`: a twin.
#[derive(Debug, Clone)]
pub struct TwinPath(pub TwinId);

/// `{cid}`: a command.
#[derive(Debug, Clone)]
pub struct CommandPath(pub CommandId);

/// `{dtmi}`: a model.
#[derive(Debug, Clone)]
pub struct ModelPath(pub ModelId);

fn id<T: std::str::FromStr<Err: std::fmt::Display>>(request: &HttpRequest, name: &str, kind: Kind) -> Result<T, Problem> {
    // The router leaves `%2F`, `%25` and `%2B` escaped; no id holds what they stand for.
    request.match_info().query(name).parse().map_err(|why: T::Err| Problem::new(kind, why.to_string()))
}

impl FromRequest for TwinPath {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(id(request, "id", problem::NO_SUCH_TWIN).map(Self))
    }
}

impl FromRequest for CommandPath {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(id(request, "cid", problem::NO_SUCH_COMMAND).map(Self))
    }
}

impl FromRequest for ModelPath {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let named = hierarchy_models::model::resolve(request.match_info().query("dtmi"));
        ready(named.map(Self).map_err(|why| Problem::new(problem::NO_SUCH_MODEL, why.to_string())))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{App, HttpResponse, test, web};

    use super::*;

    #[actix_web::test]
    async fn what_cannot_be_an_id_is_not_found() {
        let app = App::new().route("/{id}", web::get().to(|id: TwinPath| async move { HttpResponse::Ok().body(id.0.to_string()) }));
        let app = test::init_service(app).await;
        for (uri, status) in [("/room-1", 200), ("/a%3Ab", 200), ("/a%20b", 404), ("/a%2Fb", 404), ("/%23", 404), ("/%ff", 404)] {
            let response = test::call_service(&app, test::TestRequest::get().uri(uri).to_request()).await;
            assert_eq!(response.status().as_u16(), status, "{uri}");
        }
    }
}
