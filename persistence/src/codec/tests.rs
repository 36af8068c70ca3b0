//! What is written comes back; what this program cannot know is refused; what is damaged never panics.

use std::time::Duration;

use hierarchy_models::{
    CommandId, CommandResult, CommandState, EventBody, ModelId, Name, OutboundCommand, Raw, Record, Severity, Timestamp,
    alert::Acknowledgement,
    event::{DisconnectReason, Encoding, Status, Subscriptions, Will},
};
use proptest::{collection::vec, option, prelude::*, strategy::ValueTree};

use super::*;

mod fixtures;

fn name() -> impl Strategy<Value = Name> {
    "\\PC{0,30}".prop_map(Name::from)
}

fn twin() -> impl Strategy<Value = TwinId> {
    "[a-zA-Z0-9_.:@-]{1,128}".prop_map(|t| TwinId::new(t).unwrap())
}

fn command_id() -> impl Strategy<Value = CommandId> {
    "[a-zA-Z0-9_-]{1,64}".prop_map(|t| CommandId::new(t).unwrap())
}

fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        Just(Timestamp::MIN),
        Just(Timestamp::MAX),
        Just(Timestamp::EPOCH),
        (Timestamp::MIN.as_millis()..=Timestamp::MAX.as_millis()).prop_map(|ms| Timestamp::from_millis(ms).unwrap())
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Value::Float),
        "\\PC{0,200}".prop_map(|t| Value::Text(t.into())),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(name(), inner, 0..4).prop_map(Value::from)
        ]
    })
}

fn map() -> impl Strategy<Value = Map> {
    proptest::collection::btree_map(name(), value(), 0..4)
}

fn raw() -> impl Strategy<Value = Raw> {
    let encoding = proptest::sample::select(vec![Encoding::Json, Encoding::Cbor, Encoding::Protobuf, Encoding::Unknown]);
    (encoding, vec(any::<u8>(), 0..300)).prop_map(|(encoding, bytes)| Raw { encoding, bytes: bytes.into() })
}

fn result() -> impl Strategy<Value = CommandResult> {
    (any::<u16>(), value()).prop_map(|(status, payload)| CommandResult { status, payload })
}

fn state() -> impl Strategy<Value = CommandState> {
    use CommandState::*;
    proptest::sample::select(vec![Queued, Delivered, Completed, Failed, Expired, Cancelled])
}

fn command() -> impl Strategy<Value = Command> {
    let times = (time(), time(), option::of(time()), option::of(time()));
    (command_id(), name(), value(), state(), times, any::<u32>(), option::of(result()), option::of(name()), name()).prop_map(
        |(id, name, payload, state, (expires_at, queued_at, delivered_at, ended_at), deliveries, result, idempotency_key, sender)| {
            Command { id, name, payload, state, expires_at, queued_at, delivered_at, ended_at, deliveries, result, idempotency_key, sender }
        },
    )
}

fn alert() -> impl Strategy<Value = Alert> {
    let severity = proptest::sample::select(vec![Severity::Info, Severity::Warning, Severity::Critical]);
    let word = option::of((time(), name()).prop_map(|(at, by)| Acknowledgement { at, by }));
    (name(), severity, "\\PC{0,40}", map(), time(), time(), any::<[u64; 3]>(), name(), word).prop_map(
        |(name, severity, text, details, raised_at, last_at, [count, seq, cause], source, acknowledged)| Alert {
            name,
            severity,
            text,
            details,
            raised_at,
            last_at,
            count,
            seq,
            cause,
            source,
            acknowledged,
        },
    )
}

fn record() -> impl Strategy<Value = Record> {
    (time(), option::of(name()), vec((name(), value()), 0..4)).prop_map(|(at, id, values)| Record { at, id, values })
}

fn reason() -> impl Strategy<Value = DisconnectReason> {
    use DisconnectReason::*;
    proptest::sample::select(vec![Goodbye, Lost, TakenOver, Revoked, ServerStopped, Refused, Unknown])
}

