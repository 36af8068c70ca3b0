//! The tree: figures move up, twins move about, and nothing is counted twice or lost.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::time::Duration;

use actors::{
    LiveItem, TwinError,
    live::{LiveFilter, LiveKind},
};
use hierarchy_models::{
    DeviceMessage, Severity,
    access::Extent,
    event::{DisconnectReason, Status},
};
use world::*;

#[test]
fn a_reading_reaches_the_site() {
    run(|| async {
        let world = World::new().await;
        world.building(&["a", "b"]).await;
        let (a, b) = (world.connect("a").await, world.connect("b").await);
        a.telemetry(r#"{"t": 20}"#).await.unwrap();
        b.telemetry(r#"{"t": 24, "on": true}"#).await.unwrap();
        world.pass(Duration::ZERO).await;
        for place in ["room", "floor", "site"] {
            let rollups = world.view(place).await.rollups;
            assert_eq!((rollups.count, rollups.connected, rollups.stale), (2, 2, 0), "{place}");
            let t = &rollups.values["t"];
            assert_eq!((t.min, t.max, t.avg, t.sum), (20.0, 24.0, Some(22.0), 44.0), "{place}");
            assert!(rollups.values.get("on").is_none(), "only numbers fold");
        }
    });
}

#[test]
fn a_silent_device_counts_as_stale_and_its_values_are_left_out() {
    run(|| async {
        let world = World::new().await;
        world.building(&["a", "b"]).await;
        let (a, b) = (world.connect("a").await, world.connect("b").await);
        a.telemetry(r#"{"t": 20}"#).await.unwrap();
        world.pass(Duration::from_secs(800)).await;
        b.telemetry(r#"{"t": 30}"#).await.unwrap();
        world.pass(Duration::from_secs(200)).await;
        world.pass(Duration::ZERO).await;
        let rollups = world.view("site").await.rollups;
        assert_eq!((rollups.count, rollups.stale, rollups.values["t"].avg), (2, 1, Some(30.0)));
        a.telemetry(r#"{"t": 10}"#).await.unwrap();
        world.pass(Duration::ZERO).await;
        let rollups = world.view("site").await.rollups;
        assert_eq!((rollups.stale, rollups.values["t"].avg), (0, Some(20.0)));
    });
}

#[test]
fn figures_are_the_same_after_a_crash() {
    run(|| async {
        let world = World::new().await;
        world.building(&["a", "b"]).await;
        world.connect("a").await.telemetry(r#"{"t": 20}"#).await.unwrap();
        world.connect("b").await.telemetry(r#"{"t": 24}"#).await.unwrap();
        world.pass(Duration::ZERO).await;
        let before = world.view("site").await.rollups;
        let world = world.crash().await;
        let after = world.view("site").await.rollups;
        assert_eq!(after.values, before.values);
        assert_eq!((after.count, after.connected), (2, 0), "nobody is connected to the new process");
    });
}

#[test]
fn the_worst_alert_below_shows_above() {
    run(|| async {
        let world = World::new().await;
        world.building(&["a"]).await;
        let a = world.connect("a").await;
        let payload = json(r#"{"severity": "critical", "text": "smoke"}"#);
        let alarm = DeviceMessage::Event { name: "alarm".into(), payload, raw: raw() };
        a.session.send(&id("a"), alarm, None).await.unwrap();
        world.pass(Duration::ZERO).await;
        assert_eq!(world.view("site").await.rollups.alerts.worst, Some(Severity::Critical));
        let cleared = DeviceMessage::Event { name: "alarm-cleared".into(), payload: json("{}"), raw: raw() };
        a.session.send(&id("a"), cleared, None).await.unwrap();
        a.session.close(DisconnectReason::Lost, None).await;
        world.pass(Duration::ZERO).await;
        let alerts = world.view("site").await.rollups.alerts;
        assert_eq!((alerts.worst, alerts.count), (Some(Severity::Warning), 1), "the lost connection stands");
    });
}

#[test]
fn a_twin_that_moves_takes_its_figures_and_its_path_along() {
    run(|| async {
        let world = World::new().await;
        world.building(&["a"]).await;
        world.register("floor-2", "Floor", Some("site")).await;
        world.connect("a").await.telemetry(r#"{"t": 20}"#).await.unwrap();
        world.pass(Duration::ZERO).await;
        world.move_to("room", Some("floor-2")).await.unwrap();
        world.pass(Duration::ZERO).await;
        assert_eq!(world.view("a").await.path.as_str(), "site/floor-2/room/a");
        assert_eq!(world.view("floor").await.rollups.count, 0);
        assert_eq!(world.view("floor-2").await.rollups.values["t"].last, 20.0);
        assert_eq!(world.view("site").await.rollups.count, 1);
        assert!(matches!(world.move_to("site", Some("room")).await, Err(TwinError::Tree(_))), "no loops");
        assert!(matches!(world.move_to("room", Some("nowhere")).await, Err(TwinError::NoSuchParent { .. })));
    });
}

#[test]
fn a_removed_twin_is_gone_from_figures_and_may_come_back_as_another() {
    run(|| async {
        let world = World::new().await;
        world.building(&["a", "b"]).await;
        world.connect("a").await.telemetry(r#"{"t": 20}"#).await.unwrap();
        let b = world.connect("b").await;
        world.pass(Duration::ZERO).await;
        assert!(matches!(world.twins.delete(&id("room"), false, None).await, Err(TwinError::HasChildren { .. })));
        world.twins.delete(&id("b"), false, None).await.unwrap();
        assert!(b.is_closed());
        assert!(b.telemetry(r#"{"t": 1}"#).await.is_err());
        world.pass(Duration::ZERO).await;
        assert_eq!(world.view("site").await.rollups.count, 1);
        world.twins.delete(&id("room"), true, None).await.unwrap();
        world.pass(Duration::ZERO).await;
        assert_eq!(world.view("site").await.rollups.count, 0);
        assert!(matches!(world.twins.get(&id("a")).await, Err(TwinError::NoSuchTwin(_))));
        let again = world.register("a", "Device", Some("floor")).await;
        assert!(again.view.telemetry.is_empty());
        let world = world.crash().await;
        assert!(world.view("a").await.telemetry.is_empty(), "the events of the former twin are not the new one's");
        assert!(matches!(world.twins.get(&id("b")).await, Err(TwinError::NoSuchTwin(_))));
    });
}

#[test]
fn registering_twice_is_refused_and_harms_nothing() {
    run(|| async {
        let world = World::new().await;
        world.register("d", "Device", None).await;
        world.connect("d").await.telemetry(r#"{"t": 5}"#).await.unwrap();
        assert!(matches!(world.try_register("d", "Device", None, None).await, Err(TwinError::AlreadyRegistered(_))));
        assert_eq!(numbers(&world.view("d").await)["t"], 5.0);
        assert!(matches!(world.try_register("e", "Device", Some("x"), None).await, Err(TwinError::NoSuchParent { .. })));
        assert!(matches!(world.try_register("e", "Device", None, Some("x")).await, Err(TwinError::NoSuchGateway { .. })));
    });
}

#[test]
fn of_two_registrations_at_once_one_wins_and_its_keys_work() {
    run(|| async {
        let world = World::new().await;
        let both = futures_util::join!(world.try_register("d", "Device", None, None), world.try_register("d", "Device", None, None));
        let (won, lost) = match both {
            (Ok(won), Err(lost)) | (Err(lost), Ok(won)) => (won, lost),
            other => panic!("{other:?}"),
        };
        assert!(matches!(lost, TwinError::AlreadyRegistered(_)));
        let key = won.keys["primary"].as_bytes();
        assert!(world.twins.identities().verify_device(&id("d"), key, world.now()).await.is_ok());
    });
}

#[test]
fn a_deactivated_device_is_out_at_once() {
    run(|| async {
        let world = World::new().await;
        world.register("d", "Device", None).await;
        let device = world.connect("d").await;
        world.twins.set_status(&id("d"), Status::Inactive).await.unwrap();
        assert!(device.is_closed());
        assert!(device.telemetry(r#"{"t": 5}"#).await.is_err(), "whatever its socket does, nothing of it lands");
        world.twins.set_status(&id("d"), Status::Active).await.unwrap();
        world.connect("d").await.telemetry(r#"{"t": 6}"#).await.unwrap();
    });
}

#[test]
fn a_second_connection_takes_over() {
    run(|| async {
        let world = World::new().await;
        world.register("d", "Device", None).await;
        let first = world.connect("d").await;
        let second = world.connect("d").await;
        assert!(first.is_closed() && !second.is_closed());
        assert!(first.telemetry(r#"{"t": 1}"#).await.is_err());
        first.session.close(DisconnectReason::TakenOver, None).await;
        second.telemetry(r#"{"t": 2}"#).await.unwrap();
        assert_eq!(world.view("d").await.connection.state, "connected");
    });
}

#[test]
fn a_gateway_speaks_for_its_children_and_for_nobody_else() {
    run(|| async {
        let world = World::new().await;
        world.register("g", "Gateway", None).await;
        world.register("other", "Device", None).await;
        world.try_register("c", "Device", None, Some("g")).await.unwrap();
        let gateway = world.connect("g").await;
        let say = |text| telemetry(None, None, text);
        gateway.session.send(&id("c"), say(r#"{"t": 7}"#), None).await.unwrap();
        assert!(gateway.session.send(&id("other"), say(r#"{"t": 7}"#), None).await.is_err());
        assert!(gateway.session.send(&id("nobody"), say(r#"{"t": 7}"#), None).await.is_err());
        assert_eq!(numbers(&world.view("c").await)["t"], 7.0);
        gateway.session.send(&id("g"), DeviceMessage::Attach { child: id("c") }, None).await.unwrap();
        assert_eq!(world.view("c").await.connection.state, "connected");
        let all = hierarchy_models::event::Subscriptions { commands: Some(1), desired: None, twin: None };
        gateway.session.subscribe(&id("c"), all).await.unwrap();
        world.command("c", "open", 60).await;
        assert_eq!(gateway.commands(), [("open".to_owned(), false)]);
        assert_eq!(gateway.session.subscriptions_of(&id("c")).await, all);
        assert_eq!(gateway.session.subscriptions_of(&id("other")).await, Default::default());
        gateway.session.close(DisconnectReason::Goodbye, None).await;
        assert_eq!(world.view("c").await.connection.state, "disconnected");
    });
}

#[test]
fn a_childs_end_is_not_its_gateways_and_a_former_gateway_hears_nothing() {
    run(|| async {
        let world = World::new().await;
        world.register("g", "Gateway", None).await;
        for child in ["c", "e"] {
            world.try_register(child, "Device", None, Some("g")).await.unwrap();
        }
        let gateway = world.connect("g").await;
        let attach = |child: &str| DeviceMessage::Attach { child: id(child) };
        for child in ["c", "c", "e"] {
            gateway.session.send(&id("g"), attach(child), None).await.unwrap();
        }
        let commands = hierarchy_models::event::Subscriptions { commands: Some(1), desired: None, twin: None };
        gateway.session.subscribe(&id("c"), commands).await.unwrap();
        world.twins.set_status(&id("e"), Status::Inactive).await.unwrap();
        assert!(!gateway.is_closed(), "attaching twice, or losing a child, ends no gateway");
        let patch = actors::TwinPatch { gateway: Some(None), ..Default::default() };
        world.twins.patch(&id("c"), patch, None).await.unwrap();
        world.command("c", "secret", 60).await;
        assert!(gateway.commands().is_empty());
        assert_eq!(world.view("c").await.connection.state, "disconnected");
        gateway.telemetry(r#"{"t": 1}"#).await.unwrap();
    });
}

#[test]
fn a_live_reader_misses_nothing_and_can_resume() {
    run(|| async {
        let world = World::new().await;
        world.building(&["a"]).await;
        world.register("elsewhere", "Device", None).await;
        let filter = LiveFilter { under: Some(id("room")), within: Extent::Everywhere, kinds: vec![LiveKind::State] };
        let mut reader = world.twins.live(filter.clone(), None).await.unwrap();
        assert!(matches!(reader.next().await, Some(LiveItem::Reset { .. })));
        let a = world.connect("a").await;
        world.connect("elsewhere").await.telemetry(r#"{"t": 9}"#).await.unwrap();
        a.telemetry(r#"{"t": 1}"#).await.unwrap();
        let mut seen = Vec::new();
        let last = loop {
            let Some(LiveItem::Event { id, event }) = reader.next().await else { panic!("the stream ended") };
            assert!(event.path.as_str().starts_with("site/floor/room"));
            seen.push(event.clone());
            if event.data.get("telemetry").is_some() {
                break id;
            }
        };
        drop(reader);
        a.telemetry(r#"{"t": 2}"#).await.unwrap();
        let mut reader = world.twins.live(filter.clone(), Some(&last)).await.unwrap();
        let missed = loop {
            match reader.next().await {
                Some(LiveItem::Event { event, .. }) if event.data.get("telemetry").is_some() => break event,
                Some(LiveItem::Event { .. }) => {}
                other => panic!("{other:?} instead of what was missed"),
            }
        };
        let value = missed.data.get("telemetry").and_then(|t| t.get("t")).and_then(|t| t.get("value")).cloned();
        assert_eq!(value.and_then(|v| v.as_f64()), Some(2.0));
        let mut stranger = world.twins.live(filter, Some("another-process-17")).await.unwrap();
        assert!(matches!(stranger.next().await, Some(LiveItem::Reset { .. })));
    });
}

#[test]
fn a_slow_live_reader_starts_over_and_holds_no_memory() {
    run(|| async {
        let settings = actors::Settings { live_queue_events_max: 4, ..settings() };
        let world = World::with(settings, actors::kind::Kinds::built_in()).await;
        world.register("d", "Device", None).await;
        let mut reader = world.twins.live(LiveFilter { under: None, within: Extent::Everywhere, kinds: vec![] }, None).await.unwrap();
        reader.next().await;
        let d = world.connect("d").await;
        for n in 0..20 {
            d.telemetry(&format!(r#"{{"t": {n}}}"#)).await.unwrap();
        }
        assert!(matches!(reader.next().await, Some(LiveItem::Reset { .. })));
        d.telemetry(r#"{"t": 77}"#).await.unwrap();
        assert!(matches!(reader.next().await, Some(LiveItem::Event { .. })));
    });
}
