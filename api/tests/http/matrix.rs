//! Every route that the OpenAPI document describes × who may not and who may. A route without a row here fails.

use std::{collections::BTreeMap, time::Duration};

use actors::{access::OidcSettings, clock::Clock};
use serde_json::{Value as Json, json};

use crate::{
    issuer::{AUDIENCE, Issuer},
    world::{Answer, Client, World, run, run_both, settings},
};

/// What a route asks for, and what becomes of a request to it that names things in `site`.
struct Row {
    route: &'static str,
    /// `None`: whoever is known may.
    right: Option<&'static str>,
    /// The address with its names filled in, under `/api/v1`.
    path: &'static str,
    body: Json,
    /// With that right and no other, in `site`; everywhere when `outside` is 403.
    inside: u16,
    /// With every right, in `elsewhere`.
    outside: u16,
}

fn row(route: &'static str, right: &'static str, path: &'static str, body: Json, inside: u16, outside: u16) -> Row {
    Row { route, right: Some(right), path, body, inside, outside }
}

fn get(route: &'static str, right: &'static str, path: &'static str, outside: u16) -> Row {
    row(route, right, path, Json::Null, 200, outside)
}

/// Not there for who may see nothing of it.
const HIDDEN: u16 = 404;
/// Everybody's: told, and refused to who is confined.
const EVERYBODYS: u16 = 403;
/// A list, which then holds nothing of `site`.
const LIST: u16 = 200;

