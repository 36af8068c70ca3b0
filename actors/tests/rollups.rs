//! Roll-ups as data on real twins: asked down the tree, answered upward, whoever is in memory, moves, falls silent or restarts.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::time::Duration;

use actors::{
    LiveItem, TwinError, TwinPatch,
    live::{LiveFilter, LiveKind},
};
use hierarchy_models::{DeviceMessage, Value, access::Extent, dtdl::Json, model, rollup::RollupSet};
use world::*;

const TICKS_MAX: usize = 30;

async fn define(world: &World, twin: &str, definitions: &[(&str, &str)]) {
    world.twins.set_rollups(&id(twin), RollupSet::parse(definitions).unwrap(), None).await.unwrap();
}

async fn metadata(world: &World, twin: &str, patch: &str) {
    let patch = TwinPatch { metadata: Some(map(patch)), ..TwinPatch::default() };
    world.twins.patch(&id(twin), patch, None).await.unwrap();
}

async fn shown(world: &World, twin: &str, name: &str) -> Option<(Value, u64, u64)> {
    let view = world.view(twin).await;
    view.rollups.defined.get(name).map(|defined| (defined.value.clone(), defined.count, defined.stale))
}

/// Waits until the roll-up has this value, over so many twins, with so many left out as silent.
async fn becomes(world: &World, twin: &str, name: &str, value: impl Into<Value>, count: u64, stale: u64) {
    let want = Some((value.into(), count, stale));
    for _ in 0..TICKS_MAX {
        if shown(world, twin, name).await == want {
            return;
        }
        world.pass(Duration::ZERO).await;
    }
    assert_eq!(shown(world, twin, name).await, want, "{name} of {twin}");
}

