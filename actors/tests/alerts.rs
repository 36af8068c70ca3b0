//! The life of alerts, and the list of them: what is durable is listed, written behind or not, before a crash and after.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::time::Duration;

use actors::{AlertQuery, LiveItem, TwinError, live::LiveFilter};
use bytes::Bytes;
use hierarchy_models::{AlertId, AlertRecord, AlertState, DeviceMessage, Raw, Severity, Value, access::Extent, event::Encoding};
use world::*;

impl Device {
    async fn alarm(&self, payload: &str) {
        self.event("alarm", payload).await;
    }

    async fn event(&self, name: &str, payload: &str) {
        let raw = Raw { encoding: Encoding::Json, bytes: Bytes::copy_from_slice(payload.as_bytes()) };
        let message = DeviceMessage::Event { name: name.into(), payload: json(payload), raw };
        self.session.send(&self.name, message, None).await.unwrap();
    }
}

impl World {
    async fn alerts(&self, query: AlertQuery) -> Vec<AlertRecord> {
        self.twins.alerts(AlertQuery { limit: 100, ..query }).await.unwrap().items
    }

    /// Names and states, newest first.
    async fn all(&self) -> Vec<(String, AlertState)> {
        self.alerts(AlertQuery::default()).await.into_iter().map(|r| (r.alert.name.to_string(), r.state())).collect()
    }
}

fn so(list: &[(&str, AlertState)]) -> Vec<(String, AlertState)> {
    list.iter().map(|(name, state)| ((*name).into(), *state)).collect()
}

use AlertState::{Acknowledged, Cleared, Raised};

