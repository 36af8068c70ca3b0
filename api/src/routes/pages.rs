//! What a browser opens: the index, the reader of the OpenAPI document, and the document itself. Nothing is loaded from elsewhere.

use actix_web::{
    HttpResponse,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    get,
    http::header::{self, HeaderValue},
    middleware::{Next, from_fn},
    web::{self, ServiceConfig},
};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::{openapi, params::NoParams, problem::Problem};

/// The reader sets styles from its script and shows icons from data URLs; all else comes from this server.
const DOCS_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// The index has neither style nor script.
const INDEX_POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const INDEX: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Twinfold</title>
<h1>Twinfold</h1>
<p>This server answers. Its interface is under <code>/api/v1</code>:</p>
<ul>
<li><a href="/docs/">the interface, to read and to try</a></li>
<li><a href="/openapi.json">its OpenAPI 3.1 document</a></li>
</ul>
<h2>How to get a key</h2>
<p>The first administrator's key lies on the server in the file <code>admin-token</code> of its data directory.
Make more keys with <code>twinfold token create --role viewer</code>, or with <code>POST /api/v1/principals</code>.
Send one with every request: <code>Authorization: Bearer KEY</code>.</p>
</html>
"#;

/// This interface, as OpenAPI 3.1.
#[utoipa::path(operation_id = "openapi", tag = "health", responses((status = 200, description = "This document", body = serde_json::Value)))]
#[get("/openapi.json")]
pub async fn openapi_json(_params: NoParams) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().content_type("application/json").body(openapi::JSON.as_str()))
}

/// The pages that the OpenAPI document does not describe.
pub fn undescribed(routes: &mut ServiceConfig) {
    let reader = SwaggerUi::new("/docs/{file:.*}").config(Config::new(["/openapi.json"]).validator_url("none"));
    routes.route("/", web::get().to(index));
    routes
        .route("/docs", web::get().to(|| async { HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "/docs/")).finish() }));
    routes.service(web::scope("").guard(actix_web::guard::fn_guard(is_docs)).wrap(from_fn(docs_policy)).service(reader));
}

fn is_docs(context: &actix_web::guard::GuardContext<'_>) -> bool {
    context.head().uri.path().starts_with("/docs/")
}

async fn index() -> HttpResponse {
    HttpResponse::Ok().content_type("text/html; charset=utf-8").insert_header((header::CONTENT_SECURITY_POLICY, INDEX_POLICY)).body(INDEX)
}

async fn docs_policy(request: ServiceRequest, next: Next<impl MessageBody>) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let mut response = next.call(request).await?;
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(DOCS_POLICY));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use actix_web::{App, test};

    use super::*;

    async fn get(path: &str) -> (u16, String, String) {
        let app = test::init_service(App::new().configure(undescribed)).await;
        let response = test::call_service(&app, test::TestRequest::get().uri(path).to_request()).await;
        let policy = response.headers().get("content-security-policy").map_or("", |p| p.to_str().unwrap()).to_owned();
        let status = response.status().as_u16();
        (status, policy, String::from_utf8_lossy(&test::read_body(response).await).into_owned())
    }

    #[actix_web::test]
    async fn the_pages_load_nothing_from_elsewhere() {
        for path in ["/", "/docs/", "/docs/swagger-initializer.js", "/docs/index.css"] {
            let (status, policy, body) = get(path).await;
            assert_eq!(status, 200, "{path}");
            assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
            for elsewhere in ["src=\"http", "href=\"http", "url(http", "@import"] {
                assert!(!body.contains(elsewhere), "{path} loads {elsewhere}");
            }
        }
    }

    #[actix_web::test]
    async fn the_reader_reads_our_document_and_asks_no_validator() {
        let (_, _, script) = get("/docs/swagger-initializer.js").await;
        assert!(script.contains("/openapi.json") && script.contains("\"validatorUrl\": \"none\""), "{script}");
        assert_eq!(get("/docs").await.0, 308);
    }

    #[actix_web::test]
    async fn the_index_says_how_to_get_a_key() {
        let (_, policy, body) = get("/").await;
        assert!(body.contains("admin-token") && body.contains("/docs/") && body.contains("/openapi.json"));
        assert!(policy.starts_with("default-src 'none'"));
    }
}