fn rows() -> Vec<Row> {
    let rule = || json!({"when": "t > 9.0", "under": "room"});
    let lamp = json!({"@context": "dtmi:dtdl:context;3", "@id": "dtmi:example:New;1", "@type": "Interface"});
    vec![
        get("GET /twins", "read", "/twins", LIST),
        row("POST /twins", "provision", "/twins", json!({"id": "new", "model": "Room", "parent": "room"}), 201, 422),
        get("GET /twins/{id}", "read", "/twins/d", HIDDEN),
        row("PATCH /twins/{id}", "write", "/twins/d", json!({"desired": {"a": 1}}), 200, HIDDEN),
        row("DELETE /twins/{id}", "provision", "/twins/d", Json::Null, 204, HIDDEN),
        row("POST /twins/{id}/activate", "provision", "/twins/d/activate", Json::Null, 200, HIDDEN),
        row("POST /twins/{id}/deactivate", "provision", "/twins/d/deactivate", Json::Null, 200, HIDDEN),
        row("POST /twins/{id}/release", "command", "/twins/d/release", Json::Null, 200, HIDDEN),
        get("GET /twins/{id}/rollups", "read", "/twins/room/rollups", HIDDEN),
        row("PUT /twins/{id}/rollups", "write", "/twins/room/rollups", json!({"load": "sum(devices.power)"}), 200, HIDDEN),
        row("DELETE /twins/{id}/rollups", "write", "/twins/room/rollups", Json::Null, 204, HIDDEN),
        row("POST /twins/{id}/credentials/reset", "provision", "/twins/d/credentials/reset", json!({}), 200, HIDDEN),
        row("POST /twins/{id}/tokens", "provision", "/twins/d/tokens", json!({}), 201, HIDDEN),
        get("GET /twins/{id}/credentials", "provision", "/twins/d/credentials", HIDDEN),
        row("PATCH /twins/{id}/credentials", "provision", "/twins/d/credentials", json!({}), 200, HIDDEN),
        row("POST /twins/{id}/claim-code", "provision", "/twins/d/claim-code", json!({}), 201, HIDDEN),
        row("POST /claims", "provision", "/claims", json!({"id": "d", "code": "{code}", "parent": "room"}), 200, 422),
        get("GET /enrolments", "provision", "/enrolments", LIST),
        get("GET /enrolments/{eid}", "provision", "/enrolments/makers", HIDDEN),
        row("PUT /enrolments/{eid}", "provision", "/enrolments/new", json!({"by": "key", "model": "Device", "parent": "room"}), 201, 422),
        row("DELETE /enrolments/{eid}", "provision", "/enrolments/makers", Json::Null, 204, HIDDEN),
        get("GET /twins/export", "read", "/twins/export", LIST),
        // Each of its lines is refused by itself.
        row("POST /twins/import", "provision", "/twins/import", json!({"id": "new", "model": "Room", "parent": "room"}), 202, 202),
        get("GET /jobs", "read", "/jobs", LIST),
        get("GET /jobs/{id}", "read", "/jobs/{jid}", HIDDEN),
        row("DELETE /jobs/{id}", "provision", "/jobs/{jid}", Json::Null, 204, HIDDEN),
        get("GET /twins/{id}/tree", "read", "/twins/room/tree", HIDDEN),
        get("GET /twins/{id}/history", "read", "/twins/d/history?name=t", HIDDEN),
        get("GET /twins/{id}/events", "read", "/twins/d/events", HIDDEN),
        get("GET /live", "read", "/live?under=room", HIDDEN),
        row("POST /twins/{id}/commands", "command", "/twins/d/commands", json!({"name": "a"}), 202, HIDDEN),
        row("POST /twins/{id}/commands", "command", "/twins/room/commands?under=true", json!({"name": "a"}), 202, HIDDEN),
        get("GET /twins/{id}/commands", "read", "/twins/d/commands", HIDDEN),
        get("GET /twins/{id}/commands/{cid}", "read", "/twins/d/commands/{cid}", HIDDEN),
        row("DELETE /twins/{id}/commands/{cid}", "command", "/twins/d/commands/{cid}", Json::Null, 200, HIDDEN),
        get("GET /models", "read", "/models", 200),
        get("GET /models/{dtmi}", "read", "/models/dtmi:example:Lamp;1", 200),
        row("PUT /models/{dtmi}", "models", "/models/dtmi:example:New;1", lamp, 201, EVERYBODYS),
        row("DELETE /models/{dtmi}", "models", "/models/dtmi:example:Lamp;1", Json::Null, 204, EVERYBODYS),
        get("GET /alerts", "read", "/alerts", LIST),
        get("GET /alerts/{aid}", "read", "/alerts/{aid}", HIDDEN),
        row("POST /alerts/{aid}/acknowledge", "acknowledge", "/alerts/{aid}/acknowledge", Json::Null, 200, HIDDEN),
        row("POST /alerts/{aid}/clear", "acknowledge", "/alerts/{aid}/clear", Json::Null, 200, HIDDEN),
        row("POST /rules/test", "rules", "/rules/test", json!({"rule": rule(), "twin": "d", "from": "2025-12-31T00:00:00Z"}), 200, HIDDEN),
        get("GET /rules", "read", "/rules", LIST),
        row("POST /rules", "rules", "/rules", rule(), 201, 400),
        get("GET /rules/{rid}", "read", "/rules/hot", HIDDEN),
        row("PATCH /rules/{rid}", "rules", "/rules/hot", json!({"enabled": false}), 200, HIDDEN),
        row("DELETE /rules/{rid}", "rules", "/rules/hot", Json::Null, 204, HIDDEN),
        get("GET /principals", "principals", "/principals", LIST),
        row("POST /principals", "principals", "/principals", json!({"name": "n", "role": "host", "scope": "room"}), 201, 422),
        get("GET /principals/{pid}", "principals", "/principals/{pid}", HIDDEN),
        row("DELETE /principals/{pid}", "principals", "/principals/{pid}", Json::Null, 204, HIDDEN),
        get("GET /grants", "principals", "/grants", LIST),
        row("POST /grants", "principals", "/grants", json!({"principal": "{pid}", "role": "host", "under": "d"}), 201, 422),
        get("GET /grants/{gid}", "principals", "/grants/{gid}", HIDDEN),
        row("DELETE /grants/{gid}", "principals", "/grants/{gid}", Json::Null, 204, HIDDEN),
        get("GET /roles", "principals", "/roles", 200),
        get("GET /roles/{role}", "principals", "/roles/host", 200),
        row("PUT /roles/{role}", "principals", "/roles/new", json!({"rights": ["principals"]}), 201, EVERYBODYS),
        row("DELETE /roles/{role}", "principals", "/roles/unused", Json::Null, 204, EVERYBODYS),
        get("GET /audit", "audit", "/audit", LIST),
        Row { route: "POST /login", right: None, path: "/login", body: Json::Null, inside: 200, outside: 200 },
        Row { route: "POST /logout", right: None, path: "/logout", body: Json::Null, inside: 204, outside: 204 },
    ]
}