#[test]
fn an_alert_is_raised_acknowledged_and_cleared_and_remembered() {
    run(|| async {
        let world = World::new().await;
        world.building(&["a"]).await;
        let a = world.connect("a").await;
        a.alarm(r#"{"name": "smoke", "severity": "warning"}"#).await;
        a.alarm(r#"{"name": "smoke", "severity": "warning"}"#).await;
        let raised = world.alerts(AlertQuery::default()).await.remove(0);
        assert_eq!((raised.alert.count, raised.state(), raised.twin.as_str()), (2, Raised, "a"));
        let id = raised.id();
        let seen = world.twins.acknowledge_alert(&id, "ada".into()).await.unwrap();
        assert_eq!((seen.state(), &*seen.alert.acknowledged.as_ref().unwrap().by), (Acknowledged, "ada"));
        assert_eq!(world.twins.acknowledge_alert(&id, "bob".into()).await.unwrap(), seen, "the first word stands");
        assert_eq!(world.view("a").await.alerts[0].state, Acknowledged);
        a.alarm(r#"{"name": "smoke", "severity": "critical"}"#).await;
        assert_eq!(world.twins.alert(&id).await.unwrap().state(), Raised, "what has got worse was seen by nobody");
        let over = world.twins.clear_alert(&id, "ada".into()).await.unwrap();
        assert_eq!((over.state(), &*over.cleared.as_ref().unwrap().by, over.alert.count), (Cleared, "ada", 3));
        assert_eq!(world.view("a").await.alerts, []);
        assert_eq!(world.twins.clear_alert(&id, "bob".into()).await.unwrap(), over);
        assert!(matches!(world.twins.acknowledge_alert(&id, "bob".into()).await, Err(TwinError::AlertCleared(_))));
        a.alarm(r#"{"name": "smoke"}"#).await;
        assert_eq!(world.all().await.len(), 2, "a new life is a new alert");
        let unknown = AlertId::parse("0000000000000-1-a").unwrap();
        assert!(matches!(world.twins.clear_alert(&unknown, "x".into()).await, Err(TwinError::NoSuchAlert(_))));
        let nowhere = AlertId::parse("0000000000000-1-nobody").unwrap();
        assert!(matches!(world.twins.alert(&nowhere).await, Err(TwinError::NoSuchAlert(_))));
    });
}

#[test]
fn the_list_is_the_same_before_a_flush_after_it_and_after_a_crash() {
    run(|| async {
        let mut world = World::new().await;
        world.building(&["a"]).await;
        for round in 0..3 {
            let a = world.connect("a").await;
            world.clock.advance(Duration::from_secs(1));
            a.alarm(&format!(r#"{{"name": "n{round}"}}"#)).await;
            if round == 1 {
                a.event("alarm-cleared", r#"{"name": "n0"}"#).await;
            }
            if round == 2 {
                let id = world.alerts(AlertQuery { state: Some(Raised), ..Default::default() }).await[1].id();
                world.twins.acknowledge_alert(&id, "ada".into()).await.unwrap();
            }
            let before = world.alerts(AlertQuery::default()).await;
            if round != 1 {
                world.twins.tick().await.unwrap();
                assert_eq!(world.alerts(AlertQuery::default()).await, before, "round {round}, flushed");
            }
            drop(a);
            world = world.crash().await;
            let after: Vec<_> = world.alerts(AlertQuery::default()).await;
            assert_eq!(after, before, "round {round}, after a crash");
        }
        assert_eq!(world.all().await, so(&[("n2", Raised), ("n1", Acknowledged), ("n0", Cleared)]));
    });
}

#[test]
fn the_list_is_filtered_and_paged() {
    run(|| async {
        let world = World::new().await;
        world.building(&["a", "b"]).await;
        world.register("c", "Device", None).await;
        for (n, name) in ["a", "b", "c", "a", "b"].into_iter().enumerate() {
            world.clock.advance(Duration::from_secs(1));
            let severity = if n % 2 == 0 { "critical" } else { "info" };
            world.connect(name).await.alarm(&format!(r#"{{"name": "n{n}", "severity": "{severity}"}}"#)).await;
            if n == 2 {
                world.twins.tick().await.unwrap();
            }
        }
        let names = |list: Vec<AlertRecord>| list.into_iter().map(|r| r.alert.name.to_string()).collect::<Vec<_>>();
        let under = AlertQuery { under: Some(id("floor")), ..Default::default() };
        assert_eq!(names(world.alerts(under).await), ["n4", "n3", "n1", "n0"]);
        let critical = AlertQuery { severity: Some(Severity::Critical), ..Default::default() };
        assert_eq!(names(world.alerts(critical).await), ["n4", "n2", "n0"]);
        let both = AlertQuery { under: Some(id("site")), within: Extent::Under(vec![id("b")]), ..Default::default() };
        assert_eq!(names(world.alerts(both).await), ["n4", "n1"]);
        for limit in 1..=6 {
            let (mut all, mut cursor) = (Vec::new(), None);
            loop {
                let page = world.twins.alerts(AlertQuery { limit, cursor, ..Default::default() }).await.unwrap();
                assert!(page.items.len() <= limit);
                all.extend(page.items);
                match page.cursor {
                    Some(next) => cursor = Some(AlertId::parse(&next).unwrap()),
                    None => break,
                }
            }
            assert_eq!(names(all), ["n4", "n3", "n2", "n1", "n0"], "limit {limit}");
        }
    });
}

#[test]
fn a_twin_that_is_removed_leaves_no_alert_standing() {
    run(|| async {
        let world = World::new().await;
        world.building(&["a"]).await;
        world.connect("a").await.alarm("{}").await;
        world.twins.delete(&id("a"), false, None).await.unwrap();
        assert_eq!(world.all().await, so(&[("alarm", Cleared)]));
        let world = world.crash().await;
        assert_eq!(world.all().await, so(&[("alarm", Cleared)]));
    });
}

#[test]
fn each_step_of_an_alerts_life_goes_down_the_live_stream() {
    run(|| async {
        let world = World::new().await;
        world.building(&["a"]).await;
        let a = world.connect("a").await;
        let filter = LiveFilter { under: Some(id("site")), within: Extent::Everywhere, kinds: vec![actors::live::LiveKind::Alert] };
        let mut reader = world.twins.live(filter, None).await.unwrap();
        a.alarm(r#"{"name": "smoke"}"#).await;
        let alert = world.alerts(AlertQuery::default()).await[0].id();
        world.twins.acknowledge_alert(&alert, "ada".into()).await.unwrap();
        world.twins.clear_alert(&alert, "bob".into()).await.unwrap();
        let mut seen = Vec::new();
        while seen.len() < 3 {
            if let Some(LiveItem::Event { event, .. }) = reader.next().await {
                assert_eq!(event.data.get("id").and_then(Value::as_str), Some(alert.as_str()));
                seen.push(event.data.get("state").and_then(Value::as_str).unwrap().to_owned());
            }
        }
        assert_eq!(seen, ["raised", "acknowledged", "cleared"]);
    });
}

#[test]
fn cleared_alerts_are_forgotten_with_the_history_they_belong_to() {
    run(|| async {
        let settings = actors::Settings { history_retention: Some(Duration::from_secs(3600)), ..settings() };
        let world = World::with(settings, actors::kind::Kinds::built_in()).await;
        world.building(&["a"]).await;
        let a = world.connect("a").await;
        a.alarm(r#"{"name": "old"}"#).await;
        a.event("alarm-cleared", r#"{"name": "old"}"#).await;
        a.alarm(r#"{"name": "standing"}"#).await;
        world.pass(Duration::from_secs(4000)).await;
        a.alarm(r#"{"name": "new"}"#).await;
        a.event("alarm-cleared", r#"{"name": "new"}"#).await;
        world.pass(Duration::ZERO).await;
        assert_eq!(world.all().await, so(&[("new", Cleared), ("standing", Raised)]));
    });
}
