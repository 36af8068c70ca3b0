//! Who did what: every write and every refusal leaves a record, and the answer to a write comes after it.

use serde_json::{Value as Json, json};

use crate::world::{Client, run, run_both, settings};

/// The records, oldest first, of what was done with one method.
async fn records(client: &Client, query: &str) -> Vec<Json> {
    let mut items = client.get(&format!("/audit?limit=1000{query}")).await.json["items"].as_array().unwrap().clone();
    items.reverse();
    items
}

fn shown(records: &[Json]) -> Vec<(String, String)> {
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    records.iter().map(|record| (text(&record["action"]), text(&record["outcome"]))).collect()
}

#[test]
fn a_write_stands_in_the_log_when_it_is_answered() {
    run(|world| async move {
        world.building(&["d"]).await;
        let operator = world.principal("operator", Some("site")).await;
        let sent = operator.post("/twins/d/commands", json!({"name": "open"})).await;
        let last = records(&world.admin, "").await.pop().unwrap();
        assert_eq!(last["action"], "POST /twins/{id}/commands");
        assert_eq!((&last["outcome"], &last["status"]), (&json!("done"), &json!(202)));
        assert_eq!((&last["actor"]["name"], &last["from"]), (&json!("a operator"), &json!("127.0.0.1")));
        assert_eq!((&last["target"], &last["path"]), (&json!({"kind": "twin", "id": "d"}), &json!("site/room/d")));
        assert_eq!(last["made"], format!("/twins/d/commands/{}", sent.json["id"].as_str().unwrap()));
        assert_eq!(last["at"], "2026-01-01T00:00:00.000Z");
        operator.post("/t%77ins/%64/%63ommands", json!({"name": "open"})).await;
        let again = records(&world.admin, "").await.pop().unwrap();
        let members = ["action", "target", "path"];
        assert_eq!(members.map(|name| &again[name]), members.map(|name| &last[name]), "however its address is spelled");
        let before = records(&world.admin, "").await.len();
        operator.get("/twins/d").await;
        assert_eq!(records(&world.admin, "").await.len(), before, "a look is not recorded");
        // What is gone afterwards is still said where it stood.
        world.admin.delete("/twins/d").await;
        assert_eq!(records(&world.admin, "").await.pop().unwrap()["path"], "site/room/d");
        let made = world.admin.post("/twins", json!({"id": "e", "model": "Device", "parent": "room"})).await;
        assert_eq!(made.status, 201);
        assert_eq!(records(&world.admin, "").await.pop().unwrap()["path"], "site/room/e");
    });
}

#[test]
fn refusals_are_recorded_and_a_flood_of_them_is_counted() {
    run(|world| async move {
        world.building(&["d"]).await;
        let viewer = world.principal("viewer", Some("site")).await;
        for _ in 0..50 {
            viewer.get("/principals").await;
            world.with_key("wrong").get("/twins").await;
            viewer.post("/twins/d/commands", json!({"name": "a"})).await;
        }
        world.twins.audit().settle(true).await;
        let denied = records(&world.admin, "&outcome=denied").await;
        let mut seen: Vec<(String, u64)> =
            denied.iter().map(|r| (r["action"].as_str().unwrap().into(), r["count"].as_u64().unwrap_or(1))).collect();
        seen.sort();
        let twice = |action: &str| [(action.to_owned(), 1), (action.to_owned(), 49)];
        assert_eq!(seen, [twice("GET /principals"), twice("GET /twins"), twice("POST /twins/{id}/commands")].concat());
        let nobody = denied.iter().find(|record| record["action"] == "GET /twins").unwrap();
        assert_eq!((&nobody["actor"], &nobody["reason"]), (&Json::Null, &json!("unauthenticated")));
        let known = denied.iter().find(|record| record["action"] == "GET /principals").unwrap();
        assert_eq!((&known["actor"]["name"], &known["reason"]), (&json!("a viewer"), &json!("forbidden")));
    });
}

#[test]
fn who_is_confined_reads_what_was_done_in_its_place() {
    run(|world| async move {
        world.building(&["d"]).await;
        world.admin.patch("/twins/d", "", json!({"metadata": {"a": 1}})).await;
        world.admin.patch("/twins/elsewhere", "", json!({"metadata": {"a": 1}})).await;
        let auditor = world.principal("admin", Some("room")).await;
        let seen = records(&auditor, "").await;
        assert!(!seen.is_empty() && seen.iter().all(|r| r["path"].as_str().unwrap().starts_with("site/room")), "{seen:#?}");
        assert!(seen.iter().any(|r| r["action"] == "PATCH /twins/{id}"));
        assert!(seen.iter().any(|r| r["action"] == "POST /principals"), "its own grant lies in the room");
        assert_eq!(auditor.get("/audit?under=elsewhere").await.problem(), "no-such-twin");
        let of_site = records(&world.admin, "&under=site").await;
        assert!(of_site.iter().all(|r| r["path"].as_str().unwrap().starts_with("site")));
        let own = records(&world.admin, "&actor=admin").await;
        assert!(own.iter().all(|r| r["actor"]["id"] == "admin") && own.len() > 5);
    });
}

