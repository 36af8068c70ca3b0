//! Roll-ups as data over HTTP: put, read, deleted, refused.

use serde_json::json;

use crate::world::run;

const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn a_definition_is_put_read_shown_and_deleted() {
    run(|world| async move {
        world.building(&["d"]).await;
        let body = json!({"load": "sum(devices.power)", "offline": "count(where status == \"offline\")"});
        let put = world.admin.call("PUT", "/twins/site/rollups", &[JSON], &body.to_string()).await;
        assert_eq!((put.status, &put.json), (200, &json!({"own": body, "inherited": {}})));
        let read = world.admin.get("/twins/site/rollups").await;
        assert_eq!((read.status, &read.json, read.header("etag")), (200, &put.json, put.header("etag")));
        world.telemetry("d", "2026-01-01T00:00:00Z", r#"{"power": 4.5}"#).await;
        let want = json!({"load": {"value": 4.5, "count": 1, "stale": 0}, "offline": {"value": 1, "count": 1, "stale": 0}});
        let mut shown = json!(null);
        for _ in 0..30 {
            world.twins.tick().await.unwrap();
            shown = world.admin.get("/twins/site").await.json["rollups"]["defined"].clone();
            if shown == want {
                break;
            }
        }
        assert_eq!(shown, want);
        let late = world.admin.call("DELETE", "/twins/site/rollups", &[("if-match", "\"1\"")], "").await;
        assert_eq!((late.status, late.problem()), (412, "version-mismatch"));
        let deleted = world.admin.call("DELETE", "/twins/site/rollups", &[("if-match", read.header("etag"))], "").await;
        assert_eq!(deleted.status, 204);
        assert_eq!(world.admin.get("/twins/site/rollups").await.json["own"], json!({}));
        assert!(world.admin.get("/twins/site").await.json["rollups"].get("defined").is_none());
        let events = world.admin.get("/twins/site/events?stream=registry").await;
        assert!(events.text.contains("\"kind\":\"rollups_set\""), "{events:?}");
    });
}

#[test]
fn what_is_no_definition_is_refused_whole_and_told_where() {
    run(|world| async move {
        world.building(&[]).await;
        let too_many: serde_json::Map<_, _> = (0..33).map(|n| (format!("n{n}"), json!("count()"))).collect();
        for (body, pointer, detail) in [
            (json!({"a": "count()", "b": "avg(rooms.t)"}), "/b", "column 5: children, devices or twins must stand here"),
            (json!({"a": ["count()"]}), "/a", "must be a string"),
            (json!(too_many), "", "at most 32"),
        ] {
            let put = world.admin.call("PUT", "/twins/site/rollups", &[JSON], &body.to_string()).await;
            assert_eq!((put.status, put.problem()), (400, "invalid-member"), "{put:?}");
            assert_eq!(put.json["pointer"], pointer);
            assert!(put.json["detail"].as_str().unwrap().contains(detail), "{put:?}");
        }
        assert_eq!(world.admin.get("/twins/site/rollups").await.json["own"], json!({}));
        assert_eq!(world.admin.get("/twins/nowhere/rollups").await.problem(), "no-such-twin");
    });
}

#[test]
fn who_may_only_look_defines_nothing_and_a_scope_ends_here_too() {
    run(|world| async move {
        world.building(&[]).await;
        let viewer = world.principal("viewer", None).await;
        assert_eq!(viewer.get("/twins/site/rollups").await.status, 200);
        for method in ["PUT", "DELETE"] {
            assert_eq!(viewer.call(method, "/twins/site/rollups", &[JSON], "{}").await.problem(), "forbidden");
        }
        let elsewhere = world.principal("operator", Some("elsewhere")).await;
        assert_eq!(elsewhere.call("PUT", "/twins/site/rollups", &[JSON], "{}").await.problem(), "no-such-twin");
    });
}
