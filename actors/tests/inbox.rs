//! Commands: every one ends, in exactly one way, and none is delivered after its time.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::time::Duration;

use actors::TwinError;
use hierarchy_models::{
    CommandResult, CommandState, DeviceMessage, Value,
    event::DisconnectReason,
    limits::{INBOX_COMMANDS_MAX, INBOX_IN_FLIGHT_MAX},
};
use persistence::CommandQuery;
use world::*;

fn result(command: &hierarchy_models::CommandId, status: u16) -> DeviceMessage {
    DeviceMessage::Result { command: command.clone(), result: CommandResult { status, payload: Value::from("done") } }
}

#[test]
fn a_command_waits_for_its_device_and_comes_in_order() {
    run(|| async {
        let world = World::new().await;
        world.register("d", "Device", None).await;
        for name in ["one", "two", "three"] {
            world.command("d", name, 600).await;
        }
        let device = world.connect("d").await;
        assert!(device.commands().is_empty(), "it has not subscribed");
        device.subscribe().await;
        let names: Vec<_> = device.commands().into_iter().map(|(n, _)| n).collect();
        assert_eq!(names, ["one", "two", "three"]);
    });
}

#[test]
fn an_answer_ends_a_command_and_tells_who_waits() {
    run(|| async {
        let world = World::new().await;
        world.register("d", "Device", None).await;
        let device = world.connect("d").await;
        device.subscribe().await;
        for (status, end) in [(200, CommandState::Completed), (503, CommandState::Failed)] {
            let command = world.command("d", "open", 600).await;
            device.session.delivered(&id("d"), command.id.clone()).await;
            let seen = world.twins.command_of(&id("d"), &command.id).await.unwrap();
            assert_eq!(seen.state, CommandState::Delivered);
            let (d, cid) = (id("d"), command.id.clone());
            let waiting = world.twins.await_command(&d, &cid, Duration::from_secs(30));
            let answering = device.session.send(&d, result(&cid, status), None);
            let (ended, answered) = futures_util::join!(waiting, answering);
            answered.unwrap();
            assert_eq!(ended.unwrap().state, end);
        }
    });
}

#[test]
fn a_command_expires_by_the_clock_and_is_never_delivered_after() {
    run(|| async {
        let world = World::new().await;
        world.register("d", "Device", None).await;
        let command = world.command("d", "open", 10).await;
        world.clock.advance(Duration::from_secs(11));
        let device = world.connect("d").await;
        device.subscribe().await;
        assert!(device.commands().is_empty());
        world.pass(Duration::ZERO).await;
        let ended = world.twins.command_of(&id("d"), &command.id).await.unwrap();
        assert_eq!(ended.state, CommandState::Expired);
        // A late answer is acknowledged and changes nothing.
        device.session.send(&id("d"), result(&command.id, 200), None).await.unwrap();
        assert_eq!(world.twins.command_of(&id("d"), &command.id).await.unwrap().state, CommandState::Expired);
    });
}

#[test]
fn a_command_expires_though_its_twin_has_left_memory_and_the_process_died() {
    run(|| async {
        let world = World::new().await;
        world.register("d", "Device", None).await;
        let command = world.command("d", "open", 10).await;
        let world = world.crash().await;
        world.pass(Duration::from_secs(11)).await;
        let ended = world.twins.command_of(&id("d"), &command.id).await.unwrap();
        assert_eq!(ended.state, CommandState::Expired);
    });
}

#[test]
fn a_command_comes_again_after_a_lost_session_marked_as_such() {
    run(|| async {
        let world = World::new().await;
        world.register("d", "Device", None).await;
        let device = world.connect("d").await;
        device.subscribe().await;
        let command = world.command("d", "open", 600).await;
        assert_eq!(device.commands(), [("open".to_owned(), false)]);
        device.session.delivered(&id("d"), command.id.clone()).await;
        device.session.close(DisconnectReason::Lost, None).await;
        let device = world.connect_with("d", false, Duration::from_secs(3600)).await;
        assert!(device.session.session_present());
        assert_eq!(device.commands(), [("open".to_owned(), true)], "the subscription lives on in the session");
    });
}