/// One strategy for each kind of event, in the order of the enum.
fn bodies() -> Vec<BoxedStrategy<EventBody>> {
    use EventBody as E;
    let model = || Just(ModelId::new("dtmi:twinfold:Room;1").unwrap());
    let names = || vec(name(), 0..4);
    let text = || "\\PC{0,60}";
    let status = proptest::sample::select(vec![Status::Active, Status::Inactive]);
    let will = (text(), raw()).prop_map(|(topic, raw)| Will { topic, raw });
    let qos = || option::of(any::<u8>());
    vec![
        (model(), option::of(twin()), option::of(twin()), map(), names())
            .prop_map(|(model, parent, gateway, metadata, tags)| E::Registered { model, parent, gateway, metadata, tags })
            .boxed(),
        Just(E::Unregistered).boxed(),
        map().prop_map(|patch| E::MetadataPatched { patch }).boxed(),
        names().prop_map(|tags| E::TagsSet { tags }).boxed(),
        option::of(twin()).prop_map(|parent| E::Moved { parent }).boxed(),
        option::of(twin()).prop_map(|gateway| E::GatewaySet { gateway }).boxed(),
        status.prop_map(|status| E::StatusSet { status }).boxed(),
        (model(), any::<bool>()).prop_map(|(model, is_place)| E::ModelSet { model, is_place }).boxed(),
        map().prop_map(|patch| E::DesiredPatched { patch }).boxed(),
        vec((name(), name()), 0..4).prop_map(|definitions| E::RollupsSet { definitions }).boxed(),
        (option::of(name()), vec(record(), 0..4), raw()).prop_map(|(stream, records, raw)| E::Telemetry { stream, records, raw }).boxed(),
        (map(), raw()).prop_map(|(patch, raw)| E::ReportedPatched { patch, raw }).boxed(),
        (map(), raw()).prop_map(|(properties, raw)| E::ReportedReplaced { properties, raw }).boxed(),
        (name(), value(), raw()).prop_map(|(name, payload, raw)| E::Special { name, payload, raw }).boxed(),
        (value(), raw()).prop_map(|(payload, raw)| E::Diagnostics { payload, raw }).boxed(),
        (text(), text(), raw()).prop_map(|(topic, reason, raw)| E::Rejected { topic, reason, raw }).boxed(),
        (any::<u64>(), name(), text()).prop_map(|(session, protocol, remote)| E::Connected { session, protocol, remote }).boxed(),
        (any::<u64>(), reason(), option::of(will)).prop_map(|(session, reason, will)| E::Disconnected { session, reason, will }).boxed(),
        any::<u32>().prop_map(|expiry_seconds| E::SessionOpened { expiry_seconds }).boxed(),
        (qos(), qos(), qos())
            .prop_map(|(commands, desired, twin)| E::Subscribed { subscriptions: Subscriptions { commands, desired, twin } })
            .boxed(),
        Just(E::SessionExpired).boxed(),
        any::<u16>().prop_map(|packet| E::PacketHeld { packet }).boxed(),
        any::<u16>().prop_map(|packet| E::PacketReleased { packet }).boxed(),
        twin().prop_map(|child| E::ChildAttached { child }).boxed(),
        twin().prop_map(|child| E::ChildDetached { child }).boxed(),
        command().prop_map(|c| E::CommandQueued(Box::new(c))).boxed(),
        command_id().prop_map(|id| E::CommandDelivered { id }).boxed(),
        (command_id(), state(), option::of(result())).prop_map(|(id, state, result)| E::CommandEnded { id, state, result }).boxed(),
        alert().prop_map(|a| E::AlertRaised(Box::new(a))).boxed(),
        name().prop_map(|name| E::AlertCleared { name }).boxed(),
        (1u32..4, value()).prop_map(|(version, state)| E::BehaviourState { version, state }).boxed(),
        (name(), value()).prop_map(|(name, payload)| E::Emitted { name, payload }).boxed(),
        (name(), time()).prop_map(|(name, due)| E::TimerSet { name, due }).boxed(),
        (name(), time(), any::<u32>())
            .prop_map(|(name, due, ms)| E::TimerRepeats { name, due, every: Duration::from_millis(ms.into()) })
            .boxed(),
        name().prop_map(|name| E::TimerFired { name }).boxed(),
        name().prop_map(|name| E::TimerCancelled { name }).boxed(),
        (twin(), name(), value(), time())
            .prop_map(|(to, name, payload, expires_at)| E::OutboundQueued(Box::new(OutboundCommand { to, name, payload, expires_at })))
            .boxed(),
        (any::<u64>(), command_id()).prop_map(|(queued, command)| E::OutboundSent { queued, command }).boxed(),
        (any::<u64>(), text()).prop_map(|(queued, reason)| E::OutboundDropped { queued, reason }).boxed(),
        (text(), text(), option::of(raw())).prop_map(|(what, error, raw)| E::Poisoned { what, error, raw }).boxed(),
        (any::<bool>(), any::<u32>(), text())
            .prop_map(|(until_released, restarts, error)| E::Quarantined { until_released, restarts, error })
            .boxed(),
        Just(E::Released).boxed(),
        (name(), name()).prop_map(|(name, by)| E::AlertAcknowledged { name, by }).boxed(),
        (name(), name(), time()).prop_map(|(name, by, at)| E::AlertEnded { name, by, at }).boxed(),
        (name(), any::<bool>(), time()).prop_map(|(rule, on, at)| E::RuleTurned { rule, on, at }).boxed(),
        (name(), any::<u32>(), value()).prop_map(|(rule, action, payload)| E::WebhookQueued { rule, action, payload }).boxed(),
    ]
}