/// Routes that need no key on this machine; from elsewhere they do.
const OPEN: [&str; 3] = ["GET /livez", "GET /readyz", "GET /metrics"];
/// Told to everybody.
const PUBLIC: [&str; 1] = ["GET /openapi.json"];
const RIGHTS: [&str; 10] = ["read", "command", "acknowledge", "write", "rules", "provision", "models", "sinks", "principals", "audit"];

#[test]
fn every_described_route_has_a_row() {
    let described: Vec<String> = api::openapi::addresses()
        .into_iter()
        .flat_map(|(path, methods)| methods.into_iter().map(move |m| format!("{m} {}", path.strip_prefix("/api/v1").unwrap_or(&path))))
        .collect();
    let rows = rows();
    let known: Vec<&str> = rows.iter().map(|row| row.route).chain(OPEN).chain(PUBLIC).collect();
    let missing: Vec<&String> = described.iter().filter(|route| !known.contains(&route.as_str())).collect();
    assert!(missing.is_empty(), "who may call these? give each a row: {missing:#?}");
    let gone: Vec<&&str> = known.iter().filter(|route| !described.iter().any(|d| d == *route)).collect();
    assert!(gone.is_empty(), "these are not described any more: {gone:#?}");
}

/// A site with one of everything, and the ids that were given out.
async fn furnished(world: &World) -> BTreeMap<&'static str, String> {
    world.building(&["d"]).await;
    let put = |path: &'static str, body: Json| {
        let admin = world.admin.clone();
        async move { assert_eq!(call(&admin, "PUT", path, &body).await.status, 201, "{path}") }
    };
    for right in RIGHTS {
        let role = format!("/roles/only-{right}");
        assert_eq!(call(&world.admin, "PUT", &role, &json!({"rights": [right]})).await.status, 201);
        let others: Vec<&str> = RIGHTS.into_iter().filter(|other| *other != right).collect();
        let role = format!("/roles/all-but-{right}");
        assert_eq!(call(&world.admin, "PUT", &role, &json!({"rights": others})).await.status, 201);
    }
    put("/roles/host", json!({"rights": ["principals"]})).await;
    put("/roles/unused", json!({"rights": ["principals"]})).await;
    put("/models/dtmi:example:Lamp;1", json!({"@context": "dtmi:dtdl:context;3", "@id": "dtmi:example:Lamp;1", "@type": "Interface"}))
        .await;
    let rule = json!({"id": "hot", "when": "t > 1.0", "under": "room"});
    assert_eq!(world.admin.post("/rules", rule).await.status, 201);
    world.telemetry("d", "2026-01-01T00:00:00Z", r#"{"t": 2}"#).await;
    let alert = world.admin.get("/alerts").await.json["items"][0]["id"].as_str().unwrap().to_owned();
    let command = world.admin.post("/twins/d/commands", json!({"name": "a", "ttl": 86400})).await.json;
    let host = world.admin.post("/principals", json!({"name": "host", "role": "host", "scope": "room"})).await.json;
    put("/enrolments/makers", json!({"by": "key", "model": "Device", "parent": "room"})).await;
    let code = world.admin.post("/twins/d/claim-code", json!({})).await.json;
    let importer = world.principal("admin", Some("site")).await;
    let line = json!({"id": "imported", "model": "Room", "parent": "room"});
    let job = call(&importer, "POST", "/twins/import", &line).await.json;
    let path = format!("/jobs/{}", job["id"].as_str().unwrap());
    while ["waiting", "queued", "running", "working"].contains(&importer.get(&path).await.json["state"].as_str().unwrap()) {
        tokio::task::yield_now().await;
    }
    let text = |json: &Json| json.as_str().unwrap().to_owned();
    [
        ("{code}", text(&code["code"])),
        ("{jid}", text(&job["id"])),
        ("{aid}", alert),
        ("{cid}", text(&command["id"])),
        ("{pid}", text(&host["id"])),
        ("{gid}", text(&host["grants"][0]["id"])),
    ]
    .into()
}

