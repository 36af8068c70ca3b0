//! What goes down to a device: commands, desired state, its own view; subscribed, bounded, acknowledged.

#![allow(clippy::unwrap_used)]

mod harness;

use std::time::Duration;

use actors::{NewCommand, TwinPatch};
use harness::*;
use hierarchy_models::{CommandId, CommandState, Value, value::Map};

async fn command(door: &Door, device: &str, name: &str, ttl: Duration) -> CommandId {
    let payload = [("level", 2i64)].into_iter().collect::<Value>();
    let new = NewCommand { name: name.into(), payload, ttl, idempotency_key: None, sender: "test".into() };
    door.twins.command(&id(device), new).await.unwrap().id
}

async fn set_desired(door: &Door, device: &str, name: &str, value: i64) {
    let desired: Map = [(name.into(), Value::Int(value))].into_iter().collect();
    let patch = TwinPatch { desired: Some(desired), ..TwinPatch::default() };
    door.twins.patch(&id(device), patch, None).await.unwrap();
}

async fn state(door: &Door, device: &str, command: &CommandId) -> CommandState {
    door.twins.command_of(&id(device), command).await.unwrap().state
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_command_goes_down_and_its_result_ends_it() {
    let door = Door::open().await;
    door.device("d").await;
    let mut client = door.connected(Connect::v5("d")).await;
    let granted = client.ask(&subscribe(V5, 1, &[("devices/d/commands/#", 2)])).await;
    assert_eq!((granted.kind(), &granted.body[3..]), (SUBACK, &[1][..]), "QoS 1 is the most that is granted");
    let sent = command(&door, "d", "open", MINUTE).await;
    let message = client.read().await;
    let (topic, packet_id, rest) = message.publish();
    assert_eq!(topic, format!("devices/d/commands/open/{sent}"));
    assert_eq!(message.first, PUBLISH | 2);
    let text = String::from_utf8_lossy(rest);
    assert!(text.contains("application/json") && text.contains(sent.as_str()) && text.ends_with(r#"{"level":2}"#), "{text}");
    let expiry = rest.windows(5).find(|w| w[..4] == [2, 0, 0, 0]).expect("a message expiry interval");
    assert!((58..=60).contains(&expiry[4]));
    assert!(!text.contains("redelivery"));
    client.send(&puback(packet_id)).await;
    eventually("it counts as delivered", || async { state(&door, "d", &sent).await == CommandState::Delivered }).await;
    let result = client.ask(&publish5(&format!("devices/d/results/{sent}"), r#"{"status":200,"payload":[1]}"#, 1, 5)).await;
    assert_eq!(result.code(), 0);
    assert_eq!(state(&door, "d", &sent).await, CommandState::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_without_a_result_comes_again_after_a_lost_connection() {
    let door = Door::open().await;
    door.device("d").await;
    for (version, connect) in [(V5, Connect::v5("d").lasting()), (V3, Connect::v3("d").lasting())] {
        let mut client = door.connected(connect).await;
        client.ask(&subscribe(version, 1, &[("devices/d/commands/#", 1)])).await;
        let sent = command(&door, "d", "open", MINUTE).await;
        assert_eq!(client.read().await.first & !8, PUBLISH | 2);
        client.cut();
        // not acknowledged: it comes again without being subscribed to again
        let mut client = door.connected(connect).await;
        let (topic, packet_id, _) = client.read().await.publish();
        assert_eq!(topic, format!("devices/d/commands/open/{sent}"));
        client.send(&puback(packet_id)).await;
        eventually("it counts as delivered", || async { state(&door, "d", &sent).await == CommandState::Delivered }).await;
        client.cut();
        // acknowledged, but never answered: it comes again and says so
        let mut client = door.connected(connect).await;
        let redelivered = client.read().await;
        assert_eq!(redelivered.first, PUBLISH | 2 | 8, "DUP");
        assert_eq!(redelivered.text().contains("redelivery"), version == V5);
        client.send(&puback(redelivered.publish().1)).await;
        client.send(&publish(&format!("devices/d/results/{sent}"), r#"{"status":500}"#, 0, 0, (version == V5).then_some(&[][..]))).await;
        eventually("it has failed", || async { state(&door, "d", &sent).await == CommandState::Failed }).await;
        client.send(&disconnect()).await;
        client.ends().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledgements_out_of_order_and_for_nothing_harm_nobody() {
    let door = Door::open().await;
    door.device("d").await;
    let mut client = door.connected(Connect::v5("d")).await;
    client.ask(&subscribe(V5, 1, &[("devices/d/commands/#", 1)])).await;
    let (a, b) = (command(&door, "d", "a", MINUTE).await, command(&door, "d", "b", MINUTE).await);
    let (first, second) = (client.read().await.publish().1, client.read().await.publish().1);
    client.send(&[puback(second), puback(first), puback(first), puback(999)].concat()).await;
    client.nothing_came().await;
    for sent in [a, b] {
        eventually("it counts as delivered", || async { state(&door, "d", &sent).await == CommandState::Delivered }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_receive_maximum_is_kept() {
    let door = Door::open().await;
    door.device("d").await;
    let mut client = door.connected(Connect { properties: &[0x21, 0, 1], ..Connect::v5("d") }).await;
    client.ask(&subscribe(V5, 1, &[("devices/d/commands/#", 1)])).await;
    for name in ["a", "b", "c"] {
        command(&door, "d", name, MINUTE).await;
    }
    for name in ["a", "b", "c"] {
        let (topic, packet_id, _) = client.read().await.publish();
        assert!(topic.starts_with(&format!("devices/d/commands/{name}/")), "{topic}");
        client.nothing_came().await;
        client.send(&puback(packet_id)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_for_a_client_is_left_out() {
    let door = Door::open().await;
    door.device("d").await;
    set_desired(&door, "d", &"x".repeat(100), 1).await;
    let mut client = door.connected(Connect { properties: &[0x27, 0, 0, 0, 100], ..Connect::v5("d") }).await;
    client.ask(&subscribe(V5, 1, &[("devices/d/desired", 1)])).await;
    client.nothing_came().await;
    set_desired(&door, "d", "y", 2).await;
    assert!(client.read().await.text().contains("\"y\":2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn desired_state_comes_whole_and_then_in_patches() {
    let door = Door::open().await;
    door.device("d").await;
    set_desired(&door, "d", "a", 1).await;
    for (version, connect) in [(V5, Connect::v5("d")), (V3, Connect::v3("d"))] {
        let mut client = door.connected(connect).await;
        client.send(&subscribe(version, 1, &[("devices/d/desired", 0)])).await;
        assert_eq!(client.read().await.kind(), SUBACK, "the SUBACK comes first");
        let whole = client.read().await;
        assert_eq!(whole.first, PUBLISH, "at the QoS that was granted");
        assert!(whole.text().contains("\"a\":1") && whole.text().contains("\"$version\":"), "{}", whole.text());
        set_desired(&door, "d", "b", version.into()).await;
        let patch = client.read().await;
        assert!(patch.text().contains(&format!("\"b\":{version}")) && !patch.text().contains("\"a\""), "{}", patch.text());
        client.send(&disconnect()).await;
        client.ends().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_reads_its_own_twin() {
    let door = Door::open().await;
    door.device("d").await;
    let mut client = door.connected(Connect::v5("d")).await;
    client.ask(&subscribe(V5, 1, &[("devices/d/twin", 0)])).await;
    client.send(&publish5("devices/d/get", "", 0, 0)).await;
    let view = client.read().await;
    let (topic, _, body) = view.publish();
    let json = String::from_utf8_lossy(body);
    assert_eq!(topic, "devices/d/twin");
    assert!(json.contains(r#""id":"d""#) && json.contains(r#""supervision""#), "{json}");
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_end_when_they_are_ended() {
    let door = Door::open().await;
    door.device("d").await;
    let mut client = door.connected(Connect::v5("d")).await;
    client.send(&[subscribe(V5, 1, &[("devices/d/desired", 1)]), subscribe(V5, 2, &[("devices/d/twin", 1)])].concat()).await;
    assert_eq!(client.read_answer().await.body, [0, 1, 0, 1]);
    assert_eq!(client.read_answer().await.body, [0, 2, 0, 1], "two in flight add up");
    client.send(&unsubscribe(V5, 3, &["devices/d/desired", "devices/d/commands/#", "elsewhere", "a/#/b"])).await;
    let ended = client.read_answer().await;
    assert_eq!((ended.kind(), &ended.body[3..]), (UNSUBACK, &[0, 0x11, 0x11, 0x8F][..]));
    set_desired(&door, "d", "a", 1).await;
    client.nothing_came().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_filters_are_refused() {
    let door = Door::open().await;
    door.device("d").await;
    door.device("other").await;
    let filters = ["devices/other/commands/#", "devices/nobody/desired", "#", "devices/d/telemetry", "$share/g/devices/d/desired", "a/#/b"];
    let asked: Vec<_> = filters.iter().map(|f| (*f, 1)).collect();
    let mut client = door.connected(Connect::v5("d")).await;
    let refused = client.ask(&subscribe(V5, 1, &asked)).await;
    assert_eq!(refused.body[3..], [0x87, 0x87, 0x87, 0x87, 0x9E, 0x8F]);
    let mut old = door.connected(Connect::v3("d")).await;
    assert_eq!(old.ask(&subscribe(V3, 1, &asked)).await.body[2..], [0x80; 6]);
    old.nothing_came().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_hears_for_its_children() {
    let door = Door::open().await;
    door.device("g").await;
    door.child("c", "g").await;
    let mut gateway = door.connected(Connect::v5("g")).await;
    let granted = gateway.ask(&subscribe(V5, 1, &[("devices/c/commands/#", 1)])).await;
    assert_eq!(granted.body[3..], [1]);
    let sent = command(&door, "c", "open", MINUTE).await;
    let (topic, packet_id, _) = gateway.read().await.publish();
    assert_eq!(topic, format!("devices/c/commands/open/{sent}"));
    gateway.send(&puback(packet_id)).await;
    eventually("it counts as delivered", || async { state(&door, "c", &sent).await == CommandState::Delivered }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_does_not_read_holds_nobody_up() {
    let door = Door::open_with(|s| s.downlink_queue_max = 4).await;
    door.device("deaf").await;
    door.device("d").await;
    let mut deaf = door.connected(Connect::v5("deaf")).await;
    deaf.ask(&subscribe(V5, 1, &[("devices/deaf/desired", 1), ("devices/deaf/commands/#", 1)])).await;
    for n in 0..200 {
        set_desired(&door, "deaf", "n", n).await;
    }
    let mut client = door.connected(Connect::v5("d")).await;
    assert_eq!(client.ask(&publish5("devices/d/telemetry", "{\"n\":1}", 1, 1)).await.code(), 0);
    // once it reads and acknowledges, it comes to the last state
    let mut last = String::new();
    while !last.contains("\"n\":199") {
        let message = deaf.read().await;
        last = message.text();
        deaf.send(&puback(message.publish().1)).await;
    }
}
