//! Commands: accepted at once, or answered while the caller waits.

use serde_json::json;

use crate::world::run;

#[test]
fn a_command_is_accepted_and_can_be_read_and_cancelled() {
    run(|world| async move {
        world.register("d", "Device", None).await;
        let sent = world.admin.post("/twins/d/commands", json!({"name": "ventilate", "payload": {"level": 2}, "ttl": 90.5})).await;
        assert_eq!(
            (sent.status, &sent.json["state"], &sent.json["ttl"], &sent.json["sender"]),
            (202, &json!("queued"), &json!(90.5), &json!("admin"))
        );
        let path = sent.header("location").trim_start_matches("/api/v1").to_owned();
        assert_eq!(world.admin.get(&path).await.json, sent.json);
        let listed = world.admin.get("/twins/d/commands?state=queued").await.json;
        assert_eq!(listed["items"], json!([sent.json]));
        let cancelled = world.admin.delete(&path).await;
        assert_eq!((cancelled.status, &cancelled.json["state"]), (200, &json!("cancelled")));
        assert_eq!(world.admin.delete(&path).await.json, cancelled.json, "cancelling twice is cancelling");
        assert_eq!(world.admin.get("/twins/d/commands?state=queued").await.json["items"], json!([]));
        assert_eq!(world.admin.get("/twins/d/commands/none").await.problem(), "no-such-command");
        assert_eq!(world.admin.get("/twins/nobody/commands").await.problem(), "no-such-twin");
    });
}

#[test]
fn who_waits_gets_the_devices_answer() {
    run(|world| async move {
        world.register("d", "Device", None).await;
        let _session = world.answering_device("d", 200).await;
        let answer = world.admin.post("/twins/d/commands", json!({"name": "echo", "payload": [1], "wait": 10})).await;
        assert_eq!((answer.status, &answer.json["state"]), (200, &json!("completed")));
        assert_eq!(answer.json["result"], json!({"status": 200, "payload": [1]}));
        assert!(answer.json["delivered_at"].is_string() && answer.json["ended_at"].is_string());
        let late = world.admin.delete(&format!("/twins/d/commands/{}", answer.json["id"].as_str().unwrap())).await;
        assert_eq!((late.status, late.problem(), &late.json["state"]), (409, "command-ended", &json!("completed")));
    });
}

#[test]
fn a_refusal_of_the_device_is_an_answer_too() {
    run(|world| async move {
        world.register("d", "Device", None).await;
        let _session = world.answering_device("d", 409).await;
        let answer = world.admin.post("/twins/d/commands", json!({"name": "echo", "wait": 10})).await;
        assert_eq!((answer.status, &answer.json["state"], &answer.json["result"]["status"]), (200, &json!("failed"), &json!(409)));
    });
}

#[test]
fn who_waits_in_vain_is_told_which_command_it_was() {
    run(|world| async move {
        world.register("d", "Device", None).await;
        let answer = world.admin.post("/twins/d/commands", json!({"name": "echo", "wait": 0.05})).await;
        assert_eq!((answer.status, answer.problem(), &answer.json["state"]), (504, "wait-timed-out", &json!("queued")));
        let command = answer.json["command"].as_str().unwrap();
        assert_eq!(world.admin.get(&format!("/twins/d/commands/{command}")).await.json["state"], "queued");
        let long = world.admin.post("/twins/d/commands", json!({"name": "echo", "wait": 61})).await;
        assert_eq!((long.status, &long.json["pointer"]), (400, &json!("/wait")));
    });
}

#[test]
fn a_repeated_command_is_the_same_command() {
    run(|world| async move {
        world.register("d", "Device", None).await;
        let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
        let send = |body: &'static str| world.admin.call("POST", "/twins/d/commands", &headers, body);
        let (first, again) = (send(r#"{"name": "a"}"#).await, send(r#"{"name": "a"}"#).await);
        assert_eq!((first.status, again.status, &again.json["id"]), (202, 202, &first.json["id"]));
        assert_eq!(send(r#"{"name": "b"}"#).await.problem(), "key-reused");
        let other = world.principal("operator", None).await.call("POST", "/twins/d/commands", &headers, r#"{"name": "a"}"#).await;
        assert_eq!(other.status, 202);
        assert_ne!(other.json["id"], first.json["id"], "a key is its sender's own");
        assert_eq!(world.admin.get("/twins/d/commands").await.json["items"].as_array().unwrap().len(), 2);
    });
}

#[test]
fn a_full_inbox_says_when_to_come_back() {
    run(|world| async move {
        world.register("d", "Device", None).await;
        for _ in 0..hierarchy_models::limits::INBOX_COMMANDS_MAX {
            assert_eq!(world.admin.post("/twins/d/commands", json!({"name": "a"})).await.status, 202);
        }
        let full = world.admin.post("/twins/d/commands", json!({"name": "a"})).await;
        assert_eq!((full.status, full.problem(), full.header("retry-after")), (429, "limit-reached", "1"));
    });
}
