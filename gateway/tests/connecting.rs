//! Who is let in, on what terms, and what the others are told.

#![allow(clippy::unwrap_used)]

mod harness;

use std::time::Duration;

use harness::*;
use hierarchy_models::event::Status;

async fn answer(door: &Door, connect: Connect<'_>) -> Packet {
    let mut client = door.dial().await;
    let ack = client.ask(&connect.bytes()).await;
    assert_eq!(ack.kind(), CONNACK);
    if ack.body[1] != 0 {
        client.ends().await;
    }
    ack
}

async fn code(door: &Door, connect: Connect<'_>) -> u8 {
    answer(door, connect).await.body[1]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_opens_the_door_for_its_device() {
    let door = Door::open().await;
    let key = door.device("d").await;
    for connect in [Connect::v3("d"), Connect::v5("d")] {
        assert_eq!(code(&door, Connect { password: Some(key.as_bytes()), ..connect }).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_all_get_one_answer() {
    let door = Door::open().await;
    let key = door.device("d").await;
    door.device("other").await;
    for (version, refused) in [(V3, 4), (V5, 0x86)] {
        let base = Connect { version, ..Connect::v5("d") };
        let wrong = [
            ("a wrong key", Connect { password: Some(b"wrong"), ..base }),
            ("no key", base),
            ("an unknown device", Connect { client_id: "nobody", user_name: Some("nobody"), password: Some(key.as_bytes()), ..base }),
            ("another device's key", Connect { client_id: "other", user_name: Some("other"), password: Some(key.as_bytes()), ..base }),
            ("another user name", Connect { user_name: Some("x"), password: Some(key.as_bytes()), ..base }),
            ("no user name", Connect { user_name: None, password: Some(key.as_bytes()), ..base }),
        ];
        for (what, connect) in wrong {
            assert_eq!(code(&door, connect).await, refused, "{what}, version {version}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_id_that_is_no_device_id_is_refused() {
    let door = Door::open().await;
    for name in ["", "a b", "a\0b", "a/b", "#"] {
        assert_eq!(code(&door, Connect::v3(name)).await, 2, "{name:?}");
        assert_eq!(code(&door, Connect::v5(name)).await, 0x85, "{name:?}");
    }
    assert_eq!(code(&door, Connect::v3("").lasting()).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deactivated_device_is_not_let_in() {
    let door = Door::open().await;
    let key = door.device("d").await;
    door.twins.set_status(&id("d"), Status::Inactive).await.unwrap();
    let refused = code(&door, Connect { password: Some(key.as_bytes()), ..Connect::v5("d") }).await;
    assert!([0x86, 0x87].contains(&refused), "{refused:#x}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connack_says_what_is_granted() {
    let door = Door::open_with(|s| s.keep_alive_max = Duration::from_secs(100)).await;
    let key = door.device("d").await;
    let connect = Connect { password: Some(key.as_bytes()), keep_alive: 200, expiry: u32::MAX, ..Connect::v5("d") };
    let ack = answer(&door, connect).await;
    let properties = &ack.body[3..];
    let has = |wanted: &[u8]| properties.windows(wanted.len()).any(|w| w == wanted);
    assert!(has(&[0x11, 0, 9, 0x3A, 0x80]), "session expiry is capped at a week: {ack:?}");
    assert!(has(&[0x21, 0, 64]), "receive maximum");
    assert!(has(&[0x25, 0]), "retain is not available");
    assert!(has(&[0x27, 0, 4, 0, 0]), "maximum packet size");
    assert!(has(&[0x22, 0, 32]), "topic alias maximum");
    assert!(has(&[0x29, 0]) && has(&[0x2A, 0]), "no subscription identifiers, no shared subscriptions");
    assert!(has(&[0x13, 0, 100]), "keep alive is capped");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_served_is_refused_with_its_own_code() {
    let door = Door::open().await;
    let key = door.device("d").await;
    let base = Connect { password: Some(key.as_bytes()), ..Connect::v5("d") };
    assert_eq!(code(&door, Connect { properties: b"\x15\0\x05SCRAM", ..base }).await, 0x8C, "enhanced authentication");
    let will = Will { topic: "devices/d/events/lost", payload: "1", delay: 0, retain: false };
    assert_eq!(code(&door, Connect { will: Some(Will { retain: true, ..will }), ..base }).await, 0x9A, "a retained will");
    for topic in ["devices/other/events/lost", "elsewhere", "devices/d/commands/x/1"] {
        assert_eq!(code(&door, Connect { will: Some(Will { topic, ..will }), ..base }).await, 0x87, "{topic}");
        assert_eq!(code(&door, Connect { version: V3, will: Some(Will { topic, ..will }), ..base }).await, 5, "{topic}");
    }
    assert_eq!(code(&door, Connect { will: Some(will), ..base }).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_versions_and_other_protocols_get_no_session() {
    let door = Door::open().await;
    let mut old = door.dial().await;
    let mut body = text("MQIsdp");
    body.extend([3, 2, 0, 60]);
    body.extend(text("d"));
    assert_eq!(old.ask(&packet(0x10, &body)).await, Packet { first: CONNACK, body: vec![0, 1] });
    old.ends().await;
    let mut web = door.dial().await;
    web.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    web.ends().await;
    let mut hasty = door.dial().await;
    hasty.send(&publish3("devices/d/telemetry", "{}", 0, 0)).await;
    hasty.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_too_long_to_begin_is_closed() {
    let door = Door::open_with(|s| s.handshake_timeout = Duration::from_millis(200)).await;
    let mut silent = door.dial().await;
    let mut slow = door.dial().await;
    slow.send(&Connect::v5("d").bytes()[..12]).await;
    assert!(silent.ends_within(Duration::from_secs(3)).await);
    assert!(slow.ends_within(Duration::from_secs(3)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_connect_ends_the_connection() {
    let door = Door::open().await;
    let key = door.device("d").await;
    let connect = Connect { password: Some(key.as_bytes()), ..Connect::v5("d") };
    let mut client = door.connected(connect).await;
    client.send(&connect.bytes()).await;
    client.ends_with(0x82).await;
    let mut client = door.connected(Connect { version: V3, ..connect }).await;
    client.send(&Connect { version: V3, ..connect }.bytes()).await;
    client.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_house_turns_away() {
    let door = Door::open_with(|s| s.connections_max = 1).await;
    for name in ["a", "b"] {
        door.device(name).await;
    }
    let key = door.device("c").await;
    let first = door.connected(Connect::v5("a")).await;
    assert_eq!(code(&door, Connect { password: Some(key.as_bytes()), ..Connect::v5("c") }).await, 0x89);
    first.cut();
    eventually("the place is free again", || async {
        code(&door, Connect { password: Some(key.as_bytes()), ..Connect::v5("c") }).await == 0
    })
    .await;
}
