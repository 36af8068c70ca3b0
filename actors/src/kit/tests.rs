//! The kits themselves: that they do what the server does, and that their assertions can fail.

use std::{panic::catch_unwind, time::Duration};

use hierarchy_models::{CommandState, event::DisconnectReason};
use serde::{Deserialize, Serialize};

use super::*;
use crate::behaviour::{Alert, Behaviour, Children, Command, Context, Error, Event, Reply, Result, Telemetry, Timer, json};

mod replay;

const SECOND: Duration = Duration::from_secs(1);

/// Passes on what it hears, to whoever its metadata names.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
struct Relay {
    heard: u32,
    missed: u64,
}

impl Behaviour for Relay {
    const MODEL: &'static str = "dtmi:test:Relay;1";

    fn on_telemetry(&mut self, t: &Telemetry, cx: &mut Context) -> Result<()> {
        self.heard += 1;
        if t.f64("v")? > 100.0 {
            return Err(Error::new("too much"));
        }
        if let Some(to) = cx.metadata().opt_str("to")? {
            cx.command(to.parse()?, "note", json!({"v": t.f64("v")?}));
        }
        Ok(())
    }

    fn on_command(&mut self, c: &Command, cx: &mut Context) -> Result<Reply> {
        if c.name() == "note" && c.opt_f64("v")? == Some(13.0) {
            return Err(Error::new("not that one"));
        }
        if let Some(to) = cx.metadata().opt_str("to")? {
            cx.command(to.parse()?, c.name(), c.payload()?);
            return Ok(Reply::completed(json!("passed on")));
        }
        Ok(Reply::PassOn)
    }

    fn on_event(&mut self, e: &Event, cx: &mut Context) -> Result<()> {
        match e.name() {
            "beat" => cx.every("beat", SECOND),
            "once" => cx.after("once", Duration::ZERO),
            _ => cx.emit("heard", json!(e.name())),
        }
        Ok(())
    }

    fn on_timer(&mut self, t: &Timer, cx: &mut Context) -> Result<()> {
        self.missed += t.missed;
        match t.name {
            "once" => cx.after("once", Duration::ZERO),
            name => cx.emit(name, json!(cx.now())),
        }
        Ok(())
    }

    fn on_children(&mut self, below: &Children, cx: &mut Context) -> Result<()> {
        match below.max("v") {
            Some(v) if v > 50.0 => cx.raise(Alert::info("high").text(format!("{v}"))),
            _ => cx.clear("high"),
        }
        Ok(())
    }
}

/// A chain of relays under a place: each passes on to the next.
fn chain() -> TreeTestKit {
    let mut tree = TreeTestKit::new().with::<Relay>();
    tree.add("top", Relay::MODEL, None);
    for id in ["a", "b", "c"] {
        tree.add(id, Relay::MODEL, Some("top"));
    }
    tree.metadata("a", json!({"to": "b"})).metadata("b", json!({"to": "c"}));
    tree
}

fn panics(test: impl FnOnce() + std::panic::UnwindSafe) -> String {
    let panic = catch_unwind(test).expect_err("it should have panicked");
    panic.downcast_ref::<String>().cloned().unwrap_or_else(|| (*panic.downcast_ref::<&str>().unwrap()).to_owned())
}

#[test]
fn a_command_travels_from_twin_to_twin_within_a_step() {
    let mut tree = chain();
    tree.telemetry("a", json!({"v": 7}));
    assert_eq!(tree.expect_waiting("c", "note").payload, json!({"v": 7.0}));
    assert_eq!(tree.effects_of("b").len(), 2, "it has answered, and sent it on");
    tree.answers("c", "note", 200, json!({}));
    assert!(tree.inbox("c").is_empty());
}

#[test]
fn a_twin_that_fails_on_a_command_costs_its_sender_nothing() {
    let mut tree = chain();
    tree.telemetry("a", json!({"v": 13}));
    assert!(tree.inbox("c").is_empty());
    assert_eq!(tree.state::<Relay>("a").heard, 1);
}

#[test]
fn figures_rise_and_places_act_on_them() {
    let mut tree = chain();
    tree.telemetry("c", json!({"v": 60}));
    assert_eq!(tree.expect_alert("top", "high").text, "60");
    assert_eq!(tree.below("top").max("v"), Some(60.0));
    tree.advance(Duration::from_secs(901));
    tree.expect_no_alert("top", "high");
    assert_eq!(tree.below("top").stale(), 1);
}

#[test]
fn twins_that_never_come_to_rest_are_an_error_and_no_hang() {
    let said = panics(|| {
        let mut tree = chain();
        tree.metadata("c", json!({"to": "a"}));
        tree.telemetry("a", json!({"v": 7}));
    });
    assert!(said.contains("do not come to rest"), "{said}");
    let said = panics(|| {
        TwinTestKit::of::<Relay>("r").event("once", json!({})).advance(SECOND);
    });
    assert!(said.contains("do not come to rest"), "{said}");
}

#[test]
fn timers_fire_at_their_own_times_and_count_what_they_missed() {
    let mut kit = TwinTestKit::of::<Relay>("r");
    let start = kit.now();
    kit.event("beat", json!({})).advance(Duration::from_millis(3_500));
    let times: Vec<_> = kit.effects().iter().map(|effect| matches!(effect, Effect::Emitted { name, .. } if name == "beat")).collect();
    assert_eq!(times, [true; 3]);
    assert_eq!(kit.expect_event("beat"), json!(start.plus(SECOND)));
    kit.down_for(Duration::from_secs(10));
    assert_eq!((kit.effects().len(), kit.state().missed), (1, 9), "one call for ten beats");
    kit.advance(Duration::from_millis(500));
    kit.expect_event("beat");
}

