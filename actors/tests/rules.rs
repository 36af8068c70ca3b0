//! Rules on living twins: over records, time, restarts and changes of the rules themselves.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::{sync::Arc, time::Duration};

use actors::{
    AlertQuery,
    kind::{Context, Kind, Kinds, Trigger},
};
use hierarchy_models::{
    AlertRecord, AlertState, DeviceMessage, EventBody, Map, Record, Severity,
    model::resolve,
    rule::{Action, Rule, Target},
};
use world::*;

const MINUTE: Duration = Duration::from_secs(60);

impl World {
    async fn listed(&self, state: AlertState) -> Vec<AlertRecord> {
        let query = AlertQuery { state: Some(state), limit: 1_000, ..AlertQuery::default() };
        self.twins.alerts(query).await.unwrap().items
    }

    async fn standing(&self) -> Vec<(String, String)> {
        self.listed(AlertState::Raised).await.into_iter().map(|r| (r.twin.to_string(), r.alert.name.to_string())).collect()
    }

    /// Asks until it is so: a change of the rules reaches silent twins in the background.
    async fn until_standing(&self, wanted: &[(&str, &str)]) {
        let wanted: Vec<(String, String)> = wanted.iter().map(|(twin, name)| ((*twin).into(), (*name).into())).collect();
        while self.standing().await != wanted {
            tokio::task::yield_now().await;
        }
    }
}

