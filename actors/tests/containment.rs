//! A behaviour that panics, takes too long, floods or grows is contained, told and at last put aside; its neighbours notice nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::time::Duration;

use actors::{
    behaviour::{Alert, Behaviour, Connection, Context, Error, Result, Telemetry, Timer, json},
    kind::Kinds,
};
use hierarchy_models::{
    EventBody,
    event::DisconnectReason,
    limits::{BEHAVIOUR_BYTES_MAX, EFFECTS_PER_TURN_MAX, OUTBOX_COMMANDS_MAX, TIMERS_PER_TWIN_MAX},
    supervision::RestartPolicy,
};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use world::*;

const BUDGET: Duration = Duration::from_millis(20);

/// Does whatever its device says, however foolish.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Wild {
    turns: u32,
    ballast: Vec<String>,
    number: f64,
}

impl Behaviour for Wild {
    const MODEL: &'static str = "dtmi:test:Wild;1";

    fn on_telemetry(&mut self, t: &Telemetry, cx: &mut Context) -> Result<()> {
        self.turns += 1;
        match t.opt_str("do")?.unwrap_or_default() {
            "panic" => panic!("wild"),
            "err" => return Err(Error::new("no")),
            "loop" => work_for(2 * BUDGET),
            "flood" => (0..=EFFECTS_PER_TURN_MAX).for_each(|n| cx.emit(&format!("e{n}"), json!(n))),
            "grow" => self.ballast.extend((0..BEHAVIOUR_BYTES_MAX / 32).map(|n| format!("{n:032}"))),
            "deep" => cx.emit("deep", (0..100).fold(json!(1), |inner, _| json!([inner]))),
            "nan" => self.number = f64::NAN,
            "timers" => (0..=TIMERS_PER_TWIN_MAX - 32).for_each(|n| cx.after(&format!("{}-{n}", self.turns), Duration::from_secs(60))),
            "fast" => cx.every("fast", Duration::from_millis(1)),
            "name" => {
                cx.command(cx.id(), "a/b", json!({})).ttl(Duration::from_secs(1));
            }
            "list" => cx.set(json!([1, 2])),
            "raise and panic" => {
                cx.raise(Alert::critical("never"));
                cx.command(cx.parent()?, "never", json!({}));
                panic!("wild");
            }
            "tick" => cx.every("tick", Duration::from_secs(1)),
            _ => {}
        }
        Ok(())
    }

    fn on_timer(&mut self, _: &Timer, _: &mut Context) -> Result<()> {
        panic!("a wild timer");
    }

    fn on_connection(&mut self, c: &Connection, _: &mut Context) -> Result<()> {
        match c {
            Connection::Disconnected { reason: DisconnectReason::Goodbye } => Err(Error::new("no goodbyes")),
            _ => Ok(()),
        }
    }
}

/// Keeps the thread at work for this long, however busy the machine is.
fn work_for(time: Duration) {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
    };
    let end = now() + time;
    while now() < end {
        std::hint::black_box(0);
    }
}

async fn world() -> World {
    let mut kinds = Kinds::built_in();
    kinds.bind_behaviour::<Wild>().unwrap();
    let restart = RestartPolicy { backoff: Duration::ZERO, ..RestartPolicy::default() };
    let world = World::with(actors::Settings { restart, turn_budget: BUDGET, ..settings() }, kinds).await;
    world.register("room", "Room", None).await;
    world.register("w", Wild::MODEL, Some("room")).await;
    world.register("calm", Wild::MODEL, Some("room")).await;
    world
}

