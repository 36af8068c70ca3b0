//! Searching: filters, orders, pages, and what a caller may see.

use serde_json::json;

use crate::world::{Client, World, run, run_both, settings};

fn escaped(text: &str) -> String {
    text.bytes().map(|b| if b.is_ascii_alphanumeric() || b == b'.' { (b as char).to_string() } else { format!("%{b:02X}") }).collect()
}

async fn found(client: &Client, filter: &str, rest: &str) -> String {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = client.get(&format!("/twins?filter={}{rest}{cursor}", escaped(filter))).await;
        assert_eq!(answer.status, 200, "{filter}: {answer:?}");
        ids.extend(answer.json["items"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap().to_owned()));
        match answer.json["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={}", escaped(next)),
            None => return ids.join(" "),
        }
    }
}

async fn office(world: &World) {
    world.building(&[]).await;
    for (id, floor, tags) in [("lamp-1", "3", json!(["new"])), ("lamp-2", "3", json!([])), ("lamp-3", "4", json!(["new", "spare"]))] {
        let twin = json!({"id": id, "model": "Device", "parent": "room", "metadata": {"floor": floor}, "tags": tags});
        assert_eq!(world.admin.post("/twins", twin).await.status, 201);
    }
}

#[test]
fn what_was_just_written_is_found_and_what_was_changed_is_not() {
    run(|world| async move {
        office(&world).await;
        let admin = &world.admin;
        assert_eq!(found(admin, r#"metadata.floor == "3" && under("site")"#, "").await, "lamp-1 lamp-2");
        assert_eq!(found(admin, r#"tag("new") && !tag("spare")"#, "").await, "lamp-1");
        assert_eq!(admin.patch("/twins/lamp-2", "", json!({"tags": ["new"], "metadata": {"floor": "5"}})).await.status, 200);
        assert_eq!(found(admin, r#"tag("new")"#, "&sort=-metadata.floor&limit=1").await, "lamp-2 lamp-3 lamp-1");
        assert_eq!(found(admin, r#"metadata.floor == "3""#, "").await, "lamp-1");
        assert_eq!(found(admin, r#"status == "inactive""#, "").await, "");
        assert_eq!(admin.post("/twins/lamp-1/deactivate", json!({})).await.status, 200);
        assert_eq!(found(admin, r#"status == "inactive""#, "").await, "lamp-1");
        assert_eq!(admin.patch("/twins/lamp-1", "", json!({"tags": null})).await.status, 200);
        assert_eq!(found(admin, r#"tag("new")"#, "").await, "lamp-2 lamp-3");
    });
}

#[test]
fn last_known_values_and_connections_are_found_in_memory_and_at_rest() {
    let runtime = actors::Settings { idle_after: std::time::Duration::from_secs(1), ..actors::Settings::default() };
    run_both(settings(), runtime, |world| async move {
        office(&world).await;
        for (lamp, values) in [("lamp-1", r#"{"temperature": 26}"#), ("lamp-2", r#"{"temperature": 20}"#), ("lamp-3", r#"{"hot": true}"#)] {
            world.telemetry(lamp, "2026-01-01T00:00:00Z", values).await;
        }
        let _session = world.answering_device("lamp-2", 200).await;
        for round in ["in memory", "at rest"] {
            let admin = &world.admin;
            assert_eq!(found(admin, "values.temperature > 25", "").await, "lamp-1", "{round}");
            assert_eq!(found(admin, "values.temperature > 10 || telemetry.hot", "&limit=1").await, "lamp-1 lamp-2 lamp-3", "{round}");
            assert_eq!(found(admin, r#"connection == "connected""#, "").await, "lamp-2", "{round}");
            assert_eq!(found(admin, r#"metadata.floor == "3" && values.temperature > 25 && under("site")"#, "").await, "lamp-1", "{round}");
            world.clock.advance(std::time::Duration::from_secs(5));
            for _ in 0..200 {
                world.twins.tick().await.unwrap();
                if world.twins.stats().twins_resident <= 1 {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            // The one that is connected stays.
            assert!(world.twins.stats().twins_resident < 6, "{round}");
        }
    });
}

#[test]
fn a_scope_comes_before_the_page() {
    run(|world| async move {
        office(&world).await;
        world.register("a-lamp", "Device", Some("elsewhere")).await;
        let viewer = world.principal("viewer", Some("room")).await;
        for limit in 1..=5 {
            let rest = format!("&limit={limit}&sort=-id");
            assert_eq!(found(&viewer, r#"model == "Device" || model == "Room""#, &rest).await, "room lamp-3 lamp-2 lamp-1");
        }
        assert_eq!(found(&viewer, r#"under("elsewhere")"#, "").await, "");
        assert_eq!(found(&viewer, r#"id == "elsewhere" || parent == "elsewhere""#, "").await, "");
    });
}

#[test]
fn a_fault_of_a_filter_is_told_by_its_column() {
    run(|world| async move {
        let answer = world.admin.get(&format!("/twins?filter={}", escaped("metadata.floor == && x"))).await;
        assert_eq!((answer.status, answer.problem()), (400, "invalid-parameter"));
        assert_eq!((&answer.json["parameter"], &answer.json["column"]), (&json!("filter"), &json!(19)));
        assert!(answer.json["detail"].as_str().unwrap().contains("a text in quotes, a number, true or false"));
        let answer = world.admin.get("/twins?sort=name").await;
        assert_eq!((answer.problem(), &answer.json["parameter"]), ("invalid-parameter", &json!("sort")));
        let answer = world.admin.get("/twins?sort=created_at&cursor=r.a").await;
        assert_eq!((answer.problem(), &answer.json["parameter"]), ("invalid-parameter", &json!("cursor")));
    });
}
