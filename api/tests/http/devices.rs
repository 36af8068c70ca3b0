//! What opens the door for devices: credentials, tokens, enrolments, claims.

use actors::{
    clock::Clock,
    identity::{Certificate, Denied},
};
use serde_json::json;

use crate::world::{World, id, run};

async fn opens(world: &World, device: &str, password: &str) -> bool {
    world.twins.identities().verify_device(&id(device), password.as_bytes(), world.clock.now()).await.is_ok()
}

#[test]
fn a_device_is_registered_with_what_it_has() {
    run(|world| async move {
        let sha256 = "AB:".repeat(31) + "AB";
        let body =
            json!({"id": "d", "model": "Device", "keys": ["only"], "certificates": {"now": sha256}, "password": "chosen by a person"});
        let made = world.admin.post("/twins", body).await;
        assert_eq!((made.status, made.json["keys"].as_object().unwrap().len()), (201, 1));
        assert!(!made.text.contains("chosen by a person"));
        assert!(opens(&world, "d", "chosen by a person").await && !opens(&world, "d", "chosen by nobody").await);
        let certificate = Certificate { sha256: [0xAB; 32], not_after: "2027-01-01T00:00:00Z".parse().unwrap(), vouched_for: None };
        assert!(world.twins.identities().verify_certificate(&id("d"), &certificate, world.clock.now()).await.is_ok());
        let read = world.admin.get("/twins/d/credentials").await;
        let wanted = json!({"generation": 1, "keys": ["only"], "certificates": {"now": "ab".repeat(32)}, "password": true});
        assert_eq!((read.status, read.json), (200, wanted));
        for (body, pointer) in [
            (json!({"model": "Device", "certificates": {"now": "abcd"}}), "/certificates/now"),
            (json!({"model": "Device", "certificates": {"a b": sha256}}), "/certificates"),
            (json!({"model": "Device", "password": "short"}), "/password"),
            (json!({"model": "Device", "keys": {}}), "/keys"),
        ] {
            let refused = world.admin.post("/twins", body).await;
            assert_eq!((refused.status, refused.json["pointer"].as_str().unwrap()), (400, pointer));
            assert!(!refused.text.contains("short"), "a password never comes back in an error");
        }
        let with_nothing_else = json!({"id": "e", "model": "Device", "keys": {}, "certificates": {"now": sha256}});
        assert_eq!(world.admin.post("/twins", with_nothing_else).await.json["keys"], json!({}));
    });
}