async fn call(client: &Client, method: &str, path: &str, body: &Json) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    client.call(method, path, &[media_type(path)][usize::from(body.is_empty())..], &body).await
}

fn media_type(path: &str) -> (&'static str, &'static str) {
    ("content-type", if path == "/twins/import" { "application/x-ndjson" } else { "application/json" })
}

impl Row {
    fn method(&self) -> &'static str {
        self.route.split(' ').next().unwrap()
    }

    fn filled(&self, ids: &BTreeMap<&'static str, String>) -> (String, Json) {
        let fill = |text: String| ids.iter().fold(text, |text, (name, id)| text.replace(name, id));
        (fill(self.path.to_owned()), serde_json::from_str(&fill(self.body.to_string())).unwrap())
    }

    async fn prove(&self, world: World, issuer: &Issuer) {
        let ids = furnished(&world).await;
        let (path, body) = self.filled(&ids);
        let ask = async |client: &Client| call(client, self.method(), &path, &body).await;
        // Who is nobody, whatever there is.
        let ended = world.admin.post("/principals", json!({"name": "e", "role": "admin", "expires_in": 60})).await.json;
        let ended = world.with_key(ended["key"].as_str().unwrap());
        let session = ended.with_cookie(&ended.call("POST", "/login", &[], "").await);
        let now = world.clock.now().as_millis() as u64 / 1_000;
        let token = |to| issuer.token("ann", &["admin"], (now, to));
        assert_eq!(world.with_key(&token(now + 60)).get("/twins").await.status, 200);
        // Beyond what clocks may differ by.
        world.clock.advance(Duration::from_secs(600));
        let expired = world.with_key(&token(now + 60));
        let of_another = world.with_key(&Issuer::start().token("ann", &["admin"], (now, now + 3_600)));
        for client in [world.without_key(), world.with_key("wrong"), world.with_key("a.b.c"), ended, session, expired, of_another] {
            let answer = ask(&client).await;
            assert_eq!((answer.status, answer.problem()), (401, "unauthenticated"), "{}", self.route);
        }
        // Who may everything, but elsewhere.
        let answer = ask(&world.principal("admin", Some("elsewhere")).await).await;
        assert_eq!(answer.status, self.outside, "{} from elsewhere: {answer:?}", self.route);
        let told = if answer.status == LIST { answer.text.as_str() } else { "" };
        for hidden in ["\"d\"", "\"room\"", "\"hot\""].into_iter().chain(ids.values().map(String::as_str)) {
            assert!(!told.contains(hidden), "{} tells {hidden} to who may not see it: {told}", self.route);
        }
        let scope = (self.outside != EVERYBODYS).then_some("site");
        if let Some(right) = self.right {
            // Who sees it and lacks the one right.
            let answer = ask(&world.principal(&format!("all-but-{right}"), scope).await).await;
            assert_eq!((answer.status, answer.problem()), (403, "forbidden"), "{} without {right}: {answer:?}", self.route);
        }
        // Who has that right and no other.
        let may = world.principal(&self.right.map_or("only-read".into(), |right| format!("only-{right}")), scope).await;
        if self.route == "GET /live" {
            may.follow(&path, "").await;
            return;
        }
        // One that may say nothing may also not be there at all, and still take its time to end.
        let empty = (body == json!({})).then(String::new);
        for text in Some(body.to_string()).filter(|_| !body.is_null()).into_iter().chain(empty) {
            let role = self.right.map_or("only-read".into(), |right| format!("only-{right}"));
            let made = world.admin.post("/principals", json!({"name": "n", "role": role, "scope": scope})).await.json;
            let late = world.with_key(made["key"].as_str().unwrap());
            let held = late.hold_back(self.method(), &path, &[media_type(&path)], &text).await;
            world.admin.delete(&format!("/principals/{}", made["id"].as_str().unwrap())).await;
            let answer = held.finish().await;
            assert_eq!(answer.status, 401, "{} with the body {text:?} that ends after its key: {answer:?}", self.route);
        }
        let answer = ask(&may).await;
        assert_eq!(answer.status, self.inside, "{} inside: {answer:?}", self.route);
    }
}