/// What six messages of this kind are answered with, and what becomes of the twin.
async fn six_times(what: &str) -> (Vec<Option<String>>, String) {
    let world = world().await;
    let (w, calm) = (world.connect("w").await, world.connect("calm").await);
    let mut answers = Vec::new();
    for n in 0..6 {
        let answer = w.telemetry(&format!(r#"{{"do": "{what}", "n": {n}}}"#)).await;
        answers.push(answer.err().map(|refusal| refusal.to_string()));
        calm.telemetry(&format!(r#"{{"n": {n}}}"#)).await.unwrap();
    }
    let view = world.view("w").await;
    assert_eq!(view.supervision.state, "quarantined", "{what}: {answers:?}");
    assert_eq!(view.supervision.poison.len(), 6, "{what}");
    w.telemetry(r#"{"n": 100}"#).await.unwrap();
    assert_eq!(numbers(&world.view("w").await)["n"], 100.0, "{what}: it goes on recording");
    let neighbour = world.view("calm").await;
    assert_eq!((neighbour.supervision.restarts, numbers(&neighbour)["n"]), (0, 5.0), "{what}: its neighbour noticed nothing");
    (answers, view.supervision.error.unwrap())
}

#[test]
fn what_fails_again_and_again_is_quarantined_and_its_neighbours_notice_nothing() {
    run(|| async {
        for (what, why) in [
            ("panic", "panic: wild"),
            ("err", "no"),
            ("flood", "EFFECTS_PER_TURN_MAX is reached: 65 effects"),
            ("grow", "BEHAVIOUR_BYTES_MAX is reached"),
            ("deep", "an event's payload: nested deeper than 32 levels"),
            ("nan", "its state could not be read back"),
            ("fast", "TIMER_EVERY_MIN is reached"),
            ("name", "a command is named \"a/b\""),
            ("list", "a patch of desired properties: must be an object"),
        ] {
            let (answers, error) = six_times(what).await;
            assert!(error.contains(why), "{what}: {error}");
            assert!(answers.iter().all(|a| a.as_ref().is_some_and(|a| a.contains(why))), "{what}: {answers:?}");
        }
    });
}

#[test]
fn a_turn_that_takes_too_long_is_taken_and_counts_as_a_failure() {
    run(|| async {
        let (answers, error) = six_times("loop").await;
        assert!(answers.iter().all(Option::is_none), "what the device said stands: {answers:?}");
        assert!(error.contains("twins.turn_budget is 20ms"), "{error}");
    });
}

#[test]
fn a_turn_that_fails_has_done_nothing() {
    run(|| async {
        let world = world().await;
        let w = world.connect("w").await;
        w.telemetry(r#"{"do": "raise and panic"}"#).await.unwrap_err();
        w.telemetry(r#"{"n": 1}"#).await.unwrap();
        assert!(world.view("w").await.alerts.is_empty());
        assert!(world.commands_of("room").await.is_empty());
        let log = world.log("w").await;
        let turns = log.iter().find_map(|body| match body {
            EventBody::BehaviourState { state, .. } => state.get("turns").and_then(|turns| turns.as_f64()),
            _ => None,
        });
        assert_eq!(turns, Some(1.0), "the failed turn was never counted");
    });
}

#[test]
fn timers_have_a_limit_a_twin() {
    run(|| async {
        let world = world().await;
        let w = world.connect("w").await;
        w.telemetry(r#"{"do": "timers"}"#).await.unwrap();
        let refused = w.telemetry(r#"{"do": "timers"}"#).await.unwrap_err().to_string();
        assert!(refused.contains("TIMERS_PER_TWIN_MAX is reached: 66 timers"), "{refused}");
    });
}

#[test]
fn a_timer_that_fails_again_and_again_is_quarantined() {
    run(|| async {
        let world = world().await;
        world.connect("w").await.telemetry(r#"{"do": "tick"}"#).await.unwrap();
        for _ in 0..6 {
            world.pass(Duration::from_secs(1)).await;
            world.view("w").await;
        }
        let view = world.view("w").await;
        assert_eq!((view.supervision.state, view.supervision.poison.len()), ("quarantined", 6));
        assert!(view.supervision.error.unwrap().contains("a wild timer"));
        world.pass(Duration::from_secs(5)).await;
        assert_eq!(world.view("w").await.supervision.restarts, 6, "its timers go by unheard");
    });
}

#[test]
fn a_device_that_is_gone_is_gone_whatever_its_behaviour_says() {
    run(|| async {
        let world = world().await;
        world.connect("w").await.session.close(DisconnectReason::Goodbye, None).await;
        let view = world.view("w").await;
        assert_eq!((view.connection.state, view.supervision.restarts), ("disconnected", 1));
        assert_eq!(view.supervision.poison[0].reason, "no goodbyes");
    });
}

#[test]
fn commands_to_others_have_a_limit_a_twin() {
    run(|| async {
        let world = world().await;
        let twin = {
            let mut twin = actors::twin::TwinState::blank();
            let to = id("room");
            let command = || hierarchy_models::OutboundCommand {
                to: to.clone(),
                name: "x".into(),
                payload: Default::default(),
                expires_at: world.now().plus(Duration::from_secs(60)),
            };
            twin.rare_mut().outbox =
                (0..OUTBOX_COMMANDS_MAX as u64).map(|queued| actors::twin::OutboxEntry { queued, command: command() }).collect();
            twin
        };
        let (w, below) = (id("w"), hierarchy_models::rollup::Aggregate::default());
        let path = hierarchy_models::tree::Path::root(&w);
        let here = actors::twin::Surroundings { id: &w, path: &path, below: &below };
        struct Sends;
        impl actors::kind::Kind for Sends {
            fn turn(&self, _: &actors::kind::Trigger<'_>, cx: &mut actors::kind::Context<'_>) -> std::result::Result<(), String> {
                cx.command(id("room"), "x", Default::default(), Duration::from_secs(60));
                Ok(())
            }
        }
        let error = actors::kind::run_turn(&Sends, &actors::kind::Trigger::Connected, here, &twin, world.now()).unwrap_err();
        assert!(error.contains("OUTBOX_COMMANDS_MAX is reached"), "{error}");
    });
}