#[test]
fn single_credentials_are_changed_by_a_patch_and_all_of_them_by_a_reset() {
    run(|world| async move {
        let first = world.register("d", "Device", None).await;
        let (primary, secondary) = (first["keys"]["primary"].as_str().unwrap(), first["keys"]["secondary"].as_str().unwrap());
        let patch = json!({"keys": {"primary": null, "mine": "a-key-from-outside", "new": {}}, "password": "chosen by a person"});
        let changed = world.admin.call("PATCH", "/twins/d/credentials", &[], &patch.to_string()).await;
        assert_eq!((changed.status, &changed.json["keys"]["mine"]), (200, &json!("a-key-from-outside")));
        for (password, opened) in [
            (primary, false),
            (secondary, true),
            ("a-key-from-outside", true),
            (changed.json["keys"]["new"].as_str().unwrap(), true),
            ("chosen by a person", true),
        ] {
            assert_eq!(opens(&world, "d", password).await, opened, "{password}");
        }
        let reset = world.admin.post("/twins/d/credentials/reset", json!({"keys": ["one"], "password": "another by a person"})).await;
        assert_eq!((reset.status, reset.json["keys"].as_object().unwrap().len()), (200, 1));
        for password in [secondary, "a-key-from-outside", "chosen by a person"] {
            assert!(!opens(&world, "d", password).await, "{password}");
        }
        assert!(opens(&world, "d", "another by a person").await && opens(&world, "d", reset.json["keys"]["one"].as_str().unwrap()).await);
        let credentials = world.admin.get("/twins/d/credentials").await.json;
        assert_eq!((&credentials["generation"], &credentials["keys"]), (&json!(2), &json!(["one"])));
        let wrong = world.admin.call("PATCH", "/twins/d/credentials", &[], r#"{"keys": {"one": true}}"#).await;
        assert_eq!((wrong.status, &wrong.json["pointer"]), (400, &json!("/keys/one")));
    });
}

#[test]
fn a_token_says_what_it_is_for() {
    run(|world| async move {
        world.register("d", "Device", None).await;
        let all = world.admin.post("/twins/d/tokens", json!({})).await;
        assert_eq!((all.status, &all.json["scope"]), (201, &json!("connect publish subscribe")));
        let some = world.admin.post("/twins/d/tokens", json!({"expires_in": 60, "scope": "publish subscribe"})).await;
        assert_eq!(some.json["scope"], "publish subscribe");
        let token = some.json["token"].as_str().unwrap();
        let denied = world.twins.identities().verify_device(&id("d"), token.as_bytes(), world.clock.now()).await;
        assert_eq!(denied, Err(Denied::WrongScope));
        assert_eq!(world.admin.post("/twins/d/tokens", json!({"scope": "telemetry"})).await.json["pointer"], "/scope");
    });
}

#[test]
fn an_enrolment_is_put_read_and_removed_and_shows_its_key_once() {
    run(|world| async move {
        world.building(&[]).await;
        let body =
            json!({"by": "key", "model": "Device", "parent": "room", "tags": ["new"], "id_prefix": "n-", "devices_max": 5}).to_string();
        let made = world.admin.call("PUT", "/enrolments/plant-1", &[], &body).await;
        assert_eq!((made.status, made.json["key"].as_str().unwrap().len()), (201, 43));
        let again = world.admin.call("PUT", "/enrolments/plant-1", &[], &body).await;
        assert_eq!((again.status, again.json.get("key")), (200, None));
        let read = world.admin.get("/enrolments/plant-1").await;
        let wanted = json!({"id": "plant-1", "by": "key", "enabled": true, "model": "dtmi:twinfold:Device;1", "parent": "room",
            "tags": ["new"], "id_prefix": "n-", "devices_max": 5, "per_minute_max": 600, "registered": 0});
        assert_eq!((read.status, &read.json), (200, &wanted));
        let body = json!({"by": "key", "model": "Device", "new_key": true}).to_string();
        let renewed = world.admin.call("PUT", "/enrolments/plant-1", &[], &body).await;
        assert!(renewed.json["key"].is_string() && renewed.json["key"] != made.json["key"]);
        assert_eq!(world.admin.get("/enrolments").await.json["items"].as_array().unwrap().len(), 1);
        assert_eq!(world.admin.call("DELETE", "/enrolments/plant-1", &[], "").await.status, 204);
        assert_eq!(world.admin.get("/enrolments/plant-1").await.problem(), "no-such-enrolment");
        let bad = json!({"by": "key", "model": "Device", "parent": "nowhere"}).to_string();
        assert_eq!(world.admin.call("PUT", "/enrolments/x", &[], &bad).await.problem(), "no-such-parent");
        let bad = json!({"by": "key", "model": "Device"}).to_string();
        assert_eq!(world.admin.call("PUT", "/enrolments/a.b", &[], &bad).await.json["pointer"], "/id");
    });
}

#[test]
fn enrolments_and_claims_stay_within_what_a_key_may_govern() {
    run(|world| async move {
        world.building(&["d"]).await;
        let put = |client: &crate::world::Client, name: &str, parent: &str| {
            let body = json!({"by": "key", "model": "Device", "parent": parent}).to_string();
            let (client, path) = (client.clone(), format!("/enrolments/{name}"));
            async move { client.call("PUT", &path, &[], &body).await }
        };
        let confined = world.principal("admin", Some("site")).await;
        assert_eq!(put(&confined, "mine", "room").await.status, 201);
        assert_eq!(put(&world.admin, "other", "elsewhere").await.status, 201);
        assert_eq!(put(&confined, "more", "elsewhere").await.problem(), "no-such-parent");
        assert_eq!(put(&confined, "other", "room").await.status, 403, "another's id");
        let rootless = json!({"by": "key", "model": "Device"}).to_string();
        assert_eq!(confined.call("PUT", "/enrolments/rootless", &[], &rootless).await.status, 403);
        assert_eq!(confined.get("/enrolments/other").await.status, 404);
        assert_eq!(confined.get("/enrolments").await.json["items"].as_array().unwrap().len(), 1);
        assert_eq!(confined.call("DELETE", "/enrolments/other", &[], "").await.status, 404);
        let operator = world.principal("operator", None).await;
        assert_eq!(operator.get("/enrolments").await.status, 403);
        assert_eq!(operator.get("/twins/d/credentials").await.status, 403);

        world.register("stock", "Site", None).await;
        world.register("boxed", "Device", Some("stock")).await;
        assert_eq!(confined.post("/twins/boxed/claim-code", json!({})).await.status, 404);
        let code = world.admin.post("/twins/boxed/claim-code", json!({"expires_in": 3600})).await;
        assert_eq!((code.status, &code.json["expires_at"]), (201, &json!("2026-01-01T01:00:00.000Z")));
        let code = code.json["code"].as_str().unwrap();
        let claim = |parent: &str, code: &str| {
            let (client, body) = (confined.clone(), json!({"id": "boxed", "code": code, "parent": parent}));
            async move { client.post("/claims", body).await }
        };
        assert_eq!(claim("elsewhere", code).await.problem(), "no-such-parent", "not a place of its own");
        assert_eq!(claim("room", "0000-0000-0000-0000").await.problem(), "no-such-claim");
        let nobody = confined.post("/claims", json!({"id": "nobody", "code": code, "parent": "room"})).await;
        assert_eq!(nobody.problem(), "no-such-claim", "nobody learns which devices there are");
        let claimed = claim("room", code).await;
        assert_eq!((claimed.status, &claimed.json["parent"], &claimed.json["status"]), (200, &json!("room"), &json!("active")));
        assert_eq!(claim("room", code).await.problem(), "no-such-claim", "once");
    });
}
