//! Behaviours in the runtime: what they are told, what follows, and what outlives a crash.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::time::Duration;

use actors::{
    NewCommand, TwinError,
    behaviour::{
        Alert, Behaviour, Children, Command, CommandEnded, Context, Error, Reply, Reported, Result, Telemetry, Timer, Value, json,
    },
    kind::Kinds,
};
use hierarchy_models::{CommandResult, CommandState, DeviceMessage, EventBody};
use serde::{Deserialize, Serialize};
use world::*;

/// Keeps count of everything it is told.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
struct Counter {
    records: u32,
    sum: f64,
    beats: u64,
    missed: u64,
    ended: Vec<(String, bool)>,
}

impl Behaviour for Counter {
    const MODEL: &'static str = "dtmi:test:Counter;1";

    fn on_telemetry(&mut self, t: &Telemetry, cx: &mut Context) -> Result<()> {
        let Some(value) = t.opt_f64("v")? else { return Ok(()) };
        self.records += 1;
        self.sum += value;
        cx.every("beat", Duration::from_secs(60));
        cx.set(json!({"records": self.records}));
        Ok(())
    }

    fn on_reported(&mut self, r: &Reported, cx: &mut Context) -> Result<()> {
        if let Some(name) = r.opt_str("done")? {
            cx.emit("done", json!({"name": name, "was": cx.reported().get("done")}));
        }
        Ok(())
    }

    fn on_timer(&mut self, t: &Timer, _: &mut Context) -> Result<()> {
        self.beats += 1;
        self.missed += t.missed;
        Ok(())
    }

    fn on_command_ended(&mut self, c: &CommandEnded, _: &mut Context) -> Result<()> {
        self.ended.push((c.name().to_owned(), c.is_completed()));
        Ok(())
    }
}

/// A later version of [`Counter`], of another form.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Mean {
    mean: Option<f64>,
}

impl Behaviour for Mean {
    const MODEL: &'static str = Counter::MODEL;
    const VERSION: u32 = 2;

    fn migrate(from: u32, old: Value) -> Result<Self> {
        match (from, old["sum"].as_f64(), old["records"].as_f64()) {
            (1, Some(sum), Some(records)) => Ok(Self { mean: Some(sum / records) }),
            _ => Err(Error::new("what is this?")),
        }
    }

    fn on_telemetry(&mut self, _: &Telemetry, cx: &mut Context) -> Result<()> {
        cx.emit("mean", json!(self.mean));
        Ok(())
    }
}

/// A place that answers what it is asked, and says when it gets warm in it.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Hall {
    calls: u32,
}

impl Behaviour for Hall {
    const MODEL: &'static str = "Room";

    fn on_command(&mut self, c: &Command, _: &mut Context) -> Result<Reply> {
        match c.name() {
            "how-warm" => Ok(Reply::completed(json!({"sender": c.sender()}))),
            "explode" => panic!("as you wish"),
            "wait" => Ok(Reply::PassOn),
            other => Ok(Reply::failed(404, json!({"unknown": other}))),
        }
    }

    fn on_children(&mut self, below: &Children, cx: &mut Context) -> Result<()> {
        self.calls += 1;
        if below.avg("t").is_some_and(|t| t > 25.0) && !cx.has_alert("warm") {
            cx.raise(Alert::warning("warm").with("devices", below.count("t")));
        }
        Ok(())
    }
}

fn kinds() -> Kinds {
    let mut kinds = Kinds::built_in();
    kinds.bind_behaviour::<Counter>().unwrap();
    kinds.bind_behaviour::<Hall>().unwrap();
    kinds
}

async fn world() -> World {
    let world = World::with(settings(), kinds()).await;
    world.register("hall", "Room", None).await;
    world.register("c", Counter::MODEL, Some("hall")).await;
    world
}

/// The last state of a version that the twin's log shows.
async fn state(world: &World, name: &str) -> Option<(u32, Value)> {
    let log = world.log(name).await;
    log.into_iter().rev().find_map(|body| match body {
        EventBody::BehaviourState { version, state } => Some((version, serde_json::to_value(state).unwrap())),
        _ => None,
    })
}

async fn counter(world: &World) -> Counter {
    serde_json::from_value(state(world, "c").await.unwrap().1).unwrap()
}