#[test]
fn a_rule_raises_and_clears_with_the_record_that_turned_it() {
    run(|| async {
        let world = World::new().await;
        world.building(&["a"]).await;
        world.twins.create_rule(rule("hot", "temperature > 30")).await.unwrap();
        let a = world.connect("a").await;
        let at = world.now().minus(Duration::from_secs(7));
        a.record(None, Some(at), r#"{"temperature": 31}"#).await.unwrap();
        let alert = &world.listed(AlertState::Raised).await[0];
        assert_eq!((alert.twin.as_str(), &*alert.alert.name, alert.alert.text.as_str()), ("a", "hot", "31"));
        assert_eq!((alert.alert.raised_at, &*alert.alert.source), (at, "rule:hot"), "by the time of the record");
        assert!(alert.alert.cause > 0 && alert.alert.seq > alert.alert.cause);
        assert_eq!(world.view("a").await.alerts[0].id, alert.id());
        a.telemetry(r#"{"temperature": 29}"#).await.unwrap();
        assert_eq!(world.standing().await, []);
        let over = &world.listed(AlertState::Cleared).await[0];
        assert_eq!((over.id(), &*over.cleared.as_ref().unwrap().by), (alert.id(), "rule:hot"));
    });
}

#[test]
fn a_rule_looks_only_where_it_is_told_to() {
    run(|| async {
        let world = World::new().await;
        world.building(&["a", "b"]).await;
        world.register("elsewhere", "Device", None).await;
        world.register("g", "dtmi:t:Other;1", Some("room")).await;
        world
            .twins
            .create_rule(Rule {
                under: Some(id("floor")),
                model: Some(hierarchy_models::model::resolve("Device").unwrap()),
                ..rule("hot", "t > 30")
            })
            .await
            .unwrap();
        world.twins.create_rule(Rule { enabled: false, ..rule("off", "t > 30") }).await.unwrap();
        for name in ["a", "elsewhere", "g"] {
            world.connect(name).await.telemetry(r#"{"t": 31}"#).await.unwrap();
        }
        assert_eq!(world.standing().await, [("a".into(), "hot".into())]);
        // Where it stands decides, not where it stood.
        world.move_to("elsewhere", Some("room")).await.unwrap();
        world.connect("elsewhere").await.telemetry(r#"{"t": 31}"#).await.unwrap();
        assert_eq!(world.standing().await.len(), 2);
    });
}

#[test]
fn a_rule_is_switched_on_changed_and_off_while_all_goes_on() {
    run(|| async {
        let world = World::new().await;
        world.register("a", "Device", None).await;
        let a = world.connect("a").await;
        for minute in 0..4 {
            a.record(None, Some(world.now().minus(MINUTE * (10 - minute))), r#"{"t": 40}"#).await.unwrap();
        }
        world.twins.create_rule(rule("long", "count(t, 1h) >= 5")).await.unwrap();
        a.telemetry(r#"{"t": 40}"#).await.unwrap();
        world.until_standing(&[("a", "long")]).await;
        // The window is that of before: it has five samples and not one.
        let changed = |r: Rule| Ok(Rule { when: "count(t, 1h) >= 6".into(), ..r });
        world.twins.change_rule("long", None, changed).await.unwrap();
        a.telemetry(r#"{"t": 40}"#).await.unwrap();
        assert_eq!(world.standing().await.len(), 1, "still so, of six");
        world.twins.change_rule("long", None, |r| Ok(Rule { enabled: false, ..r })).await.unwrap();
        world.until_standing(&[]).await;
        world.twins.change_rule("long", None, |r| Ok(Rule { enabled: true, ..r })).await.unwrap();
        a.telemetry(r#"{"t": 40}"#).await.unwrap();
        assert_eq!(world.standing().await.len(), 1);
        world.twins.delete_rule("long", None).await.unwrap();
        world.until_standing(&[]).await;
        assert_eq!(world.view("a").await.alerts, []);
    });
}

#[test]
fn a_restart_loses_no_window_and_raises_nothing_twice() {
    run(|| async {
        let world = World::new().await;
        world.register("a", "Device", None).await;
        world.twins.create_rule(rule("many", "count(t, 1h) >= 4")).await.unwrap();
        world.twins.create_rule(rule("hot", "t > 30")).await.unwrap();
        world.twins.create_rule(rule("steady", "for(t > 30, 10m)")).await.unwrap();
        let start = world.now();
        let a = world.connect("a").await;
        for minute in 0..3 {
            a.record(None, Some(start.plus(MINUTE * minute)), r#"{"t": 31}"#).await.unwrap();
        }
        let before = world.listed(AlertState::Raised).await;
        assert_eq!(before.iter().map(|r| &*r.alert.name).collect::<Vec<_>>(), ["hot"]);
        let world = world.crash().await;
        assert_eq!(world.listed(AlertState::Raised).await, before, "and the list is there");
        let a = world.connect("a").await;
        a.record(None, Some(start.plus(MINUTE * 3)), r#"{"t": 31}"#).await.unwrap();
        let names = |list: Vec<AlertRecord>| list.into_iter().map(|r| r.alert.name.to_string()).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(names(world.listed(AlertState::Raised).await), ["hot".into(), "many".into()].into(), "the fourth of four");
        assert_eq!(world.view("a").await.alerts.iter().find(|a| &*a.name == "hot").unwrap().count, 1);
        a.record(None, Some(start.plus(MINUTE * 10)), r#"{"t": 31}"#).await.unwrap();
        let steady = world.listed(AlertState::Raised).await.into_iter().find(|r| &*r.alert.name == "steady").unwrap();
        assert_eq!(steady.alert.raised_at, start.plus(MINUTE * 10), "since before the crash");
    });
}

#[test]
fn silence_is_noticed_in_memory_out_of_it_and_after_a_crash() {
    run(|| async {
        let world = World::new().await;
        world.register("a", "Device", None).await;
        world.twins.create_rule(rule("silent", "absent(t, 15m)")).await.unwrap();
        let a = world.connect("a").await;
        a.record(None, Some(world.now()), r#"{"t": 1}"#).await.unwrap();
        world.pass(MINUTE * 14).await;
        assert_eq!(world.standing().await, []);
        let world = world.crash().await;
        world.pass(Duration::ZERO).await;
        assert_eq!(world.standing().await, []);
        world.pass(MINUTE * 2).await;
        assert_eq!(world.standing().await, [("a".into(), "silent".into())]);
        let a = world.connect("a").await;
        a.record(None, Some(world.now()), r#"{"t": 1}"#).await.unwrap();
        assert_eq!(world.standing().await, []);
    });
}

#[test]
fn a_device_that_is_silent_already_is_found_by_a_new_rule() {
    run(|| async {
        let world = World::new().await;
        world.building(&["a"]).await;
        world.connect("a").await.telemetry(r#"{"t": 1}"#).await.unwrap();
        world.pass(MINUTE * 30).await;
        world.twins.create_rule(Rule { under: Some(id("a")), ..rule("silent", "absent(t, 15m)") }).await.unwrap();
        world.until_standing(&[("a", "silent")]).await;
    });
}

#[test]
fn a_place_has_rules_over_what_is_below_it() {
    run(|| async {
        let world = World::new().await;
        world.building(&["a", "b"]).await;
        let (a, b) = (world.connect("a").await, world.connect("b").await);
        a.telemetry(r#"{"t": 20}"#).await.unwrap();
        world.twins.create_rule(Rule { under: Some(id("room")), ..rule("warm", "rollups.values.t.avg > 25") }).await.unwrap();
        world.pass(Duration::ZERO).await;
        b.telemetry(r#"{"t": 40}"#).await.unwrap();
        world.pass(Duration::ZERO).await;
        assert!(world.standing().await.contains(&("room".into(), "warm".into())), "{:?}", world.standing().await);
    });
}

#[test]
fn a_rule_commands_nothing_above_its_place() {
    run(|| async {
        let world = World::new().await;
        world.building(&["a"]).await;
        let to_parent = vec![Action::Command { to: Target::Parent, name: "vent".into(), payload: json("1"), ttl: 60.0 }];
        for under in ["a", "room"] {
            let of = Rule { actions: to_parent.clone(), under: Some(id(under)), ..rule(&format!("hot-{under}"), "t > 30") };
            world.twins.create_rule(of).await.unwrap();
        }
        let a = world.connect("a").await;
        a.telemetry(r#"{"t": 31}"#).await.unwrap();
        let sent = world.until("the room is told", async |world| Some(world.commands_of("room").await).filter(|all| !all.is_empty())).await;
        assert_eq!(sent.len(), 1, "by the rule that stands over the room, and not by the one over the device");
        let queued = world.log("a").await.into_iter().filter(|body| matches!(body, EventBody::OutboundQueued(_))).count();
        assert_eq!(queued, 1);
    });
}

#[test]
fn a_rule_commands_emits_and_counts_as_one_turn() {
    run(|| async {
        let world = World::new().await;
        world.building(&["a"]).await;
        let actions = vec![
            Action::Command { to: Target::Itself, name: "cool".into(), payload: json("{\"level\": 2}"), ttl: 60.0 },
            Action::Emit { name: "overheated".into(), payload: json("1") },
        ];
        world.twins.create_rule(Rule { actions, ..rule("hot", "t > 30") }).await.unwrap();
        let a = world.connect("a").await;
        a.subscribe().await;
        a.telemetry(r#"{"t": 31}"#).await.unwrap();
        while a.commands().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(a.commands(), [("cool".into(), false)]);
        let query = actors::EventQuery {
            twin: id("a"),
            after_seq: 0,
            stream: Some("events".into()),
            from: None,
            to: None,
            limit: 10,
            cursor: None,
        };
        assert_eq!(world.twins.events(query).await.unwrap().items.len(), 1);
        a.telemetry(r#"{"t": 32}"#).await.unwrap();
        assert_eq!(a.commands().len(), 1, "once for each time it comes true");
    });
}

#[test]
fn a_trial_says_what_the_rule_itself_said() {
    run(|| async {
        let world = World::new().await;
        world.register("a", "Device", None).await;
        let hot = || Rule { clear: Some("avg(t, 5m) < 20".into()), ..rule("hot", "for(avg(t, 5m) > 25, 3m) || absent(t, 20m)") };
        world.twins.create_rule(hot()).await.unwrap();
        let a = world.connect("a").await;
        let start = world.now().minus(Duration::from_secs(24 * 3600));
        for n in 0..300u32 {
            let value = 22.0 + 15.0 * (f64::from(n) / 20.0).sin();
            let gap = if n > 200 { 30 } else { 0 };
            let at = start.plus(MINUTE * (n + gap));
            a.record(None, Some(at), &format!(r#"{{"t": {value}}}"#)).await.unwrap();
        }
        let mut live: Vec<_> = world.listed(AlertState::Cleared).await;
        live.extend(world.listed(AlertState::Raised).await);
        let mut live: Vec<_> = live.into_iter().map(|r| (r.alert.raised_at, r.cleared.map(|c| c.at), r.alert.text)).collect();
        live.sort();
        let trial = world.twins.try_rule(hot(), id("a"), None, None).await.unwrap();
        let tried: Vec<_> = trial.alerts.into_iter().map(|t| (t.raised_at, t.cleared_at, t.text)).collect();
        assert!(live.len() >= 4, "{live:?}");
        assert_eq!(tried, live);
        assert_eq!(trial.records, 300);
    });
}

#[test]
fn a_new_window_takes_nothing_from_a_longer_one() {
    run(|| async {
        let world = World::new().await;
        world.register("a", "Device", None).await;
        world.twins.create_rule(rule("hour", "count(t, 1h) >= 4")).await.unwrap();
        let a = world.connect("a").await;
        let start = world.now();
        for minute in [0, 20, 40] {
            a.record(None, Some(start.plus(MINUTE * minute)), r#"{"t": 1}"#).await.unwrap();
        }
        world.twins.create_rule(rule("short", "count(t, 10m) >= 2")).await.unwrap();
        a.record(None, Some(start.plus(MINUTE * 45)), r#"{"t": 1}"#).await.unwrap();
        let mut names: Vec<String> = world.standing().await.into_iter().map(|(_, name)| name).collect();
        names.sort();
        assert_eq!(names, ["hour", "short"]);
    });
}

#[test]
fn a_new_rule_takes_nothing_from_what_others_remember() {
    run(|| async {
        let world = World::new().await;
        world.register("a", "Device", None).await;
        world.twins.create_rule(rule("hour", "count(t, 1h) >= 3601")).await.unwrap();
        world.twins.create_rule(rule("steady", "for(t > 0, 7200s)")).await.unwrap();
        let a = world.connect("a").await;
        let start = world.now().minus(Duration::from_secs(10_000));
        // More samples than are read back for a day, of which the last hour's fit its window.
        let mut second = 0u64;
        while second < 7_200 {
            let to = (second + 1_000).min(7_200);
            let records =
                (second..to).map(|n| Record { at: start.plus(Duration::from_secs(n)), id: None, values: vec![("t".into(), 1.into())] });
            let message = DeviceMessage::Telemetry { stream: None, records: records.collect(), raw: raw() };
            a.session.send(&a.name, message, None).await.unwrap();
            second = to;
        }
        assert_eq!(world.standing().await, []);
        for (id, when) in [("day", "for(avg(t, 1d) > 0, 1d)"), ("also", "count(t, 3600s) >= 3601 && max(t, 31d) > 0")] {
            world.twins.create_rule(rule(id, when)).await.unwrap();
        }
        // Two at one instant: an hour at one a second has 3,600.
        let at = start.plus(Duration::from_secs(7_200));
        for _ in 0..2 {
            a.record(None, Some(at), r#"{"t": 1}"#).await.unwrap();
        }
        let mut names: Vec<String> = world.standing().await.into_iter().map(|(_, name)| name).collect();
        names.sort();
        assert_eq!(names, ["also", "hour", "steady"]);
    });
}

/// Says of each record what a rule says too.
struct Alike;

impl Kind for Alike {
    fn turn(&self, trigger: &Trigger<'_>, cx: &mut Context<'_>) -> Result<(), String> {
        if let Trigger::Telemetry { records, .. } = trigger {
            match records[0].values.iter().any(|(name, _)| name == "calm") {
                true => cx.clear("hot"),
                false => cx.raise("hot", Severity::Warning, "by the behaviour", Map::new()),
            }
        }
        Ok(())
    }
}

#[test]
fn a_behaviour_and_a_rule_that_raise_one_alert_in_one_turn_count_twice() {
    run(|| async {
        let mut kinds = Kinds::built_in();
        kinds.bind(resolve("Device").unwrap(), Arc::new(Alike));
        let world = World::with(settings(), kinds).await;
        world.register("a", "Device", None).await;
        world.twins.create_rule(rule("hot", "t > 30")).await.unwrap();
        let a = world.connect("a").await;
        a.telemetry(r#"{"t": 31}"#).await.unwrap();
        let [hot] = &world.listed(AlertState::Raised).await[..] else { panic!("one alert") };
        assert_eq!((hot.alert.count, &*hot.alert.source), (2, "rule:hot"));
        a.telemetry(r#"{"t": 29, "calm": true}"#).await.unwrap();
        assert_eq!(world.standing().await, []);
        let ends = |event: &EventBody| matches!(event, EventBody::AlertCleared { .. } | EventBody::AlertEnded { .. });
        assert_eq!(world.log("a").await.iter().filter(|event| ends(event)).count(), 1, "what the one ended the other does not end again");
        // The behaviour clears what stands, and the rule raises anew in the same turn.
        a.telemetry(r#"{"u": 1}"#).await.unwrap();
        assert_eq!(world.listed(AlertState::Raised).await[0].alert.count, 1);
        a.telemetry(r#"{"t": 31, "calm": true}"#).await.unwrap();
        let [hot] = &world.listed(AlertState::Raised).await[..] else { panic!("one alert") };
        assert_eq!((hot.alert.count, &*hot.alert.source), (1, "rule:hot"), "another alert, not the old one counted again");
    });
}

#[test]
fn many_rules_of_which_each_has_its_word() {
    run(|| async {
        let world = World::new().await;
        world.register("a", "Device", None).await;
        for n in 0..60 {
            world.twins.create_rule(rule(&format!("r{n:02}"), &format!("t > {n}"))).await.unwrap();
        }
        let a = world.connect("a").await;
        a.telemetry(r#"{"t": 10}"#).await.unwrap();
        assert_eq!(world.standing().await.len(), 10);
        // 64 effects of a turn are 32 rules that turn and raise; the rest waits.
        a.telemetry(r#"{"t": 100}"#).await.unwrap();
        assert_eq!(world.standing().await.len(), 42);
        assert_eq!(world.view("a").await.telemetry["t"].value.as_f64(), Some(100.0), "the record stands whatever the rules do");
        a.telemetry(r#"{"t": 100}"#).await.unwrap();
        assert_eq!(world.standing().await.len(), 60);
    });
}
