//! Sessions by token: what their scope holds, how long they last, and what makes them last longer.

#![allow(clippy::unwrap_used)]

mod harness;

use std::{sync::Arc, time::Duration};

use actors::{NewCommand, clock::ManualClock};
use harness::*;
use hierarchy_models::Value;

const METHOD: &str = "twinfold-token";

fn with<'a>(token: &'a str, connect: Connect<'a>) -> Connect<'a> {
    Connect { password: Some(token.as_bytes()), ..connect }
}

async fn opened(door: &Door, connect: Connect<'_>) -> Client {
    let mut client = door.dial().await;
    let ack = client.ask(&connect.bytes()).await;
    assert_eq!((ack.kind(), ack.body[1]), (CONNACK, 0), "{ack:?}");
    client
}

fn manual() -> Arc<ManualClock> {
    Arc::new(ManualClock::at("2026-01-01T00:00:00Z".parse().unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_its_own_device_and_nothing_else() {
    let clock = manual();
    let door = Door::open_at(clock.clone(), |_| {}).await;
    door.device("d").await;
    door.device("other").await;
    let token = door.token("d", "connect publish subscribe", 60).await;
    assert_eq!(door.knock(with(&token, Connect::v5("d"))).await, 0);
    assert_eq!(door.knock(with(&token, Connect::v5("other"))).await, 0x86, "another device");
    let no_connect = door.token("d", "publish subscribe", 60).await;
    assert_eq!(door.knock(with(&no_connect, Connect::v5("d"))).await, 0x86, "not for connecting");
    clock.advance(Duration::from_secs(60));
    assert_eq!(door.knock(with(&token, Connect::v5("d"))).await, 0x86, "over");
    let fresh = door.token("d", "connect publish subscribe", 60).await;
    door.twins.reset_credentials(&id("d")).await.unwrap();
    assert_eq!(door.knock(with(&fresh, Connect::v5("d"))).await, 0x86, "replayed after a reset");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_may_say_what_its_scope_holds() {
    let door = Door::open().await;
    door.device("d").await;
    let says = async |scope: &str, topic: &str| {
        let token = door.token("d", scope, 60).await;
        let mut client = opened(&door, with(&token, Connect::v5("d"))).await;
        client.ask(&publish5(topic, r#"{"n": 1}"#, 1, 1)).await.code()
    };
    let hears = async |scope: &str, filter: &str| {
        let token = door.token("d", scope, 60).await;
        let mut client = opened(&door, with(&token, Connect::v5("d"))).await;
        client.send(&subscribe(V5, 1, &[(filter, 1)])).await;
        *client.read_answer().await.body.last().unwrap()
    };
    for topic in ["devices/d/telemetry", "devices/d/reported", "devices/d/events/x", "devices/d/metadata"] {
        assert_eq!(says("connect publish", topic).await, 0, "{topic}");
        assert_eq!(says("connect subscribe", topic).await, 0x87, "{topic}");
        assert_eq!(says("connect", topic).await, 0x87, "{topic}");
    }
    for filter in ["devices/d/commands/#", "devices/d/desired", "devices/d/twin"] {
        assert_eq!(hears("connect subscribe", filter).await, 1, "{filter}");
        assert_eq!(hears("connect publish", filter).await, 0x87, "{filter}");
    }
    assert_eq!(says("connect subscribe", "devices/d/get").await, 0, "who hears may ask");
    assert_eq!(says("connect subscribe", "devices/d/results/c-1").await, 0x99, "and answer: there is no such command");
    assert_eq!(says("connect", "devices/d/get").await, 0x87);
    assert_eq!(door.numbers("d").await, [1], "of four topics one is telemetry");
    let token = door.token("d", "connect subscribe", 60).await;
    let will = Will { topic: "devices/d/events/lost", payload: "1", delay: 0, retain: false };
    assert_eq!(door.knock(Connect { will: Some(will), ..with(&token, Connect::v5("d")) }).await, 0x87, "a will is said");
    let mut old = opened(&door, with(&token, Connect::v3("d"))).await;
    old.send(&publish3("devices/d/telemetry", "{}", 1, 1)).await;
    old.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_do_not_come_to_a_session_that_took_over_a_subscription_it_may_not_have() {
    let door = Door::open().await;
    door.device("d").await;
    let all = door.token("d", "connect publish subscribe", 60).await;
    let mut client = opened(&door, with(&all, Connect::v5("d").lasting())).await;
    client.ask(&subscribe(V5, 1, &[("devices/d/commands/#", 1)])).await;
    client.send(&disconnect()).await;
    client.ends().await;
    let command = NewCommand {
        name: "open".into(),
        payload: Value::Null,
        ttl: Duration::from_secs(60),
        idempotency_key: None,
        sender: "test".into(),
    };
    door.twins.command(&id("d"), command).await.unwrap();
    let less = door.token("d", "connect publish", 60).await;
    let mut client = opened(&door, with(&less, Connect::v5("d").lasting())).await;
    assert_eq!(client.ask(&publish5("devices/d/telemetry", r#"{"n": 1}"#, 1, 1)).await.code(), 0);
    client.nothing_came().await;
    client.send(&disconnect()).await;
    client.ends().await;
    let mut client = opened(&door, with(&all, Connect::v5("d").lasting())).await;
    assert!(client.read().await.publish().0.starts_with("devices/d/commands/open/"), "it was kept for who may have it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_its_token() {
    let door = Door::open().await;
    door.device("d").await;
    let token = door.token("d", "connect publish", 1).await;
    let mut client = opened(&door, with(&token, Connect::v5("d"))).await;
    client.ends_with(0xA0).await;
    let token = door.token("d", "connect publish", 1).await;
    opened(&door, with(&token, Connect::v3("d"))).await.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_once_the_time_is_over_however_late_the_connection_hears_of_it() {
    let clock = manual();
    let door = Door::open_at(clock.clone(), |_| {}).await;
    door.device("d").await;
    let token = door.token("d", "connect publish", 60).await;
    let mut client = opened(&door, with(&token, Connect::v5("d"))).await;
    assert_eq!(client.ask(&publish5("devices/d/telemetry", r#"{"n": 1}"#, 1, 1)).await.code(), 0);
    clock.advance(Duration::from_secs(60));
    client.send(&publish5("devices/d/telemetry", r#"{"n": 2}"#, 1, 2)).await;
    client.ends_with(0xA0).await;
    assert_eq!(door.numbers("d").await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auth_packet_renews_a_session_without_a_new_connection() {
    let clock = manual();
    let door = Door::open_at(clock.clone(), |_| {}).await;
    door.device("d").await;
    let token = door.token("d", "connect publish", 60).await;
    let properties = authentication(METHOD, Some(&token));
    let mut client = door.dial().await;
    let ack = client.ask(&Connect { user_name: None, properties: &properties, ..Connect::v5("d") }.bytes()).await;
    assert_eq!(ack.body[1], 0, "{ack:?}");
    assert!(ack.text().contains(METHOD), "the CONNACK names the method: {ack:?}");
    let fresh = door.token("d", "publish", 120).await;
    let answer = client.ask(&auth(0x19, &authentication(METHOD, Some(&fresh)))).await;
    assert_eq!((answer.kind(), answer.body[0]), (AUTH, 0), "{answer:?}");
    assert!(answer.text().contains(METHOD));
    clock.advance(Duration::from_secs(100));
    assert_eq!(client.ask(&publish5("devices/d/telemetry", r#"{"n": 1}"#, 1, 1)).await.code(), 0, "beyond the first token's end");
    clock.advance(Duration::from_secs(20));
    client.send(&publish5("devices/d/telemetry", r#"{"n": 2}"#, 1, 2)).await;
    client.ends_with(0xA0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_never_gives_more_than_the_session_was_opened_with() {
    let door = Door::open().await;
    door.device("d").await;
    let less = door.token("d", "connect publish", 60).await;
    let properties = authentication(METHOD, Some(&less));
    let mut client = opened(&door, Connect { properties: &properties, ..Connect::v5("d") }).await;
    let all = door.token("d", "connect publish subscribe", 60).await;
    assert_eq!(client.ask(&auth(0x19, &authentication(METHOD, Some(&all)))).await.body[0], 0);
    assert_eq!(*client.ask(&subscribe(V5, 1, &[("devices/d/commands/#", 1)])).await.body.last().unwrap(), 0x87);
    let least = door.token("d", "connect", 60).await;
    assert_eq!(client.ask(&auth(0x19, &authentication(METHOD, Some(&least)))).await.body[0], 0);
    assert_eq!(client.ask(&publish5("devices/d/telemetry", "{}", 1, 1)).await.code(), 0x87, "and may give less");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_renewal_ends_the_session_as_the_standard_says() {
    let door = Door::open().await;
    let key = door.device("d").await;
    door.device("other").await;
    let token = door.token("d", "connect publish", 60).await;
    let of_other = door.token("other", "connect publish", 60).await;
    let properties = authentication(METHOD, Some(&token));
    for (what, packet, code) in [
        ("another device's token", auth(0x19, &authentication(METHOD, Some(&of_other))), 0x87),
        ("a key", auth(0x19, &authentication(METHOD, Some(&key))), 0x87),
        ("no token", auth(0x19, &authentication(METHOD, None)), 0x87),
        ("another method", auth(0x19, &authentication("SCRAM", Some(&token))), 0x8C),
        ("no method", auth(0x19, &[]), 0x8C),
        ("an answer to nothing", auth(0x18, &authentication(METHOD, Some(&token))), 0x82),
    ] {
        let mut client = opened(&door, Connect { properties: &properties, ..Connect::v5("d") }).await;
        client.send(&packet).await;
        let end = client.read().await;
        assert_eq!((end.kind(), end.body[0]), (DISCONNECT, code), "{what}: {end:?}");
        client.ends().await;
    }
    let mut unnamed = opened(&door, with(&token, Connect::v5("d"))).await;
    unnamed.send(&auth(0x19, &authentication(METHOD, Some(&token)))).await;
    unnamed.ends_with(0x82).await;
    let properties = authentication("SCRAM", Some(&token));
    assert_eq!(door.knock(Connect { properties: &properties, ..Connect::v5("d") }).await, 0x8C);
    let properties = authentication(METHOD, Some(&of_other));
    assert_eq!(door.knock(Connect { properties: &properties, ..Connect::v5("d") }).await, 0x86);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_on_its_topic_renews_where_there_is_no_auth() {
    let clock = manual();
    let door = Door::open_at(clock.clone(), |_| {}).await;
    door.device("d").await;
    door.device("other").await;
    let token = door.token("d", "connect publish", 60).await;
    let mut client = opened(&door, with(&token, Connect::v3("d"))).await;
    let fresh = door.token("d", "connect publish", 120).await;
    assert_eq!(client.ask(&publish3("devices/d/token", &fresh, 1, 1)).await.kind(), PUBACK);
    clock.advance(Duration::from_secs(100));
    assert_eq!(client.ask(&publish3("devices/d/telemetry", r#"{"n": 1}"#, 1, 2)).await.kind(), PUBACK);
    client.send(&publish3("devices/d/token", "twt_1.c.AAAA", 1, 3)).await;
    client.ends().await;
    let of_other = door.token("other", "connect", 60).await;
    let token = door.token("d", "connect publish", 60).await;
    let mut client = opened(&door, with(&token, Connect::v5("d"))).await;
    client.send(&publish5("devices/d/token", &of_other, 1, 1)).await;
    client.ends_with(0x87).await;
    let mut client = opened(&door, with(&token, Connect::v5("d"))).await;
    assert_eq!(client.ask(&publish5("devices/other/token", &of_other, 1, 1)).await.code(), 0x87, "a session renews only itself");
    let said = format!("{:?}{:?}", door.events("d").await, door.twins.get(&id("d")).await.unwrap());
    assert!(!said.contains("twt_"), "a token is not kept with the twin");
}
