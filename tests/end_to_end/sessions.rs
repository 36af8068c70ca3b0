//! Sessions: one a device, taken over, kept, expired; wills; keep-alive.

use crate::support::{
    Connect, Server, json,
    mqtt::{BOTH, Packet, Properties, Property, Publish, Version, id},
    until,
};

#[test]
fn a_new_connection_of_the_same_device_takes_over() {
    for version in BOTH {
        let server = Server::start();
        let key = server.device("t");
        let mut first = Connect::new(version, "t", &key).open(server.mqtt);
        let mut second = Connect::new(version, "t", &key).open(server.mqtt);
        assert_eq!(first.closed(), (version == Version::V5).then_some(0x8E));
        second.say("devices/t/telemetry", r#"{"a": 1}"#);
        assert_eq!(server.api().twin("t")["connection"]["state"], "connected");
    }
}

#[test]
fn a_clean_session_remembers_nothing() {
    for version in BOTH {
        let server = Server::start();
        let key = server.device("t");
        let mut device = Connect::new(version, "t", &key).open(server.mqtt);
        device.subscribe(&[("devices/t/commands/#", 1)]);
        device.goodbye();
        server.api().post("/twins/t/commands", json!({"name": "open", "ttl": 60})).expect(202);
        let mut device = Connect::new(version, "t", &key).open(server.mqtt);
        assert!(!device.session_present);
        device.expect_nothing_but_a_pong();
    }
}

#[test]
fn a_persistent_session_keeps_its_subscriptions() {
    for version in BOTH {
        let server = Server::start();
        let key = server.device("t");
        let mut device = Connect::new(version, "t", &key).persistent().open(server.mqtt);
        assert!(!device.session_present);
        device.subscribe(&[("devices/t/commands/#", 1)]);
        device.goodbye();
        server.api().post("/twins/t/commands", json!({"name": "open", "ttl": 60})).expect(202);
        let mut device = Connect::new(version, "t", &key).persistent().open(server.mqtt);
        assert!(device.session_present, "{version:?}");
        assert!(device.message().topic.contains("/open/"), "without a new subscription");
    }
}

#[test]
fn a_persistent_session_outlives_a_crash_of_the_server() {
    let server = Server::start();
    let key = server.device("t");
    let mut device = Connect::v5("t", &key).persistent().open(server.mqtt);
    device.subscribe(&[("devices/t/commands/#", 1)]);
    let server = server.restart_after_kill_9();
    server.api().post("/twins/t/commands", json!({"name": "open", "ttl": 60})).expect(202);
    let mut device = Connect::v5("t", &key).persistent().open(server.mqtt);
    assert!(device.session_present);
    assert!(device.message().topic.contains("/open/"));
}

#[test]
fn a_clean_start_ends_the_session_before_it() {
    let server = Server::start();
    let key = server.device("t");
    let mut device = Connect::v5("t", &key).persistent().open(server.mqtt);
    device.subscribe(&[("devices/t/commands/#", 1)]);
    device.goodbye();
    let device = Connect::v5("t", &key).open(server.mqtt);
    assert!(!device.session_present);
    device.goodbye();
    let mut device = Connect::v5("t", &key).persistent().open(server.mqtt);
    assert!(!device.session_present);
    server.api().post("/twins/t/commands", json!({"name": "open", "ttl": 60})).expect(202);
    device.expect_nothing_but_a_pong();
}

#[test]
fn a_session_expires_when_it_said_it_would() {
    let server = Server::start();
    let key = server.device("t");
    let connect = Connect { clean: false, ..Connect::v5("t", &key).property(id::SESSION_EXPIRY, Property::Four(1)) };
    connect.clone().open(server.mqtt).goodbye();
    assert!(connect.clone().open(server.mqtt).session_present, "not expired yet");
    // The connection above is lost by being dropped; a second later nothing is left.
    until("the session expires", || {
        let events = server.api().all("/twins/t/events?stream=connection&limit=1000");
        events.iter().any(|e| e.to_string().contains("xpired"))
    });
    assert!(!connect.open(server.mqtt).session_present);
}

#[test]
fn a_lost_device_shows_as_lost_with_its_will() {
    for version in BOTH {
        let server = Server::start();
        let key = server.device("t");
        let connect = Connect::new(version, "t", &key).will("devices/t/events/gone", 1, r#"{"why": "power"}"#);
        connect.open(server.mqtt).lose();
        until("the twin shows as disconnected", || server.api().twin("t")["connection"]["state"] == "disconnected");
        assert_eq!(server.api().twin("t")["connection"]["reason"], "lost");
        let events = server.api().all("/twins/t/events?limit=1000");
        let said = events.iter().any(|e| e.to_string().contains("gone"));
        assert!(said, "the will is in the log: {events:?}");
    }
}

#[test]
fn a_goodbye_takes_the_will_back() {
    let server = Server::start();
    let key = server.device("t");
    Connect::v5("t", &key).will("devices/t/events/gone", 1, "{}").open(server.mqtt).goodbye();
    until("the twin shows as disconnected", || server.api().twin("t")["connection"]["state"] == "disconnected");
    let events = server.api().all("/twins/t/events?limit=1000");
    assert!(!events.iter().any(|e| e.to_string().contains("gone")), "{events:?}");
}

#[test]
fn a_goodbye_with_will_lets_the_will_speak() {
    let server = Server::start();
    let key = server.device("t");
    let mut device = Connect::v5("t", &key).will("devices/t/events/gone", 1, r#"{"a": 1}"#).open(server.mqtt);
    device.send_raw(&[0xE0, 1, 0x04]);
    device.lose();
    until("the will is in the log", || server.api().all("/twins/t/events?limit=1000").iter().any(|e| e.to_string().contains("gone")));
}

#[test]
fn a_delayed_will_is_not_said_when_the_device_comes_back() {
    let server = Server::start();
    let key = server.device("t");
    let mut connect = Connect::v5("t", &key).persistent().will("devices/t/events/gone", 1, r#"{"a": 1}"#);
    if let Some(will) = &mut connect.will {
        will.3 = Properties(vec![(id::WILL_DELAY, Property::Four(3600))]);
    }
    connect.open(server.mqtt).lose();
    until("the twin shows as disconnected", || server.api().twin("t")["connection"]["state"] == "disconnected");
    let mut device = Connect::v5("t", &key).persistent().open(server.mqtt);
    device.say("devices/t/telemetry", r#"{"a": 1}"#);
    let special = server.api().all("/twins/t/events?stream=events");
    assert_eq!(special.len(), 0, "{special:?}");
}

#[test]
fn a_will_for_somebody_elses_topic_is_refused_at_the_door() {
    let server = Server::start();
    let key = server.device("t");
    server.device("u");
    let code = Connect::v5("t", &key).will("devices/u/events/gone", 1, "{}").refusal(server.mqtt);
    assert!(matches!(code, 0x87 | 0x90), "{code:#04x}");
}

#[test]
fn a_silent_device_is_lost_after_its_keep_alive() {
    for version in BOTH {
        let server = Server::start();
        let key = server.device("t");
        let mut device = Connect::new(version, "t", &key).keep_alive(1).open(server.mqtt);
        let reason = device.closed();
        assert!(version == Version::V311 || reason == Some(0x8D), "{reason:?}");
        until("the twin shows as disconnected", || server.api().twin("t")["connection"]["state"] == "disconnected");
        assert_eq!(server.api().twin("t")["connection"]["reason"], "lost");
    }
}

#[test]
fn a_device_that_pings_stays() {
    let server = Server::start();
    let key = server.device("t");
    let mut device = Connect::v311("t", &key).keep_alive(1).open(server.mqtt);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(4);
    while std::time::Instant::now() < until {
        device.ping();
        std::thread::park_timeout(std::time::Duration::from_millis(300));
    }
    device.say("devices/t/telemetry", r#"{"a": 1}"#);
}

#[test]
fn a_stopping_server_tells_its_devices() {
    let server = Server::start();
    let key = server.device("t");
    let mut v5 = Connect::v5("t", &key).open(server.mqtt);
    v5.send(Publish::new("devices/t/telemetry", 1, r#"{"a": 1}"#));
    let (status, stopped) = server.stop();
    assert!(status.success(), "{status}");
    let mut acknowledged = false;
    let reason = loop {
        match v5.read() {
            Some(Packet::PubAck { reason: 0, .. }) => acknowledged = true,
            Some(Packet::Disconnect { reason, .. }) => break Some(reason),
            Some(_) => {}
            None => break None,
        }
    };
    assert_eq!(reason, Some(0x8B));
    let server = stopped.start();
    assert_eq!(server.api().all("/twins/t/history?name=a").len() == 1, acknowledged, "what was acknowledged is kept");
    assert_eq!(server.api().twin("t")["connection"]["state"], "disconnected");
}

#[test]
fn after_a_crash_no_device_shows_as_connected() {
    let server = Server::start();
    let _device = server.connected("t");
    let server = server.restart_after_kill_9();
    let connection = server.api().twin("t")["connection"].clone();
    assert_eq!((&connection["state"], &connection["reason"]), (&json!("disconnected"), &json!("unknown")));
}
