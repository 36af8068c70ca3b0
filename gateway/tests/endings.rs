//! How connections end: by whose will, with what words, and what is said of them afterwards.

#![allow(clippy::unwrap_used)]

mod harness;

use std::time::Duration;

use harness::*;
use hierarchy_models::{
    EventBody,
    event::{DisconnectReason, Status},
};

const WILL: Will<'static> = Will { topic: "devices/d/events/lost", payload: r#""gone""#, delay: 0, retain: false };

async fn ends_of(door: &Door) -> Vec<(DisconnectReason, bool)> {
    let of = |e| match e {
        EventBody::Disconnected { reason, will, .. } => Some((reason, will.is_some())),
        _ => None,
    };
    door.events("d").await.into_iter().filter_map(of).collect()
}

async fn wills_of(door: &Door) -> usize {
    door.events("d").await.iter().filter(|e| matches!(e, EventBody::Special { name, .. } if name == "lost")).count()
}

async fn ended(door: &Door, n: usize) -> (DisconnectReason, bool) {
    eventually("the end is recorded", || async { ends_of(door).await.len() == n }).await;
    ends_of(door).await[n - 1]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_will_is_sent_when_the_connection_is_lost_and_only_then() {
    let door = Door::open().await;
    door.device("d").await;
    for (i, connect) in [Connect::v5("d"), Connect::v3("d")].into_iter().enumerate() {
        let connect = Connect { will: Some(WILL), ..connect };
        door.connected(connect).await.cut();
        assert_eq!(ended(&door, 2 * i + 1).await, (DisconnectReason::Lost, true));
        eventually("the will is sent", || async { wills_of(&door).await == i + 1 }).await;
        let mut client = door.connected(connect).await;
        client.send(&disconnect()).await;
        client.ends().await;
        assert_eq!(ended(&door, 2 * i + 2).await, (DisconnectReason::Goodbye, false));
    }
    assert_eq!(wills_of(&door).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_goodbye_may_ask_for_the_will() {
    let door = Door::open().await;
    door.device("d").await;
    let mut client = door.connected(Connect { will: Some(WILL), ..Connect::v5("d") }).await;
    client.send(&disconnect_with(4)).await;
    assert_eq!(ended(&door, 1).await, (DisconnectReason::Goodbye, true));
    eventually("the will is sent", || async { wills_of(&door).await == 1 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_will_that_waits_is_not_sent_when_the_device_comes_back() {
    let door = Door::open().await;
    door.device("d").await;
    let connect = Connect { will: Some(Will { delay: 1, ..WILL }), ..Connect::v5("d").lasting() };
    door.connected(connect).await.cut();
    assert_eq!(ended(&door, 1).await, (DisconnectReason::Lost, false));
    let back = door.connected(connect).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(wills_of(&door).await, 0);
    back.cut();
    eventually("it is sent when the device stays away", || async { wills_of(&door).await == 1 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_connects_again_takes_over() {
    let door = Door::open().await;
    door.device("d").await;
    let mut first = door.connected(Connect::v5("d")).await;
    let mut second = door.connected(Connect::v3("d")).await;
    first.ends_with(0x8E).await;
    let third = door.connected(Connect::v5("d")).await;
    second.ends().await;
    third.cut();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_device_is_out_within_a_second() {
    let door = Door::open().await;
    for name in ["d", "o"] {
        door.device(name).await;
    }
    let mut client = door.connected(Connect::v5("d")).await;
    let mut old = door.connected(Connect::v3("o")).await;
    let begin = tokio::time::Instant::now();
    for name in ["d", "o"] {
        door.twins.set_status(&id(name), Status::Inactive).await.unwrap();
    }
    client.ends_with(0x98).await;
    old.ends().await;
    assert!(begin.elapsed() < Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_acknowledges_what_is_durable_and_says_goodbye() {
    let door = Door::open().await;
    door.device("d").await;
    door.device("o").await;
    let mut client = door.connected(Connect { will: Some(WILL), ..Connect::v5("d") }).await;
    let mut old = door.connected(Connect::v3("o")).await;
    door.store.hold_appends();
    client.send(&publish5("devices/d/telemetry", "{\"n\":1}", 1, 1)).await;
    eventually("the commit is asked for", || async { door.store.held_appends() > 0 }).await;
    let store = door.store.clone();
    let stop = async {
        door.gateway.close_sessions().await;
    };
    let watch = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        store.release_appends();
        assert_eq!(client.read().await.kind(), PUBACK);
        client.ends_with(0x8B).await;
        old.ends().await;
    };
    tokio::join!(stop, watch);
    assert_eq!(ended(&door, 1).await, (DisconnectReason::ServerStopped, false));
    let Door { twins, gateway, .. } = door;
    let address = gateway.plain.unwrap();
    tokio::time::timeout(Duration::from_secs(5), async {
        twins.shutdown().await;
        gateway.stop().await;
    })
    .await
    .expect("it stops in time");
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_beyond_the_keep_alive_ends_a_connection_and_none_was_asked_for_does_not() {
    let door = Door::open().await;
    for name in ["a", "b", "c", "d"] {
        door.device(name).await;
    }
    let mut silent = door.connected(Connect { keep_alive: 1, ..Connect::v5("a") }).await;
    let mut old = door.connected(Connect { keep_alive: 1, ..Connect::v3("b") }).await;
    let mut lively = door.connected(Connect { keep_alive: 1, ..Connect::v5("c") }).await;
    let mut patient = door.connected(Connect { keep_alive: 0, ..Connect::v3("d") }).await;
    let begin = tokio::time::Instant::now();
    let pings = async {
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            lively.nothing_came().await;
        }
    };
    let watch = async {
        silent.ends_with(0x8D).await;
        old.ends().await;
        begin.elapsed()
    };
    let ((), elapsed) = tokio::join!(pings, watch);
    assert!(elapsed >= Duration::from_millis(1400) && elapsed < Duration::from_secs(5), "{elapsed:?}");
    lively.nothing_came().await;
    patient.nothing_came().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_lasts_as_long_as_was_asked_for() {
    let door = Door::open().await;
    door.device("d").await;
    let present = |connect: Connect<'static>| {
        let door = &door;
        async move {
            let token = door.twins.identities().issue_token(&id("d"), Duration::from_secs(60), door.twins.clock().now()).await.unwrap();
            let mut client = door.dial().await;
            let ack = client.ask(&Connect { password: Some(token.as_bytes()), ..connect }.bytes()).await;
            (ack.body[0] == 1, client)
        }
    };
    let end = |mut client: Client, bytes: Vec<u8>| async move {
        client.send(&bytes).await;
        client.ends().await;
    };
    let lasting = Connect::v5("d").lasting();
    let (there, client) = present(lasting).await;
    assert!(!there);
    end(client, disconnect()).await;
    let (there, client) = present(lasting).await;
    assert!(there, "it lasts");
    // the goodbye sets the expiry to zero
    end(client, packet(DISCONNECT, &[0, 5, 0x11, 0, 0, 0, 0])).await;
    let (there, client) = present(lasting).await;
    assert!(!there, "the goodbye ended it");
    end(client, disconnect()).await;
    let (there, client) = present(Connect { clean: true, ..lasting }).await;
    assert!(!there, "a clean start begins anew");
    end(client, disconnect()).await;
    let (_, mut client) = present(Connect::v5("d")).await;
    client.send(&packet(DISCONNECT, &[0, 5, 0x11, 0, 0, 0, 9])).await;
    client.ends_with(0x82).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_waits_for_every_commit_of_what_it_was_sent() {
    let door = Door::open().await;
    door.device("d").await;
    let mut client = door.connected(Connect::v5("d")).await;
    door.store.hold_appends();
    let first = publish5("devices/d/telemetry", "{\"n\":1}", 1, 1);
    client.send(&first).await;
    eventually("the first commit is asked for", || async { door.store.held_appends() == 1 }).await;
    client.send(&publish5("devices/d/telemetry", "{\"n\":2}", 1, 2)).await;
    client.nothing_came().await;
    let commits = async {
        // refused from the moment the server stops
        let stopping = || async { door.dial().await.ask(&Connect::v5("d").bytes()).await.body[1] == 0x88 };
        eventually("the server stops", stopping).await;
        assert!(door.store.release_one());
        eventually("the second commit is asked for", || async { door.store.held_appends() == 1 }).await;
        let begin = tokio::time::Instant::now();
        door.store.release_appends();
        for id in [1, 2] {
            let ack = client.read().await;
            assert_eq!((ack.kind(), ack.id()), (PUBACK, id));
        }
        client.ends_with(0x8B).await;
        assert!(begin.elapsed() < Duration::from_millis(1500), "as soon as it is durable, not at the end of the farewell");
    };
    tokio::join!(door.gateway.close_sessions(), commits);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_messages_that_cannot_be_kept_end_a_connection_at_once() {
    let door = Door::open().await;
    door.device("d").await;
    let mut client = door.connected(Connect::v3("d")).await;
    door.store.hold_appends();
    client.send(&(1..=16).flat_map(|id| publish3("devices/d/telemetry", "{\"n\":1}", 1, id)).collect::<Vec<_>>()).await;
    eventually("the commit is asked for", || async { door.store.held_appends() > 0 }).await;
    client.nothing_came().await;
    let begin = tokio::time::Instant::now();
    door.store.refuse_held(persistence::Error::Unavailable { doing: "appending", detail: "unplugged".into() });
    door.store.release_appends();
    client.ends().await;
    ended(&door, 1).await;
    assert!(begin.elapsed() < Duration::from_secs(4), "not at the end of the time that messages in work are given");
}
