//! What a reader saw of a twin holds for as long as it would see the same, and no longer; and a reader of many wakes few.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::time::Duration;

use actors::{Settings, Sighting, TwinError, TwinPatch, kind::Kinds, view::TwinView};
use hierarchy_models::event::{DisconnectReason, Status};
use world::*;

/// The twin, which is still so as long as nothing happens.
async fn see(world: &World, name: &str) -> (TwinView, Sighting) {
    let (view, sighting) = world.twins.see(&id(name)).await.unwrap();
    let sighting = sighting.expect("nothing of the twin is under way");
    assert!(world.twins.is_as_seen(&id(name), &sighting), "{name}");
    (view, sighting)
}

#[test]
fn nothing_that_changes_a_twin_leaves_an_old_sighting_standing() {
    run(|| async {
        // Figures go up when they are told to, and not by themselves in between.
        let settings = Settings { rollup_tick: Duration::from_secs(86_400), ..settings() };
        let world = World::with(settings, Kinds::built_in()).await;
        world.building(&["d"]).await;
        world.register("annex", "Site", None).await;
        let device = world.connect("d").await;
        world.pass(Duration::ZERO).await;
        for change in ["telemetry", "rolled up", "ancestor moved", "revoked", "granted", "desired", "stale"] {
            let name = if matches!(change, "rolled up" | "stale") { "room" } else { "d" };
            let (before, sighting) = see(&world, name).await;
            match change {
                "telemetry" => device.telemetry(r#"{"t": 20}"#).await.unwrap(),
                "rolled up" => world.pass(Duration::ZERO).await,
                "ancestor moved" => drop(world.move_to("floor", Some("annex")).await.unwrap()),
                "revoked" => drop(world.twins.set_status(&id("d"), Status::Inactive).await.unwrap()),
                "granted" => drop(world.twins.set_status(&id("d"), Status::Active).await.unwrap()),
                "desired" => {
                    let patch = TwinPatch { desired: Some(map(r#"{"level": 1}"#)), ..TwinPatch::default() };
                    drop(world.twins.patch(&id("d"), patch, None).await.unwrap());
                }
                _ => world.pass(Duration::from_secs(5_000)).await,
            }
            assert!(!world.twins.is_as_seen(&id(name), &sighting), "{change}");
            assert_ne!(world.view(name).await, before, "{change} shows");
        }
    });
}

#[test]
fn a_sighting_does_not_outlive_the_twin_nor_pass_to_the_next_of_its_name() {
    run(|| async {
        let world = World::new().await;
        world.building(&["d"]).await;
        let (_, of_other) = see(&world, "room").await;
        let (_, sighting) = see(&world, "d").await;
        assert!(!world.twins.is_as_seen(&id("d"), &of_other));
        world.twins.delete(&id("d"), false, None).await.unwrap();
        assert!(!world.twins.is_as_seen(&id("d"), &sighting));
        world.register("d", "Device", Some("room")).await;
        assert!(!world.twins.is_as_seen(&id("d"), &sighting));
        see(&world, "d").await;
    });
}

#[test]
fn a_tree_is_read_without_waking_its_leaves() {
    run(|| async {
        let world = World::new().await;
        world.building(&["quiet", "spoke", "was-connected"]).await;
        let spoke = world.connect("spoke").await;
        spoke.telemetry(r#"{"t": 20, "on": true}"#).await.unwrap();
        spoke.session.close(DisconnectReason::Goodbye, None).await;
        let connected = world.connect("was-connected").await;
        connected.telemetry(r#"{"t": 30}"#).await.unwrap();
        let world = world.crash().await;
        let nodes = world.twins.tree(&id("site"), 16, 100).await.unwrap();
        let names: Vec<&str> = nodes.iter().map(|node| node.id.as_str()).collect();
        assert_eq!(names, ["site", "floor", "room", "quiet", "spoke", "was-connected"]);
        let seen = world.twins.see_all(&nodes.iter().collect::<Vec<_>>()).await.unwrap();
        // The places, and the one that has to find out that it is not connected any more.
        assert_eq!(world.twins.stats().twins_resident, 4);
        for (node, seen) in nodes.iter().zip(seen) {
            assert_eq!(seen.unwrap().0, world.view(node.id.as_str()).await, "{} is the same once it is awake", node.id);
        }
        assert_eq!(world.twins.stats().twins_resident, 6);
    });
}

#[test]
fn a_tree_says_what_it_leaves_out() {
    run(|| async {
        let world = World::new().await;
        world.building(&["a", "b", "c"]).await;
        let outline = async |depth: usize, nodes_max: usize| {
            let nodes = world.twins.tree(&id("site"), depth, nodes_max).await.unwrap();
            nodes.iter().map(|node| format!("{} -{}", node.path, node.children_left_out)).collect::<Vec<_>>()
        };
        assert_eq!(outline(0, 100).await, ["site -1"]);
        assert_eq!(outline(2, 100).await, ["site -0", "site/floor -0", "site/floor/room -3"]);
        let two_of_three = ["site -0", "site/floor -0", "site/floor/room -1", "site/floor/room/a -0", "site/floor/room/b -0"];
        assert_eq!(outline(16, 5).await, two_of_three);
        assert_eq!(outline(16, 1).await, ["site -1"]);
        assert!(matches!(world.twins.tree(&id("nowhere"), 16, 5).await, Err(TwinError::NoSuchTwin(_))));
    });
}
