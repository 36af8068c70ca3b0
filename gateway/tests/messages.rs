//! What a device says: acknowledged when it is durable, in order, once, and never at another device's cost.

#![allow(clippy::unwrap_used)]

mod harness;

use harness::*;
use hierarchy_models::EventBody;
use persistence::Error;

const CODE_BAD: u8 = 0x99;

fn telemetry(n: usize) -> String {
    format!("{{\"n\":{n}}}")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_waits_for_the_store() {
    let door = Door::open().await;
    door.device("d").await;
    for (connect, properties) in [(Connect::v5("d"), Some(&[][..])), (Connect::v3("d"), None)] {
        let mut client = door.connected(connect).await;
        for (qos, kind) in [(1, PUBACK), (2, PUBREC)] {
            door.store.hold_appends();
            client.send(&publish("devices/d/telemetry", telemetry(1), qos, 7, properties)).await;
            eventually("the commit is asked for", || async { door.store.held_appends() > 0 }).await;
            client.nothing_came().await;
            door.store.release_appends();
            let ack = client.read().await;
            assert_eq!((ack.kind(), ack.id(), ack.code()), (kind, 7, 0));
        }
        assert_eq!(client.ask(&pubrel(7)).await.kind(), PUBCOMP);
        client.send(&disconnect()).await;
        client.ends().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_messages_in_flight_are_answered_and_recorded_in_order() {
    let door = Door::open().await;
    door.device("d").await;
    let mut client = door.connected(Connect::v5("d")).await;
    let mut expected = Vec::new();
    for round in 0..20 {
        let burst: Vec<u8> = (0..64).flat_map(|i| publish5("devices/d/telemetry", telemetry(round * 64 + i), 1, i as u16 + 1)).collect();
        client.send(&burst).await;
        for i in 0..64 {
            let ack = client.read().await;
            assert_eq!((ack.kind(), ack.id(), ack.code()), (PUBACK, i + 1, 0));
        }
        expected.extend((0..64).map(|i| (round * 64 + i) as i64));
    }
    let recorded = door.numbers("d").await;
    assert_eq!(recorded, expected[..recorded.len()]);
    assert!(recorded.len() >= 900);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_at_qos_0_keep_their_order_and_outlive_a_hasty_goodbye() {
    let door = Door::open().await;
    door.device("d").await;
    let mut client = door.connected(Connect::v3("d")).await;
    let mut flood: Vec<u8> = (0..600).flat_map(|i| publish3("devices/d/telemetry", telemetry(i), 0, 0)).collect();
    flood.extend(disconnect());
    client.send(&flood).await;
    client.cut();
    eventually("all have come", || async { door.numbers("d").await.len() == 600 }).await;
    assert_eq!(door.numbers("d").await, (0..600).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_payload_is_not_overtaken() {
    let door = Door::open().await;
    door.device("d").await;
    let mut client = door.connected(Connect::v5("d")).await;
    let large = format!("{{\"n\":1,\"text\":\"{}\"}}", "x".repeat(150_000));
    let large = publish5("devices/d/telemetry", large, 1, 1);
    let (head, tail) = large.split_at(70_000);
    client.send(head).await;
    client.send(&[tail, &publish5("devices/d/telemetry", telemetry(2), 1, 2)].concat()).await;
    assert_eq!(client.read().await.id(), 1);
    assert_eq!(client.read().await.id(), 2);
    assert_eq!(door.numbers("d").await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_qos_2_message_is_taken_once_across_connections() {
    let door = Door::open().await;
    door.device("d").await;
    for (connect, properties) in [(Connect::v5("d").lasting(), Some(&[][..])), (Connect::v3("d").lasting(), None)] {
        let before = door.numbers("d").await.len();
        let message = publish("devices/d/telemetry", telemetry(1), 2, 9, properties);
        let mut client = door.connected(connect).await;
        assert_eq!(client.ask(&message).await.kind(), PUBREC);
        assert_eq!(client.ask(&again(message.clone())).await.kind(), PUBREC, "again on the same connection");
        client.cut();
        let mut client = door.connected(connect).await;
        assert_eq!(client.ask(&again(message)).await.kind(), PUBREC, "again on the next connection");
        assert_eq!(door.numbers("d").await.len(), before + 1);
        client.cut();
        let mut client = door.connected(connect).await;
        let released = client.ask(&pubrel(9)).await;
        assert_eq!((released.kind(), released.code()), (PUBCOMP, 0), "released on the third");
        let unknown = client.ask(&pubrel(9)).await;
        assert_eq!((unknown.kind(), unknown.code()), (PUBCOMP, if properties.is_some() { 0x92 } else { 0 }));
        client.send(&disconnect()).await;
        client.ends().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn qos_2_packet_ids_are_given_back() {
    let door = Door::open().await;
    door.device("d").await;
    let mut client = door.connected(Connect::v5("d")).await;
    for n in 0..200 {
        let id = n as u16 % 3 + 1;
        assert_eq!(client.ask(&publish5("devices/d/telemetry", telemetry(n), 2, id)).await.kind(), PUBREC);
        assert_eq!(client.ask(&pubrel(id)).await.code(), 0);
    }
    assert_eq!(door.numbers("d").await.len(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_payload_is_answered_kept_and_costs_nothing_else() {
    let door = Door::open().await;
    door.device("d").await;
    let mut client = door.connected(Connect::v5("d")).await;
    let bad = client.ask(&publish5("devices/d/telemetry", r#"[{"n":1},{"n":null}]"#, 1, 1)).await;
    assert_eq!((bad.kind(), bad.code()), (PUBACK, CODE_BAD));
    assert!(bad.text().contains("/1/n: null is not a value"), "{}", bad.text());
    let bad = client.ask(&publish5("devices/d/telemetry", "\u{0}", 2, 2)).await;
    assert_eq!((bad.kind(), bad.code()), (PUBREC, CODE_BAD));
    let unknown = publish("devices/d/telemetry", "{}", 1, 3, Some(b"\x03\0\x08text/xml"));
    assert_eq!(client.ask(&unknown).await.code(), CODE_BAD);
    assert_eq!(client.ask(&publish5("devices/d/telemetry", telemetry(1), 1, 4)).await.code(), 0);

    let mut old = door.connected(Connect::v3("d")).await;
    assert_eq!(old.ask(&publish3("devices/d/telemetry", "nonsense", 1, 1)).await.kind(), PUBACK);
    assert_eq!(old.ask(&publish3("devices/d/telemetry", "nonsense", 2, 2)).await.kind(), PUBREC);
    assert_eq!(old.ask(&pubrel(2)).await.kind(), PUBCOMP);
    old.send(&publish3("devices/d/telemetry", "nonsense", 0, 0)).await;
    old.nothing_came().await;

    let view = door.twins.get(&id("d")).await.unwrap();
    assert_eq!(view.diagnostics.rejected_total, 6);
    assert!(view.diagnostics.rejected[0].reason.starts_with("/1/n: "));
    assert_eq!(door.numbers("d").await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn reasons_are_told_only_to_who_wants_them() {
    let door = Door::open().await;
    door.device("d").await;
    let mut client = door.connected(Connect { properties: &[0x17, 0], ..Connect::v5("d") }).await;
    let bad = client.ask(&publish5("devices/d/telemetry", "nonsense", 1, 1)).await;
    assert_eq!((bad.code(), bad.body.len()), (CODE_BAD, 4), "{bad:?}");
    let mut small = door.connected(Connect { properties: &[0x27, 0, 0, 0, 64], ..Connect::v5("d") }).await;
    let bad = small.ask(&publish5("devices/d/telemetry", format!("{{\"{}\":null}}", "x".repeat(60)), 1, 1)).await;
    assert_eq!(bad.code(), CODE_BAD);
    assert!(bad.body.len() <= 62, "{bad:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_encoding_reaches_the_twin() {
    let door = Door::open().await;
    door.device("d").await;
    let mut client = door.connected(Connect::v5("d")).await;
    let cbor = b"\xa1\x61n\x02";
    let protobuf = b"\x0a\x07\x1a\x05\x0a\x01n\x18\x03";
    assert_eq!(client.ask(&publish5("devices/d/telemetry", telemetry(1), 1, 1)).await.code(), 0);
    assert_eq!(client.ask(&publish5("devices/d/telemetry;cbor", cbor, 1, 2)).await.code(), 0);
    assert_eq!(client.ask(&publish("devices/d/telemetry", cbor, 1, 3, Some(b"\x03\0\x10application/cbor"))).await.code(), 0);
    assert_eq!(client.ask(&publish5("devices/d/telemetry/fast;proto", protobuf, 1, 4)).await.code(), 0);
    assert_eq!(door.numbers("d").await, [1, 2, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_message_reaches_the_twin() {
    let door = Door::open().await;
    door.device("d").await;
    let mut client = door.connected(Connect::v5("d")).await;
    let messages = [
        ("reported", r#"{"firmware":"1","old":2}"#),
        ("reported", r#"{"old":null}"#),
        ("events/alarm", r#"["fire"]"#),
        ("diagnostics", r#"{"rssi":-60}"#),
    ];
    for (i, (topic, payload)) in messages.into_iter().enumerate() {
        let ack = client.ask(&publish5(&format!("devices/d/{topic}"), payload, 1, i as u16 + 1)).await;
        assert_eq!(ack.code(), 0, "{topic}: {ack:?}");
    }
    let view = door.twins.get(&id("d")).await.unwrap();
    assert_eq!(view.reported.keys().map(|k| k.as_str()).collect::<Vec<_>>(), ["firmware"]);
    assert!(view.diagnostics.last.is_some());
    assert!(door.events("d").await.iter().any(|e| matches!(e, EventBody::Special { name, .. } if name == "alarm")));
    assert_eq!(client.ask(&publish5("devices/d/reported/full", r#"{"a":1}"#, 1, 9)).await.code(), 0);
    assert_eq!(door.twins.get(&id("d")).await.unwrap().reported.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_speaks_for_another() {
    let door = Door::open().await;
    door.device("d").await;
    door.device("other").await;
    for topic in
        ["devices/other/telemetry", "devices/nobody/telemetry", "elsewhere", "devices/d/nothing", "devices/other/attach/d", "$SYS/x"]
    {
        let mut client = door.connected(Connect::v5("d")).await;
        assert_eq!(client.ask(&publish5(topic, telemetry(1), 1, 1)).await.code(), 0x87, "{topic}");
        let refused = client.ask(&publish5(topic, telemetry(1), 2, 2)).await;
        assert_eq!((refused.kind(), refused.code()), (PUBREC, 0x87), "{topic}");
        client.send(&publish5(topic, telemetry(1), 0, 0)).await;
        client.nothing_came().await;
        let mut old = door.connected(Connect::v3("d")).await;
        old.send(&publish3(topic, telemetry(1), 1, 1)).await;
        old.ends().await;
    }
    assert!(door.numbers("other").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_speaks_for_its_children_only() {
    let door = Door::open().await;
    door.device("g").await;
    door.child("c", "g").await;
    door.device("stranger").await;
    let mut gateway = door.connected(Connect::v5("g")).await;
    assert_eq!(gateway.ask(&publish5("devices/g/attach/c", "", 1, 1)).await.code(), 0);
    assert_eq!(gateway.ask(&publish5("devices/c/telemetry", telemetry(5), 1, 2)).await.code(), 0);
    assert_eq!(gateway.ask(&publish5("devices/c/telemetry", telemetry(6), 2, 3)).await.code(), 0);
    assert_eq!(gateway.ask(&pubrel(3)).await.code(), 0);
    assert_eq!(gateway.ask(&publish5("devices/stranger/telemetry", telemetry(5), 1, 4)).await.code(), 0x87);
    assert_eq!(gateway.ask(&publish5("devices/g/attach/stranger", "", 1, 5)).await.code(), 0x87);
    assert_eq!(door.numbers("c").await, [5, 6]);
    assert_eq!(door.twins.get(&id("c")).await.unwrap().connection.state, "connected");
    gateway.cut();
    eventually("the child is gone with its gateway", || async {
        door.twins.get(&id("c")).await.unwrap().connection.state == "disconnected"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_is_told_apart_from_success() {
    let unavailable = Error::Unavailable { doing: "appending", detail: "unplugged".into() };
    let full = Error::Full { doing: "appending", detail: "no room".into() };
    for (error, code) in [(unavailable, 0x83), (full, 0x97)] {
        let door = Door::open().await;
        for name in ["d", "o"] {
            door.device(name).await;
        }
        let mut client = door.connected(Connect::v5("d")).await;
        let mut old = door.connected(Connect::v3("o")).await;
        door.store.fail_appends(Some(error));
        assert_eq!(client.ask(&publish5("devices/d/telemetry", telemetry(1), 1, 1)).await.code(), code);
        old.send(&publish3("devices/o/telemetry", telemetry(1), 1, 1)).await;
        old.ends().await;
        door.store.fail_appends(None);
        let mut tries = 0;
        while client.ask(&publish5("devices/d/telemetry", telemetry(2), 1, 2)).await.code() != 0 {
            tries += 1;
            assert!(tries < 1000, "it does not go on");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert_eq!(door.numbers("d").await, [2]);
        assert!(door.numbers("o").await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn topic_aliases_stand_for_their_topics() {
    let door = Door::open().await;
    door.device("d").await;
    let mut client = door.connected(Connect::v5("d")).await;
    let alias = |n: u8| [0x23, 0, n];
    assert_eq!(client.ask(&publish("devices/d/telemetry", telemetry(1), 1, 1, Some(&alias(1)))).await.code(), 0);
    assert_eq!(client.ask(&publish("", telemetry(2), 1, 2, Some(&alias(1)))).await.code(), 0);
    assert_eq!(door.numbers("d").await, [1, 2]);
    client.send(&publish("", telemetry(3), 1, 3, Some(&alias(2)))).await;
    client.ends_with(0x94).await;
    let mut client = door.connected(Connect::v5("d")).await;
    client.send(&publish("devices/d/telemetry", telemetry(3), 1, 3, Some(&alias(33)))).await;
    client.ends_with(0x94).await;
    let mut client = door.connected(Connect::v5("d")).await;
    client.send(&publish5("", telemetry(3), 1, 3)).await;
    client.ends_with(0x82).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_the_protocol_ends_the_connection_with_its_code() {
    let door = Door::open().await;
    door.device("d").await;
    let broken = [
        ("a retained message", retained(publish5("devices/d/telemetry", "{}", 0, 0)), 0x9A),
        ("a wildcard in a topic", publish5("devices/+/telemetry", "{}", 0, 0), 0x90),
        ("U+0000 in a topic", publish5("devices/d/events/a\0", "{}", 1, 1), 0x90),
        (
            "a topic that is not UTF-8",
            publish("devices/d/events/x", "{}", 1, 1, Some(&[])).iter().map(|b| if *b == b'x' { 0xFF } else { *b }).collect(),
            0x81,
        ),
        ("a topic longer than its packet", packet(PUBLISH, &[0xFF, 0xFF, b'a']), 0x81),
        ("properties longer than their packet", packet(PUBLISH, &[0, 1, b'a', 0x7F]), 0x81),
        ("packet id 0", publish5("devices/d/telemetry", "{}", 1, 0), 0x81),
        ("DUP at QoS 0", again(publish5("devices/d/telemetry", "{}", 0, 0)), 0x81),
        ("QoS 3", packet(PUBLISH | 6, &[0, 1, b'a', 0, 1, 0]), 0x81),
        ("a length without end", vec![0x30, 0xFF, 0xFF, 0xFF, 0xFF, 1], 0x81),
        ("a packet too large", vec![0x30, 0x81, 0x80, 0x80, 0x01], 0x95),
        ("no filters", packet(0x82, &[0, 1, 0]), 0x82),
        ("a subscription identifier", packet(0x82, &[0, 1, 2, 0x0B, 1, 0, 1, b'a', 0]), 0xA1),
        ("AUTH", packet(0xF0, &[]), 0x82),
        ("a CONNACK", packet(0x20, &[0, 0, 0]), 0x82),
    ];
    for (what, bytes, code) in broken {
        let mut client = door.connected(Connect::v5("d")).await;
        client.send(&bytes).await;
        let end = client.read().await;
        assert_eq!((end.kind(), end.body[0]), (DISCONNECT, code), "{what}: {end:?}");
        client.ends().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_in_flight_than_granted_ends_a_v5_connection_and_slows_an_old_one() {
    let door = Door::open().await;
    door.device("d").await;
    let burst = |f: fn(&str, String, u8, u16) -> Vec<u8>| {
        (1..=65u16).flat_map(|i| f("devices/d/telemetry", telemetry(i.into()), 1, i)).collect::<Vec<u8>>()
    };
    let mut client = door.connected(Connect::v5("d")).await;
    door.store.hold_appends();
    client.send(&burst(publish5)).await;
    let end = client.read().await;
    assert_eq!((end.kind(), end.body[0]), (DISCONNECT, 0x93));
    door.store.release_appends();
    client.ends().await;

    let mut old = door.connected(Connect::v3("d")).await;
    old.send(&burst(publish3).repeat(3)).await;
    for round in 0..3 {
        for i in 1..=65 {
            assert_eq!(old.read().await.id(), i, "round {round}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateways_messages_keep_their_order_while_its_children_come_to_its_thread() {
    let door = Door::open_with(|s| s.workers = 2).await;
    door.device("g").await;
    let children: Vec<String> = (0..8).map(|i| format!("c-{i}")).collect();
    for child in &children {
        door.child(child, "g").await;
    }
    // 3.1.1, which has no Receive Maximum: the server reads as it can, and so also while a child is between threads
    let mut gateway = door.connected(Connect::v3("g")).await;
    const EACH: u16 = 60;
    let mut packets = Vec::new();
    for n in 1..=EACH {
        for (child, i) in children.iter().zip(0..) {
            packets.extend(publish3(&format!("devices/{child}/telemetry"), format!("{{\"n\":{n}}}"), 1, n * 8 + i));
        }
    }
    gateway.send(&packets).await;
    for _ in 0..EACH * 8 {
        assert_eq!(gateway.read().await.kind(), PUBACK);
    }
    for child in &children {
        assert_eq!(door.numbers(child).await, (1..=i64::from(EACH)).collect::<Vec<_>>(), "{child}");
    }
}
