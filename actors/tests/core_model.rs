//! The twin core against a naive model: whatever arrives, in whatever order, the last known values, the dedupe window,
//! the properties and the inbox are what a plain re-reading of the whole log says. And replaying the events, or going
//! through a snapshot at any point, gives the same twin.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, VecDeque};

use actors::{
    kind::Kinds,
    twin::{
        Surroundings, TwinState,
        decide::{Input, NewTwin, decide, number},
        device_input::Speaker,
    },
};
use bytes::Bytes;
use hierarchy_models::{
    Command, CommandId, CommandResult, CommandState, DeviceMessage, Event, Name, Raw, Record, Timestamp, TwinId, Value, event::Encoding,
    limits::INBOX_COMMANDS_MAX, model, rollup::Aggregate, tree::Path, value::Map,
};
use proptest::prelude::*;

const WINDOW: usize = 8;

#[derive(Debug, Clone)]
enum Step {
    Telemetry { id: Option<u8>, at: u8, values: Vec<(u8, i8)> },
    Reported { name: u8, value: Option<i8>, full: bool },
    Queue { id: u8, ttl: u8 },
    Deliver { id: u8 },
    Answer { id: u8, status: u16 },
    Cancel { id: u8 },
    Wait { seconds: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let values = prop::collection::vec((0u8..6, any::<i8>()), 1..4);
    prop_oneof![
        6 => (prop::option::of(0u8..20), 0u8..50, values).prop_map(|(id, at, values)| Step::Telemetry { id, at, values }),
        3 => (0u8..4, prop::option::of(any::<i8>()), any::<bool>()).prop_map(|(name, value, full)| Step::Reported { name, value, full }),
        3 => (0u8..60, 1u8..30).prop_map(|(id, ttl)| Step::Queue { id, ttl }),
        2 => (0u8..60).prop_map(|id| Step::Deliver { id }),
        2 => (0u8..60, prop_oneof![Just(200u16), Just(500u16)]).prop_map(|(id, status)| Step::Answer { id, status }),
        1 => (0u8..60).prop_map(|id| Step::Cancel { id }),
        2 => (0u8..20).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

/// Everything the core must come to, written as plainly as possible.
#[derive(Default)]
struct Naive {
    values: BTreeMap<String, (i64, Timestamp)>,
    window: VecDeque<u8>,
    reported: BTreeMap<String, i64>,
    commands: BTreeMap<u8, (CommandState, Timestamp)>,
}

fn cid(n: u8) -> CommandId {
    CommandId::new(format!("c{n}")).unwrap()
}

fn raw() -> Raw {
    Raw { encoding: Encoding::Json, bytes: Bytes::from_static(b"{}") }
}

fn at(seconds: u8) -> Timestamp {
    Timestamp::from_millis(i64::from(seconds) * 1000).unwrap()
}

fn own(message: DeviceMessage) -> Input {
    Input::Device { speaker: Speaker::Own { session: 1 }, message, packet: None }
}

impl Naive {
    /// What to ask the core for, after noting what it must come to.
    fn take(&mut self, step: Step, now: Timestamp) -> Input {
        match step {
            Step::Telemetry { id, at: when, values } => {
                let known = id.is_some_and(|id| self.window.contains(&id));
                if !known {
                    for (name, value) in &values {
                        let slot = self.values.entry(format!("v{name}")).or_insert((0, Timestamp::MIN));
                        if at(when) >= slot.1 {
                            *slot = (i64::from(*value), at(when));
                        }
                    }
                    if let Some(id) = id {
                        self.window.push_back(id);
                        if self.window.len() > WINDOW {
                            self.window.pop_front();
                        }
                    }
                }
                let values = values.into_iter().map(|(n, v)| (Name::from(format!("v{n}")), Value::Int(v.into()))).collect();
                let record = Record { at: at(when), id: id.map(|id| Name::from(format!("r{id}"))), values };
                own(DeviceMessage::Telemetry { stream: None, records: vec![record], raw: raw() })
            }
            Step::Reported { name, value, full } => {
                let key = format!("p{name}");
                if full {
                    self.reported.clear();
                }
                match value {
                    Some(value) => self.reported.insert(key.clone(), value.into()),
                    None => self.reported.remove(&key),
                };
                let patch = Map::from([(key.into(), value.map_or(Value::Null, |v| Value::Int(v.into())))]);
                own(if full {
                    DeviceMessage::ReportedFull { properties: patch, raw: raw() }
                } else {
                    DeviceMessage::Reported { patch, raw: raw() }
                })
            }
            Step::Queue { id, ttl } => {
                let expires_at = now.plus(std::time::Duration::from_secs(ttl.into()));
                let open = self.commands.values().filter(|(s, _)| !s.is_end()).count();
                if open < INBOX_COMMANDS_MAX {
                    self.commands.entry(id).or_insert((CommandState::Queued, expires_at));
                }
                Input::Queue(Box::new(Command {
                    id: cid(id),
                    name: "do".into(),
                    payload: Value::Null,
                    state: CommandState::Queued,
                    expires_at,
                    queued_at: now,
                    delivered_at: None,
                    ended_at: None,
                    deliveries: 0,
                    result: None,
                    // The key makes queueing the same number twice one command.
                    idempotency_key: Some(format!("k{id}").into()),
                    sender: "test".into(),
                }))
            }
            Step::Deliver { id } => {
                self.end(id, CommandState::Delivered);
                Input::Delivered(cid(id))
            }
            Step::Answer { id, status } => {
                self.end(id, if status == 200 { CommandState::Completed } else { CommandState::Failed });
                own(DeviceMessage::Result { command: cid(id), result: CommandResult { status, payload: Value::Null } })
            }
            Step::Cancel { id } => {
                self.end(id, CommandState::Cancelled);
                Input::Cancel(cid(id))
            }
            Step::Wait { .. } => {
                for (state, expires) in self.commands.values_mut() {
                    if !state.is_end() && *expires <= now {
                        *state = CommandState::Expired;
                    }
                }
                Input::Wake
            }
        }
    }

    fn end(&mut self, id: u8, to: CommandState) {
        if let Some((state, _)) = self.commands.get_mut(&id)
            && !state.is_end()
        {
            *state = to;
        }
    }
}

fn registered() -> (TwinState, Vec<Event>) {
    let id = TwinId::new("t").unwrap();
    let mut twin = TwinState::blank();
    let mut log = Vec::new();
    let new =
        NewTwin { model: model::resolve("Device").unwrap(), parent: None, gateway: None, metadata: Map::new(), tags: vec![], seq_base: 0 };
    let connect = Input::Connect { session: 1, protocol: "test".into(), remote: String::new(), clean_start: true, expiry_seconds: 9 };
    for input in [Input::Register(Box::new(new)), connect] {
        let kinds = Kinds::built_in();
        let decided = decide(
            Surroundings { id: &id, path: &Path::root(&id), below: &Aggregate::EMPTY },
            &twin,
            &**kinds.of(&twin.model),
            input,
            Timestamp::EPOCH,
        )
        .unwrap();
        for event in number(twin.seq, Timestamp::EPOCH, decided.events) {
            twin.apply(&event, WINDOW);
            log.push(event);
        }
    }
    (twin, log)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_core_equals_a_naive_reading_of_everything_that_happened(steps in prop::collection::vec(step(), 1..120)) {
        let id = TwinId::new("t").unwrap();
        let kinds = Kinds::built_in();
        let (mut twin, mut log) = registered();
        let mut naive = Naive::default();
        let mut now = Timestamp::EPOCH.plus(std::time::Duration::from_secs(60));
        for step in steps {
            if let Step::Wait { seconds } = &step {
                now = now.plus(std::time::Duration::from_secs((*seconds).into()));
            }
            let input = naive.take(step, now);
            if let Ok(decided) = decide(Surroundings { id: &id, path: &Path::root(&id), below: &Aggregate::EMPTY }, &twin, &**kinds.of(&twin.model), input, now) {
                for event in number(twin.seq, now, decided.events) {
                    twin.apply(&event, WINDOW);
                    log.push(event);
                }
            }
            // Through a snapshot and back, at every step.
            prop_assert_eq!(&TwinState::from_bytes(&twin.to_bytes()).unwrap(), &twin);
        }
        let values: BTreeMap<String, (i64, Timestamp)> = twin.telemetry.iter()
            .map(|(name, s)| (name.to_string(), (s.value.as_f64().unwrap() as i64, s.at))).collect();
        prop_assert_eq!(values, naive.values);
        let reported: BTreeMap<String, i64> = twin.reported.iter()
            .map(|(name, s)| (name.to_string(), s.value.as_f64().unwrap() as i64)).collect();
        prop_assert_eq!(reported, naive.reported);
        let inbox = twin.inbox.as_deref().cloned().unwrap_or_default();
        for (n, (state, _)) in &naive.commands {
            match inbox.get(&cid(*n)) {
                Some(held) => prop_assert_eq!(held.state, *state, "command {}", n),
                None => prop_assert!(state.is_end(), "an open command is never let go"),
            }
        }
        // The log alone gives the same twin, and every event has its number.
        let mut replayed = TwinState::blank();
        for (n, event) in log.iter().enumerate() {
            prop_assert_eq!(event.seq, n as u64 + 1);
            replayed.apply(event, WINDOW);
        }
        prop_assert_eq!(replayed, twin);
    }
}
