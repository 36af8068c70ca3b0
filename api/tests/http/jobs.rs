//! Work on many twins: import, export, one command to many.

use serde_json::{Value as Json, json};

use crate::world::{Client, World, run, run_with, settings};

const NDJSON: [(&str, &str); 1] = [("content-type", "application/x-ndjson")];

/// The job when it is over.
async fn over(client: &Client, job: &Json) -> Json {
    let path = format!("/jobs/{}", job["id"].as_str().unwrap());
    for _ in 0..5_000 {
        let job = client.get(&path).await.json;
        if !matches!(job["state"].as_str(), Some("queued" | "running")) {
            return job;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    panic!("the job does not end: {job}");
}

async fn import(client: &Client, lines: &str) -> Json {
    let answer = client.call("POST", "/twins/import", &NDJSON, lines).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.header("location"), format!("/api/v1/jobs/{}", answer.json["id"].as_str().unwrap()));
    over(client, &answer.json).await
}

fn counts(job: &Json) -> (u64, u64, u64, u64) {
    let count = |name: &str| job[name].as_u64().unwrap();
    (count("total"), count("done"), count("unchanged"), count("failed"))
}

#[test]
fn each_line_succeeds_or_fails_by_itself() {
    run(|world| async move {
        world.register("there", "Site", None).await;
        let lines = [
            r#"{"id": "lamp", "model": "Device", "parent": "room", "metadata": {"floor": 3}, "tags": ["new"]}"#,
            r#"{"id": "room", "model": "Room", "parent": "site"}"#,
            r#"{"id": "site", "model": "Site"}"#,
            "",
            r#"{"id": "bad", "model": "Rom"}"#,
            "nonsense",
            r#"{"id": "there", "model": "Room"}"#,
            r#"{"id": "orphan", "model": "Room", "parent": "nowhere"}"#,
            r#"{"id": "off", "model": "Device", "status": "inactive", "keys": {"mine": "0123456789abcdef"}}"#,
            r#"{"model": "Device"}"#,
        ]
        .join("\n");
        let job = import(&world.admin, &lines).await;
        assert_eq!((job["state"].as_str(), counts(&job)), (Some("completed"), (9, 5, 0, 4)), "{job}");
        let failures: Vec<_> =
            job["failures"].as_array().unwrap().iter().map(|f| (f["line"].as_u64().unwrap(), f["pointer"].as_str())).collect();
        assert_eq!(failures, [(5, Some("/model")), (6, Some("")), (7, Some("/id")), (8, Some("/parent"))], "{job}");
        assert_eq!(world.admin.get("/twins/lamp").await.json["path"], "site/room/lamp");
        assert_eq!(world.admin.get("/twins/off").await.json["status"], "inactive");
        // What was registered stays, and is not registered twice.
        let again = import(&world.admin, &lines).await;
        assert_eq!(counts(&again), (9, 1, 4, 4), "the line without an id is another twin: {again}");
    });
}

#[test]
fn an_export_is_what_an_import_takes_and_holds_no_secret() {
    run(|world| async move {
        world.building(&["d1"]).await;
        let keyed = json!({"id": "keyed", "model": "Device", "parent": "room", "keys": {"mine": "0123456789abcdef"}, "tags": ["t"]});
        world.admin.post("/twins", keyed).await;
        world.admin.post("/twins/d1/deactivate", json!({})).await;
        let export = world.admin.get("/twins/export").await;
        assert_eq!((export.status, export.header("content-type")), (200, "application/x-ndjson"));
        assert_eq!(export.text.lines().count(), 5);
        assert!(!export.text.contains("0123456789abcdef") && !export.text.contains("keys"));
        assert_eq!(counts(&import(&world.admin, &export.text).await), (5, 0, 5, 0));
        run_elsewhere(&export.text).await;
        let viewer = world.principal("viewer", Some("room")).await;
        let seen: Vec<Json> = viewer.get("/twins/export").await.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(seen.iter().map(|line| line["id"].as_str().unwrap()).collect::<Vec<_>>(), ["d1", "keyed", "room"]);
        assert_eq!(viewer.get("/twins/export?filter=tag(%22t%22)").await.text.lines().count(), 1);
        assert_eq!(world.admin.get("/twins/export?filter=x").await.problem(), "invalid-parameter");
    });
}

/// A registry of another server is the same after it.
async fn run_elsewhere(lines: &str) {
    let world = World::new(settings(), actors::Settings::default()).await;
    assert_eq!(counts(&import(&world.admin, lines).await), (5, 5, 0, 0));
    let again = world.admin.get("/twins/export").await;
    assert_eq!(again.text, lines);
}

#[test]
fn a_repeated_import_is_the_same_job() {
    run(|world| async move {
        let headers = [NDJSON[0], ("idempotency-key", "k-1")];
        let post = async || world.admin.call("POST", "/twins/import", &headers, "{\"id\":\"a\",\"model\":\"Room\"}").await;
        let (first, again) = (post().await, post().await);
        assert_eq!((again.status, &again.json["id"]), (202, &first.json["id"]));
        assert_eq!(over(&world.admin, &first.json).await["done"], 1);
        assert_eq!(world.admin.get("/jobs").await.json["items"].as_array().unwrap().len(), 1);
    });
}

#[test]
fn a_scope_holds_for_jobs() {
    run(|world| async move {
        world.building(&["d"]).await;
        let confined = world.principal("admin", Some("site")).await;
        let lines = "{\"id\":\"in\",\"model\":\"Device\",\"parent\":\"room\"}\n{\"id\":\"out\",\"model\":\"Device\",\"parent\":\"elsewhere\"}\n\
            {\"id\":\"top\",\"model\":\"Device\"}\n{\"id\":\"by\",\"model\":\"Device\",\"parent\":\"room\",\"gateway\":\"elsewhere\"}";
        let job = import(&confined, lines).await;
        assert_eq!(counts(&job), (4, 1, 0, 3), "{job}");
        let own = import(&world.admin, "{\"id\":\"x\",\"model\":\"Device\"}").await;
        let path = format!("/jobs/{}", own["id"].as_str().unwrap());
        assert_eq!(confined.get(&path).await.problem(), "no-such-job");
        assert_eq!(confined.delete(&path).await.problem(), "no-such-job");
        assert_eq!(confined.get("/jobs").await.json["items"].as_array().unwrap().len(), 1);
        assert_eq!(world.admin.get("/jobs").await.json["items"].as_array().unwrap().len(), 2);
        let viewer = world.principal("viewer", None).await;
        assert_eq!((viewer.get(&path).await.status, viewer.delete(&path).await.status), (200, 403));
        let operator = world.principal("operator", None).await;
        assert_eq!(operator.call("POST", "/twins/import", &NDJSON, "{}").await.status, 403);
        assert_eq!(operator.delete(&path).await.status, 403);
    });
}

#[test]
fn one_command_goes_to_every_twin_below_that_is_meant() {
    run(|world| async move {
        world.building(&["d1", "d2", "d3"]).await;
        world.register("far", "Device", Some("elsewhere")).await;
        world.telemetry("d1", "2026-01-01T00:00:00Z", r#"{"t": 30}"#).await;
        world.telemetry("d2", "2026-01-01T00:00:00Z", r#"{"t": 10}"#).await;
        let operator = world.principal("operator", Some("site")).await;
        let order = json!({"name": "ventilate", "payload": {"level": 2}, "ttl": 3600});
        let answer = operator.post("/twins/site/commands?under=true&filter=values.t%20%3E%2020", order.clone()).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let job = over(&operator, &answer.json).await;
        assert_eq!((job["kind"].as_str(), job["done"].as_u64(), job["failed"].as_u64()), (Some("command"), Some(1), Some(0)), "{job}");
        let commands = world.admin.get("/twins/d1/commands").await.json;
        assert_eq!((&commands["items"][0]["name"], &commands["items"][0]["payload"]["level"]), (&json!("ventilate"), &json!(2)));
        assert_eq!(world.admin.get("/twins/d2/commands").await.json["items"], json!([]));
        let all = operator.post("/twins/site/commands?under=true", order.clone()).await;
        assert_eq!(over(&operator, &all.json).await["done"], 4, "the room and its three devices");
        assert_eq!(world.admin.get("/twins/far/commands").await.json["items"], json!([]));
        for (path, body, problem) in [
            ("/twins/elsewhere/commands?under=true", order.clone(), "no-such-twin"),
            ("/twins/site/commands?under=true&filter=x", order.clone(), "invalid-parameter"),
            ("/twins/site/commands?filter=alerts%3E0", order.clone(), "invalid-parameter"),
            ("/twins/site/commands?under=true", json!({"name": "a", "wait": 1}), "invalid-member"),
        ] {
            assert_eq!(operator.post(path, body).await.problem(), problem, "{path}");
        }
    });
}

#[test]
fn a_job_that_is_over_is_forgotten_when_it_is_deleted() {
    run(|world| async move {
        let job = import(&world.admin, "{\"id\":\"a\",\"model\":\"Room\"}").await;
        let path = format!("/jobs/{}", job["id"].as_str().unwrap());
        assert_eq!(world.admin.delete(&path).await.status, 204);
        assert_eq!(world.admin.get(&path).await.problem(), "no-such-job");
        assert_eq!(world.admin.get("/twins/a").await.status, 200);
    });
}

#[test]
fn what_is_no_import_is_refused_before_it_is_one() {
    run_with(api::Settings { import_max_bytes: 100, ..settings() }, |world| async move {
        let json = [("content-type", "application/json")];
        assert_eq!(world.admin.call("POST", "/twins/import", &json, "{}").await.status, 415);
        let long = world.admin.call("POST", "/twins/import", &NDJSON, &"x".repeat(101)).await;
        assert_eq!((long.status, &long.json["limit"]), (413, &json!("http.import_max_bytes")));
        assert_eq!(world.admin.get("/jobs").await.json["items"], json!([]));
        assert_eq!(counts(&import(&world.admin, "\n").await), (0, 0, 0, 0));
    });
}
