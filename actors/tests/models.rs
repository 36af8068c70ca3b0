//! Models in the runtime: what is known outlives a crash, twins notice what comes and goes, and heirs behave as their bases do.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::{sync::Arc, time::Duration};

use actors::{
    Settings, TwinError, TwinPatch, Validation,
    device::Refusal,
    kind::{Context, Kind, Kinds, Trigger},
};
use hierarchy_models::{
    DeviceMessage, ModelId, Severity,
    dtdl::Json,
    model::{self, BUILT_INS},
    value::Map,
};
use persistence::Documents;
use world::*;

fn dtmi(text: &str) -> ModelId {
    ModelId::new(text).unwrap()
}

fn interface(id: &str, extends: &str, contents: &str) -> Json {
    let text = format!(
        r#"{{"@context": "dtmi:dtdl:context;3", "@id": "{id}", "@type": "Interface", "extends": [{extends}], "contents": [{contents}]}}"#
    );
    serde_json::from_str(&text).unwrap()
}

fn lamp() -> Json {
    interface("dtmi:t:Lamp;1", "\"dtmi:twinfold:Device;1\"", r#"{"@type": "Telemetry", "name": "on", "schema": "boolean"}"#)
}

fn strict() -> Settings {
    Settings { validation: Validation::Strict, ..settings() }
}

#[test]
fn what_was_put_together_is_there_after_a_crash_and_goes_one_by_one() {
    run(|| async {
        let world = World::new().await;
        let shop = interface("dtmi:t:Shop;1", "\"dtmi:twinfold:Room;1\"", "");
        let added = world.twins.put_models(vec![lamp(), shop.clone()]).await.unwrap();
        assert_eq!((added.new, added.known), (2, 0));
        let added = world.twins.put_models(vec![shop, interface("dtmi:t:Stall;1", "\"dtmi:t:Shop;1\"", "")]).await.unwrap();
        assert_eq!((added.new, added.known), (1, 1));
        let world = world.crash().await;
        let known = world.twins.models();
        assert_eq!(known.sources.len(), BUILT_INS.len() + 3);
        assert!(known.catalogue.is_place(&dtmi("dtmi:t:Stall;1")) && !known.catalogue.is_place(&dtmi("dtmi:t:Lamp;1")));
        world.twins.delete_model(&dtmi("dtmi:t:Lamp;1")).await.unwrap();
        let in_use = world.twins.delete_model(&dtmi("dtmi:t:Shop;1")).await;
        assert!(matches!(in_use, Err(TwinError::ModelInUse { .. })), "{in_use:?}");
        let world = world.crash().await;
        assert_eq!(world.twins.models().sources.len(), BUILT_INS.len() + 2);
        world.twins.delete_model(&dtmi("dtmi:t:Stall;1")).await.unwrap();
        world.twins.delete_model(&dtmi("dtmi:t:Shop;1")).await.unwrap();
        let left = world.store.documents("model", None, 10).await.unwrap();
        assert!(left.is_empty(), "a document without models is not kept: {left:?}");
    });
}

#[test]
fn a_put_is_all_or_nothing() {
    run(|| async {
        let world = World::new().await;
        let orphan = interface("dtmi:t:Orphan;1", "\"dtmi:t:Nobody;1\"", "");
        let refused = world.twins.put_models(vec![lamp(), orphan]).await;
        assert!(matches!(&refused, Err(TwinError::InvalidModel(fault)) if fault.element.contains("dtmi:t:Orphan;1")), "{refused:?}");
        assert_eq!(world.twins.models().sources.len(), BUILT_INS.len());
        world.twins.put_models(vec![lamp()]).await.unwrap();
        let other = interface("dtmi:t:Lamp;1", "", "");
        let refused = world.twins.put_models(vec![interface("dtmi:t:New;1", "", ""), other]).await;
        assert!(matches!(refused, Err(TwinError::ModelDiffers { .. })), "{refused:?}");
        assert!(world.twins.models().catalogue.get(&dtmi("dtmi:t:New;1")).is_none());
    });
}

#[test]
fn a_twin_in_memory_notices_a_model_that_comes_and_one_that_goes() {
    run(|| async {
        let world = World::with(strict(), Kinds::built_in()).await;
        world.register("l", "dtmi:t:Lamp;1", None).await;
        let device = world.connect("l").await;
        device.telemetry(r#"{"on": "perhaps"}"#).await.unwrap();
        world.twins.put_models(vec![lamp()]).await.unwrap();
        let refused = device.telemetry(r#"{"on": "perhaps"}"#).await;
        assert_eq!(refused, Err(Refusal::Invalid { reason: "/on: must be true or false".into() }));
        device.telemetry(r#"{"on": true}"#).await.unwrap();
        let view = world.view("l").await;
        assert_eq!((view.diagnostics.rejected_total, view.diagnostics.rejected[0].reason.as_str()), (1, "/on: must be true or false"));
    });
}

#[test]
fn a_refused_message_of_somebody_who_may_not_speak_leaves_no_trace() {
    run(|| async {
        let world = World::with(strict(), Kinds::built_in()).await;
        world.twins.put_models(vec![lamp()]).await.unwrap();
        world.register("l", "dtmi:t:Lamp;1", None).await;
        world.register("g", "Gateway", None).await;
        let gateway = world.connect("g").await;
        let refused = gateway.session.send(&id("l"), telemetry(None, None, r#"{"on": 1}"#), None).await;
        assert!(matches!(refused, Err(Refusal::NotAuthorized { .. })), "{refused:?}");
        assert_eq!(world.view("l").await.diagnostics.rejected_total, 0);
    });
}

#[test]
fn an_heir_of_a_place_is_one_also_after_a_crash() {
    run(|| async {
        let world = World::new().await;
        world.twins.put_models(vec![interface("dtmi:t:Lab;1", "\"dtmi:twinfold:Room;1\"", "")]).await.unwrap();
        world.register("site", "Site", None).await;
        let lab = world.register("lab", "dtmi:t:Lab;1", Some("site")).await;
        assert_eq!(lab.view.version, 1, "what its model is does not make it another version");
        world.register("a", "Device", Some("lab")).await;
        world.pass(Duration::ZERO).await;
        assert_eq!(world.view("site").await.rollups.count, 1);
        let world = world.crash().await;
        world.pass(Duration::ZERO).await;
        assert_eq!(world.view("site").await.rollups.count, 1);
        assert_eq!(world.view("lab").await.rollups.count, 1);
    });
}

#[test]
fn a_twin_that_becomes_a_place_is_not_counted_any_more() {
    run(|| async {
        let world = World::new().await;
        world.register("site", "Site", None).await;
        world.register("lab", "dtmi:t:Lab;1", Some("site")).await;
        world.pass(Duration::ZERO).await;
        assert_eq!(world.view("site").await.rollups.count, 1, "nobody knew what a Lab is");
        let patch = |model: &str| TwinPatch { model: Some(dtmi(model)), ..TwinPatch::default() };
        let unknown = world.twins.patch(&id("lab"), patch("dtmi:t:Lab;2"), None).await;
        assert!(matches!(unknown, Err(TwinError::UnknownModel { .. })), "{unknown:?}");
        world.twins.put_models(vec![interface("dtmi:t:Lab;2", "\"dtmi:twinfold:Room;1\"", "")]).await.unwrap();
        let view = world.twins.patch(&id("lab"), patch("dtmi:t:Lab;2"), None).await.unwrap();
        assert_eq!((view.model.as_str(), view.version), ("dtmi:t:Lab;2", 2));
        world.pass(Duration::ZERO).await;
        assert_eq!(world.view("site").await.rollups.count, 0);
    });
}

/// Raises an alert at any telemetry.
struct Nervous;

impl Kind for Nervous {
    fn turn(&self, trigger: &Trigger<'_>, cx: &mut Context<'_>) -> Result<(), String> {
        if matches!(trigger, Trigger::Telemetry { .. }) {
            cx.raise("oh", Severity::Info, "", Map::new());
        }
        Ok(())
    }
}

#[test]
fn a_behaviour_bound_to_a_base_runs_for_its_heirs() {
    run(|| async {
        let mut kinds = Kinds::built_in();
        kinds.bind(model::resolve("dtmi:t:Lamp;1").unwrap(), Arc::new(Nervous));
        let world = World::with(settings(), kinds).await;
        let street = interface("dtmi:t:StreetLamp;1", "\"dtmi:t:Lamp;1\"", "");
        world.twins.put_models(vec![street, lamp()]).await.unwrap();
        world.register("s", "dtmi:t:StreetLamp;1", None).await;
        world.connect("s").await.telemetry(r#"{"on": true}"#).await.unwrap();
        assert_eq!(world.view("s").await.alerts.len(), 1);
    });
}

#[test]
fn a_message_that_does_not_fit_is_taken_unless_validation_is_strict() {
    run(|| async {
        for validation in [Validation::Off, Validation::Warn] {
            let world = World::with(Settings { validation, ..settings() }, Kinds::built_in()).await;
            world.twins.put_models(vec![lamp()]).await.unwrap();
            world.register("l", "dtmi:t:Lamp;1", None).await;
            let device = world.connect("l").await;
            device.telemetry(r#"{"on": 1, "hum": 2}"#).await.unwrap();
            let reported = DeviceMessage::Reported { patch: map(r#"{"any": 1}"#), raw: raw() };
            device.session.send(&device.name, reported, None).await.unwrap();
            assert_eq!(numbers(&world.view("l").await).len(), 2, "{validation:?}");
        }
    });
}
