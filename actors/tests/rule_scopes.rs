//! Whom a rule looks at: twins of its model and of those that extend it, where they stand by now; silent ones too.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::time::Duration;

use actors::{AlertQuery, TwinPatch};
use hierarchy_models::{AlertState, dtdl::Json, model::resolve, rule::Rule};
use world::*;

const MINUTE: Duration = Duration::from_secs(60);

fn interface(id: &str, extends: &str) -> Json {
    let text = format!(r#"{{"@context": "dtmi:dtdl:context;3", "@id": "{id}", "@type": "Interface", "extends": "{extends}"}}"#);
    serde_json::from_str(&text).unwrap()
}

impl World {
    async fn standing(&self) -> Vec<(String, String)> {
        let query = AlertQuery { state: Some(AlertState::Raised), limit: 1_000, ..AlertQuery::default() };
        let items = self.twins.alerts(query).await.unwrap().items;
        let mut standing: Vec<_> = items.into_iter().map(|r| (r.twin.to_string(), r.alert.name.to_string())).collect();
        standing.sort();
        standing
    }

    async fn until_standing(&self, wanted: &[(&str, &str)]) {
        let wanted: Vec<(String, String)> = wanted.iter().map(|(twin, name)| ((*twin).into(), (*name).into())).collect();
        self.until(&format!("{wanted:?} stand"), async |world: &World| (world.standing().await == wanted).then_some(())).await;
    }
}

#[test]
fn a_rule_of_a_model_looks_at_twins_of_models_that_extend_it() {
    run(|| async {
        let world = World::new().await;
        world
            .twins
            .put_models(vec![interface("dtmi:t:Lamp;1", "dtmi:twinfold:Device;1"), interface("dtmi:t:Spot;1", "dtmi:t:Lamp;1")])
            .await
            .unwrap();
        world.twins.create_rule(Rule { model: Some(resolve("dtmi:t:Lamp;1").unwrap()), ..rule("hot", "t > 30") }).await.unwrap();
        for (name, model) in [("lamp", "dtmi:t:Lamp;1"), ("spot", "dtmi:t:Spot;1"), ("other", "Device")] {
            world.register(name, model, None).await;
            world.connect(name).await.telemetry(r#"{"t": 31}"#).await.unwrap();
        }
        assert_eq!(world.standing().await, [("lamp".into(), "hot".into()), ("spot".into(), "hot".into())]);
    });
}

#[test]
fn a_model_that_comes_later_brings_its_silent_twins_under_the_rules_of_its_base() {
    run(|| async {
        let world = World::new().await;
        world.twins.create_rule(Rule { model: Some(resolve("Device").unwrap()), ..rule("silent", "absent(t, 15m)") }).await.unwrap();
        world.register("spot", "dtmi:t:Spot;1", None).await;
        world.pass(20 * MINUTE).await;
        assert_eq!(world.standing().await, []);
        world.twins.put_models(vec![interface("dtmi:t:Spot;1", "dtmi:twinfold:Device;1")]).await.unwrap();
        world.until_standing(&[("spot", "silent")]).await;
    });
}

#[test]
fn a_silent_device_that_moves_leaves_the_alerts_of_its_former_place_and_finds_the_rules_of_its_new_one() {
    run(|| async {
        let world = World::new().await;
        world.building(&["a"]).await;
        world.register("store", "Room", Some("site")).await;
        world.twins.create_rule(Rule { under: Some(id("floor")), ..rule("hot", "t > 30") }).await.unwrap();
        world.twins.create_rule(Rule { under: Some(id("store")), ..rule("gone", "absent(t, 15m)") }).await.unwrap();
        world.connect("a").await.telemetry(r#"{"t": 31}"#).await.unwrap();
        world.until_standing(&[("a", "hot")]).await;
        world.pass(20 * MINUTE).await;
        // With the room it stands in, and without a word from it.
        world.move_to("room", Some("store")).await.unwrap();
        world
            .until("it is looked at where it stands now", async |world: &World| {
                let standing = world.standing().await;
                (!standing.contains(&("a".into(), "hot".into())) && standing.contains(&("a".into(), "gone".into()))).then_some(())
            })
            .await;
    });
}

#[test]
fn a_device_that_is_given_another_model_is_out_of_the_rules_of_its_former_one() {
    run(|| async {
        let world = World::new().await;
        world.register("a", "Device", None).await;
        world.twins.create_rule(Rule { model: Some(resolve("Device").unwrap()), ..rule("hot", "t > 30") }).await.unwrap();
        world.connect("a").await.telemetry(r#"{"t": 31}"#).await.unwrap();
        world.until_standing(&[("a", "hot")]).await;
        let patch = TwinPatch { model: Some(resolve("Room").unwrap()), ..TwinPatch::default() };
        world.twins.patch(&id("a"), patch, None).await.unwrap();
        world.until_standing(&[]).await;
    });
}

#[test]
fn a_device_that_never_says_anything_is_absent_since_it_was_registered() {
    run(|| async {
        let world = World::new().await;
        world.twins.create_rule(rule("silent", "absent(t, 15m)")).await.unwrap();
        world.register("mute", "Device", None).await;
        world.pass(14 * MINUTE).await;
        assert_eq!(world.standing().await, []);
        world.pass(2 * MINUTE).await;
        world.until_standing(&[("mute", "silent")]).await;
    });
}
