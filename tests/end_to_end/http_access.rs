//! Who may call: no key, a wrong key, viewers, operators, administrators, and keys confined to a subtree.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::{
    campus,
    support::{
        Api, Server,
        issuer::{self, Issuer},
        json,
    },
};

fn key_of(server: &Server, body: serde_json::Value) -> Api {
    let made = server.api().post("/principals", body).expect(201);
    Api::new(server.http, made["key"].as_str().unwrap_or_else(|| panic!("{made}")))
}

const ROUTES: [(&str, &str); 12] = [
    ("GET", "/twins"),
    ("POST", "/twins"),
    ("GET", "/twins/t"),
    ("PATCH", "/twins/t"),
    ("DELETE", "/twins/t"),
    ("GET", "/twins/t/tree"),
    ("GET", "/twins/t/history?name=a"),
    ("GET", "/twins/t/events"),
    ("GET", "/live"),
    ("POST", "/twins/t/commands"),
    ("GET", "/twins/t/commands"),
    ("POST", "/twins/t/credentials/reset"),
];

#[test]
fn nothing_is_answered_without_a_key() {
    let server = Server::start();
    let key = server.device("t");
    for api in [Api::anonymous(server.http), Api::new(server.http, "wrong"), Api::new(server.http, ""), Api::new(server.http, &key)] {
        for (method, path) in ROUTES {
            let body = matches!(method, "POST" | "PATCH").then(|| "{}".to_owned());
            let answer = api.call(method, path, &[], body);
            answer.problem(401);
            assert!(answer.header("www-authenticate").is_some(), "{method} {path}");
        }
    }
}

#[test]
fn the_administrators_key_is_kept_from_others() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::start();
    let mode = std::fs::metadata(server.data_dir().join("admin-token")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let key = server.admin_key();
    let server = server.restart();
    assert_eq!(server.admin_key(), key, "it stays the same");
    assert!(!server.log().contains(&key), "and out of the log");
}

#[test]
fn the_administrators_key_may_be_given() {
    let server = Server::with(&[("AUTH__ADMIN_TOKEN", "an-administrators-key-of-our-own-0123")]);
    Api::new(server.http, "an-administrators-key-of-our-own-0123").get("/twins").expect(200);
}

#[test]
fn a_viewer_reads_and_an_operator_commands_and_neither_registers() {
    let server = Server::start();
    server.device("t");
    let viewer = key_of(&server, json!({"name": "ann", "roles": ["viewer"]}));
    let operator = key_of(&server, json!({"name": "bob", "roles": ["operator"]}));
    for api in [&viewer, &operator] {
        api.get("/twins/t").expect(200);
        api.get("/twins/t/history?name=a").expect(200);
        api.post("/twins", json!({"id": "u", "model": "Device"})).problem(403);
        api.delete("/twins/t").problem(403);
        api.post("/twins/t/credentials/reset", json!({})).problem(403);
        api.post("/principals", json!({"name": "eve", "roles": ["admin"]})).problem(403);
    }
    viewer.post("/twins/t/commands", json!({"name": "open"})).problem(403);
    viewer.patch("/twins/t", json!({"desired": {"a": 1}})).problem(403);
    operator.post("/twins/t/commands", json!({"name": "open"})).expect(202);
}

#[test]
fn a_key_for_a_subtree_sees_nothing_else() {
    let server = Server::start();
    campus::build(&server);
    server.device_in("inside", "room-1");
    server.device_in("outside", "room-2");
    let api = key_of(&server, json!({"name": "room", "roles": ["admin"], "scope": "room-1"}));
    api.get("/twins/inside").expect(200);
    api.get("/twins/room-1").expect(200);
    for id in ["outside", "room-2", "floor", "site"] {
        api.get(&format!("/twins/{id}")).problem(404);
        api.patch(&format!("/twins/{id}"), json!({"metadata": {"a": 1}})).problem(404);
        api.get(&format!("/twins/{id}/history?name=a")).problem(404);
        api.post(&format!("/twins/{id}/commands"), json!({"name": "open"})).problem(404);
    }
    let listed: Vec<String> = api.all("/twins").iter().map(|t| t["id"].as_str().unwrap().to_owned()).collect();
    assert!(listed.iter().all(|id| id == "inside" || id == "room-1") && listed.contains(&"inside".to_owned()), "{listed:?}");
    api.patch("/twins/inside", json!({"parent": "room-2"})).problem(422);
}

#[test]
fn a_key_that_was_withdrawn_opens_nothing() {
    let server = Server::start();
    let made = server.api().post("/principals", json!({"name": "ann", "roles": ["viewer"]})).expect(201);
    let ann = Api::new(server.http, made["key"].as_str().unwrap());
    ann.get("/twins").expect(200);
    let listed = server.api().get("/principals").expect(200).to_string();
    assert!(listed.contains("ann") && !listed.contains(made["key"].as_str().unwrap()), "{listed}");
    assert_eq!(server.api().delete(&format!("/principals/{}", made["id"].as_str().unwrap())).status, 204);
    ann.get("/twins").problem(401);
}

#[test]
fn keys_of_people_outlive_a_restart() {
    let server = Server::start();
    let made = server.api().post("/principals", json!({"name": "ann", "roles": ["viewer"]})).expect(201);
    let server = server.restart_after_kill_9();
    Api::new(server.http, made["key"].as_str().unwrap()).get("/twins").expect(200);
}

#[test]
fn health_and_metrics_need_no_key_on_loopback() {
    let server = Server::start();
    let anyone = Api::anonymous(server.http);
    for path in ["//livez", "//readyz", "//metrics", "//openapi.json"] {
        assert_eq!(anyone.get(path).status, 200, "{path}");
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "what a token says is held against the server's clock")]
fn a_token_of_the_identity_provider_opens_what_it_says_while_it_lasts() {
    let issuer = Issuer::start();
    let server = Server::with(&[
        ("AUTH__OIDC__ISSUER", &issuer.url),
        ("AUTH__OIDC__AUDIENCE", issuer::AUDIENCE),
        ("AUTH__OIDC__ROLES_CLAIM", "roles"),
    ]);
    server.device("t");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let with = |roles: &[&str], times| Api::new(server.http, &issuer.token("ann", roles, times));
    let good = (now - 10, now + 300);
    with(&["viewer"], good).get("/twins/t").expect(200);
    with(&["viewer"], good).post("/twins/t/commands", json!({"name": "a"})).problem(403);
    with(&["operator@t"], good).post("/twins/t/commands", json!({"name": "a"})).expect(202);
    with(&["operator@nowhere"], good).get("/twins/t").problem(404);
    with(&["viewer"], (now - 600, now - 300)).get("/twins/t").problem(401);
    with(&["viewer"], (now + 300, now + 600)).get("/twins/t").problem(401);
    Api::new(server.http, &Issuer::start().token("ann", &["admin"], good)).get("/twins/t").problem(401);
    // What is granted here to who the provider vouches for.
    let known = json!({"name": "Ann", "role": "operator", "subject": "ann"});
    server.api().post("/principals", known).expect(201);
    with(&[], good).post("/twins/t/commands", json!({"name": "a"})).expect(202);
}
