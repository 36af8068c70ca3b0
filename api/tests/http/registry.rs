//! Registering, reading, changing and removing twins.

use serde_json::json;

use crate::world::run;

#[test]
fn a_registered_twin_can_be_read_and_its_keys_are_shown_once() {
    run(|world| async move {
        let answer = world.admin.post("/twins", json!({"id": "room-1", "model": "Room", "metadata": {"floor": 3}, "tags": ["a"]})).await;
        assert_eq!((answer.status, answer.header("location")), (201, "/api/v1/twins/room-1"));
        assert_eq!(answer.json["model"], "dtmi:twinfold:Room;1");
        assert_eq!(answer.json["metadata"], json!({"floor": 3}));
        let keys: Vec<_> = answer.json["keys"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, ["primary", "secondary"]);
        let read = world.admin.get("/twins/room-1").await;
        assert_eq!((read.status, read.header("etag")), (200, answer.header("etag")));
        assert!(read.json.get("keys").is_none());
        for member in [
            "id",
            "model",
            "parent",
            "path",
            "status",
            "version",
            "connection",
            "reported",
            "telemetry",
            "desired",
            "metadata",
            "rollups",
            "alerts",
            "supervision",
        ] {
            assert!(read.json.get(member).is_some(), "{member}");
        }
    });
}

#[test]
fn keys_may_be_named_or_brought() {
    run(|world| async move {
        let named = world.admin.post("/twins", json!({"model": "Device", "keys": ["a", "b"]})).await;
        assert_eq!(named.json["keys"].as_object().unwrap().len(), 2);
        let brought = world.admin.post("/twins", json!({"model": "Device", "keys": {"mine": "0123456789abcdef", "yours": null}})).await;
        assert_eq!(brought.json["keys"]["mine"], "0123456789abcdef");
        assert!(brought.json["keys"]["yours"].as_str().unwrap().len() > 20);
        let short = world.admin.post("/twins", json!({"model": "Device", "keys": {"mine": "short"}})).await;
        assert_eq!((short.status, short.problem()), (400, "invalid-member"));
        assert!(!short.text.contains("\"short\""), "a key never comes back in an error");
    });
}

#[test]
fn what_cannot_be_registered_is_refused_with_its_reason() {
    run(|world| async move {
        world.register("site", "Site", None).await;
        for (body, status, problem, pointer) in [
            (json!({"id": "site", "model": "Site"}), 409, "already-registered", "/id"),
            (json!({"id": "x", "model": "Room", "parent": "nowhere"}), 422, "no-such-parent", "/parent"),
            (json!({"id": "x", "model": "Room", "gateway": "nowhere"}), 422, "no-such-gateway", "/gateway"),
            (json!({"id": "x", "model": "Rom"}), 400, "invalid-member", "/model"),
            (json!({"id": "x", "model": "Room", "colour": 1}), 400, "unknown-member", "/colour"),
        ] {
            let answer = world.admin.post("/twins", body).await;
            assert_eq!((answer.status, answer.problem(), &answer.json["pointer"]), (status, problem, &json!(pointer)), "{answer:?}");
        }
        assert_eq!(world.admin.get("/twins/x").await.problem(), "no-such-twin");
    });
}

