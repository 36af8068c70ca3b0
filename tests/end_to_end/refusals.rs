//! What the MQTT door does not let in: strangers, other topics, broken packets.

use crate::support::{
    Client, Connect, Server, json,
    mqtt::{Packet, Property, Publish, Version, frame, id},
};

/// Topics that are nobody's, or another device's, or go the other way.
const OTHERS: [&str; 12] = [
    "devices/u/telemetry",
    "devices/t",
    "devices/t/",
    "devices/t/nothing",
    "devices/t/telemetry/a/b",
    "devices/t/events",
    "devices/t/events/a/b",
    "devices/t/commands/open/1",
    "devices/t/desired",
    "devices/t/twin",
    "other/topic",
    "/devices/t/telemetry",
];

#[test]
fn a_publish_to_another_topic_is_refused() {
    let server = Server::start();
    server.device("u");
    let mut device = server.connected("t");
    for topic in OTHERS {
        assert_eq!(device.publish(topic, r#"{"a": 1}"#).0, 0x87, "{topic}");
    }
    device.say("devices/t/telemetry", r#"{"a": 1}"#);
    assert_eq!(server.api().twin("u")["telemetry"], json!({}));
}

#[test]
fn under_3_1_1_a_publish_to_another_topic_ends_the_connection() {
    let server = Server::start();
    let key = server.device("t");
    for topic in OTHERS {
        let mut device = Connect::v311("t", &key).open(server.mqtt);
        device.send(Publish::new(topic, 1, r#"{"a": 1}"#));
        assert_eq!(device.closed(), None, "{topic}");
    }
}

#[test]
fn a_subscription_to_another_topic_is_refused() {
    let server = Server::start();
    server.device("u");
    let key = server.device("t");
    let filters = ["#", "+/t/desired", "devices/u/commands/#", "devices/+/commands/#", "devices/t/telemetry", "devices/t/#", "$SYS/#"];
    for (version, refused) in [(Version::V5, 0x87), (Version::V311, 0x80)] {
        let mut device = Connect::new(version, "t", &key).open(server.mqtt);
        for filter in filters {
            assert_eq!(device.subscribe(&[(filter, 1)]), [refused], "{filter} {version:?}");
        }
        let mixed = device.subscribe(&[("devices/t/commands/#", 1), ("#", 0), ("devices/t/twin", 0)]);
        assert_eq!(mixed, [1, refused, 0], "each filter is answered for itself");
    }
}

#[test]
fn strangers_are_told_nothing_but_no() {
    let server = Server::start();
    let key = server.device("t");
    server.device("u");
    let wrong = [("t", "wrong"), ("nobody", key.as_str()), ("u", key.as_str()), ("t", "")];
    for (id, key) in wrong {
        let v5 = Connect::v5(id, key).refusal(server.mqtt);
        assert!(matches!(v5, 0x86 | 0x87), "{id}: {v5:#04x}");
        let v311 = Connect::v311(id, key).refusal(server.mqtt);
        assert!(matches!(v311, 4 | 5), "{id}: {v311}");
    }
    let codes: std::collections::HashSet<u8> = wrong.iter().map(|(id, key)| Connect::v5(id, key).refusal(server.mqtt)).collect();
    assert_eq!(codes.len(), 1, "an unknown device and a wrong key must look the same");
    let mut nameless = Connect::v5("t", &key);
    (nameless.user, nameless.password) = (None, None);
    assert!(matches!(nameless.refusal(server.mqtt), 0x86 | 0x87));
    assert_eq!(server.api().twin("t")["connection"]["state"], "never");
}

#[test]
fn both_keys_of_a_device_open_its_door() {
    let server = Server::start();
    let twin = server.api().post("/twins", json!({"id": "t", "model": "Device"})).expect(201);
    for slot in ["primary", "secondary"] {
        Connect::v5("t", twin["keys"][slot].as_str().unwrap()).open(server.mqtt).goodbye();
    }
    assert_ne!(twin["keys"]["primary"], twin["keys"]["secondary"]);
}

#[test]
fn a_device_may_bring_its_own_key() {
    let server = Server::start();
    let twin = json!({"id": "t", "model": "Device", "keys": {"primary": "a-key-from-the-factory-0123456789"}});
    server.api().post("/twins", twin).expect(201);
    Connect::v5("t", "a-key-from-the-factory-0123456789").open(server.mqtt).goodbye();
    assert!(matches!(Connect::v5("t", "a-key-from-the-factory-9876543210").refusal(server.mqtt), 0x86 | 0x87));
}

#[test]
fn client_id_and_user_name_must_be_the_same_device() {
    let server = Server::start();
    let key = server.device("t");
    server.device("u");
    for (client_id, user) in [("u", "t"), ("t", "u")] {
        let connect = Connect { client_id: client_id.into(), user: Some(user.into()), ..Connect::v5(client_id, &key) };
        assert!(matches!(connect.refusal(server.mqtt), 0x85..=0x87), "{client_id} as {user}");
    }
}

#[test]
fn ids_that_cannot_be_are_refused() {
    let server = Server::start();
    for id in ["", "a b", "a/b", "+", "#", &"x".repeat(129)] {
        let code = Connect::v5(id, "key").refusal(server.mqtt);
        assert!(matches!(code, 0x85..=0x87), "{id:?}: {code:#04x}");
    }
}

#[test]
fn a_deactivated_device_stays_outside_and_a_live_session_ends_at_once() {
    let server = Server::start();
    let key = server.device("t");
    let mut device = Connect::v5("t", &key).open(server.mqtt);
    let asked = std::time::Instant::now();
    server.api().post("/twins/t/deactivate", json!({})).expect(200);
    let reason = device.closed();
    assert!(asked.elapsed().as_secs_f32() < 1.0, "revoked means gone within a second, it took {:?}", asked.elapsed());
    assert_eq!(reason, Some(0x98));
    assert!(matches!(Connect::v5("t", &key).refusal(server.mqtt), 0x86 | 0x87));
    server.api().post("/twins/t/activate", json!({})).expect(200);
    Connect::v5("t", &key).open(server.mqtt).goodbye();
}

#[test]
fn new_credentials_end_old_sessions_and_old_keys() {
    let server = Server::start();
    let key = server.device("t");
    let mut device = Connect::v5("t", &key).open(server.mqtt);
    let keys = server.api().post("/twins/t/credentials/reset", json!({})).expect(200);
    assert_eq!(device.closed(), Some(0x98));
    assert!(matches!(Connect::v5("t", &key).refusal(server.mqtt), 0x86 | 0x87));
    Connect::v5("t", keys["keys"]["primary"].as_str().unwrap()).open(server.mqtt).goodbye();
}

#[test]
fn a_removed_twin_loses_its_session() {
    let server = Server::start();
    let mut device = server.connected("t");
    assert_eq!(server.api().delete("/twins/t").status, 204);
    assert_eq!(device.closed(), Some(0x98));
}

#[test]
fn a_token_opens_its_own_devices_door_and_cannot_be_stretched() {
    let server = Server::start();
    server.device("t");
    server.device("u");
    let answer = server.api().post("/twins/t/tokens", json!({"expires_in": 60})).expect(201);
    let token = answer["token"].as_str().unwrap_or_else(|| panic!("{answer}"));
    Connect::v5("t", token).open(server.mqtt).goodbye();
    assert!(matches!(Connect::v5("u", token).refusal(server.mqtt), 0x86 | 0x87), "another device's token");
    let digit = token.find(|c: char| c.is_ascii_digit()).unwrap();
    let stretched = format!("{}9{}", &token[..digit], &token[digit..]);
    assert!(matches!(Connect::v5("t", &stretched).refusal(server.mqtt), 0x86 | 0x87), "a token with another expiry");
    server.api().post("/twins/t/credentials/reset", json!({})).expect(200);
    assert!(matches!(Connect::v5("t", token).refusal(server.mqtt), 0x86 | 0x87), "a token of old credentials");
    for bad in [json!({"expires_in": 0}), json!({"expires_in": 86_401}), json!({"expires_in": "1h"})] {
        assert_eq!(server.api().post("/twins/t/tokens", bad).problem(400)["pointer"], "/expires_in");
    }
}

#[test]
fn a_packet_above_the_limit_ends_the_session_with_its_reason() {
    let server = Server::start();
    let mut device = server.connected("t");
    let limit = device.properties.number(id::MAXIMUM_PACKET_SIZE).expect("the CONNACK names the largest packet") as usize;
    let payload = format!(r#"{{"text": "{}"}}"#, "x".repeat(limit));
    device.send(Publish::new("devices/t/telemetry", 1, payload));
    assert_eq!(device.closed(), Some(0x95));
}

#[test]
fn a_first_packet_that_is_no_connect_closes_the_connection() {
    let server = Server::start();
    let publish = Publish::new("devices/t/telemetry", 0, "{}").encode(Version::V5);
    for bytes in [&publish[..], &[0xC0, 0], b"GET / HTTP/1.1\r\n\r\n", &[0xFF; 32], &[0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]] {
        let mut client = Client::silent(server.mqtt, Version::V5);
        client.send_raw(bytes);
        while client.read().is_some() {}
    }
}

#[test]
fn an_unknown_protocol_version_is_refused() {
    let server = Server::start();
    let mut client = Client::silent(server.mqtt, Version::V5);
    client.send_raw(&frame(0x10, &[0, 4, b'M', b'Q', b'T', b'T', 9, 2, 0, 60, 0, 0, 1, b't']));
    while client.read().is_some() {}
}

#[test]
fn a_second_connect_ends_the_session() {
    for version in crate::support::mqtt::BOTH {
        let server = Server::start();
        let key = server.device("t");
        let connect = Connect::new(version, "t", &key);
        let mut device = connect.clone().open(server.mqtt);
        device.send_raw(&connect.encode());
        let reason = device.closed();
        assert!(version == Version::V311 || reason == Some(0x82), "{reason:?}");
    }
}

#[test]
fn a_topic_with_wildcards_or_nul_ends_the_session() {
    for topic in ["devices/t/telemetry/+", "devices/t/#", "devices/t/tele\u{0}metry"] {
        let server = Server::start();
        let mut device = server.connected("t");
        device.send(Publish::new(topic, 1, "{}"));
        let refused = match device.read() {
            None => true,
            Some(Packet::PubAck { reason, .. }) => reason == 0x90,
            Some(Packet::Disconnect { reason, .. }) => matches!(reason, 0x81 | 0x82 | 0x90),
            Some(_) => false,
        };
        assert!(refused, "{topic:?}");
    }
}

#[test]
fn retained_messages_and_enhanced_authentication_are_not_available() {
    let server = Server::start();
    let key = server.device("t");
    let mut device = Connect::v5("t", &key).open(server.mqtt);
    assert_eq!(device.properties.number(0x25), Some(0), "the CONNACK says that there is no retain");
    device.send(Publish { retain: true, ..Publish::new("devices/t/telemetry", 1, r#"{"a": 1}"#) });
    assert_eq!(device.closed(), Some(0x9A));
    let enhanced = Connect::v5("t", &key).property(id::AUTH_METHOD, Property::Text("SCRAM-SHA-1".into()));
    assert_eq!(enhanced.refusal(server.mqtt), 0x8C);
}

#[test]
fn a_connection_that_says_nothing_is_closed_in_time() {
    let server = Server::start();
    let mut silent = Client::silent(server.mqtt, Version::V5);
    let mut half = Client::silent(server.mqtt, Version::V5);
    half.send_raw(&[0x10, 40, 0, 4, b'M', b'Q']);
    assert_eq!(silent.read(), None);
    assert_eq!(half.read(), None);
}