#[test]
fn every_route_lets_in_who_may_and_nobody_else() {
    let issuer = Issuer::start();
    let oidc = || OidcSettings { issuer: issuer.url.clone(), audience: AUDIENCE.into(), jwks_url: None, roles_claim: Some("roles".into()) };
    for row in rows() {
        let runtime = actors::Settings { oidc: Some(oidc()), ..actors::Settings::default() };
        run_both(settings(), runtime, |world| async { row.prove(world, &issuer).await });
    }
}

/// What a request does in `site` that two rights are needed for.
#[test]
fn what_needs_two_rights_is_let_in_with_both_and_not_with_one() {
    let rule = |action: Json| json!({"when": "t > 1.0", "under": "room", "actions": [action]});
    let rows = [
        ("PATCH", "/twins/d", ["write", "provision"], json!({"parent": "site"}), 200),
        ("PATCH", "/twins/d", ["write", "provision"], json!({"gateway": "room"}), 200),
        ("POST", "/rules", ["rules", "command"], rule(json!({"command": {"name": "open", "ttl": 5}})), 201),
        ("POST", "/rules", ["rules", "sinks"], rule(json!({"webhook": {"url": "https://example.com/"}})), 201),
    ];
    for (method, path, rights, body, inside) in rows {
        run(|world| async move {
            furnished(&world).await;
            for right in rights {
                let answer = call(&world.principal(&format!("all-but-{right}"), Some("site")).await, method, path, &body).await;
                assert_eq!((answer.status, answer.problem()), (403, "forbidden"), "{method} {path} {body} without {right}: {answer:?}");
                let answer = call(&world.principal(&format!("only-{right}"), Some("site")).await, method, path, &body).await;
                assert_eq!((answer.status, answer.problem()), (403, "forbidden"), "{method} {path} {body} with {right}: {answer:?}");
            }
            call(&world.admin, "PUT", "/roles/both", &json!({"rights": rights})).await;
            let answer = call(&world.principal("both", Some("elsewhere")).await, method, path, &body).await;
            assert!([400, 404].contains(&answer.status), "{method} {path} {body} from elsewhere: {answer:?}");
            let answer = call(&world.principal("both", Some("site")).await, method, path, &body).await;
            assert_eq!(answer.status, inside, "{method} {path} {body}: {answer:?}");
        });
    }
}

#[test]
fn what_is_open_on_this_machine_is_not_open_to_others() {
    run(|world| async move {
        let from_afar = [("x-forwarded-for", "203.0.113.9")];
        for route in OPEN {
            let path = format!("/{}", route.strip_prefix("GET ").unwrap());
            assert_eq!(world.without_key().call("GET", &path, &[], "").await.status, 200, "{route}");
            assert_eq!(world.without_key().call("GET", &path, &from_afar, "").await.status, 401, "{route}");
            assert_eq!(world.admin.call("GET", &path, &from_afar, "").await.status, 200, "{route}");
        }
        for route in PUBLIC {
            let path = format!("/{}", route.strip_prefix("GET ").unwrap());
            assert_eq!(world.without_key().call("GET", &path, &from_afar, "").await.status, 200, "{route}");
        }
    });
}
