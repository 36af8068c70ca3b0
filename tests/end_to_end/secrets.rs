//! No secret appears where it should not: secrets that are known are planted, everything is made to go wrong once, and then every
//! place is looked at: logs, metrics, answers of the API, files of the store.

use std::{fs, path::Path};

use crate::support::{Connect, Server, Value, json, until};

const KEY: &str = "planted-key-8d1f60c2";
const PASSWORD: &str = "planted password 77b3e9";
const IMPORTED: &str = "planted-imported-key-2e7b90";
const SIGNING: &str = "planted-signing-secret-c40f";
const WRONG: &str = "planted-wrong-key-51aa03";

/// Secrets by name.
type Planted = Vec<(&'static str, String)>;

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Registers, connects, resets, enrols, claims, and makes mistakes; the secrets that took part.
fn live(server: &Server) -> Planted {
    let api = server.api();
    server.place("site", "Site", None);
    let registration =
        json!({"id": "d", "model": "Device", "parent": "site", "keys": {"factory": KEY, "derived": null}, "password": PASSWORD});
    let made = api.post("/twins", registration).expect(201);
    let token = text(&api.post("/twins/d/tokens", json!({"expires_in": 600})).expect(201)["token"]);
    let changed = api.patch("/twins/d/credentials", json!({"keys": {"random": {}}})).expect(200);
    let principal = api.post("/principals", json!({"name": "desk", "role": "viewer"})).expect(201);
    let enrolment = json!({"by": "key", "model": "Device", "parent": "site"}).to_string();
    let enrolment_key = text(&api.call("PUT", "/enrolments/group", &[], Some(enrolment)).expect(201)["key"]);
    server.twin(json!({"id": "boxed", "model": "Device"}));
    let line = json!({"id": "imported", "model": "Device", "keys": {"factory": IMPORTED}}).to_string();
    let wrong = json!({"id": "d e", "model": "Device", "keys": {"factory": WRONG}}).to_string();
    let headers = [("content-type", "application/x-ndjson")];
    let job = text(&api.call("POST", "/twins/import", &headers, Some(format!("{line}\n{wrong}\n"))).expect(202)["id"]);
    until("the import is over", || api.get(&format!("/jobs/{job}")).expect(200)["state"] == "completed");
    Connect::v5("imported", IMPORTED).open(server.mqtt).goodbye();
    let webhook = json!([{"webhook": {"url": "https://example.com/", "secret": SIGNING}}]);
    api.post("/rules", json!({"id": "r", "when": "n > 5", "actions": webhook})).expect(201);
    let login = api.call("POST", "/login", &[], None);
    let cookie = login.header("set-cookie").and_then(|cookie| cookie.split([';', '=']).nth(1)).unwrap().to_owned();
    let code = text(&api.post("/twins/boxed/claim-code", json!({})).expect(201)["code"]);
    let spent = text(&api.post("/twins/d/claim-code", json!({})).expect(201)["code"]);

    for secret in [KEY, PASSWORD, &token, &text(&made["keys"]["derived"]), &text(&changed["keys"]["random"])] {
        let mut device = Connect::v5("d", secret).open(server.mqtt);
        device.say("devices/d/telemetry", r#"{"n": 1}"#);
        device.say("devices/d/token", &token);
        device.publish("devices/d/telemetry", "{not json");
        device.publish("devices/d/metadata", r#"{"$no": 1}"#);
        device.goodbye();
    }
    // Secrets in the wrong places, where careless code would repeat them.
    Connect::v5("d", WRONG).refusal(server.mqtt);
    Connect::v5("nobody", WRONG).refusal(server.mqtt);
    Connect::v311("d", WRONG).refusal(server.mqtt);
    let mut device = Connect::v5("d", KEY).open(server.mqtt);
    device.publish("devices/other/token", WRONG);
    device.send_raw(&crate::support::mqtt::Publish::new("devices/d/token", 0, WRONG).encode(crate::support::mqtt::Version::V5));
    assert_eq!(device.closed(), Some(0x87));
    for body in [
        json!({"model": "Device", "keys": {"a": 1, "b": WRONG}}),
        json!({"model": "Device", "keys": {"a b": WRONG}}),
        json!({"model": "Device", "password": 7, "keys": {"b": WRONG}}),
        json!({"model": "Device", "password": WRONG, "id": "d"}),
        json!({"model": "Nothing such", "password": WRONG}),
    ] {
        assert!(!api.post("/twins", body).text.contains(WRONG), "an error repeats a secret");
    }
    assert!(!api.post("/claims", json!({"id": "boxed", "code": WRONG, "parent": "site"})).text.contains(WRONG));
    let stranger = crate::support::Api::new(server.http, WRONG);
    assert!(!stranger.get("/twins").text.contains(WRONG));
    api.post("/claims", json!({"id": "d", "code": spent, "parent": "site"})).expect(200);
    let fresh = api.post("/twins/d/credentials/reset", json!({})).expect(200);
    api.post("/twins/d/deactivate", json!({})).expect(200);

    let mut planted: Planted = vec![
        ("a brought key", KEY.into()),
        ("an imported key", IMPORTED.into()),
        ("a password", PASSWORD.into()),
        ("a wrong key", WRONG.into()),
        ("a token", token),
        ("a derived key", text(&made["keys"]["derived"])),
        ("a random key", text(&changed["keys"]["random"])),
        ("an API key", text(&principal["key"])),
        ("an enrolment key", enrolment_key),
        ("what a webhook is signed with", SIGNING.into()),
        ("a browser's session", cookie),
        ("a claim code", code.clone()),
        ("a claim code without dashes", code.replace('-', "")),
        ("a claim code that is spent", spent),
        ("the administrator's key", server.admin_key()),
    ];
    planted.extend(fresh["keys"].as_object().unwrap().values().map(|key| ("a key after a reset", text(key))));
    planted
}

/// Everything that can be read again over HTTP.
fn answers(server: &Server) -> Vec<(String, String)> {
    let api = server.api();
    let paths = [
        "/twins",
        "/twins/d",
        "/twins/site/tree",
        "/twins/d/events",
        "/twins/d/credentials",
        "/twins/boxed",
        "/twins/export",
        "/twins/imported/credentials",
        "/jobs",
        "/models",
        "/alerts",
        "/grants",
        "/principals",
        "/rules",
        "/roles",
        "/audit",
        "/enrolments",
        "/enrolments/group",
        "//metrics",
        "//openapi.json",
    ];
    let read = |path: &&str| {
        let answer = api.get(path);
        assert_eq!(answer.status, 200, "{path}");
        ((*path).to_owned(), answer.text)
    };
    paths.iter().map(read).collect()
}

fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            files(&entry.path(), found);
        } else {
            found.push((entry.path().display().to_string(), fs::read(entry.path()).unwrap()));
        }
    }
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
}

