//! How often devices may connect and how much they may send, and what becomes of those who do more.

#![allow(clippy::unwrap_used)]

mod harness;

use std::{sync::Arc, time::Duration};

use actors::{Registration, clock::ManualClock, identity::NewCredentials};
use harness::*;

fn with<'a>(key: &'a str, connect: Connect<'a>) -> Connect<'a> {
    Connect { password: Some(key.as_bytes()), ..connect }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_connects_too_often_is_told_so() {
    let door = Door::open_with(|s| s.device_connects_per_minute = 3).await;
    let (key, other) = (door.device("d").await, door.device("other").await);
    for _ in 0..3 {
        assert_eq!(door.knock(with("wrong", Connect::v5("d"))).await, 0x86, "who has not proved itself uses nothing up");
        assert_eq!(door.knock(with(&key, Connect::v5("d"))).await, 0);
    }
    assert_eq!(door.knock(with(&key, Connect::v5("d"))).await, 0x9F);
    assert_eq!(door.knock(with(&key, Connect::v3("d"))).await, 3);
    assert_eq!(door.knock(with(&other, Connect::v5("other"))).await, 0, "another device has its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_connects_at_once_are_refused_before_anything_is_checked() {
    let door = Door::open_with(|s| s.connects_per_second = 1).await;
    let key = door.device("d").await;
    let mut codes = Vec::new();
    for _ in 0..4 {
        codes.push(door.knock(with(&key, Connect::v5("d"))).await);
    }
    assert!(codes.contains(&0x9F) && codes[0] == 0, "{codes:x?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_too_fast_is_read_more_slowly_and_loses_nothing() {
    for slow in [|s: &mut gateway::Settings| s.device_messages_per_second = 20, |s: &mut gateway::Settings| s.device_bytes_per_second = 800]
    {
        let door = Door::open_with(slow).await;
        door.device("d").await;
        let mut client = door.connected(Connect::v5("d")).await;
        let begun = std::time::Instant::now();
        let mut acks = 0;
        for n in 1..=30u16 {
            client.send(&publish5("devices/d/telemetry", format!("{{\"n\": {n}}}"), 1, n)).await;
        }
        while acks < 30 {
            assert_eq!(client.read().await.code(), 0);
            acks += 1;
        }
        client.nothing_came().await;
        assert!(begun.elapsed() > Duration::from_millis(200), "{:?}", begun.elapsed());
        assert_eq!(door.numbers("d").await, (1..=30).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_connections_together_are_read_more_slowly_and_lose_nothing() {
    for slow in [|s: &mut gateway::Settings| s.messages_per_second = 20, |s: &mut gateway::Settings| s.bytes_per_second = 800] {
        let door = Door::open_with(slow).await;
        let begun = std::time::Instant::now();
        let mut clients = Vec::new();
        for device in ["a", "b", "c"] {
            door.device(device).await;
            clients.push((device, door.connected(Connect::v5(device)).await));
        }
        // The first ones use up what a second allows; the second ones wait.
        for numbers in [1..=10u16, 11..=20] {
            for (device, client) in &mut clients {
                for n in numbers.clone() {
                    client.send(&publish5(&format!("devices/{device}/telemetry"), format!("{{\"n\": {n}}}"), 1, n)).await;
                }
            }
            for (_, client) in &mut clients {
                for _ in numbers.clone() {
                    assert_eq!(client.read().await.code(), 0);
                }
            }
        }
        for (device, _) in &clients {
            assert_eq!(door.numbers(device).await, (1..=20).collect::<Vec<_>>());
        }
        assert!(begun.elapsed() > Duration::from_millis(200), "{:?}", begun.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_a_password_is_slow_and_locks_nobody_out() {
    let clock = Arc::new(ManualClock::at("2026-01-01T00:00:00Z".parse().unwrap()));
    let door = Door::open_at(clock, |_| {}).await;
    let registration = Registration {
        id: Some(id("d")),
        model: model("Device"),
        parent: None,
        gateway: None,
        metadata: Default::default(),
        tags: vec![],
        keys: None,
    };
    let credentials = NewCredentials { password: Some("the right password".into()), ..NewCredentials::default() };
    door.twins.register_with(registration, credentials).await.unwrap();
    assert_eq!(door.knock(with("the right password", Connect::v5("d"))).await, 0);
    let mut codes = Vec::new();
    for n in 0..12 {
        codes.push(door.knock(with(&format!("guess number {n}"), Connect::v5("d"))).await);
    }
    assert_eq!((codes[0], codes[11]), (0x86, 0x97), "{codes:x?}");
    assert_eq!(door.knock(with("the right password", Connect::v5("d"))).await, 0);
}