#[test]
fn a_failed_call_changes_nothing_and_the_next_one_is_fine() {
    let mut kit = TwinTestKit::of::<Relay>("r");
    let error = kit.try_telemetry(json!({"v": 101})).unwrap_err().to_string();
    assert_eq!((error.as_str(), kit.state()), ("too much", Relay::default()));
    kit.telemetry(json!({"v": 1}));
    assert_eq!(kit.state().heard, 1);
    let said = panics(|| {
        TwinTestKit::of::<Relay>("r").telemetry(json!({"v": 101}));
    });
    assert_eq!(said, "r: too much");
}

#[test]
fn telemetry_comes_in_the_forms_of_the_topic() {
    let mut kit = TwinTestKit::of::<Relay>("r");
    kit.telemetry(json!([{"v": 1}, {"at": "2025-12-31T00:00:00Z", "id": "r1", "values": {"v": 2}}]));
    kit.telemetry(json!({"id": "r1", "values": {"v": 2}}));
    assert_eq!(kit.state().heard, 2, "the same record id counts once");
}

#[test]
fn what_a_command_to_the_twin_itself_asks_waits_for_its_device() {
    let mut kit = TwinTestKit::of::<Relay>("r").with_metadata(json!({"to": "r"}));
    let said = panics(std::panic::AssertUnwindSafe(|| {
        kit.command("note", json!({}));
    }));
    assert!(said.contains("does not come to rest"), "{said}");
    let mut kit = TwinTestKit::of::<Relay>("r");
    assert_eq!(kit.command("open", json!({"n": 1})).state, CommandState::Queued);
    kit.expect_waiting("open");
    kit.answers("open", 200, json!({"done": true})).disconnected(DisconnectReason::Lost);
    assert!(kit.inbox().is_empty());
}

#[test]
fn assertions_fail_with_what_is_there_instead() {
    let kit = || {
        let mut kit = TwinTestKit::of::<Relay>("r");
        kit.event("x", json!({}));
        kit
    };
    type Expectation = fn(&TwinTestKit<Relay>);
    let fails: [(Expectation, &str); 6] = [
        (|kit| kit.expect_no_effects(), "Emitted { name: \"heard\""),
        (|kit| drop(kit.expect_alert("a").text.clone()), "no alert \"a\" stands on r; there stand []"),
        (|kit| drop(kit.expect_event("other")), "the event \"other\" should follow, but there is"),
        (|kit| drop(kit.expect_command("b", "note")), "a command \"note\" to b should follow"),
        (|kit| drop(kit.expect_waiting("open")), "no command \"open\" waits for r"),
        (|kit| _ = kit.state_of_another_form(), "cannot be read"),
    ];
    for (assertion, message) in fails {
        let said = panics(move || assertion(&kit()));
        assert!(said.contains(message), "{said}");
    }
}

impl TwinTestKit<Relay> {
    fn state_of_another_form(&self) -> Relay {
        TwinTestKit::of::<Relay>("r").with_stored_state(1, json!({"heard": "a lot"})).state()
    }
}

#[test]
fn a_recorded_log_is_done_again_without_what_was_made_of_it() {
    let at = |seconds: i64| json!(start().plus(Duration::from_secs(seconds as u64)).to_string());
    let lines = [
        json!({"seq": 1, "received_at": at(0), "stream": "registry", "kind": "registered", "data": {"model": "x"}}),
        json!({"items": [
            {"seq": 2, "received_at": at(10), "stream": "telemetry", "kind": "telemetry",
             "data": {"stream": null, "records": [{"at": at(9), "values": {"v": 1.5}}]}, "raw": {"encoding": "json", "payload": "{}"}},
            {"seq": 3, "received_at": at(10), "stream": "behaviour", "kind": "behaviour_state", "data": {"version": 1, "state": {}}},
            {"seq": 4, "received_at": at(11), "stream": "events", "kind": "event", "data": {"name": "beat", "payload": null}},
        ]}),
        json!({"seq": 5, "received_at": at(12), "stream": "commands", "kind": "command_queued", "data": {"command":
            {"id": "c1", "name": "open", "payload": {"n": 1}, "ttl": 30, "queued_at": at(12), "expires_at": at(42), "state": "queued"}}}),
        json!({"seq": 6, "received_at": at(14), "stream": "commands", "kind": "command_ended", "data":
            {"id": "c1", "state": "completed", "result": {"status": 200, "payload": null}}}),
        json!({"seq": 7, "received_at": at(15), "stream": "connection", "kind": "disconnected", "data": {"session": 1, "reason": "lost"}}),
    ];
    let ndjson: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let mut kit = TwinTestKit::of::<Relay>("r");
    assert_eq!(kit.replay(&ndjson).unwrap(), 5);
    assert_eq!((kit.state().heard, kit.inbox().len()), (1, 0));
    let beats = kit.effects().iter().filter(|effect| matches!(effect, Effect::Emitted { name, .. } if name == "beat")).count();
    assert_eq!((beats, kit.now()), (4, start().plus(Duration::from_secs(15))), "its timers fire as time passes");
    let error = kit.replay("{\"received_at\": \"yesterday\", \"kind\": \"telemetry\"}").unwrap_err().to_string();
    assert!(error.starts_with("line 1: "), "{error}");
}