#[test]
fn pages_of_the_log_follow_each_other_and_its_chain_holds() {
    run(|world| async move {
        world.building(&["d1", "d2", "d3"]).await;
        let all = records(&world.admin, "").await;
        let (mut paged, mut path) = (Vec::new(), "/audit?limit=2".to_owned());
        loop {
            let page = world.admin.get(&path).await.json;
            paged.extend(page["items"].as_array().unwrap().clone());
            let Some(cursor) = page["cursor"].as_str() else { break };
            path = format!("/audit?limit=2&cursor={cursor}");
        }
        paged.reverse();
        assert_eq!(paged, all);
        assert_eq!(shown(&all), vec![("POST /twins".to_owned(), "done".to_owned()); all.len()]);
        let numbers: Vec<u64> = all.iter().map(|r| r["number"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (1..=all.len() as u64).collect::<Vec<_>>());
        assert_eq!(world.admin.get("/audit?cursor=x").await.json["parameter"], "cursor");
    });
}

fn one_command_a_second() -> actors::Settings {
    let mut settings = actors::Settings::default();
    settings.quotas.commands.per_principal = std::num::NonZeroU32::new(1);
    settings
}

#[test]
fn a_command_of_a_job_counts_like_any_other() {
    run_both(settings(), one_command_a_second(), |world| async move {
        world.building(&["d"]).await;
        // The call itself is the first; its one command waits for the next second.
        let job = world.admin.post("/twins/room/commands?under=true", json!({"name": "a"})).await;
        assert_eq!(job.status, 202, "{job:?}");
        let answer = world.admin.post("/twins/d/commands", json!({"name": "a"})).await;
        assert_eq!(answer.problem(), "quota-exceeded");
        let path = format!("/jobs/{}", job.json["id"].as_str().unwrap());
        while world.admin.get(&path).await.json["state"] != "completed" {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert_eq!(world.admin.get(&path).await.json["done"], 1);
        let answer = world.admin.post("/twins/d/commands", json!({"name": "a"})).await;
        assert_eq!(answer.problem(), "quota-exceeded", "the job has used this second up");
    });
}

#[test]
fn a_job_that_waits_for_its_quota_ends_when_its_principal_does() {
    run_both(settings(), one_command_a_second(), |world| async move {
        world.building(&["d", "e", "f"]).await;
        let made = world.admin.post("/principals", json!({"name": "ann", "role": "operator", "scope": "site"})).await.json;
        let ann = world.with_key(made["key"].as_str().unwrap());
        let job = ann.post("/twins/room/commands?under=true", json!({"name": "a"})).await.json;
        world.admin.delete(&format!("/principals/{}", made["id"].as_str().unwrap())).await;
        let path = format!("/jobs/{}", job["id"].as_str().unwrap());
        while world.admin.get(&path).await.json["state"] == "running" {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert_eq!(world.admin.get(&path).await.json["state"], "failed");
        for device in ["d", "e", "f"] {
            assert_eq!(world.admin.get(&format!("/twins/{device}/commands")).await.json["items"], json!([]), "{device}");
        }
    });
}

#[test]
fn a_move_is_said_where_it_was_and_where_it_went() {
    run(|world| async move {
        world.building(&["d"]).await;
        world.admin.patch("/twins/d", "", json!({"parent": "elsewhere"})).await;
        let last = records(&world.admin, "").await.pop().unwrap();
        assert_eq!((&last["path"], &last["to"]), (&json!("site/room/d"), &json!("elsewhere/d")));
        for place in ["room", "elsewhere"] {
            let auditor = world.principal("admin", Some(place)).await;
            assert!(records(&auditor, "").await.contains(&last), "{place} has lost or won it");
        }
        let code = world.admin.post("/twins/d/claim-code", json!({})).await.json["code"].clone();
        world.admin.post("/claims", json!({"id": "d", "code": code, "parent": "room"})).await;
        let last = records(&world.admin, "").await.pop().unwrap();
        assert_eq!((&last["action"], &last["target"]), (&json!("POST /claims"), &json!({"kind": "twin", "id": "d"})));
        assert_eq!((&last["path"], &last["to"]), (&json!("elsewhere/d"), &json!("site/room/d")));
    });
}

#[test]
fn what_a_job_has_come_to_stands_in_the_log() {
    run(|world| async move {
        world.building(&["d", "e"]).await;
        let operator = world.principal("operator", Some("site")).await;
        let job = operator.post("/twins/room/commands?under=true", json!({"name": "a"})).await.json;
        // Before or after the record of the call that asked for it.
        let last = loop {
            if let Some(ended) = records(&world.admin, "").await.into_iter().find(|record| record["action"] == "JOB") {
                break ended;
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        };
        assert_eq!((&last["target"], &last["outcome"]), (&json!({"kind": "job", "id": job["id"]}), &json!("done")));
        assert_eq!((&last["actor"]["name"], &last["path"]), (&json!("a operator"), &json!("site/room")));
        assert_eq!(last["reason"], "command completed: 2 done, 0 unchanged, 0 failed");
    });
}

#[test]
fn who_asks_for_more_than_a_quota_is_told_when_to_come_back() {
    run_both(settings(), one_command_a_second(), |world| async move {
        world.building(&["d"]).await;
        let mut refused = Vec::new();
        for _ in 0..20 {
            let answer = world.admin.post("/twins/d/commands", json!({"name": "a"})).await;
            if answer.status != 202 {
                refused.push(answer);
            }
        }
        let answer = refused.first().expect("twenty in less than as many seconds");
        assert_eq!((answer.status, answer.problem()), (429, "quota-exceeded"));
        assert_eq!((answer.header("retry-after"), &answer.json["limit"]), ("1", &json!("quotas.commands_per_principal")));
        assert_eq!(world.admin.get("/twins/d").await.status, 200, "looks have a quota of their own");
    });
}