#[test]
fn no_secret_is_in_a_log_an_answer_a_metric_or_a_file() {
    let server = Server::with(&[("LOG", "trace")]);
    let planted = live(&server);
    let mut places: Vec<(String, Vec<u8>)> = answers(&server).into_iter().map(|(path, text)| (path, text.into_bytes())).collect();
    places.push(("the log".into(), server.log().into_bytes()));
    // Files as they are while it runs, write-ahead logs included.
    files(&server.data_dir(), &mut places);
    let (data_dir, is_embedded) = (server.data_dir(), server.ready.contains("store=embedded"));
    let (_, stopped) = server.stop();
    files(&data_dir, &mut places);
    drop(stopped);
    let has_the_store = places.iter().any(|(place, _)| place.ends_with("identities.db-wal"));
    assert!(has_the_store || !is_embedded, "the files that matter are among them");
    for (place, bytes) in &places {
        for (what, secret) in &planted {
            // The one place that is for a secret.
            let is_its_own = *what == "the administrator's key" && place.ends_with("admin-token");
            assert!(is_its_own || !holds(bytes, secret), "{what} is in {place}");
        }
    }
}

#[test]
fn the_search_for_secrets_finds_one() {
    assert!(holds(b"...planted-key-8d1f60c2...", KEY));
    assert!(!holds(b"planted-key", KEY));
}
