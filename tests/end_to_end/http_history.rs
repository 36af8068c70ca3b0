//! `/twins/{id}/history` and `/events`: by time, by bucket, page by page.

use std::time::Duration;

use crate::support::{Server, json, until_within};

/// One value a minute for five hours, from 2026-01-01T00:00Z: `n` counts up.
fn five_hours() -> Server {
    let server = Server::start();
    let mut device = server.connected("t");
    let start = 1_767_225_600_000u64;
    let batch: Vec<_> = (0..300u64).map(|n| json!({"at": start + n * 60_000, "values": {"n": n}})).collect();
    device.say("devices/t/telemetry", json!(batch).to_string());
    server
}

#[test]
fn a_span_includes_its_start_and_not_its_end() {
    let server = five_hours();
    let items = server.api().all("/twins/t/history?name=n&from=2026-01-01T01:00:00Z&to=2026-01-01T02:00:00Z");
    let values: Vec<u64> = items.iter().map(|i| i["value"].as_u64().unwrap()).collect();
    assert_eq!(values, (60..120).collect::<Vec<_>>());
    assert_eq!(items[0]["at"], "2026-01-01T01:00:00.000Z");
    let without_zone = server.api().all("/twins/t/history?name=n&from=2026-01-01T01:00:00&to=2026-01-01T02:00:00");
    assert_eq!(without_zone, items, "a time without a zone is UTC");
}

#[test]
fn pages_join_without_gap_or_repetition() {
    let server = five_hours();
    let items = server.api().all("/twins/t/history?name=n&limit=7");
    assert_eq!(items.iter().map(|i| i["value"].as_u64().unwrap()).collect::<Vec<_>>(), (0..300).collect::<Vec<_>>());
}

#[test]
fn equal_times_survive_paging() {
    let server = Server::start();
    let mut device = server.connected("t");
    let batch: Vec<_> = (0..50).map(|n| json!({"at": 1_767_225_600_000u64, "values": {"n": n}})).collect();
    device.say("devices/t/telemetry", json!(batch).to_string());
    let mut values: Vec<u64> = server.api().all("/twins/t/history?name=n&limit=3").iter().map(|i| i["value"].as_u64().unwrap()).collect();
    values.sort_unstable();
    assert_eq!(values, (0..50).collect::<Vec<_>>());
}

#[test]
fn buckets_hold_average_least_greatest_and_count() {
    let server = five_hours();
    let buckets = server.api().all("/twins/t/history?name=n&every=1h&agg=avg,min,max,count");
    assert_eq!(buckets.len(), 5);
    for (hour, bucket) in buckets.iter().enumerate() {
        let first = hour as f64 * 60.0;
        assert_eq!(bucket["at"], format!("2026-01-01T0{hour}:00:00.000Z"));
        assert_eq!(
            (bucket["avg"].as_f64(), bucket["min"].as_f64(), bucket["max"].as_f64(), bucket["count"].as_u64()),
            (Some(first + 29.5), Some(first), Some(first + 59.0), Some(60))
        );
    }
    let paged = server.api().all("/twins/t/history?name=n&every=1h&limit=2");
    assert_eq!(paged.len(), 5);
    let some = server.api().all("/twins/t/history?name=n&every=1h&agg=max");
    assert_eq!((some[0].get("avg"), some[0]["max"].as_f64()), (None, Some(59.0)));
}

#[test]
fn buckets_of_what_is_no_number_are_empty() {
    let server = Server::start();
    let mut device = server.connected("t");
    device.say("devices/t/telemetry", r#"{"mode": "eco"}"#);
    assert_eq!(server.api().all("/twins/t/history?name=mode&every=1h").len(), 0);
    assert_eq!(server.api().all("/twins/t/history?name=mode").len(), 1);
}

#[test]
fn bad_questions_are_told_what_is_bad() {
    let server = five_hours();
    let bad = [
        "",
        "name=",
        "name=n&from=yesterday",
        "name=n&every=0s",
        "name=n&every=1ms",
        "name=n&every=x",
        "name=n&every=1h&agg=median",
        "name=n&limit=0",
        "name=n&limit=1001",
        "name=n&cursor=AAAA",
        "name=n&from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
        "name=n&colour=red",
    ];
    for query in bad {
        server.api().get(&format!("/twins/t/history?{query}")).problem(400);
    }
    server.api().get("/twins/nobody/history?name=n").problem(404);
    server.api().get("/twins/nobody/events").problem(404);
    server.api().get("/twins/t/events?stream=gossip").problem(400);
    assert_eq!(server.api().all("/twins/t/history?name=nothing").len(), 0);
}

#[test]
fn the_event_log_is_in_order_without_a_gap() {
    let server = five_hours();
    let events = server.api().all("/twins/t/events?limit=2");
    let sequence: Vec<u64> = events.iter().map(|e| e["seq"].as_u64().unwrap()).collect();
    assert_eq!(sequence, (1..=sequence.len() as u64).collect::<Vec<_>>());
    assert_eq!(events[0]["kind"], "registered");
}

#[test]
fn history_is_the_same_before_and_after_it_is_flushed_and_after_a_restart() {
    let server = five_hours();
    let question = "/twins/t/history?name=n&limit=1000";
    let fresh = server.api().all(question);
    let server = server.restart();
    assert_eq!(server.api().all(question), fresh, "after a clean stop");
    let server = server.restart_after_kill_9();
    assert_eq!(server.api().all(question), fresh, "after a crash");
}

#[test]
fn history_that_is_older_than_its_retention_is_forgotten() {
    let server = Server::with(&[("HISTORY__RETENTION", "1s"), ("JOURNAL__FLUSH_INTERVAL", "100ms")]);
    let mut device = server.connected("t");
    device.say("devices/t/telemetry", r#"{"a": 1}"#);
    // The server looks once a minute.
    until_within(Duration::from_secs(100), "the value is forgotten", || server.api().all("/twins/t/history?name=a").is_empty());
    assert_eq!(server.api().twin("t")["telemetry"]["a"]["value"], 1, "the last known value stays");
}
