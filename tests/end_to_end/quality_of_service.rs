//! QoS 0, 1 and 2, duplicates, receive maximum, topic aliases.

use crate::support::{
    Client, Connect, Server, json,
    mqtt::{BOTH, Packet, Properties, Property, Publish, Version, frame, id},
    until,
};

const TOPIC: &str = "devices/t/telemetry";

fn record(n: usize) -> String {
    json!({"at": 1_700_000_000_000u64 + n as u64, "values": {"n": n}}).to_string()
}

fn count(server: &Server) -> usize {
    server.api().all("/twins/t/history?name=n&limit=1000").len()
}

fn pubrec(device: &mut Client, id: u16) -> u8 {
    device.wait("PUBREC", |p| match p {
        Packet::PubRec { id: of, reason, .. } if *of == id => Some(*reason),
        _ => None,
    })
}

fn release(device: &mut Client, id: u16) {
    device.send_raw(&frame(0x62, &id.to_be_bytes()));
    device.wait("PUBCOMP", |p| matches!(p, Packet::PubComp { id: of, .. } if *of == id).then_some(()));
}

#[test]
fn qos_0_is_recorded_in_order() {
    let server = Server::start();
    let mut device = server.connected("t");
    for n in 0..100 {
        device.send(Publish::new(TOPIC, 0, record(n)));
    }
    until("all are recorded", || count(&server) == 100);
    assert_eq!(server.api().twin("t")["telemetry"]["n"]["value"], 99);
}

#[test]
fn qos_2_is_recorded_exactly_once() {
    for version in BOTH {
        let server = Server::start();
        let key = server.device("t");
        let mut device = Connect::new(version, "t", &key).open(server.mqtt);
        let packet = device.send(Publish::new(TOPIC, 2, record(1)));
        assert_eq!(pubrec(&mut device, packet), 0);
        assert_eq!(count(&server), 1, "durable when PUBREC is sent");
        device.send(Publish { id: packet, dup: true, ..Publish::new(TOPIC, 2, record(1)) });
        assert_eq!(pubrec(&mut device, packet), 0);
        release(&mut device, packet);
        assert_eq!(count(&server), 1, "{version:?}: a repetition before the release is the same message");
        device.send(Publish { id: packet, ..Publish::new(TOPIC, 2, record(2)) });
        pubrec(&mut device, packet);
        release(&mut device, packet);
        assert_eq!(count(&server), 2, "{version:?}: after the release the packet id is free again");
    }
}

#[test]
fn qos_2_across_a_lost_connection_is_recorded_once() {
    let server = Server::start();
    let key = server.device("t");
    let mut device = Connect::v5("t", &key).persistent().open(server.mqtt);
    let packet = device.send(Publish::new(TOPIC, 2, record(1)));
    pubrec(&mut device, packet);
    device.lose();
    let mut device = Connect::v5("t", &key).persistent().open(server.mqtt);
    assert!(device.session_present);
    device.send(Publish { id: packet, dup: true, ..Publish::new(TOPIC, 2, record(1)) });
    pubrec(&mut device, packet);
    release(&mut device, packet);
    assert_eq!(count(&server), 1);
}

#[test]
fn qos_2_across_a_crash_is_recorded_once() {
    let server = Server::start();
    let key = server.device("t");
    let mut device = Connect::v5("t", &key).persistent().open(server.mqtt);
    let packet = device.send(Publish::new(TOPIC, 2, record(1)));
    pubrec(&mut device, packet);
    let server = server.restart_after_kill_9();
    let mut device = Connect::v5("t", &key).persistent().open(server.mqtt);
    device.send(Publish { id: packet, dup: true, ..Publish::new(TOPIC, 2, record(1)) });
    pubrec(&mut device, packet);
    release(&mut device, packet);
    assert_eq!(count(&server), 1);
}

#[test]
fn a_bad_payload_at_qos_2_is_refused_in_the_pubrec() {
    let server = Server::start();
    let mut device = server.connected("t");
    let packet = device.send(Publish::new(TOPIC, 2, "{broken"));
    assert_eq!(pubrec(&mut device, packet), 0x99);
    let packet = device.send(Publish::new("devices/u/telemetry", 2, "{}"));
    assert_eq!(pubrec(&mut device, packet), 0x87);
    device.say(TOPIC, record(1));
}