#[test]
fn a_repeated_registration_gives_the_first_answer() {
    run(|world| async move {
        let headers = [("content-type", "application/json"), ("idempotency-key", "k-1")];
        let post = |body: &'static str| world.admin.call("POST", "/twins", &headers, body);
        let first = post(r#"{"model": "Room"}"#).await;
        let again = post(r#"{"model": "Room"}"#).await;
        assert_eq!((again.status, &again.json, again.header("location")), (201, &first.json, first.header("location")));
        let other = post(r#"{"model": "Site"}"#).await;
        assert_eq!((other.status, other.problem()), (422, "key-reused"));
        assert_eq!(world.admin.get("/twins").await.json["items"].as_array().unwrap().len(), 1);
    });
}

#[test]
fn a_patch_goes_through_only_at_the_version_it_names() {
    run(|world| async move {
        world.building(&["d"]).await;
        let etag = world.admin.get("/twins/d").await.header("etag").to_owned();
        let patched = world
            .admin
            .patch("/twins/d", &etag, json!({"metadata": {"a": 1, "b": {"c": 2}}, "desired": {"level": 3}, "tags": ["x"]}))
            .await;
        assert_eq!(patched.status, 200, "{patched:?}");
        assert_eq!(patched.json["metadata"], json!({"a": 1, "b": {"c": 2}}));
        assert_eq!(patched.json["desired"]["level"], 3);
        let late = world.admin.patch("/twins/d", &etag, json!({"metadata": {"a": 2}})).await;
        assert_eq!((late.status, late.problem()), (412, "version-mismatch"));
        assert_eq!(late.json["version"], patched.json["version"]);
        let either = format!("{etag}, {}", patched.header("etag"));
        let removed = world.admin.patch("/twins/d", &either, json!({"metadata": {"a": null, "b": {"c": null}}})).await;
        assert_eq!((removed.status, &removed.json["metadata"]), (200, &json!({"b": {}})));
        assert_eq!(world.admin.patch("/twins/d", "*", json!({"tags": null})).await.json["tags"], json!([]));
        assert_eq!(world.admin.patch("/twins/d", "3", json!({})).await.problem(), "invalid-header");
        assert_eq!(world.admin.patch("/twins/d", "\"not-ours\"", json!({"tags": ["y"]})).await.status, 412);
    });
}

#[test]
fn telemetry_does_not_stand_in_the_way_of_a_conditional_write() {
    run(|world| async move {
        world.register("d", "Device", None).await;
        let etag = world.admin.get("/twins/d").await.header("etag").to_owned();
        world.telemetry("d", "2026-01-01T00:00:00Z", r#"{"t": 1}"#).await;
        let held = [("if-none-match", etag.as_str())];
        let changed = world.admin.call("GET", "/twins/d", &held, "").await;
        assert_eq!(changed.status, 200);
        let held = [("if-none-match", changed.header("etag"))];
        let same = world.admin.call("GET", "/twins/d", &held, "").await;
        assert_eq!((same.status, same.text.as_str()), (304, ""));
        assert_eq!(world.admin.patch("/twins/d", &etag, json!({"tags": ["a"]})).await.status, 200);
    });
}

#[test]
fn a_twin_that_was_read_before_is_read_as_it_is_now() {
    run(|world| async move {
        world.building(&["d"]).await;
        let changed = async |path: &str, held: &str| {
            let answer = world.admin.call("GET", path, &[("if-none-match", held)], "").await;
            assert_eq!(answer.status, 200, "{path} has changed");
            let tag = answer.header("etag").to_owned();
            // What is kept is what was sent, and its tag is known.
            let again = world.admin.get(path).await;
            assert_eq!((&again.text, again.header("etag")), (&answer.text, tag.as_str()));
            assert_eq!(world.admin.call("GET", path, &[("if-none-match", &tag)], "").await.status, 304);
            (tag, answer.json)
        };
        let (tag, _) = changed("/twins/d", "").await;
        // What registering it changed above has arrived there.
        world.twins.tick().await.unwrap();
        let (of_room, _) = changed("/twins/room", "").await;
        world.telemetry("d", "2026-01-01T00:00:00Z", r#"{"t": 1}"#).await;
        let (tag, json) = changed("/twins/d", &tag).await;
        assert_eq!(json["telemetry"]["t"]["value"], 1);
        world.twins.tick().await.unwrap();
        assert_eq!(changed("/twins/room", &of_room).await.1["rollups"]["values"]["t"]["last"], 1.0);
        // Its own version and events stand still.
        world.admin.patch("/twins/room", "", json!({"parent": "elsewhere"})).await;
        let (tag, json) = changed("/twins/d", &tag).await;
        assert_eq!(json["path"], "elsewhere/room/d");
        world.admin.delete("/twins/d").await;
        assert_eq!(world.admin.get("/twins/d").await.status, 404);
        world.register("d", "Device", Some("room")).await;
        changed("/twins/d", &tag).await;
    });
}

#[test]
fn a_twin_can_be_moved_but_not_under_itself() {
    run(|world| async move {
        world.building(&["d"]).await;
        let moved = world.admin.patch("/twins/room", "", json!({"parent": "elsewhere"})).await;
        assert_eq!((moved.status, &moved.json["path"]), (200, &json!("elsewhere/room")));
        assert_eq!(world.admin.get("/twins/d").await.json["path"], "elsewhere/room/d");
        let round = world.admin.patch("/twins/elsewhere", "", json!({"parent": "d"})).await;
        assert_eq!((round.status, round.problem()), (409, "tree-conflict"));
        let root = world.admin.patch("/twins/room", "", json!({"parent": null})).await;
        assert_eq!((&root.json["parent"], &root.json["path"]), (&json!(null), &json!("room")));
    });
}

#[test]
fn a_twin_with_children_goes_only_with_them() {
    run(|world| async move {
        world.building(&["d"]).await;
        let refused = world.admin.delete("/twins/site").await;
        assert_eq!((refused.status, refused.problem()), (409, "has-children"));
        assert_eq!(world.admin.delete("/twins/site?recursive=maybe").await.json["parameter"], "recursive");
        let etag = world.admin.get("/twins/site").await.header("etag").to_owned();
        let stale = world.admin.call("DELETE", "/twins/site?recursive=true", &[("if-match", "\"999.1\"")], "").await;
        assert_eq!(stale.status, 412);
        let gone = world.admin.call("DELETE", "/twins/site?recursive=true", &[("if-match", &etag)], "").await;
        assert_eq!((gone.status, gone.text.as_str()), (204, ""));
        assert_eq!(world.admin.get("/twins/d").await.status, 404);
        assert_eq!(world.admin.delete("/twins/d").await.status, 404);
    });
}

#[test]
fn a_list_is_paged_and_filtered() {
    run(|world| async move {
        world.building(&["d1", "d2", "d3"]).await;
        let mut ids = Vec::new();
        let mut path = "/twins?limit=2".to_owned();
        loop {
            let page = world.admin.get(&path).await.json;
            ids.extend(page["items"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap().to_owned()));
            let Some(cursor) = page["cursor"].as_str() else { break };
            path = format!("/twins?limit=2&cursor={cursor}");
        }
        assert_eq!(ids, ["d1", "d2", "d3", "elsewhere", "room", "site"]);
        let found = |query: &'static str| {
            let admin = world.admin.clone();
            async move { admin.get(&format!("/twins?{query}")).await.json["items"].as_array().unwrap().len() }
        };
        assert_eq!(
            (found("model=Device").await, found("parent=room").await, found("under=site").await, found("under=site&model=Room").await),
            (3, 3, 4, 1)
        );
        assert_eq!(world.admin.get("/twins?cursor=nonsense").await.json["parameter"], "cursor");
        assert_eq!(world.admin.get("/twins?filter=x").await.problem(), "invalid-parameter");
        assert_eq!(world.admin.get("/twins?limit=1001").await.json["parameter"], "limit");
        assert_eq!(world.admin.get("/twins?parant=x").await.problem(), "unknown-parameter");
    });
}

#[test]
fn a_tree_is_nested_and_says_where_it_was_cut() {
    run(|world| async move {
        world.building(&["d1", "d2"]).await;
        let tree = world.admin.get("/twins/site/tree").await.json;
        assert_eq!(tree["children"][0]["id"], "room");
        assert_eq!(tree["children"][0]["children"].as_array().unwrap().len(), 2);
        assert!(tree["children"][0]["rollups"].is_object());
        let cut = world.admin.get("/twins/site/tree?depth=1").await.json;
        assert_eq!(cut["children"][0]["children"], json!([]));
        assert_eq!(cut["children"][0]["children_left_out"], 2);
        assert_eq!(world.admin.get("/twins/site/tree?depth=17").await.json["parameter"], "depth");
    });
}

#[test]
fn access_can_be_revoked_granted_and_renewed() {
    run(|world| async move {
        world.register("d", "Device", None).await;
        let off = world.admin.post("/twins/d/deactivate", json!({})).await;
        assert_eq!((off.status, &off.json["status"]), (200, &json!("inactive")));
        assert_eq!(world.admin.call("POST", "/twins/d/activate", &[("if-match", "\"99.1\"")], "").await.status, 412);
        assert_eq!(world.admin.call("POST", "/twins/d/activate", &[], "").await.json["status"], "active");
        let reset = world.admin.call("POST", "/twins/d/credentials/reset", &[], "").await;
        assert_eq!((reset.status, reset.json["keys"].as_object().unwrap().len()), (200, 2));
        let token = world.admin.post("/twins/d/tokens", json!({"expires_in": 60})).await;
        assert_eq!(
            (token.status, &token.json["expires_in"], &token.json["expires_at"]),
            (201, &json!(60), &json!("2026-01-01T00:01:00.000Z"))
        );
        let password = token.json["token"].as_str().unwrap();
        let now = actors::clock::Clock::now(&*world.clock);
        assert!(world.twins.identities().verify_device(&crate::world::id("d"), password.as_bytes(), now).await.is_ok());
        assert_eq!(world.admin.call("POST", "/twins/d/release", &[], "").await.status, 200);
        for path in ["activate", "deactivate", "release", "credentials/reset", "tokens"] {
            assert_eq!(world.admin.call("POST", &format!("/twins/nobody/{path}"), &[], "").await.problem(), "no-such-twin", "{path}");
        }
    });
}
