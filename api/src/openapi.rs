//! The OpenAPI 3.1 document, gathered from the routes themselves and completed here with what all of them share.
//!
//! `openapi.json` beside the manifest is what it was at the last commit: a change of the interface shows in the review
//! as a change of that file.

use std::sync::LazyLock;

use actix_web::App;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Components, Content, InfoBuilder, OpenApi, PathItem, Ref, RefOr, Response, ResponseBuilder, SecurityRequirement,
        path::Operation,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};
use utoipa_actix_web::{AppExt, scope};

use crate::{problem, routes, wire::described};

const DESCRIPTION: &str = "Device twins: registry, last known and desired state, roll-ups, history, commands, live changes.\n\n\
    Every error is `application/problem+json` with a stable `type`. Lists take `limit` and `cursor`. Times are RFC 3339 in UTC.";

/// Refusals that any route may answer with.
const ALWAYS: [u16; 3] = [400, 500, 503];
/// Those of routes that need a key, whose holder has quotas.
const KEYED: [u16; 3] = [401, 403, 429];
/// That of routes that take an idempotency key, which may have been used for something else.
const REPLAYED: u16 = 422;
/// Those of routes that read a body.
const WITH_BODY: [u16; 3] = [408, 413, 415];

pub static JSON: LazyLock<String> = LazyLock::new(|| document().to_pretty_json().unwrap_or_default() + "\n");

/// A problem document as a response, by reference.
pub struct ProblemResponse;

const PROBLEM: &str = "Problem";

impl<'r> utoipa::ToResponse<'r> for ProblemResponse {
    fn response() -> (&'r str, RefOr<Response>) {
        let content = Content::new(Some(Ref::from_schema_name(described::Problem::name())));
        let response = ResponseBuilder::new().description("A problem; `type` says which").content(problem::MEDIA_TYPE, content);
        (PROBLEM, response.build().into())
    }
}

pub fn document() -> OpenApi {
    let routes = App::new().into_utoipa_app().service(scope::scope("/api/v1").configure(routes::keyed)).configure(routes::open);
    let mut document = routes.split_for_parts().1;
    document.info = InfoBuilder::new().title("Twinfold").version(env!("CARGO_PKG_VERSION")).description(Some(DESCRIPTION)).build();
    let components = document.components.get_or_insert_with(Components::new);
    let (name, response) = <ProblemResponse as utoipa::ToResponse>::response();
    components.responses.insert(name.to_owned(), response);
    components.schemas.insert(described::Problem::name().into_owned(), described::Problem::schema());
    components.add_security_scheme("key", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    for (path, item) in &mut document.paths.paths {
        for (_, operation) in operations(item) {
            complete(path, operation);
        }
    }
    document
}

/// The methods of an address and what they do.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let all = [
        ("GET", item.get.as_mut()),
        ("POST", item.post.as_mut()),
        ("PUT", item.put.as_mut()),
        ("PATCH", item.patch.as_mut()),
        ("DELETE", item.delete.as_mut()),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation?)))
}

/// Adds the refusals and the key that every route of its sort shares.
fn complete(path: &str, operation: &mut Operation) {
    let keyed = path.starts_with("/api/v1/");
    let mut refusals = ALWAYS.to_vec();
    refusals.extend(KEYED.iter().filter(|_| keyed || path != "/openapi.json"));
    refusals.extend(WITH_BODY.iter().filter(|_| operation.request_body.is_some()));
    let takes_key = operation.parameters.iter().flatten().any(|it| matches!(it, RefOr::T(it) if it.name == "Idempotency-Key"));
    refusals.extend(takes_key.then_some(REPLAYED));
    refusals.extend((keyed && (path.contains('{') || path.ends_with("/live") || path == "/api/v1/twins")).then_some(404));
    for status in refusals {
        let problem = RefOr::Ref(Ref::from_response_name(PROBLEM));
        operation.responses.responses.entry(status.to_string()).or_insert(problem);
    }
    if keyed {
        operation.security = Some(vec![SecurityRequirement::new("key", Vec::<String>::new())]);
    }
}