fn records(values: &[f64]) -> DeviceMessage {
    let DeviceMessage::Telemetry { records, raw, .. } = telemetry(None, None, r#"{"v": 0}"#) else { panic!() };
    let of = |v: &f64| hierarchy_models::Record { values: vec![("v".into(), (*v).into())], ..records[0].clone() };
    DeviceMessage::Telemetry { stream: None, records: values.iter().map(of).collect(), raw }
}

#[test]
fn each_record_of_a_message_is_a_call_and_all_of_them_one_turn() {
    run(|| async {
        let world = world().await;
        let c = world.connect("c").await;
        c.session.send(&id("c"), records(&[1.0, 2.0, 4.0]), None).await.unwrap();
        assert_eq!((counter(&world).await.records, counter(&world).await.sum), (3, 7.0));
        let states = world.log("c").await.iter().filter(|body| matches!(body, EventBody::BehaviourState { .. })).count();
        assert_eq!(states, 1);
        assert_eq!(world.view("c").await.desired["records"].as_f64(), Some(3.0));
    });
}

#[test]
fn a_turn_that_changes_nothing_writes_nothing() {
    run(|| async {
        let world = world().await;
        let c = world.connect("c").await;
        let before = world.view("c").await.seq;
        c.telemetry(r#"{"other": 1}"#).await.unwrap();
        assert_eq!(world.view("c").await.seq, before + 1, "the reading itself");
        assert_eq!(state(&world, "c").await, None, "a state nobody has changed is not stored");
    });
}

#[test]
fn state_timers_and_what_is_desired_outlive_a_crash() {
    run(|| async {
        let world = world().await;
        world.connect("c").await.telemetry(r#"{"v": 2}"#).await.unwrap();
        world.pass(Duration::from_secs(60)).await;
        assert_eq!((counter(&world).await.beats, counter(&world).await.missed), (1, 0));
        // Down for five and a half minutes: five beats pass, of which one comes late.
        world.clock.advance(Duration::from_secs(330));
        let world = world.crash_into(kinds()).await;
        let missed = async |world: &World| Some(counter(world).await.missed).filter(|missed| *missed > 0);
        assert_eq!(world.until("the timer fires", missed).await, 4);
        assert_eq!(counter(&world).await.beats, 2, "once on return");
        world.pass(Duration::from_secs(30)).await;
        let kept = async |world: &World| (counter(world).await.beats == 3).then_some(());
        world.until("the beat goes on where it would have been", kept).await;
        assert_eq!((counter(&world).await.missed, counter(&world).await.records), (4, 1));
    });
}

#[test]
fn a_newer_version_takes_over_the_state_of_an_older_one() {
    run(|| async {
        let world = world().await;
        let c = world.connect("c").await;
        c.session.send(&id("c"), records(&[1.0, 3.0]), None).await.unwrap();
        let mut newer = Kinds::built_in();
        newer.bind_behaviour::<Mean>().unwrap();
        let world = world.crash_into(newer).await;
        world.connect("c").await.telemetry(r#"{"v": 9}"#).await.unwrap();
        assert_eq!(state(&world, "c").await, Some((2, json!({"mean": 2.0}))));

        // Back to the older program: it cannot read that, says so, and takes nothing in that it would have to guess.
        let world = world.crash_into(kinds()).await;
        let refused = world.connect("c").await.telemetry(r#"{"v": 9}"#).await.unwrap_err().to_string();
        assert!(refused.contains("its state is of version 2, and this program knows 1 at most"), "{refused}");
    });
}

#[test]
fn a_place_answers_a_command_by_itself() {
    run(|| async {
        let world = world().await;
        let answered = world.command("hall", "how-warm", 60).await;
        assert_eq!(answered.state, CommandState::Completed);
        assert_eq!(answered.result.as_ref().unwrap().payload, world::json(r#"{"sender": "test"}"#));
        assert_eq!(world.twins.command_of(&id("hall"), &answered.id).await.unwrap(), answered);
        assert_eq!(world.command("hall", "dance", 60).await.state, CommandState::Failed);
        assert_eq!(world.command("hall", "wait", 60).await.state, CommandState::Queued);
    });
}

#[test]
fn an_answered_command_is_one_command_under_its_idempotency_key() {
    run(|| async {
        let world = world().await;
        let command = || NewCommand {
            name: "how-warm".into(),
            payload: Default::default(),
            ttl: Duration::from_secs(60),
            idempotency_key: Some("k".into()),
            sender: "test".into(),
        };
        let first = world.twins.command(&id("hall"), command()).await.unwrap();
        let again = world.twins.command(&id("hall"), command()).await.unwrap();
        assert_eq!((first.state, &first), (CommandState::Completed, &again));
    });
}

#[test]
fn a_command_that_a_behaviour_fails_on_was_never_taken() {
    run(|| async {
        let world = world().await;
        let error = world.try_command("hall", "explode", 60, None).await.unwrap_err();
        let TwinError::BehaviourFailed { behaviour, error } = error else { panic!("{error:?}") };
        assert_eq!((&*behaviour, &*error), ("Room", "panic: as you wish"));
        let poisoned = world.log("hall").await.into_iter().find_map(|event| match event {
            EventBody::Poisoned { what, raw, .. } => Some((what, raw.unwrap().bytes)),
            _ => None,
        });
        assert_eq!(poisoned, Some(("command explode".into(), "null".into())), "kept with what it carried");
        assert!(world.commands_of("hall").await.is_empty());
        assert_eq!(world.view("hall").await.supervision.restarts, 1);
        assert_eq!(world.command("hall", "how-warm", 60).await.state, CommandState::Completed, "the next one is fine");
    });
}

#[test]
fn a_place_hears_of_its_children_when_their_figures_change_and_not_else() {
    run(|| async {
        let world = world().await;
        world.register("d", "Device", Some("hall")).await;
        let d = world.connect("d").await;
        d.telemetry(r#"{"t": 26}"#).await.unwrap();
        let warm = async |world: &World| world.view("hall").await.alerts.iter().find(|a| a.name == "warm").cloned();
        let alert = world.until("the hall says that it is warm", warm).await;
        assert_eq!(alert.details["devices"].as_f64(), Some(1.0));
        for _ in 0..3 {
            world.pass(Duration::ZERO).await;
        }
        let calls = async |world: &World| state(world, "hall").await.unwrap().1["calls"].as_u64().unwrap();
        let before = calls(&world).await;
        for _ in 0..5 {
            world.pass(Duration::ZERO).await;
        }
        assert_eq!(calls(&world).await, before, "its own alert is no news of its children");
        d.telemetry(r#"{"t": 20}"#).await.unwrap();
        world.until("it is told", async |world| (calls(world).await > before).then_some(())).await;
    });
}

#[test]
fn the_end_of_a_command_is_told_with_its_answer() {
    run(|| async {
        let world = world().await;
        let c = world.connect("c").await;
        c.subscribe().await;
        for (name, status) in [("open", 200), ("close", 500)] {
            let command = world.command("c", name, 60).await;
            let result = CommandResult { status, payload: Default::default() };
            // With a packet id, as a message of QoS 2 has one.
            let answer = DeviceMessage::Result { command: command.id, result };
            c.session.send(&id("c"), answer, Some(status)).await.unwrap();
        }
        assert_eq!(counter(&world).await.ended, [("open".to_owned(), true), ("close".to_owned(), false)]);
    });
}

#[test]
fn a_behaviour_sees_what_was_known_before_this_message() {
    run(|| async {
        let world = world().await;
        let c = world.connect("c").await;
        for done in ["first", "second"] {
            let patch = map(&format!(r#"{{"done": "{done}"}}"#));
            c.session.send(&id("c"), DeviceMessage::Reported { patch, raw: raw() }, None).await.unwrap();
        }
        let emitted: Vec<_> = world.log("c").await.into_iter().filter(|body| matches!(body, EventBody::Emitted { .. })).collect();
        let EventBody::Emitted { payload, .. } = &emitted[1] else { panic!() };
        assert_eq!(*payload, world::json(r#"{"name": "second", "was": "first"}"#));
    });
}

#[test]
fn a_device_with_a_behaviour_still_says_when_its_connection_is_lost() {
    run(|| async {
        let world = world().await;
        world.connect("c").await.session.close(hierarchy_models::event::DisconnectReason::Lost, None).await;
        assert!(world.view("c").await.alerts.iter().any(|alert| alert.name == "connection-lost"));
    });
}