#[test]
fn a_definition_reaches_every_device_below_and_its_figure_follows_them() {
    run(|| async {
        let world = World::new().await;
        world.building(&["a", "b", "c"]).await;
        let (a, b) = (world.connect("a").await, world.connect("b").await);
        a.telemetry(r#"{"power": 20}"#).await.unwrap();
        define(&world, "site", &[("load", "sum(devices.power)"), ("offline", r#"count(where status == "offline")"#)]).await;
        becomes(&world, "site", "load", 20.0, 1, 0).await;
        becomes(&world, "site", "offline", 1, 1, 0).await;
        b.telemetry(r#"{"power": 22.5}"#).await.unwrap();
        becomes(&world, "site", "load", 42.5, 2, 0).await;
        a.telemetry(r#"{"power": 1}"#).await.unwrap();
        b.session.close(hierarchy_models::event::DisconnectReason::Goodbye, None).await;
        becomes(&world, "site", "load", 23.5, 2, 0).await;
        becomes(&world, "site", "offline", 2, 2, 0).await;
        assert!(shown(&world, "floor", "load").await.is_none(), "what a site asks is not what its floors define");
    });
}

#[test]
fn what_a_room_defines_is_a_value_of_it_to_its_floor() {
    run(|| async {
        let world = World::new().await;
        world.building(&["a", "b"]).await;
        world.register("room-2", "Room", Some("floor")).await;
        world.register("c", "Device", Some("room-2")).await;
        for (room, area) in [("room", 30), ("room-2", 10)] {
            define(&world, room, &[("temperature", "avg(children.temperature)")]).await;
            metadata(&world, room, &format!(r#"{{"area": {area}}}"#)).await;
        }
        let weighted = "avg(children.temperature, weight: children.metadata.area)";
        define(&world, "floor", &[("mean", "avg(children.temperature)"), ("comfort", weighted), ("peak", "max(devices.temperature)")])
            .await;
        for (device, value) in [("a", 18), ("b", 22), ("c", 28)] {
            world.connect(device).await.telemetry(&format!(r#"{{"temperature": {value}}}"#)).await.unwrap();
        }
        becomes(&world, "floor", "mean", 24.0, 2, 0).await;
        becomes(&world, "floor", "comfort", 22.0, 2, 0).await;
        becomes(&world, "floor", "peak", 28.0, 3, 0).await;
    });
}

#[test]
fn conditions_percentiles_and_alerts_are_folded_too() {
    run(|| async {
        let world = World::new().await;
        world.building(&["a", "b", "c"]).await;
        let definitions = [
            ("busy", r#"count(devices where power > 5 and mode != "eco")"#),
            ("p50", "percentile(devices.power, 50)"),
            ("worst", "worst(alerts)"),
        ];
        define(&world, "site", &definitions).await;
        let (a, b, c) = (world.connect("a").await, world.connect("b").await, world.connect("c").await);
        a.telemetry(r#"{"power": 4, "mode": "full"}"#).await.unwrap();
        b.telemetry(r#"{"power": 8, "mode": "eco"}"#).await.unwrap();
        c.telemetry(r#"{"power": 16, "mode": "full"}"#).await.unwrap();
        let alarm = DeviceMessage::Event { name: "alarm".into(), payload: json(r#"{"severity": "critical"}"#), raw: raw() };
        c.session.send(&id("c"), alarm, None).await.unwrap();
        becomes(&world, "site", "busy", 1, 1, 0).await;
        becomes(&world, "site", "worst", "critical", 1, 0).await;
        let (value, count, _) = shown(&world, "site", "p50").await.unwrap();
        let p50 = value.as_f64().unwrap();
        assert!((p50 - 8.0).abs() <= 8.0 * hierarchy_models::rollup::RELATIVE_ERROR_MAX && count == 3, "{p50} of {count}");
    });
}

#[test]
fn what_a_silent_device_measured_is_left_out_and_counted_and_that_it_is_offline_is_told() {
    run(|| async {
        let world = World::new().await;
        world.building(&["a", "b"]).await;
        define(&world, "site", &[("load", "sum(devices.power)"), ("offline", r#"count(where status == "offline")"#)]).await;
        define(&world, "room", &[("mean", "avg(children.power)")]).await;
        let (a, b) = (world.connect("a").await, world.connect("b").await);
        a.telemetry(r#"{"power": 20}"#).await.unwrap();
        a.session.close(hierarchy_models::event::DisconnectReason::Goodbye, None).await;
        world.pass(Duration::from_secs(800)).await;
        b.telemetry(r#"{"power": 30}"#).await.unwrap();
        becomes(&world, "site", "load", 50.0, 2, 0).await;
        world.pass(Duration::from_secs(200)).await;
        becomes(&world, "site", "load", 30.0, 1, 1).await;
        becomes(&world, "room", "mean", 30.0, 1, 1).await;
        becomes(&world, "site", "offline", 1, 1, 0).await;
        world.connect("a").await.telemetry(r#"{"power": 1}"#).await.unwrap();
        becomes(&world, "site", "load", 31.0, 2, 0).await;
    });
}

#[test]
fn a_subtree_that_moves_answers_its_new_parents_and_no_more_its_old_ones() {
    run(|| async {
        let world = World::new().await;
        world.building(&["a", "b"]).await;
        for (place, kind, parent) in [("annex", "Site", None), ("attic", "Floor", Some("annex"))] {
            world.register(place, kind, parent).await;
        }
        for (device, value) in [("a", 1), ("b", 2)] {
            world.connect(device).await.telemetry(&format!(r#"{{"power": {value}}}"#)).await.unwrap();
        }
        define(&world, "site", &[("load", "sum(devices.power)")]).await;
        define(&world, "floor", &[("rooms", r#"count(children(of "Room"))"#)]).await;
        define(&world, "annex", &[("peak", "max(devices.power)"), ("rooms", r#"count(twins(of "Room"))"#)]).await;
        becomes(&world, "site", "load", 3.0, 2, 0).await;
        becomes(&world, "floor", "rooms", 1, 1, 0).await;
        world.move_to("room", Some("attic")).await.unwrap();
        becomes(&world, "annex", "peak", 2.0, 2, 0).await;
        becomes(&world, "annex", "rooms", 1, 1, 0).await;
        becomes(&world, "site", "load", Value::Null, 0, 0).await;
        becomes(&world, "floor", "rooms", 0, 0, 0).await;
        world.move_to("a", Some("floor")).await.unwrap();
        becomes(&world, "site", "load", 1.0, 1, 0).await;
        becomes(&world, "annex", "peak", 2.0, 1, 0).await;
        world.twins.delete(&id("b"), false, None).await.unwrap();
        becomes(&world, "annex", "peak", Value::Null, 0, 0).await;
    });
}

#[test]
fn definitions_and_their_figures_are_the_same_after_a_crash() {
    run(|| async {
        let world = World::new().await;
        world.building(&["a", "b"]).await;
        define(&world, "site", &[("load", "sum(devices.power)"), ("rated", "sum(devices.metadata.rated)")]).await;
        define(&world, "room", &[("mean", "avg(children.power)")]).await;
        for (device, value) in [("a", 1), ("b", 2)] {
            world.connect(device).await.telemetry(&format!(r#"{{"power": {value}}}"#)).await.unwrap();
            metadata(&world, device, r#"{"rated": 5}"#).await;
        }
        becomes(&world, "site", "load", 3.0, 2, 0).await;
        let world = world.crash().await;
        // At the first look: nobody had to be asked twice.
        assert_eq!(shown(&world, "site", "load").await, Some((3.0.into(), 2, 0)));
        assert_eq!(shown(&world, "site", "rated").await, Some((10.0.into(), 2, 0)));
        assert_eq!(shown(&world, "room", "mean").await, Some((1.5.into(), 2, 0)));
        let own: Vec<_> = world.twins.rollups(&id("site")).await.unwrap().own.texts().map(|(name, _)| name.to_string()).collect();
        assert_eq!(own, ["load", "rated"]);
        world.connect("a").await.telemetry(r#"{"power": 10}"#).await.unwrap();
        becomes(&world, "site", "load", 12.0, 2, 0).await;
        define(&world, "site", &[]).await;
        let world = world.crash().await;
        assert!(world.view("site").await.rollups.defined.is_empty());
    });
}

#[test]
fn devices_at_rest_answer_without_being_started() {
    run(|| async {
        let world = World::new().await;
        world.building(&["a", "b", "c"]).await;
        for device in ["a", "b"] {
            world.connect(device).await.telemetry(r#"{"power": 4, "mode": "eco"}"#).await.unwrap();
        }
        world.pass(Duration::ZERO).await;
        let world = world.crash().await;
        assert_eq!(world.view("room").await.rollups.count, 3);
        let before = world.twins.stats().twins_resident;
        define(&world, "site", &[("load", "sum(devices.power)"), ("eco", r#"count(where mode == "eco")"#)]).await;
        becomes(&world, "site", "load", 8.0, 2, 0).await;
        becomes(&world, "site", "eco", 2, 2, 0).await;
        assert_eq!((before, world.twins.stats().twins_resident), (1, 3), "room, floor and site are in memory, and no device");
    });
}

#[test]
fn a_definition_that_is_deleted_or_changed_is_asked_no_more() {
    run(|| async {
        let world = World::new().await;
        world.building(&["a"]).await;
        world.connect("a").await.telemetry(r#"{"power": 4, "mode": "eco"}"#).await.unwrap();
        define(&world, "site", &[("x", "sum(devices.power)"), ("y", "count()")]).await;
        becomes(&world, "site", "x", 4.0, 1, 0).await;
        define(&world, "site", &[("x", r#"count(where mode == "eco")"#)]).await;
        becomes(&world, "site", "x", 1, 1, 0).await;
        assert!(shown(&world, "site", "y").await.is_none());
        define(&world, "site", &[]).await;
        world.pass(Duration::ZERO).await;
        assert!(world.view("site").await.rollups.defined.is_empty());
        assert_eq!(world.view("site").await.rollups.values["power"].sum, 4.0, "what every twin folds stands");
    });
}

const SENSORS: &str = r#"count(children(of "dtmi:test:Sensor;1"))"#;

/// An Interface that extends another and defines roll-ups.
fn interface(model: &str, base: &str, rollups: &[(&str, &str)]) -> Json {
    let contents: Vec<String> = rollups.iter().map(|(name, text)| telemetry(name, text)).collect();
    let context = r#"["dtmi:dtdl:context;3", "dtmi:twinfold:extension:rollup;1"]"#;
    let text = format!(
        r#"{{"@context": {context}, "@id": "{model}", "@type": "Interface", "extends": "{base}", "contents": [{}]}}"#,
        contents.join(",")
    );
    serde_json::from_str(&text).unwrap()
}

fn telemetry(name: &str, rollup: &str) -> String {
    format!(r#"{{"@type": ["Telemetry", "Rollup"], "name": "{name}", "schema": "double", "rollup": {rollup:?}}}"#)
}

#[test]
fn a_model_defines_for_all_its_twins_and_a_twin_may_define_otherwise() {
    run(|| async {
        let world = World::new().await;
        let office = interface("dtmi:test:Office;1", "dtmi:twinfold:Room;1", &[("mean", "avg(children.t)"), ("sensors", SENSORS)]);
        let thermometer = interface("dtmi:test:Thermometer;1", "dtmi:test:Sensor;1", &[]);
        let sensor = interface("dtmi:test:Sensor;1", "dtmi:twinfold:Device;1", &[]);
        world.twins.put_models(vec![office, sensor, thermometer]).await.unwrap();
        world.register("site", "Site", None).await;
        world.register("room", "dtmi:test:Office;1", Some("site")).await;
        world.register("a", "Device", Some("room")).await;
        world.register("s", "dtmi:test:Thermometer;1", Some("room")).await;
        world.connect("s").await.telemetry(r#"{"t": 20}"#).await.unwrap();
        becomes(&world, "room", "mean", 20.0, 1, 0).await;
        becomes(&world, "room", "sensors", 1, 1, 0).await;
        define(&world, "room", &[("mean", "max(children.t)")]).await;
        let definitions = world.twins.rollups(&id("room")).await.unwrap();
        assert_eq!((definitions.own.len(), definitions.inherited.len()), (1, 2));
        world.connect("a").await.telemetry(r#"{"t": 10}"#).await.unwrap();
        becomes(&world, "room", "mean", 20.0, 2, 0).await;
        let bare = interface("dtmi:test:Office;2", "dtmi:twinfold:Room;1", &[]);
        world.twins.put_models(vec![bare]).await.unwrap();
        let model = Some(model::resolve("dtmi:test:Office;2").unwrap());
        world.twins.patch(&id("room"), TwinPatch { model, ..TwinPatch::default() }, None).await.unwrap();
        becomes(&world, "room", "mean", 20.0, 2, 0).await;
        assert!(shown(&world, "room", "sensors").await.is_none());
    });
}

#[test]
fn definitions_are_changed_at_the_version_that_is_named() {
    run(|| async {
        let world = World::new().await;
        world.building(&[]).await;
        let set = || RollupSet::parse(&[("n", "count()")]).unwrap();
        let before = world.view("site").await.version;
        assert!(matches!(
            world.twins.set_rollups(&id("site"), set(), Some(before + 1)).await,
            Err(TwinError::VersionMismatch { current }) if current == before
        ));
        let put = world.twins.set_rollups(&id("site"), set(), Some(before)).await.unwrap();
        assert_eq!((put.version, put.own.len()), (before + 1, 1));
        let again = world.twins.set_rollups(&id("site"), set(), None).await.unwrap();
        assert_eq!(again.version, put.version, "the same again is no change");
        assert!(matches!(world.twins.rollups(&id("nowhere")).await, Err(TwinError::NoSuchTwin(_))));
    });
}

#[test]
fn a_live_reader_hears_of_a_defined_figure_that_changed_alone() {
    run(|| async {
        let world = World::new().await;
        world.building(&["a"]).await;
        define(&world, "site", &[("eco", r#"count(where mode == "eco")"#)]).await;
        let a = world.connect("a").await;
        a.telemetry(r#"{"mode": "full"}"#).await.unwrap();
        becomes(&world, "site", "eco", 0, 0, 0).await;
        let mut reader = world
            .twins
            .live(LiveFilter { under: Some(id("site")), within: Extent::Everywhere, kinds: vec![LiveKind::State] }, None)
            .await
            .unwrap();
        a.telemetry(r#"{"mode": "eco"}"#).await.unwrap();
        becomes(&world, "site", "eco", 1, 1, 0).await;
        loop {
            match reader.next().await.unwrap() {
                LiveItem::Event { event, .. } if event.twin == id("site") => {
                    let eco = event.data.get("rollups").and_then(|r| r.get("defined")).and_then(|d| d.get("eco")).unwrap();
                    if eco.get("value") == Some(&Value::Int(1)) {
                        return;
                    }
                }
                _ => {}
            }
        }
    });
}
