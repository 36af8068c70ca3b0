//! The live stream: a snapshot, then every change, once, also across connections.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;

use crate::world::{Stream, World, run, run_both, run_with, settings};

/// The ids of the twins in the snapshot, and the id to resume behind.
async fn snapshot(stream: &mut Stream) -> (Vec<String>, String) {
    let reset = stream.next().await.unwrap();
    assert_eq!((reset.name.as_str(), reset.id.as_deref()), ("reset", Some("")));
    let mut ids = Vec::new();
    loop {
        let event = stream.next().await.unwrap();
        match event.name.as_str() {
            "snapshot" => {
                assert_eq!(event.id, None, "a snapshot is no place to resume at");
                ids.push(event.data["id"].as_str().unwrap().to_owned());
            }
            "live" => {
                assert_eq!(event.data, json!({"twins": ids.len(), "complete": true}));
                return (ids, event.id.unwrap());
            }
            other => panic!("{other} between the snapshots"),
        }
    }
}

#[test]
fn a_reader_gets_the_whole_and_then_the_changes() {
    run(|world| async move {
        world.building(&["d"]).await;
        let mut stream = world.admin.follow("/live", "").await;
        let (mut ids, _) = snapshot(&mut stream).await;
        ids.sort();
        assert_eq!(ids, ["d", "elsewhere", "room", "site"]);
        world.telemetry("d", "2026-01-01T00:00:00Z", r#"{"t": 21.5}"#).await;
        let change = stream.until("state").await;
        assert_eq!((&change.data["twin"], &change.data["path"]), (&json!("d"), &json!("site/room/d")));
        assert_eq!(change.data["data"]["telemetry"]["t"]["value"], 21.5);
        assert!(change.id.is_some());
    });
}

#[test]
fn a_reader_that_comes_back_misses_nothing_and_hears_nothing_twice() {
    run(|world| async move {
        world.register("d", "Device", None).await;
        let mut stream = world.admin.follow("/live?kinds=state", "").await;
        let (_, mut last) = snapshot(&mut stream).await;
        let mut heard = Vec::new();
        for round in 0..3 {
            drop(stream);
            for n in 0..5 {
                world.telemetry("d", "2026-01-01T00:00:00Z", &format!(r#"{{"t": {}}}"#, round * 5 + n)).await;
            }
            stream = world.admin.follow("/live?kinds=state", &last).await;
            while heard.len() < (round + 1) * 5 {
                let event = stream.next().await.unwrap();
                assert_eq!(event.name, "state", "the stream goes on and does not begin again");
                last = event.id.unwrap();
                heard.extend(event.data["data"]["telemetry"]["t"]["value"].as_u64());
            }
        }
        assert_eq!(heard, (0..15).collect::<Vec<u64>>());
    });
}

#[test]
fn an_id_of_another_life_begins_again() {
    run(|world| async move {
        world.register("d", "Device", None).await;
        let mut stream = world.admin.follow("/live", "another-7").await;
        assert_eq!(snapshot(&mut stream).await.0, ["d"]);
    });
}

#[test]
fn a_reader_sees_its_part_of_the_tree_and_its_kinds() {
    run(|world| async move {
        world.building(&["d"]).await;
        world.register("other", "Device", Some("elsewhere")).await;
        let mut part = world.admin.follow("/live?under=room&kinds=state", "").await;
        assert_eq!(snapshot(&mut part).await.0, ["room", "d"]);
        let confined = world.principal("viewer", Some("room")).await;
        let mut own = confined.follow("/live?kinds=state", "").await;
        assert_eq!(snapshot(&mut own).await.0, ["d", "room"]);
        let mut commands = world.admin.follow("/live?kinds=command", "").await;
        assert_eq!(snapshot(&mut commands).await.0, Vec::<String>::new(), "commands have no state to begin with");
        world.telemetry("other", "2026-01-01T00:00:00Z", r#"{"t": 1}"#).await;
        world.telemetry("d", "2026-01-01T00:00:00Z", r#"{"t": 2}"#).await;
        world.admin.post("/twins/d/commands", json!({"name": "a"})).await;
        for stream in [&mut part, &mut own] {
            let change = stream.next().await.unwrap();
            assert_eq!((change.name.as_str(), &change.data["twin"]), ("state", &json!("d")));
        }
        assert_eq!(commands.next().await.unwrap().name, "command");
    });
}

#[test]
fn a_large_snapshot_is_cut_and_says_so() {
    run_with(api::Settings { live_snapshot_twins_max: 100, ..settings() }, |world| async move {
        for n in 0..120 {
            world.register(&format!("d{n}"), "Device", None).await;
        }
        let mut stream = world.admin.follow("/live", "").await;
        assert_eq!(stream.until("live").await.data, json!({"twins": 100, "complete": false}));
    });
}

#[test]
fn a_quiet_stream_has_a_heartbeat() {
    run_with(api::Settings { live_heartbeat: Duration::from_millis(20), ..settings() }, |world| async move {
        let mut stream = world.admin.follow("/live", "").await;
        stream.until("live").await;
        for _ in 0..3 {
            assert_eq!(stream.block().await.unwrap(), ": beat");
        }
    });
}

#[test]
fn a_stream_ends_within_a_second_or_two_of_its_key() {
    run(|world| async move {
        let made = world.admin.post("/principals", json!({"name": "ann", "role": "viewer"})).await;
        let mut stream = world.with_key(made.json["key"].as_str().unwrap()).follow("/live", "").await;
        stream.until("live").await;
        let path = made.header("location").trim_start_matches("/api/v1").to_owned();
        let revoked = std::time::Instant::now();
        assert_eq!(world.admin.delete(&path).await.status, 204);
        assert_eq!(stream.next().await, None);
        assert!(revoked.elapsed() < Duration::from_secs(2));
    });
}

/// More than the sockets between server and client hold.
async fn flood(world: &World) {
    let text = "x".repeat(200_000);
    for n in 0..100 {
        world.telemetry("d", "2026-01-01T00:00:00Z", &format!(r#"{{"t": {n}, "text": "{text}"}}"#)).await;
    }
}

#[test]
fn a_reader_that_was_too_slow_begins_again_and_ends_up_right() {
    let runtime = actors::Settings { live_queue_events_max: 8, ..actors::Settings::default() };
    run_both(settings(), runtime, |world| async move {
        world.register("d", "Device", None).await;
        let mut stream = world.admin.follow("/live?kinds=state", "").await;
        stream.until("live").await;
        flood(&world).await;
        let (mut began_again, mut known) = (false, None);
        while known != Some(99) {
            let event = stream.next().await.unwrap();
            match event.name.as_str() {
                "reset" => (began_again, known) = (true, None),
                "snapshot" => known = event.data["telemetry"]["t"]["value"].as_u64(),
                "state" => known = event.data["data"]["telemetry"]["t"]["value"].as_u64().or(known),
                _ => {}
            }
        }
        assert!(began_again);
    });
}

#[test]
fn a_reader_that_takes_nothing_is_let_go() {
    run_with(api::Settings { live_slow_max: Duration::from_millis(50), ..settings() }, |world| async move {
        world.register("d", "Device", None).await;
        let mut stream = world.admin.follow("/live?kinds=state", "").await;
        stream.until("live").await;
        flood(&world).await;
        let let_go = r#"twinfold_http_live_ended_total{reason="slow"}"#;
        while !world.admin.get("//metrics").await.text.contains(let_go) {}
        while stream.next().await.is_some() {}
    });
}

#[test]
fn what_a_reader_knows_is_what_is_though_all_changes_during_the_snapshot() {
    run(|world| async move {
        for n in 0..150 {
            world.register(&format!("d{n}"), "Device", None).await;
        }
        world.register("last", "Device", None).await;
        let reading = async {
            let mut stream = world.admin.follow("/live?kinds=state", "").await;
            let mut known = BTreeMap::new();
            loop {
                let event = stream.next().await.unwrap();
                let (twin, telemetry) = match event.name.as_str() {
                    "snapshot" => (&event.data["id"], &event.data["telemetry"]),
                    "state" => (&event.data["twin"], &event.data["data"]["telemetry"]),
                    _ => continue,
                };
                if let Some(value) = telemetry["t"]["value"].as_u64() {
                    known.insert(twin.as_str().unwrap().to_owned(), value);
                }
                if known.get("last") == Some(&1) {
                    return known;
                }
            }
        };
        let writing = async {
            for n in 0..1500u64 {
                world.telemetry(&format!("d{}", n * 7 % 150), "2026-01-01T00:00:00Z", &format!(r#"{{"t": {n}}}"#)).await;
                tokio::task::yield_now().await;
            }
            world.telemetry("last", "2026-01-01T00:00:00Z", r#"{"t": 1}"#).await;
        };
        let (known, ()) = tokio::join!(reading, writing);
        let page = world.admin.get("/twins?limit=1000").await.json;
        for item in page["items"].as_array().unwrap() {
            let id = item["id"].as_str().unwrap();
            let now = world.admin.get(&format!("/twins/{id}")).await.json["telemetry"]["t"]["value"].as_u64();
            assert_eq!(known.get(id).copied(), now, "{id}");
        }
    });
}
