//! Recorded values, buckets and the event log.

use serde_json::json;

use crate::world::{World, run};

async fn recorded(world: &World) {
    world.register("d", "Device", None).await;
    for (at, t) in [("00:00:00", 1.5), ("00:01:00", 2.5), ("00:06:00", 10.5)] {
        world.telemetry("d", &format!("2026-01-01T{at}Z"), &format!(r#"{{"t": {t}}}"#)).await;
    }
}

#[test]
fn recorded_values_come_oldest_first_and_page_by_page() {
    run(|world| async move {
        recorded(&world).await;
        let all = world.admin.get("/twins/d/history?name=t").await.json;
        let values: Vec<_> = all["items"].as_array().unwrap().iter().map(|i| i["value"].as_f64().unwrap()).collect();
        assert_eq!(values, [1.5, 2.5, 10.5]);
        assert_eq!(
            all["items"][0],
            json!({"at": "2026-01-01T00:00:00.000Z", "received_at": "2026-01-01T00:00:00.000Z", "value": 1.5, "stream": "telemetry"})
        );
        let page = world.admin.get("/twins/d/history?name=t&limit=2").await.json;
        let rest = world.admin.get(&format!("/twins/d/history?name=t&limit=2&cursor={}", page["cursor"].as_str().unwrap())).await.json;
        assert_eq!((rest["items"][0]["value"].as_f64(), rest.get("cursor")), (Some(10.5), None));
        let span = world.admin.get("/twins/d/history?name=t&from=2026-01-01T00:01:00&to=2026-01-01T00:06:00Z").await.json;
        assert_eq!(span["items"].as_array().unwrap().len(), 1, "`from` is included, `to` is not");
    });
}

#[test]
fn buckets_hold_the_figures_that_were_asked_for() {
    run(|world| async move {
        recorded(&world).await;
        let buckets = world.admin.get("/twins/d/history?name=t&every=5m").await.json["items"].clone();
        assert_eq!(buckets[0], json!({"at": "2026-01-01T00:00:00.000Z", "avg": 2.0, "min": 1.5, "max": 2.5, "count": 2}));
        assert_eq!(buckets[1]["at"], "2026-01-01T00:05:00.000Z");
        let sums = world.admin.get("/twins/d/history?name=t&every=1h&agg=sum,count").await.json["items"].clone();
        assert_eq!(sums, json!([{"at": "2026-01-01T00:00:00.000Z", "sum": 14.5, "count": 3}]));
        assert_eq!(world.admin.get("/twins/d/history?name=t&every=1").await.json["parameter"], "every");
        assert_eq!(world.admin.get("/twins/d/history").await.json["parameter"], "name");
        assert_eq!(world.admin.get("/twins/nobody/history?name=t").await.problem(), "no-such-twin");
    });
}

#[test]
fn the_event_log_shows_what_came_as_it_came() {
    run(|world| async move {
        recorded(&world).await;
        let events = world.admin.get("/twins/d/events").await.json["items"].clone();
        assert_eq!((&events[0]["kind"], &events[0]["seq"]), (&json!("registered"), &json!(1)));
        let telemetry = world.admin.get("/twins/d/events?stream=telemetry&limit=1").await.json;
        assert_eq!(telemetry["items"][0]["raw"], json!({"encoding": "json", "payload": "{\"t\":1.5}"}));
        assert_eq!(telemetry["items"][0]["data"]["records"][0]["values"], json!({"t": 1.5}));
        assert!(telemetry["cursor"].is_string());
        assert_eq!(world.admin.get("/twins/d/events?stream=x").await.json["parameter"], "stream");
    });
}