fn event(body: BoxedStrategy<EventBody>) -> impl Strategy<Value = Event> {
    (any::<u64>(), time(), body).prop_map(|(seq, received_at, body)| Event { seq, received_at, body })
}

/// A turn with one event of every kind.
fn turn_of_all() -> impl Strategy<Value = Turn> {
    let all: Vec<_> = bodies().into_iter().map(event).collect();
    (twin(), all).prop_map(|(twin, events)| Turn { twin, events })
}

fn encoded(turn: &Turn) -> Bytes {
    let mut out = Vec::new();
    encode_turn(&turn.twin, &turn.events, &mut out);
    out.into()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_event_comes_back_as_it_was(turn in turn_of_all()) {
        let bytes = encoded(&turn);
        prop_assert_eq!(turn_twin(&bytes).unwrap(), turn.twin.as_str());
        prop_assert_eq!(decode_turn(bytes).unwrap(), turn);
    }

    #[test]
    fn a_head_says_what_the_event_says(turn in turn_of_all()) {
        for (event, bytes) in turn.events.iter().zip(events_in(&encoded(&turn)).unwrap()) {
            let head = event_head(&bytes).unwrap();
            prop_assert_eq!((head.seq, head.received_at, head.stream), (event.seq, event.received_at, event.body.stream()));
            if let EventBody::Telemetry { records, .. } = &event.body {
                let times = records.iter().map(|r| r.at);
                prop_assert_eq!(head.at.0, times.clone().min().unwrap_or(event.received_at));
                prop_assert_eq!(head.at.1, times.max().unwrap_or(event.received_at));
            }
        }
    }

    #[test]
    fn values_maps_commands_and_alerts_stand_alone(v in value(), m in map(), c in command(), a in alert()) {
        prop_assert_eq!(value_from_bytes(&value_to_bytes(&v)).unwrap(), v);
        prop_assert_eq!(map_from_bytes(&map_to_bytes(&m)).unwrap(), m);
        prop_assert_eq!(command_from_bytes(&command_to_bytes(&c)).unwrap(), c);
        prop_assert_eq!(alert_from_bytes(&alert_to_bytes(&a)).unwrap(), a);
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic(turn in turn_of_all(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut bytes = encoded(&turn).to_vec();
        let at = at.index(bytes.len());
        bytes[at] = to;
        let _ = decode_turn(bytes.clone().into());
        bytes.truncate(at);
        let _ = decode_turn(bytes.into());
    }
}

/// The strategies above must not miss a kind: streams and field numbers are both lists by hand.
#[test]
fn every_kind_of_event_is_tried() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let turn = turn_of_all().new_tree(&mut runner).unwrap().current();
    let kinds: std::collections::HashSet<_> = turn.events.iter().map(|e| std::mem::discriminant(&e.body)).collect();
    assert_eq!(kinds.len(), 46, "a new kind of event needs a strategy here");
    let streams: std::collections::BTreeSet<_> = turn.events.iter().map(|e| e.body.stream()).collect();
    assert_eq!(streams, hierarchy_models::event::STREAMS.into_iter().collect());
}

#[test]
fn a_raw_payload_shares_the_memory_it_was_read_from() {
    let turn = fixtures::sample();
    let bytes = encoded(&turn);
    let read = decode_turn(bytes.clone()).unwrap();
    let EventBody::Telemetry { raw, .. } = &read.events[0].body else { panic!("telemetry first") };
    assert!(bytes.as_ptr_range().contains(&raw.bytes.as_ptr()));
}

#[test]
fn the_deepest_accepted_value_is_stored() {
    let mut deep = Value::Int(1);
    for n in 0..hierarchy_models::value::DEPTH_MAX {
        deep = if n % 2 == 0 { Value::from(vec![deep]) } else { Value::from_iter([("a", deep)]) };
    }
    assert_eq!(value_from_bytes(&value_to_bytes(&deep)).unwrap(), deep);
    let event = Event { seq: 1, received_at: Timestamp::EPOCH, body: EventBody::BehaviourState { version: 1, state: deep } };
    let turn = Turn { twin: TwinId::new("a").unwrap(), events: vec![event] };
    assert_eq!(decode_turn(encoded(&turn)).unwrap(), turn);
}

/// Written out by hand: what lies in a journal keeps these numbers.
#[test]
fn stored_roll_ups_are_read_by_their_numbers() {
    let mut out = Vec::new();
    write::uint(&mut out, 1, 7);
    write::nested(&mut out, 68, |out| {
        write::nested(out, 1, |out| {
            write::bytes(out, 1, b"load");
            write::bytes(out, 2, b"sum(devices.power)");
        });
    });
    let event = decode_event(out.into()).unwrap();
    assert_eq!(event.body, EventBody::RollupsSet { definitions: vec![("load".into(), "sum(devices.power)".into())] });
}

#[test]
fn a_kind_of_event_from_a_newer_program_is_refused() {
    let mut out = Vec::new();
    write::uint(&mut out, TURN_FORMAT, u64::from(FORMAT));
    write::bytes(&mut out, TURN_TWIN, b"a");
    write::nested(&mut out, TURN_EVENT, |out| {
        write::uint(out, 1, 7);
        write::bytes(out, 99, b"what is this");
    });
    let error = decode_turn(out.clone().into()).unwrap_err().to_string();
    assert!(error.contains("event 7 is of kind 99"), "{error}");
    let head = event_head(&events_in(&out.into()).unwrap()[0]).unwrap_err().to_string();
    assert!(head.contains("kind 99"), "{head}");
}

#[test]
fn a_turn_of_a_newer_format_is_refused() {
    let mut out = Vec::new();
    write::uint(&mut out, TURN_FORMAT, u64::from(FORMAT) + 1);
    write::bytes(&mut out, TURN_TWIN, b"a");
    assert!(matches!(turn_twin(&out), Err(Error::TooNew { found: 2, known: 1 })));
    assert!(matches!(decode_turn(out.into()), Err(Error::TooNew { .. })));
}
