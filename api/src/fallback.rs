//! What is answered where no route matches: 405 with `Allow` when the address exists for another method, else 404.
//!
//! The addresses are read from the OpenAPI document, so that nothing has to be listed twice.

use std::sync::LazyLock;

use actix_web::{HttpRequest, dev::ResourceDef, http::header};

use crate::{
    openapi,
    problem::{self, Problem},
};

/// Pages that are not part of the described interface.
const PAGES: [(&str, &str); 3] = [("/", "GET"), ("/docs", "GET"), ("/docs/{file:.*}", "GET")];

static ADDRESSES: LazyLock<Vec<(ResourceDef, Vec<&'static str>)>> = LazyLock::new(|| {
    let described = openapi::addresses().into_iter().map(|(path, methods)| (ResourceDef::new(path), methods));
    described.chain(PAGES.iter().map(|(path, method)| (ResourceDef::new(*path), vec![*method]))).collect()
});

pub async fn answer(request: HttpRequest) -> Result<&'static str, Problem> {
    Err(refusal(request.path()))
}

fn refusal(path: &str) -> Problem {
    match ADDRESSES.iter().find(|(address, _)| address.is_match(path)) {
        None => Problem::new(problem::NO_SUCH_ROUTE, "there is nothing at this address; /openapi.json lists what there is"),
        Some((_, methods)) => {
            let mut allow = methods.clone();
            if allow.contains(&"GET") && !path.ends_with("/live") {
                allow.push("HEAD");
            }
            let allow = allow.join(", ");
            Problem::new(problem::METHOD_NOT_ALLOWED, format!("taken here: {allow}")).header_line(header::ALLOW, &allow)
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError;

    use super::*;

    fn allow(path: &str) -> Option<String> {
        refusal(path).error_response().headers().get("allow").map(|v| v.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_known_address_says_what_it_takes() {
        assert_eq!(allow("/api/v1/twins").as_deref(), Some("GET, POST, HEAD"));
        assert_eq!(allow("/api/v1/twins/room-1").as_deref(), Some("GET, PATCH, DELETE, HEAD"));
        assert_eq!(allow("/api/v1/live").as_deref(), Some("GET"));
        assert_eq!(allow("/").as_deref(), Some("GET, HEAD"));
    }

    #[test]
    fn an_unknown_address_is_not_found() {
        for path in ["/api/v1/nonsense", "/api/v1/twins/a/b", "/api/v1/twins/", "/favicon.ico"] {
            assert_eq!(refusal(path).kind(), problem::NO_SUCH_ROUTE, "{path}");
        }
    }
}