#[test]
fn a_command_whose_delivery_was_never_acknowledged_comes_again_marked_too() {
    run(|| async {
        let world = World::new().await;
        world.register("d", "Device", None).await;
        let device = world.connect("d").await;
        device.subscribe().await;
        world.command("d", "open", 600).await;
        device.session.close(DisconnectReason::Lost, None).await;
        let device = world.connect_with("d", false, Duration::from_secs(3600)).await;
        assert_eq!(device.commands(), [("open".to_owned(), true)]);
    });
}

#[test]
fn a_bounded_number_is_in_flight_and_an_answer_makes_room() {
    run(|| async {
        let world = World::new().await;
        world.register("d", "Device", None).await;
        let mut commands = Vec::new();
        for n in 0..INBOX_IN_FLIGHT_MAX + 2 {
            commands.push(world.command("d", &format!("c{n}"), 600).await);
        }
        let device = world.connect("d").await;
        device.subscribe().await;
        assert_eq!(device.commands().len(), INBOX_IN_FLIGHT_MAX);
        device.session.send(&id("d"), result(&commands[0].id, 200), None).await.unwrap();
        assert_eq!(device.commands().len(), INBOX_IN_FLIGHT_MAX + 1);
    });
}

#[test]
fn a_full_inbox_refuses_by_name() {
    run(|| async {
        let world = World::new().await;
        world.register("d", "Device", None).await;
        for _ in 0..INBOX_COMMANDS_MAX {
            world.command("d", "c", 600).await;
        }
        let refused = world.try_command("d", "c", 600, None).await;
        assert!(matches!(refused, Err(TwinError::Limit { limit: "INBOX_COMMANDS_MAX", .. })));
    });
}

#[test]
fn a_cancelled_command_is_over() {
    run(|| async {
        let world = World::new().await;
        world.register("d", "Device", None).await;
        let command = world.command("d", "open", 600).await;
        let cancelled = world.twins.cancel_command(&id("d"), &command.id).await.unwrap();
        assert_eq!(cancelled.state, CommandState::Cancelled);
        let device = world.connect("d").await;
        device.subscribe().await;
        assert!(device.commands().is_empty());
        device.session.send(&id("d"), result(&command.id, 200), None).await.unwrap();
        assert_eq!(world.twins.command_of(&id("d"), &command.id).await.unwrap().state, CommandState::Cancelled);
    });
}

#[test]
fn one_idempotency_key_is_one_command_also_after_a_restart() {
    run(|| async {
        let world = World::new().await;
        world.register("d", "Device", None).await;
        let first = world.try_command("d", "open", 600, Some("k")).await.unwrap();
        let again = world.try_command("d", "open", 600, Some("k")).await.unwrap();
        assert_eq!(first.id, again.id);
        assert!(matches!(world.try_command("d", "close", 600, Some("k")).await, Err(TwinError::KeyReused)));
        let world = world.crash().await;
        assert_eq!(world.try_command("d", "open", 600, Some("k")).await.unwrap().id, first.id);
    });
}

#[test]
fn ended_commands_are_listed_newest_first_long_after_they_left_memory() {
    run(|| async {
        let world = World::new().await;
        world.register("d", "Device", None).await;
        let mut sent = Vec::new();
        for n in 0..70 {
            let command = world.command("d", &format!("c{n}"), 600).await;
            world.twins.cancel_command(&id("d"), &command.id).await.unwrap();
            world.clock.advance(Duration::from_millis(1));
            sent.push(command.id);
        }
        let query = CommandQuery { twin: id("d"), state: Some(CommandState::Cancelled), limit: 100, cursor: None };
        let listed: Vec<_> = world.twins.commands(query).await.unwrap().items.into_iter().map(|c| c.id).collect();
        sent.reverse();
        assert_eq!(listed, sent);
    });
}

#[test]
fn the_desired_state_comes_whole_once_and_then_as_patches() {
    run(|| async {
        let world = World::new().await;
        world.register("d", "Device", None).await;
        let device = world.connect("d").await;
        device.subscribe().await;
        device.subscribe().await;
        let patch = actors::TwinPatch { desired: Some(map(r#"{"level": 2}"#)), ..Default::default() };
        world.twins.patch(&id("d"), patch, None).await.unwrap();
        let desired: Vec<(bool, u64)> = device
            .link
            .down
            .lock()
            .iter()
            .filter_map(|d| match d {
                actors::device::Downlink::Desired { full, version, .. } => Some((*full, *version)),
                _ => None,
            })
            .collect();
        assert_eq!(desired, [(true, 0), (false, 1)]);
    });
}
