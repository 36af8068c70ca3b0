//! What is acknowledged is durable, what is not durable is neither acknowledged nor seen.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::{sync::Arc, time::Duration};

use actors::device::Refusal;
use hierarchy_models::{Value, filter::Filter};
use persistence::{Error, MemoryStore, RegistryQuery};
use world::*;

#[test]
fn nothing_is_acknowledged_before_it_is_durable() {
    run(|| async {
        let world = World::new().await;
        world.register("d", "Device", None).await;
        let device = world.connect("d").await;
        world.store.hold_appends();
        let mut sending = Box::pin(device.telemetry(r#"{"t": 1}"#));
        assert!(futures_util::poll!(&mut sending).is_pending());
        world.held().await;
        assert!(futures_util::poll!(&mut sending).is_pending(), "the commit is held back, so must be the answer");
        world.store.release_appends();
        sending.await.unwrap();
    });
}

#[test]
fn a_reader_of_a_store_far_away_sees_what_was_durable_before() {
    run(|| async {
        let world = World::far_away().await;
        world.register("d", "Device", None).await;
        let device = world.connect("d").await;
        let seen = async || world.twins.get(&id("d")).await.unwrap().telemetry.iter().map(|(_, v)| v.value.clone()).collect::<Vec<_>>();
        device.telemetry(r#"{"t": 1}"#).await.unwrap();
        assert_eq!(seen().await, [Value::Int(1)]);
        world.store.hold_appends();
        let mut second = Box::pin(device.telemetry(r#"{"t": 2}"#));
        let mut third = Box::pin(device.telemetry(r#"{"t": 3}"#));
        assert!(futures_util::poll!(&mut second).is_pending() && futures_util::poll!(&mut third).is_pending());
        world.held().await;
        assert_eq!(seen().await, [Value::Int(1)], "without waiting");
        let query = RegistryQuery { filter: Some(Filter::parse("values.t == 1").unwrap()), limit: 10, ..RegistryQuery::default() };
        assert_eq!(world.twins.list(query).await.unwrap().items.len(), 1);
        world.store.release_appends();
        second.await.unwrap();
        third.await.unwrap();
        assert_eq!(seen().await, [Value::Int(3)], "what was acknowledged is seen");
        world.store.hold_appends();
        let mut fourth = Box::pin(device.telemetry(r#"{"t": 4}"#));
        assert!(futures_util::poll!(&mut fourth).is_pending());
        world.held().await;
        world.store.refuse_held(Error::Unavailable { doing: "appending", detail: "no quorum".into() });
        assert!(fourth.await.is_err());
        world.store.release_appends();
        assert_eq!(seen().await, [Value::Int(3)], "and what failed is not");
    });
}

#[test]
fn a_start_waits_for_a_store_far_away_and_not_for_one_that_is_here() {
    run(|| async {
        // Wherever in the start it happens.
        for failures in [1, 2, 3, 5, 8] {
            let store = Arc::new(MemoryStore::default());
            store.let_commits_wait();
            store.fail_reads(failures);
            let twins = World::start(store).await.unwrap();
            assert!(twins.list(RegistryQuery { limit: 1, ..RegistryQuery::default() }).await.unwrap().items.is_empty());
        }
        let here = Arc::new(MemoryStore::default());
        here.fail_reads(1);
        assert!(World::start(here).await.is_err(), "a file that cannot be read now cannot be read in a moment");
    });
}

#[test]
fn a_reader_never_sees_what_is_not_durable() {
    run(|| async {
        let world = World::new().await;
        world.register("d", "Device", None).await;
        let device = world.connect("d").await;
        world.store.hold_appends();
        let mut sending = Box::pin(device.telemetry(r#"{"t": 1}"#));
        assert!(futures_util::poll!(&mut sending).is_pending());
        world.held().await;
        let name = id("d");
        let mut reading = Box::pin(world.twins.get(&name));
        for _ in 0..50 {
            assert!(futures_util::poll!(&mut reading).is_pending());
            tokio::task::yield_now().await;
        }
        world.store.release_appends();
        sending.await.unwrap();
        assert_eq!(numbers(&reading.await.unwrap())["t"], 1.0);
    });
}

#[test]
fn a_full_store_refuses_loses_nothing_and_recovers_by_itself() {
    run(|| async {
        let world = World::new().await;
        world.register("d", "Device", None).await;
        let device = world.connect("d").await;
        device.record(Some("one"), None, r#"{"t": 1}"#).await.unwrap();
        world.store.fail_appends(Some(Error::Full { doing: "appending", detail: "test".into() }));
        assert_eq!(device.record(Some("two"), None, r#"{"t": 2}"#).await, Err(Refusal::StoreFull));
        assert_eq!(device.record(Some("two"), None, r#"{"t": 2}"#).await, Err(Refusal::StoreFull));
        world.store.fail_appends(None);
        // The device sends again until it is taken, as QoS 1 says.
        while device.record(Some("two"), None, r#"{"t": 2}"#).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(numbers(&world.view("d").await)["t"], 2.0);
        let world = world.crash().await;
        assert_eq!(numbers(&world.view("d").await)["t"], 2.0);
    });
}

#[test]
fn a_failed_commit_leaves_no_trace_in_memory() {
    run(|| async {
        let world = World::new().await;
        world.register("d", "Device", None).await;
        let device = world.connect("d").await;
        device.telemetry(r#"{"t": 1}"#).await.unwrap();
        world.store.hold_appends();
        let mut sending = Box::pin(device.telemetry(r#"{"t": 2}"#));
        assert!(futures_util::poll!(&mut sending).is_pending());
        world.held().await;
        world.store.refuse_held(Error::Unavailable { doing: "appending", detail: "test".into() });
        world.store.release_appends();
        assert_eq!(sending.await, Err(Refusal::StoreUnavailable));
        let seen = loop {
            if let Ok(view) = world.twins.get(&id("d")).await {
                break view;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        assert_eq!(numbers(&seen)["t"], 1.0);
    });
}

#[test]
fn everything_acknowledged_outlives_a_crash() {
    run(|| async {
        let world = World::new().await;
        world.building(&["d"]).await;
        let device = world.connect("d").await;
        device.telemetry(r#"{"t": 21.5, "mode": "auto"}"#).await.unwrap();
        world.command("d", "open", 600).await;
        let before = world.view("d").await;
        let world = world.crash().await;
        let after = world.view("d").await;
        assert_eq!((after.seq, after.version), (before.seq + 1, before.version), "all of it, and that its connection is lost");
        assert_eq!(after.telemetry, before.telemetry);
        assert_eq!(after.path.as_str(), "site/floor/room/d");
        let device = world.connect_with("d", false, Duration::from_secs(60)).await;
        device.subscribe().await;
        assert_eq!(device.commands(), [("open".to_owned(), false)]);
    });
}

#[test]
fn a_record_counts_once_within_the_window_and_across_restarts() {
    run(|| async {
        let world = World::new().await;
        world.register("d", "Device", None).await;
        let device = world.connect("d").await;
        device.record(Some("r1"), None, r#"{"n": 1}"#).await.unwrap();
        let seq = world.view("d").await.seq;
        device.record(Some("r1"), None, r#"{"n": 99}"#).await.unwrap();
        assert_eq!(world.view("d").await.seq, seq, "a repetition is acknowledged and changes nothing");
        let world = world.crash().await;
        let device = world.connect("d").await;
        device.record(Some("r1"), None, r#"{"n": 99}"#).await.unwrap();
        assert_eq!(numbers(&world.view("d").await)["n"], 1.0);
    });
}

#[test]
fn a_twin_that_left_memory_comes_back_the_same() {
    run(|| async {
        let settings = actors::Settings { idle_after: Duration::from_secs(10), stale_after: Duration::from_secs(15), ..settings() };
        let world = World::with(settings, actors::kind::Kinds::built_in()).await;
        world.building(&["d"]).await;
        let device = world.connect("d").await;
        device.telemetry(r#"{"t": 3}"#).await.unwrap();
        device.session.close(hierarchy_models::event::DisconnectReason::Goodbye, None).await;
        let before = world.view("d").await;
        assert!(world.twins.stats().twins_resident >= 4);
        world.pass(Duration::from_secs(14)).await;
        assert!(world.twins.stats().twins_resident >= 1, "the room stays, to notice when its device falls silent");
        for _ in 0..6 {
            world.pass(Duration::from_secs(11)).await;
        }
        assert_eq!(world.twins.stats().twins_resident, 0, "all are idle, so all have left");
        assert_eq!(world.view("d").await.telemetry, before.telemetry);
        let rollups = world.view("site").await.rollups;
        assert_eq!((rollups.count, rollups.stale), (1, 1), "a site that starts finds what is below it");
    });
}

#[test]
fn memory_over_the_budget_sends_the_idle_out_and_keeps_the_connected() {
    run(|| async {
        let settings = actors::Settings { memory_max_bytes: 1, ..settings() };
        let world = World::with(settings, actors::kind::Kinds::built_in()).await;
        world.building(&["d", "e"]).await;
        let device = world.connect("d").await;
        world.pass(Duration::from_secs(1)).await;
        world.pass(Duration::from_secs(1)).await;
        assert_eq!(world.view("d").await.connection.state, "connected");
        device.telemetry(r#"{"t": 1}"#).await.unwrap();
    });
}

#[test]
fn nobody_seems_connected_after_a_crash() {
    run(|| async {
        let world = World::new().await;
        world.register("d", "Device", None).await;
        let _device = world.connect("d").await;
        world.clock.advance(Duration::from_secs(1));
        let world = world.crash().await;
        let connection = world.view("d").await.connection;
        assert_eq!((connection.state, connection.reason), ("disconnected", Some(hierarchy_models::event::DisconnectReason::Unknown)));
        let device = world.connect_with("d", false, Duration::from_secs(60)).await;
        assert!(device.session.session_present(), "the session itself is durable");
    });
}

#[test]
fn a_journal_too_far_ahead_makes_devices_wait_and_loses_nothing() {
    run(|| async {
        let settings = actors::Settings { journal_max_bytes: 1_000, flush_interval: Duration::from_millis(20), ..settings() };
        let world = World::with(settings, actors::kind::Kinds::built_in()).await;
        world.register("d", "Device", None).await;
        let device = world.connect("d").await;
        let full = Error::Full { doing: "projecting", detail: "test".into() };
        world.store.fail_projections(Some(full));
        // Projections do not get through, so the journal grows until the gate shuts.
        let mut sent = 0;
        while tokio::time::timeout(Duration::from_millis(200), device.telemetry(&format!(r#"{{"n": {sent}}}"#))).await.is_ok() {
            sent += 1;
            assert!(sent < 100_000, "the gate never shuts");
        }
        world.store.fail_projections(None);
        device.telemetry(r#"{"n": -1}"#).await.unwrap();
        assert_eq!(numbers(&world.view("d").await)["n"], -1.0);
    });
}

#[test]
fn a_registration_that_was_not_durable_never_was() {
    run(|| async {
        let world = World::new().await;
        world.store.hold_appends();
        let mut registering = Box::pin(world.try_register("d", "Device", None, None));
        assert!(futures_util::poll!(&mut registering).is_pending());
        let (outcome, ()) = futures_util::join!(registering, async {
            world.held().await;
            world.store.refuse_held(Error::Unavailable { doing: "appending", detail: "test".into() });
            world.store.release_appends();
        });
        assert!(outcome.is_err());
        assert!(matches!(world.twins.get(&id("d")).await, Err(actors::TwinError::NoSuchTwin(_))));
        let again = loop {
            match world.try_register("d", "Device", None, None).await {
                Ok(registered) => break registered,
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        };
        assert!(world.twins.identities().verify_device(&id("d"), again.keys["primary"].as_bytes(), world.now()).await.is_ok());
    });
}

#[test]
fn a_command_that_was_not_durable_is_not_there_for_its_retry() {
    run(|| async {
        let world = World::new().await;
        world.register("d", "Device", None).await;
        world.store.hold_appends();
        let sending = world.try_command("d", "open", 600, Some("k"));
        let (outcome, ()) = futures_util::join!(sending, async {
            world.held().await;
            world.store.refuse_held(Error::Unavailable { doing: "appending", detail: "test".into() });
            world.store.release_appends();
        });
        assert!(outcome.is_err());
        let retried = loop {
            match world.try_command("d", "open", 600, Some("k")).await {
                Ok(command) => break command,
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        };
        let device = world.connect("d").await;
        device.subscribe().await;
        assert_eq!(device.commands().len(), 1, "the retry is a command of its own and is delivered");
        assert!(world.twins.command_of(&id("d"), &retried.id).await.is_ok());
    });
}

#[test]
fn no_flush_passes_over_a_twin_that_is_being_read_back() {
    run(|| async {
        let settings = actors::Settings { flush_interval: Duration::from_secs(3600), ..settings() };
        let world = World::with(settings, actors::kind::Kinds::built_in()).await;
        world.register("d", "Device", None).await;
        let device = world.connect("d").await;
        device.telemetry(r#"{"n": 1}"#).await.unwrap();
        world.store.hold_appends();
        let sending = device.telemetry(r#"{"n": 2}"#);
        let (outcome, ()) = futures_util::join!(sending, async {
            world.held().await;
            world.store.refuse_held(Error::Unavailable { doing: "appending", detail: "test".into() });
            // Flushes while the twin is suspect or being read back: none may move the checkpoint past what it holds.
            for _ in 0..3 {
                let _ = world.twins.tick().await;
            }
            world.store.release_appends();
        });
        assert!(outcome.is_err());
        let world = world.crash().await;
        assert_eq!(numbers(&world.view("d").await)["n"], 1.0);
    });
}
