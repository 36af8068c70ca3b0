//! What an earlier program wrote is read.

use std::{fs, path::Path, time::Duration};

use bytes::Bytes;
use hierarchy_models::{
    CommandId, CommandResult, CommandState, Event, EventBody, OutboundCommand, Raw, Record, Severity,
    event::{DisconnectReason, Encoding, Status},
};

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
        EventBody::TimerRepeats { name: "tick".into(), due: at(1_372_896_030_000), every: Duration::from_secs(30) },
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

/// A twin with something in every part.
fn of_format_2() -> TwinState {
    let twin_id = |id: &str| TwinId::new(id).unwrap();
    let raw = || Raw { encoding: Encoding::Json, bytes: Bytes::from_static(b"{\"t\":") };
    let payload = || Value::from_iter([("level", Value::Int(2))]);
    let values = |n: i64| Map::from([("on".into(), Value::Bool(true)), ("n".into(), Value::Int(n))]);
    let command = |id: &str| {
        Box::new(Command {
            id: CommandId::new(id).unwrap(),
            name: "dim".into(),
            payload: payload(),
            state: CommandState::Queued,
            expires_at: at(1_372_896_060_000),
            queued_at: at(1_372_896_000_000),
            delivered_at: None,
            ended_at: None,
            deliveries: 0,
            result: None,
            idempotency_key: Some("k".into()),
            sender: "operator".into(),
        })
    };
    let result = Some(CommandResult { status: 200, payload: Value::Bool(true) });
    let alert = Alert {
        name: "hot".into(),
        severity: Severity::Critical,
        text: "31".into(),
        details: values(31),
        raised_at: at(1_372_895_000_000),
        last_at: at(1_372_895_500_000),
        count: 2,
        seq: 4,
        cause: 3,
        source: "rule:hot".into(),
        acknowledged: None,
    };
    let record = Record {
        at: at(1_372_895_999_000),
        id: Some("r1".into()),
        values: vec![("t".into(), Value::Float(21.5)), ("s".into(), "x".into())],
    };
    let outbound = OutboundCommand { to: twin_id("t-2"), name: "dim".into(), payload: payload(), expires_at: at(1_372_896_090_000) };
    let bodies = vec![
        EventBody::Registered {
            model: hierarchy_models::ModelId::new("dtmi:example:Hall;1").unwrap(),
            parent: Some(twin_id("floor")),
            gateway: Some(twin_id("g-1")),
            metadata: values(1),
            tags: vec!["north".into()],
        },
        EventBody::ModelSet { model: hierarchy_models::ModelId::new("dtmi:example:Hall;2").unwrap(), is_place: true },
        EventBody::StatusSet { status: Status::Inactive },
        EventBody::RollupsSet { definitions: vec![("load".into(), "sum(devices.power)".into())] },
        EventBody::SessionOpened { expiry_seconds: 3_600 },
        EventBody::Connected { session: 9, protocol: "mqtt5".into(), remote: "10.0.0.7:40000".into() },
        EventBody::Subscribed { subscriptions: Subscriptions { commands: Some(1), desired: Some(0), twin: Some(2) } },
        EventBody::PacketHeld { packet: 41 },
        EventBody::ChildAttached { child: twin_id("t-2") },
        EventBody::Telemetry { stream: None, records: vec![record], raw: raw() },
        EventBody::ReportedPatched { patch: values(2), raw: raw() },
        EventBody::DesiredPatched { patch: values(3) },
        EventBody::Diagnostics { payload: payload(), raw: raw() },
        EventBody::Rejected { topic: "telemetry".into(), reason: "no JSON".into(), raw: raw() },
        EventBody::CommandQueued(command("c-1")),
        EventBody::CommandDelivered { id: CommandId::new("c-1").unwrap() },
        EventBody::CommandEnded { id: CommandId::new("c-1").unwrap(), state: CommandState::Completed, result },
        EventBody::CommandQueued(command("c-2")),
        EventBody::AlertRaised(Box::new(alert)),
        EventBody::AlertAcknowledged { name: "hot".into(), by: "operator".into() },
        EventBody::BehaviourState { version: 7, state: payload() },
        EventBody::TimerSet { name: "look".into(), due: at(1_372_896_060_000) },
        EventBody::TimerRepeats { name: "tick".into(), due: at(1_372_896_030_000), every: Duration::from_secs(30) },
        EventBody::OutboundQueued(Box::new(outbound)),
        EventBody::RuleTurned { rule: "hot".into(), on: true, at: at(1_372_895_000_000) },
        EventBody::Poisoned { what: "telemetry".into(), error: "too much".into(), raw: Some(raw()) },
        EventBody::Quarantined { until_released: true, restarts: 6, error: "too much".into() },
        EventBody::Disconnected { session: 9, reason: DisconnectReason::Lost, will: None },
    ];
    let mut twin = TwinState::blank();
    for (n, body) in bodies.into_iter().enumerate() {
        twin.apply(&Event { seq: n as u64 + 1, received_at: at(1_372_896_000_000 + n as i64), body }, 8);
    }
    twin
}

/// So that nothing is left out that a twin may hold: a new part of it does not compile here.
#[test]
fn the_kept_twin_has_something_in_every_part() {
    let twin = of_format_2();
    let Rare {
        held_packets,
        record_ids,
        rejected,
        rejected_total,
        diagnostics,
        attached,
        timers,
        behaviour,
        behaviour_version,
        outbox,
        poison,
        restarts,
        rules_on,
        quarantined,
        rollups,
    } = *twin.rare.clone().unwrap();
    let lists =
        [held_packets.len(), record_ids.len(), rejected.len(), attached.len(), timers.len(), outbox.len(), poison.len(), rules_on.len()];
    assert!(lists.iter().all(|len| *len > 0), "{lists:?}");
    assert!(rejected_total > 0 && restarts > 0 && behaviour_version > 0 && behaviour != Value::Null);
    assert!(diagnostics.is_some() && quarantined.is_some() && rollups.is_some());
    let inbox = twin.inbox.as_deref().unwrap();
    assert!(!inbox.open.is_empty() && !inbox.ended.is_empty());
    assert!(twin.alerts[0].acknowledged.is_some() && twin.is_place && !model::is_place(&twin.model));
    assert!(!twin.telemetry.is_empty() && !twin.reported.is_empty() && !twin.desired.is_empty());
}

/// `WRITE_FIXTURES=1` writes it: once for a new format, and never again for it.
fn kept(name: &str, bytes: &[u8]) -> Vec<u8> {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    if std::env::var_os("WRITE_FIXTURES").is_some() && !fixture.exists() {
        fs::write(&fixture, bytes).unwrap();
    }
    fs::read(fixture).unwrap()
}

#[test]
fn a_snapshot_of_format_2_is_read_and_written_as_it_was() {
    let twin = of_format_2();
    let bytes = kept("snapshot_format_2.bin", &twin.to_bytes());
    assert_eq!(TwinState::from_bytes(&bytes).unwrap(), twin);
    assert_eq!(twin.to_bytes(), bytes);
}

#[test]
fn what_a_twin_passed_up_is_read_as_it_was_written() {
    let contribution = TwinState { is_place: false, ..of_format_2() }.own_contribution();
    let bytes = kept("contribution.bin", &contribution_to_bytes(&contribution));
    let read = contribution_from_bytes(&bytes).unwrap();
    assert_eq!((read.values.len(), read.counts.devices, read.counts.alerts_critical), (1, 1, 1));
    assert_eq!(read, contribution);
    assert_eq!(contribution_to_bytes(&read), bytes);
}