#[test]
fn a_release_of_nothing_is_answered() {
    let server = Server::start();
    let mut device = server.connected("t");
    device.send_raw(&frame(0x62, &77u16.to_be_bytes()));
    let reason = device.wait("PUBCOMP", |p| match p {
        Packet::PubComp { id: 77, reason } => Some(*reason),
        _ => None,
    });
    assert_eq!(reason, 0x92);
}

#[test]
fn the_server_says_how_much_may_be_on_its_way_and_holds_to_it() {
    let server = Server::start();
    let mut device = server.connected("t");
    let most = device.properties.number(id::RECEIVE_MAXIMUM).expect("the CONNACK names a receive maximum") as usize;
    let sent: Vec<u16> = (0..most).map(|n| device.send(Publish::new(TOPIC, 1, record(n)))).collect();
    for packet in sent {
        assert_eq!(device.puback(packet).0, 0);
    }
    assert_eq!(count(&server), most);
}

#[test]
fn the_devices_receive_maximum_bounds_what_is_sent_to_it() {
    let server = Server::start();
    let key = server.device("t");
    let mut device = Connect::v5("t", &key).property(id::RECEIVE_MAXIMUM, Property::Two(2)).open(server.mqtt);
    device.subscribe(&[("devices/t/commands/#", 1)]);
    for n in 0..5 {
        server.api().post("/twins/t/commands", json!({"name": format!("c{n}"), "ttl": 60})).expect(202);
    }
    let first = device.unacknowledged_message();
    let second = device.unacknowledged_message();
    device.expect_nothing_but_a_pong();
    device.ack(first.id);
    assert!(device.unacknowledged_message().topic.contains("/c2/"));
    device.expect_nothing_but_a_pong();
    device.ack(second.id);
    assert!(device.unacknowledged_message().topic.contains("/c3/"));
}

#[test]
fn a_topic_alias_stands_for_its_topic() {
    let server = Server::start();
    let mut device = server.connected("t");
    let most = device.properties.number(id::TOPIC_ALIAS_MAXIMUM).unwrap_or(0);
    assert!(most > 0, "the CONNACK offers topic aliases");
    let alias = |n: u16| Properties(vec![(id::TOPIC_ALIAS, Property::Two(n))]);
    let first = device.send(Publish { properties: alias(1), ..Publish::new(TOPIC, 1, record(1)) });
    assert_eq!(device.puback(first).0, 0);
    let second = device.send(Publish { properties: alias(1), ..Publish::new("", 1, record(2)) });
    assert_eq!(device.puback(second).0, 0);
    assert_eq!(count(&server), 2);
    device.send(Publish { properties: alias(most as u16 + 1), ..Publish::new(TOPIC, 1, record(3)) });
    assert_eq!(device.closed(), Some(0x94));
}

#[test]
fn a_device_that_takes_only_small_packets_gets_no_larger_ones() {
    let server = Server::start();
    let key = server.device("t");
    let mut device = Connect::v5("t", &key).property(id::MAXIMUM_PACKET_SIZE, Property::Four(200)).open(server.mqtt);
    device.subscribe(&[("devices/t/commands/#", 1)]);
    server.api().post("/twins/t/commands", json!({"name": "large", "payload": "x".repeat(500), "ttl": 60})).expect(202);
    server.api().post("/twins/t/commands", json!({"name": "small", "payload": 1, "ttl": 60})).expect(202);
    assert!(device.message().topic.contains("/small/"), "the large one does not block it");
}

#[test]
fn a_publish_with_a_packet_id_in_use_is_the_same_message() {
    let server = Server::start();
    let mut device = server.connected("t");
    for _ in 0..2 {
        device.send(Publish { id: 9, ..Publish::new(TOPIC, 1, record(1)) });
        device.puback(9);
    }
    assert_eq!(count(&server), 2, "once acknowledged, a packet id at QoS 1 is free again");
}

#[test]
fn a_large_message_does_not_overtake_or_fall_behind() {
    let server = Server::start();
    let key = server.device("t");
    let mut device = Connect::new(Version::V5, "t", &key).open(server.mqtt);
    let padding = "x".repeat(60_000);
    let packets: Vec<u16> = (0..6)
        .map(|n| {
            let text = if n % 2 == 0 { &padding } else { "" };
            device.send(Publish::new(TOPIC, 1, json!({"n": n, "text": text}).to_string()))
        })
        .collect();
    for packet in packets {
        assert_eq!(device.puback(packet).0, 0);
    }
    assert_eq!(server.api().twin("t")["telemetry"]["n"]["value"], 5);
    let events = server.api().all("/twins/t/events?stream=telemetry&limit=1000");
    assert_eq!(events.len(), 6);
}
