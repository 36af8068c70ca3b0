//! What lies in a journal by now is read for ever: bytes of every kind of event are kept, and are written as they were.

use std::{collections::HashSet, fs, path::Path};

use hierarchy_models::Value;

use super::*;

/// A turn whose every part can be named; the stored fixture holds it.
pub fn sample() -> Turn {
    let at = |ms| Timestamp::from_millis(ms).unwrap();
    let raw = Raw { encoding: Encoding::Json, bytes: Bytes::from_static(br#"{"temperature":21.5,"on":true}"#) };
    let values = vec![("temperature".into(), Value::Float(21.5)), ("on".into(), Value::Bool(true)), ("note".into(), "warm".into())];
    let command = Command {
        id: CommandId::new("c-1").unwrap(),
        name: "reboot".into(),
        payload: Value::from_iter([("delay", Value::Int(-3)), ("list", Value::from(vec![Value::Null, Value::Int(1)]))]),
        state: CommandState::Queued,
        expires_at: at(1_372_896_060_000),
        queued_at: at(1_372_896_000_000),
        delivered_at: None,
        ended_at: None,
        deliveries: 0,
        result: None,
        idempotency_key: Some("key".into()),
        sender: "operator".into(),
    };
    let telemetry = EventBody::Telemetry {
        stream: Some("air".into()),
        records: vec![Record { at: at(1_372_895_999_000), id: Some("r1".into()), values }],
        raw,
    };
    let bodies = vec![
        telemetry,
        EventBody::CommandQueued(Box::new(command)),
        EventBody::StatusSet { status: Status::Inactive },
        EventBody::Disconnected { session: 4, reason: DisconnectReason::Lost, will: None },
        EventBody::Unregistered,
    ];
    let event = |(n, body)| Event { seq: n as u64 + 1, received_at: at(1_372_896_000_000 + n as i64), body };
    Turn { twin: TwinId::new("room-7").unwrap(), events: bodies.into_iter().enumerate().map(event).collect() }
}

/// A turn of what behaviours ask for; a stored fixture of its own.
fn sample_of_behaviours() -> Turn {
    let at = |ms| Timestamp::from_millis(ms).unwrap();
    let command = OutboundCommand {
        to: TwinId::new("room-7").unwrap(),
        name: "ventilate".into(),
        payload: Value::from_iter([("level", Value::Int(2))]),
        expires_at: at(1_372_896_060_000),
    };
    let bodies = vec![
        EventBody::BehaviourState { version: 1, state: Value::from_iter([("alarmed", Value::Bool(true))]) },
        EventBody::BehaviourState { version: 2, state: Value::from_iter([("alarms", Value::Int(1))]) },
        EventBody::TimerRepeats { name: "look".into(), due: at(1_372_896_001_000), every: Duration::from_secs(60) },
        EventBody::TimerCancelled { name: "look".into() },
        EventBody::OutboundQueued(Box::new(command)),
        EventBody::OutboundSent { queued: 5, command: CommandId::new("c-2").unwrap() },
        EventBody::OutboundDropped { queued: 4, reason: "there is no twin room-8".into() },
    ];
    let event = |(n, body)| Event { seq: n as u64 + 1, received_at: at(1_372_896_000_000 + n as i64), body };
    Turn { twin: TwinId::new("t-1").unwrap(), events: bodies.into_iter().enumerate().map(event).collect() }
}

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// `WRITE_FIXTURES=1` writes it: once for a new format, and never again for it.
fn check_fixture(name: &str, sample: &Turn) {
    if std::env::var_os("WRITE_FIXTURES").is_some() && !fixture(name).exists() {
        fs::create_dir_all(fixture(name).parent().unwrap()).unwrap();
        fs::write(fixture(name), encoded(sample)).unwrap();
    }
    let bytes = fs::read(fixture(name)).unwrap();
    assert_eq!(decode_turn(bytes.clone().into()).unwrap(), *sample);
    assert_eq!(encoded(sample), bytes, "it is written as it was when the fixture was made");
}

#[test]
fn the_stored_turn_of_format_1_is_read() {
    check_fixture("turn_format_1.bin", &sample());
}

#[test]
fn the_stored_turn_of_what_behaviours_ask_for_is_read() {
    check_fixture("turn_of_behaviours.bin", &sample_of_behaviours());
}

/// One event of every kind, with every part that it may have.
fn sample_of_all() -> Turn {
    use EventBody as E;
    let at = |ms| Timestamp::from_millis(ms).unwrap();
    let twin = |id: &str| TwinId::new(id).unwrap();
    let map = || Map::from([("floor".into(), Value::Int(2)), ("name".into(), "kitchen".into())]);
    let raw = || Raw { encoding: Encoding::Cbor, bytes: Bytes::from_static(&[0xa1, 0x61, 0x74, 0x01]) };
    let id = || CommandId::new("c-3").unwrap();
    let result = || CommandResult { status: 503, payload: "busy".into() };
    let payload = || Value::from_iter([("level", Value::Float(0.5))]);
    let alert = Alert {
        name: "hot".into(),
        severity: Severity::Critical,
        text: "31 °C".into(),
        details: map(),
        raised_at: at(1_372_896_000_001),
        last_at: at(1_372_896_000_002),
        count: 3,
        seq: 12,
        cause: 11,
        source: "rule:hot".into(),
        acknowledged: Some(Acknowledgement { at: at(1_372_896_000_003), by: "operator".into() }),
    };
    let command = Command {
        id: id(),
        name: "dim".into(),
        payload: payload(),
        state: CommandState::Failed,
        expires_at: at(1_372_896_060_000),
        queued_at: at(1_372_896_000_000),
        delivered_at: Some(at(1_372_896_001_000)),
        ended_at: Some(at(1_372_896_002_000)),
        deliveries: 2,
        result: Some(result()),
        idempotency_key: Some("twin:t-1:5".into()),
        sender: "twin:t-1".into(),
    };
    let record = Record { at: at(1_372_895_999_000), id: Some("r2".into()), values: vec![("t".into(), Value::Int(-7))] };
    let outbound = OutboundCommand { to: twin("t-2"), name: "dim".into(), payload: payload(), expires_at: at(1_372_896_060_000) };
    let model = || ModelId::new("dtmi:example:Fan;1").unwrap();
    let (parent, gateway) = (Some(twin("floor")), Some(twin("g-1")));
    let will = Some(Will { topic: "devices/t-1/events/lost".into(), raw: raw() });
    let bodies = vec![
        E::Registered { model: model(), parent: parent.clone(), gateway: gateway.clone(), metadata: map(), tags: vec!["north".into()] },
        E::Unregistered,
        E::MetadataPatched { patch: Map::from([("name".into(), Value::Null)]) },
        E::TagsSet { tags: vec!["north".into(), "old".into()] },
        E::Moved { parent },
        E::GatewaySet { gateway },
        E::StatusSet { status: Status::Active },
        E::ModelSet { model: model(), is_place: true },
        E::DesiredPatched { patch: map() },
        E::RollupsSet { definitions: vec![("load".into(), "sum(devices.power)".into())] },
        E::Telemetry { stream: None, records: vec![record], raw: raw() },
        E::ReportedPatched { patch: map(), raw: raw() },
        E::ReportedReplaced { properties: map(), raw: raw() },
        E::Special { name: "alarm".into(), payload: payload(), raw: raw() },
        E::Diagnostics { payload: payload(), raw: raw() },
        E::Rejected { topic: "telemetry".into(), reason: "/t: must be a number".into(), raw: raw() },
        E::Connected { session: 9, protocol: "mqtt5".into(), remote: "10.0.0.7:40000".into() },
        E::Disconnected { session: 9, reason: DisconnectReason::TakenOver, will },
        E::SessionOpened { expiry_seconds: 3_600 },
        E::Subscribed { subscriptions: Subscriptions { commands: Some(1), desired: Some(0), twin: Some(2) } },
        E::SessionExpired,
        E::PacketHeld { packet: 41 },
        E::PacketReleased { packet: 41 },
        E::ChildAttached { child: twin("t-2") },
        E::ChildDetached { child: twin("t-2") },
        E::CommandQueued(Box::new(command)),
        E::CommandDelivered { id: id() },
        E::CommandEnded { id: id(), state: CommandState::Failed, result: Some(result()) },
        E::AlertRaised(Box::new(alert)),
        E::AlertCleared { name: "hot".into() },
        E::BehaviourState { version: 1, state: payload() },
        E::Emitted { name: "seen".into(), payload: payload() },
        E::TimerSet { name: "look".into(), due: at(1_372_896_030_000) },
        E::TimerRepeats { name: "beat".into(), due: at(1_372_896_030_000), every: Duration::from_millis(1_500) },
        E::TimerFired { name: "look".into() },
        E::TimerCancelled { name: "beat".into() },
        E::OutboundQueued(Box::new(outbound)),
        E::OutboundSent { queued: 5, command: id() },
        E::OutboundDropped { queued: 6, reason: "its time to live is over".into() },
        E::Poisoned { what: "event alarm".into(), error: "panic: no".into(), raw: Some(raw()) },
        E::Quarantined { until_released: true, restarts: 6, error: "panic: no".into() },
        E::Released,
        E::AlertAcknowledged { name: "hot".into(), by: "operator".into() },
        E::AlertEnded { name: "hot".into(), by: "rule:hot".into(), at: at(1_372_896_000_009) },
        E::RuleTurned { rule: "hot".into(), on: true, at: at(1_372_896_000_008) },
        E::WebhookQueued { rule: "hot".into(), action: 1, payload: payload() },
    ];
    let event = |(n, body)| Event { seq: n as u64 + 1, received_at: at(1_372_896_000_000 + n as i64), body };
    Turn { twin: twin("t-1"), events: bodies.into_iter().enumerate().map(event).collect() }
}

#[test]
fn the_stored_turn_of_every_kind_of_event_is_read() {
    check_fixture("turn_of_all.bin", &sample_of_all());
}

/// A kind that comes later gets a fixture of its own; what is kept stays as it is.
#[test]
fn bytes_of_every_kind_of_event_are_kept() {
    let kept = [sample(), sample_of_behaviours(), sample_of_all()];
    let kinds: HashSet<_> = kept.iter().flat_map(|turn| &turn.events).map(|event| std::mem::discriminant(&event.body)).collect();
    assert_eq!(kinds.len(), bodies().len(), "a new kind of event needs kept bytes");
}
