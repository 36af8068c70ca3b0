//! What an earlier program wrote is read.

use std::{fs, path::Path};

use hierarchy_models::{Event, EventBody, OutboundCommand};

use super::*;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms).unwrap()
}

/// A twin with something in every part that format 1 has for behaviours.
fn of_format_1() -> TwinState {
    let mut twin = TwinState::blank();
    let bodies = vec![
        EventBody::Registered {
            model: hierarchy_models::model::resolve("Room").unwrap(),
            parent: Some(TwinId::new("floor").unwrap()),
            gateway: None,
            metadata: Map::from([("name".into(), "kitchen".into())]),
            tags: vec!["north".into()],
        },
        EventBody::BehaviourState { version: 1, state: Value::from_iter([("turns", Value::Int(3))]) },
        EventBody::TimerSet { name: "look".into(), due: at(1_372_896_060_000) },
        EventBody::DesiredPatched { patch: Map::from([("level".into(), Value::Int(2))]) },
    ];
    for (n, body) in bodies.into_iter().enumerate() {
        twin.apply(&Event { seq: n as u64 + 1, received_at: at(1_372_896_000_000), body }, 8);
    }
    twin
}

/// As a program of format 1 wrote it, which knew neither of the fields that came with 2.
fn bytes_of_format_1(twin: &TwinState) -> Vec<u8> {
    let mut wire = StateWire::decode(&*twin.to_bytes()).unwrap();
    (wire.format, wire.behaviour_version) = (1, None);
    assert!(wire.outbox.is_empty());
    wire.encode_to_vec()
}

#[test]
fn a_snapshot_of_format_1_is_read() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/snapshot_format_1.bin");
    if std::env::var_os("WRITE_FIXTURES").is_some() && !fixture.exists() {
        fs::create_dir_all(fixture.parent().unwrap()).unwrap();
        fs::write(&fixture, bytes_of_format_1(&of_format_1())).unwrap();
    }
    let bytes = fs::read(fixture).unwrap();
    assert_eq!(TwinState::from_bytes(&bytes).unwrap(), of_format_1());
}

#[test]
fn timers_and_commands_under_way_come_back() {
    let mut twin = of_format_1();
    let to = TwinId::new("t-1").unwrap();
    let command = OutboundCommand { to, name: "dim".into(), payload: Value::Int(3), expires_at: at(1_372_896_090_000) };
    let bodies = [
        EventBody::BehaviourState { version: 7, state: Value::Null },
        EventBody::TimerRepeats { name: "tick".into(), due: at(1_372_896_030_000), every: std::time::Duration::from_secs(30) },
        EventBody::OutboundQueued(Box::new(command)),
    ];
    for (n, body) in bodies.into_iter().enumerate() {
        twin.apply(&Event { seq: twin.seq + 1, received_at: at(1_372_896_000_000 + n as i64), body }, 8);
    }
    let read = TwinState::from_bytes(&twin.to_bytes()).unwrap();
    assert_eq!(read, twin);
    assert_eq!((read.outbox().len(), read.behaviour_version(), read.timers().len()), (1, 7, 2));
    assert_eq!(read.next_deadline(), Some(at(1_372_896_030_000)));
    assert_eq!(read.wake_at(), Some(Timestamp::EPOCH), "a process that starts sends at once what is under way");
}

#[test]
fn a_snapshot_of_a_newer_program_is_refused() {
    let mut wire = StateWire::decode(&*of_format_1().to_bytes()).unwrap();
    wire.format = FORMAT + 1;
    assert!(matches!(TwinState::from_bytes(&wire.encode_to_vec()), Err(Error::TooNew { .. })));
}
