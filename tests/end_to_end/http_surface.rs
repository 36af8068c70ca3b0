//! The surface of HTTP: the description, its reader, metrics, unknown addresses, sizes.

use crate::support::{Server, json};

#[test]
fn the_description_is_openapi_3_1_and_covers_every_route() {
    let server = Server::start();
    let document = server.api().get("//openapi.json").expect(200);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = document["paths"].as_object().unwrap();
    for (path, method) in [
        ("/twins", "get"),
        ("/twins", "post"),
        ("/twins/{id}", "get"),
        ("/twins/{id}", "patch"),
        ("/twins/{id}", "delete"),
        ("/twins/{id}/activate", "post"),
        ("/twins/{id}/deactivate", "post"),
        ("/twins/{id}/credentials/reset", "post"),
        ("/twins/{id}/tokens", "post"),
        ("/twins/{id}/rollups", "get"),
        ("/twins/{id}/rollups", "put"),
        ("/twins/{id}/rollups", "delete"),
        ("/twins/{id}/tree", "get"),
        ("/twins/{id}/history", "get"),
        ("/twins/{id}/events", "get"),
        ("/live", "get"),
        ("/twins/{id}/commands", "post"),
        ("/twins/{id}/commands", "get"),
        ("/twins/{id}/commands/{cid}", "get"),
        ("/twins/{id}/commands/{cid}", "delete"),
        ("/models", "get"),
        ("/models/{dtmi}", "get"),
        ("/models/{dtmi}", "put"),
        ("/models/{dtmi}", "delete"),
    ] {
        let found = paths.iter().any(|(p, methods)| same_path(p, &format!("/api/v1{path}")) && methods.get(method).is_some());
        assert!(found, "{method} {path} is not described; there are {:?}", paths.keys().collect::<Vec<_>>());
    }
}

/// Whether two paths differ only in the names of their parameters.
fn same_path(a: &str, b: &str) -> bool {
    let bare = |p: &str| p.split('/').map(|s| if s.starts_with('{') { "{}" } else { s }.to_owned()).collect::<Vec<_>>();
    bare(a) == bare(b)
}

#[test]
fn the_reader_of_the_description_works_without_the_internet() {
    let server = Server::start();
    let mut page = server.api().get("//docs");
    if let Some(next) = page.header("location").map(str::to_owned) {
        page = server.api().get(&format!("/{next}"));
    }
    if page.status == 404 || page.text.is_empty() {
        page = server.api().get("//docs/");
    }
    assert_eq!(page.status, 200);
    assert!(page.text.contains("<html") && !page.text.contains("src=\"https://"), "{}", page.text);
}

#[test]
fn unknown_addresses_and_methods_are_problems_too() {
    let server = Server::start();
    server.device("t");
    server.api().get("/nothing").problem(404);
    server.api().get("//nothing").problem(404);
    let answer = server.api().call("PUT", "/twins/t", &[], Some("{}".into()));
    answer.problem(405);
    assert!(answer.header("allow").is_some_and(|allow| allow.contains("GET")), "{answer:?}");
}

#[test]
fn a_body_too_large_is_refused() {
    let server = Server::start();
    let body = json!({"id": "t", "model": "Device", "metadata": {"a": "x".repeat(8 << 20)}});
    // The server may close before it has read it all: a broken pipe says the same.
    if let Ok(answer) = server.api().try_call("POST", "/twins", &[], Some(body.to_string())) {
        answer.problem(413);
    }
    server.api().get("/twins/t").problem(404);
}

#[test]
fn metrics_tell_of_traffic_queues_and_limits() {
    let server = Server::start();
    let mut device = server.connected("t");
    for _ in 0..10 {
        device.say("devices/t/telemetry", r#"{"a": 1}"#);
    }
    let text = server.api().get("//metrics").text;
    for word in ["twinfold", "connect", "twins", "journal"] {
        assert!(text.contains(word), "no metric of {word}:\n{text}");
    }
    let counted = text.lines().any(|l| !l.starts_with('#') && l.contains("telemetry") && l.contains("accepted") && l.ends_with(" 10"));
    assert!(counted, "no counter says that 10 messages were accepted:\n{text}");
}

#[test]
fn ids_are_escaped_in_addresses() {
    let server = Server::start();
    server.device("a:b@c.d_e-f");
    assert_eq!(server.api().get("/twins/a%3Ab%40c.d_e-f").expect(200)["id"], "a:b@c.d_e-f");
    server.api().get("/twins/a%2Fb").problem(404);
}
