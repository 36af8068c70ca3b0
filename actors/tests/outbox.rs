//! Commands between twins: no effect of a durable turn is lost, and none comes twice, wherever the process dies.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::time::Duration;

use actors::{
    behaviour::{Alert, Behaviour, Command, Context, Reply, Result, Telemetry, json},
    kind::Kinds,
};
use hierarchy_models::{CommandState, EventBody, Value};
use persistence::Error;
use serde::{Deserialize, Serialize};
use world::*;

/// Asks whoever it is told to for air, once, when it is hot.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Thermostat {
    alarmed: bool,
}

impl Behaviour for Thermostat {
    const MODEL: &'static str = "dtmi:test:Thermostat;1";

    fn on_telemetry(&mut self, t: &Telemetry, cx: &mut Context) -> Result<()> {
        if t.f64("temperature")? > 30.0 && !self.alarmed {
            self.alarmed = true;
            cx.raise(Alert::warning("too-hot"));
            let to = t.opt_str("ask")?.unwrap_or("room").parse()?;
            cx.command(to, "ventilate", json!({"level": 2})).ttl(Duration::from_secs(60));
        }
        Ok(())
    }
}

/// Ventilates by itself.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Room {
    level: i64,
}

impl Behaviour for Room {
    const MODEL: &'static str = "Room";

    fn on_command(&mut self, c: &Command, _: &mut Context) -> Result<Reply> {
        self.level += c.i64("level")?;
        Ok(Reply::completed(json!({"level": self.level})))
    }
}

fn kinds() -> Kinds {
    let mut kinds = Kinds::built_in();
    kinds.bind_behaviour::<Thermostat>().unwrap();
    kinds.bind_behaviour::<Room>().unwrap();
    kinds
}

/// A room with a thermostat.
async fn world() -> World {
    let world = World::with(settings(), kinds()).await;
    world.register("room", "Room", None).await;
    world.register("t1", Thermostat::MODEL, Some("room")).await;
    world
}

/// Waits until the store holds a commit back, and lets it through.
async fn let_one_commit(world: &World) {
    while !world.store.release_one() {
        tokio::task::yield_now().await;
    }
}

fn count(log: &[EventBody], is: impl Fn(&EventBody) -> bool) -> usize {
    log.iter().filter(|body| is(body)).count()
}

/// It gets hot, and the process dies after so many commits.
async fn dies_after(commits: usize) -> World {
    let world = world().await;
    let device = world.connect("t1").await;
    world.store.hold_appends();
    {
        let mut sending = Box::pin(device.telemetry(r#"{"temperature": 31}"#));
        assert!(futures_util::poll!(&mut sending).is_pending());
        for _ in 0..commits {
            let_one_commit(&world).await;
        }
    }
    drop(device);
    world.crash_into(kinds()).await
}

#[test]
fn wherever_the_process_dies_the_turn_and_its_effects_are_there_once_or_not_at_all() {
    run(|| async {
        let world = dies_after(0).await;
        assert!(world.view("t1").await.telemetry.is_empty() && world.view("t1").await.alerts.is_empty());
        assert!(world.commands_of("room").await.is_empty(), "nothing is sent that does not rest on something durable");

        // The turn; the command in the room's inbox, with the answer; what the thermostat knows of it.
        for commits in 1..=3 {
            let world = dies_after(commits).await;
            world
                .until("the command is known to be taken", async |world| {
                    let sent = count(&world.log("t1").await, |body| matches!(body, EventBody::OutboundSent { .. }));
                    (sent > 0).then_some(())
                })
                .await;
            let log = world.log("t1").await;
            assert_eq!(count(&log, |body| matches!(body, EventBody::OutboundQueued(_))), 1, "after {commits} commits");
            assert_eq!(count(&log, |body| matches!(body, EventBody::OutboundSent { .. })), 1, "after {commits} commits");
            assert_eq!(world.view("t1").await.alerts.len(), 1, "after {commits} commits");
            let commands = world.commands_of("room").await;
            assert_eq!(commands.len(), 1, "after {commits} commits");
            assert_eq!(commands[0].state, CommandState::Completed, "after {commits} commits");
            let answer = commands[0].result.as_ref().unwrap().payload.get("level").and_then(Value::as_f64);
            assert_eq!(answer, Some(2.0), "the room took it in once, after {commits} commits");
        }
    });
}

#[test]
fn a_command_whose_time_is_over_when_the_server_returns_is_dropped_and_the_log_says_so() {
    run(|| async {
        let world = world().await;
        let device = world.connect("t1").await;
        world.store.hold_appends();
        let mut sending = Box::pin(device.telemetry(r#"{"temperature": 31}"#));
        assert!(futures_util::poll!(&mut sending).is_pending());
        let_one_commit(&world).await;
        drop(sending);
        drop(device);
        world.clock.advance(Duration::from_secs(61));
        let world = world.crash_into(kinds()).await;
        let reason = world.until("it is dropped", async |world| dropped(&world.log("t1").await)).await;
        assert_eq!(reason, "its time to live is over");
        assert!(world.commands_of("room").await.is_empty());
    });
}

fn dropped(log: &[EventBody]) -> Option<String> {
    log.iter().find_map(|body| match body {
        EventBody::OutboundDropped { reason, .. } => Some(reason.clone()),
        _ => None,
    })
}

#[test]
fn a_command_to_nobody_is_dropped_and_costs_its_sender_nothing_else() {
    run(|| async {
        let world = world().await;
        let device = world.connect("t1").await;
        device.telemetry(r#"{"temperature": 31, "ask": "nobody"}"#).await.unwrap();
        let reason = world.until("it is dropped", async |world| dropped(&world.log("t1").await)).await;
        assert_eq!(reason, "there is no twin nobody");
        let view = world.view("t1").await;
        assert_eq!((view.alerts.len(), view.supervision.restarts), (1, 0));
    });
}

#[test]
fn a_command_that_the_store_did_not_take_is_sent_again() {
    run(|| async {
        let world = world().await;
        let device = world.connect("t1").await;
        world.store.hold_appends();
        let mut sending = Box::pin(device.telemetry(r#"{"temperature": 31}"#));
        assert!(futures_util::poll!(&mut sending).is_pending());
        let_one_commit(&world).await;
        world.held().await;
        world.store.refuse_held(Error::Unavailable { doing: "appending", detail: "test".into() });
        world.store.release_appends();
        let has_it = async |world: &World| world.try_commands_of("room").await.ok().filter(|commands| commands.len() == 1);
        world.until("the room has it", has_it).await;
        assert_eq!(dropped(&world.log("t1").await), None);
    });
}

#[test]
fn a_command_to_the_twins_own_device_goes_down_to_it() {
    run(|| async {
        let world = world().await;
        let device = world.connect("t1").await;
        device.subscribe().await;
        device.telemetry(r#"{"temperature": 31, "ask": "t1"}"#).await.unwrap();
        world.until("it came down", async |_| (device.commands() == [("ventilate".to_owned(), false)]).then_some(())).await;
        let command = &world.commands_of("t1").await[0];
        assert_eq!((&*command.sender, command.expires_at.since(command.queued_at)), ("twin:t1", Duration::from_secs(60)));
    });
}