/// Every described address with its methods.
pub fn addresses() -> Vec<(String, Vec<&'static str>)> {
    let paths = document().paths.paths;
    paths.into_iter().map(|(path, mut item)| (path, operations(&mut item).map(|(method, _)| method).collect())).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use actors::{TreeNode, view};
    use hierarchy_models::{AlertId, AlertState, ModelId, Severity, Timestamp, TwinId, Value, event::Status, tree::Path};
    use serde_json::Value as Json;

    use super::*;
    use crate::documents::Document;

    fn json() -> Json {
        serde_json::from_str(&JSON).unwrap()
    }

    /// Write the file anew with `UPDATE_OPENAPI=1 cargo test -p api openapi`.
    #[test]
    fn the_kept_document_is_the_generated_one() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(file, JSON.as_str()).unwrap();
        }
        let kept = std::fs::read_to_string(file).unwrap_or_default();
        assert!(
            kept == *JSON,
            "api/openapi.json is not what the routes say; look at the difference after: UPDATE_OPENAPI=1 cargo test -p api openapi"
        );
    }

    #[test]
    fn every_route_in_the_sources_is_described() {
        let mut written = BTreeSet::new();
        for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/routes")).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            for line in text.lines() {
                let Some((method, rest)) = line.strip_prefix("#[").and_then(|l| l.split_once("(\"")) else { continue };
                let Some(path) = rest.strip_suffix("\")]").filter(|_| ["get", "post", "patch", "delete", "put"].contains(&method)) else {
                    continue;
                };
                let open = ["/livez", "/readyz", "/metrics", "/openapi.json"].contains(&path);
                written.insert(format!("{} {}{path}", method.to_uppercase(), if open { "" } else { "/api/v1" }));
            }
        }
        let described: BTreeSet<String> =
            addresses().into_iter().flat_map(|(path, methods)| methods.into_iter().map(move |m| format!("{m} {path}"))).collect();
        assert!(written.len() >= 26, "the sources were not understood: {written:?}");
        assert_eq!(written, described);
    }

    #[test]
    fn every_operation_has_a_name_of_its_own() {
        let document = json();
        let paths = document["paths"].as_object().unwrap();
        let all: Vec<&str> =
            paths.values().flat_map(|item| item.as_object().unwrap().values()).map(|o| o["operationId"].as_str().unwrap()).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = json();
        fn walk<'a>(value: &'a Json, found: &mut Vec<&'a str>) {
            match value {
                Json::Object(map) => {
                    found.extend(map.get("$ref").and_then(Json::as_str));
                    map.values().for_each(|v| walk(v, found));
                }
                Json::Array(list) => list.iter().for_each(|v| walk(v, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        walk(&document, &mut found);
        assert!(found.len() > 50);
        for reference in found {
            assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference} leads nowhere");
        }
    }

    #[test]
    fn every_keyed_route_says_so_and_how_it_refuses() {
        let document = json();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let keyed = path.starts_with("/api/v1/");
                assert_eq!(operation["security"].is_array(), keyed, "{method} {path}");
                for status in ["400", "500", "503"].iter().chain(if keyed { &["401", "403"][..] } else { &[] }) {
                    assert!(!operation["responses"][status].is_null(), "{method} {path} does not describe {status}");
                }
            }
        }
    }

    fn names(value: &Json) -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    }

    /// The described members of a schema, all of them or the ones that are always there.
    fn described(schema: &str, required: bool) -> BTreeSet<String> {
        let schema = &json()["components"]["schemas"][schema];
        let parts = schema["allOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()]);
        let own = parts.iter().filter(|part| part.get("$ref").is_none());
        let names = own.flat_map(|part| match required {
            true => part["required"].as_array().into_iter().flatten().map(|n| n.as_str().unwrap().to_owned()).collect::<Vec<_>>(),
            false => part["properties"].as_object().into_iter().flatten().map(|(n, _)| n.clone()).collect(),
        });
        names.collect()
    }

    fn assert_fits(written: &Json, schema: &str) {
        let (written, all, always) = (names(written), described(schema, false), described(schema, true));
        assert!(written.is_subset(&all), "{schema}: {:?} is written and not described", written.difference(&all));
        assert!(always.is_subset(&written), "{schema}: {:?} is required and not written", always.difference(&written));
    }

    fn view() -> view::TwinView {
        let at = Timestamp::EPOCH;
        let id = TwinId::new("room-1").unwrap();
        let value = || view::ValueView { value: Value::Int(1), at, received_at: at };
        let kept = view::KeptMessage { at, what: String::new(), reason: String::new(), payload: String::new() };
        let fold = view::FoldView { count: 1, sum: 1.0, avg: Some(1.0), min: 1.0, max: 1.0, last: 1.0, last_at: at };
        let alert = view::AlertView {
            id: AlertId::parse("0000000000000-1-room-1").unwrap(),
            name: "hot".into(),
            severity: Severity::Info,
            state: AlertState::Raised,
            text: String::new(),
            details: Default::default(),
            raised_at: at,
            last_at: at,
            count: 1,
        };
        view::TwinView {
            path: Path::root(&id),
            id,
            model: ModelId::new("dtmi:twinfold:Room;1").unwrap(),
            parent: None,
            gateway: None,
            status: Status::Active,
            version: 1,
            seq: 1,
            created_at: at,
            connection: view::ConnectionView { state: "never", since: None, protocol: None, remote: None, last_seen: None, reason: None },
            reported: [("a".into(), value())].into_iter().collect(),
            telemetry: [("a".into(), value())].into_iter().collect(),
            desired: Default::default(),
            metadata: Default::default(),
            tags: vec![],
            rollups: view::RollupView {
                values: [("a".into(), fold)].into_iter().collect(),
                defined: [("b".into(), view::DefinedView { value: Value::Null, count: 0, stale: 1 })].into_iter().collect(),
                ..Default::default()
            },
            alerts: vec![alert],
            supervision: view::SupervisionView { state: "running", restarts: 0, error: None, poison: vec![kept.clone()] },
            diagnostics: view::DiagnosticsView { last: Some(value()), rejected: vec![kept], rejected_total: 1 },
        }
    }

    #[test]
    fn the_described_twin_is_the_written_one() {
        let twin = serde_json::to_value(view()).unwrap();
        assert_fits(&twin, "Twin");
        assert_fits(&twin["connection"], "Connection");
        assert_fits(&twin["telemetry"]["a"], "LastValue");
        assert_fits(&twin["rollups"], "Rollups");
        assert_fits(&twin["rollups"]["values"]["a"], "Fold");
        assert_fits(&twin["rollups"]["defined"]["b"], "DefinedRollup");
        assert_fits(&twin["rollups"]["alerts"], "AlertCounts");
        assert_fits(&twin["alerts"][0], "Alert");
        assert_fits(&twin["supervision"], "Supervision");
        assert_fits(&twin["supervision"]["poison"][0], "KeptMessage");
        assert_fits(&twin["diagnostics"], "Diagnostics");
    }

    #[test]
    fn a_tree_is_twins_with_children() {
        let node = |parent| {
            let view::TwinView { id, path, .. } = view();
            TreeNode { id, path, parent, has_children: parent.is_none(), children_left_out: 0 }
        };
        let text = Document::of(&view()).unwrap().text;
        let tree = crate::wire::tree::written(&[node(None), node(Some(0))], &[Some(text.clone()), Some(text)]);
        let tree: Json = serde_json::from_slice(&tree).unwrap();
        assert_eq!(tree["children"][0]["id"], "room-1");
        let twin = described("Twin", false);
        let own: BTreeSet<String> = names(&tree).difference(&twin).cloned().collect();
        assert_eq!(own, described("Tree", false));
    }
}
