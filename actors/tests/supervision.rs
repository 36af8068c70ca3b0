//! A behaviour that fails costs one message of one twin; one that goes on failing is put aside, and recording goes on.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::sync::Arc;

use actors::{
    device::Refusal,
    kind::{Context, Kind, Kinds, Trigger},
};
use hierarchy_models::{Severity, Value, model};
use world::*;

/// Panics on a value above 100, errs on one below -100.
struct Brittle;

impl Kind for Brittle {
    fn turn(&self, trigger: &Trigger<'_>, cx: &mut Context<'_>) -> Result<(), String> {
        let Trigger::Telemetry { records, .. } = trigger else { return Ok(()) };
        let value = records[0].values[0].1.as_f64().unwrap_or_default();
        assert!(value <= 100.0, "{value} is more than I can bear");
        if value < -100.0 {
            return Err("too cold".into());
        }
        let turns = cx.twin().behaviour().as_f64().unwrap_or_default();
        cx.save(Value::Float(turns + 1.0));
        Ok(())
    }
}

async fn world() -> World {
    let mut kinds = Kinds::built_in();
    kinds.bind(model::resolve("dtmi:test:Brittle;1").unwrap(), Arc::new(Brittle));
    let settings = actors::Settings {
        restart: hierarchy_models::supervision::RestartPolicy { backoff: std::time::Duration::ZERO, ..Default::default() },
        ..settings()
    };
    let world = World::with(settings, kinds).await;
    world.register("room", "Room", None).await;
    world.register("b", "dtmi:test:Brittle;1", Some("room")).await;
    world.register("calm", "Device", Some("room")).await;
    world
}

#[test]
fn a_panic_costs_one_message_of_one_twin() {
    run(|| async {
        let world = world().await;
        let (b, calm) = (world.connect("b").await, world.connect("calm").await);
        b.telemetry(r#"{"t": 1}"#).await.unwrap();
        let refused = b.telemetry(r#"{"t": 101}"#).await;
        assert!(matches!(&refused, Err(Refusal::Poisoned { error, .. }) if error.contains("more than I can bear")), "{refused:?}");
        assert!(matches!(b.telemetry(r#"{"t": -101}"#).await, Err(Refusal::Poisoned { .. })));
        b.telemetry(r#"{"t": 2}"#).await.unwrap();
        calm.telemetry(r#"{"t": 500}"#).await.unwrap();
        let view = world.view("b").await;
        assert_eq!(numbers(&view)["t"], 2.0);
        assert_eq!((view.supervision.state, view.supervision.restarts), ("running", 2));
        assert_eq!(view.supervision.poison.len(), 2, "the messages are kept for reading");
        assert_eq!(world.view("calm").await.supervision.restarts, 0);
    });
}

#[test]
fn a_twin_that_goes_on_failing_is_quarantined_and_goes_on_recording() {
    run(|| async {
        let world = world().await;
        let b = world.connect("b").await;
        for _ in 0..6 {
            assert!(b.telemetry(r#"{"t": 101}"#).await.is_err());
        }
        let view = world.view("b").await;
        assert_eq!(view.supervision.state, "quarantined");
        assert!(view.alerts.iter().any(|a| &*a.name == "quarantined" && a.severity == Severity::Critical));
        b.telemetry(r#"{"t": 102}"#).await.unwrap();
        assert_eq!(numbers(&world.view("b").await)["t"], 102.0, "its behaviour does not run, so nothing fails");
        world.pass(std::time::Duration::ZERO).await;
        let room = world.view("room").await.rollups;
        assert_eq!((room.quarantined, room.alerts.worst), (1, Some(Severity::Critical)), "its parents show it");
        world.twins.release(&id("b")).await.unwrap();
        assert_eq!(world.view("b").await.supervision.state, "running");
        assert!(b.telemetry(r#"{"t": 103}"#).await.is_err(), "its behaviour runs again");
    });
}

#[test]
fn a_behaviours_state_is_as_durable_as_the_event_that_changed_it() {
    run(|| async {
        let world = world().await;
        let b = world.connect("b").await;
        b.telemetry(r#"{"t": 1}"#).await.unwrap();
        assert!(b.telemetry(r#"{"t": 101}"#).await.is_err());
        b.telemetry(r#"{"t": 2}"#).await.unwrap();
        let events = persistence::EventQuery {
            after_seq: 0,
            twin: id("b"),
            stream: Some("behaviour".into()),
            from: None,
            to: None,
            limit: 100,
            cursor: None,
        };
        let log = world.twins.events(events).await.unwrap().items;
        let states: Vec<_> = log
            .iter()
            .filter_map(|e| match &e.event.body {
                hierarchy_models::EventBody::BehaviourState { state, .. } => state.as_f64(),
                _ => None,
            })
            .collect();
        assert_eq!(states, [1.0, 2.0], "the failed turn left nothing");
    });
}

#[test]
fn a_message_that_breaks_a_rule_is_refused_and_kept_for_reading() {
    run(|| async {
        let world = world().await;
        let calm = world.connect("calm").await;
        let patch = hierarchy_models::DeviceMessage::Metadata { patch: map(r#"{"$owner": "me"}"#), raw: raw() };
        assert!(matches!(calm.session.send(&id("calm"), patch, None).await, Err(Refusal::Invalid { .. })));
        let far = world.now().plus(std::time::Duration::from_secs(7 * 24 * 3600));
        assert!(matches!(calm.record(None, Some(far), r#"{"t": 1}"#).await, Err(Refusal::Invalid { .. })));
        let view = world.view("calm").await;
        assert!(view.metadata.is_empty() && view.telemetry.is_empty());
        assert_eq!((view.diagnostics.rejected_total, view.diagnostics.rejected.len()), (2, 2));
    });
}
