//! That a recorded log happens again in a kit: to one twin, or to the twins of a tree.

use super::*;
use crate::behaviour::Value;

fn at(seconds: u64) -> Value {
    json!(start().plus(Duration::from_secs(seconds)).to_string())
}

fn event(seconds: u64, kind: &str, data: Value) -> Value {
    json!({"seq": 1, "received_at": at(seconds), "stream": "any", "kind": kind, "data": data})
}

fn reading(seconds: u64, v: f64) -> Value {
    event(seconds, "telemetry", json!({"stream": null, "records": [{"at": at(seconds), "values": {"v": v}}]}))
}

fn command(seconds: u64, id: &str, payload: Value, sender: &str) -> Value {
    let command = json!({"id": id, "name": "note", "payload": payload, "ttl": 60, "queued_at": at(seconds), "expires_at": at(seconds + 60),
        "state": "queued", "sender": sender});
    event(seconds, "command_queued", json!({"command": command}))
}

fn poisoned(seconds: u64, what: &str, payload: &str) -> Value {
    let mut event = event(seconds, "poisoned", json!({"what": what, "error": "too much"}));
    event["raw"] = json!({"encoding": "json", "payload": payload});
    event
}

fn log(events: &[Value]) -> String {
    events.iter().map(|event| format!("{event}\n")).collect()
}

#[test]
fn what_the_behaviour_failed_on_fails_again_and_what_came_after_is_done_all_the_same() {
    let events = [reading(10, 1.0), poisoned(11, "telemetry", r#"{"v": 101}"#), reading(12, 2.0)];
    let mut kit = TwinTestKit::of::<Relay>("r");
    assert_eq!(kit.replay(&log(&events)).unwrap_err().to_string(), "line 2: too much");
    assert_eq!((kit.state().heard, kit.now()), (2, start().plus(Duration::from_secs(12))));
    for (what, payload, wanted) in
        [("command note", r#"{"v": 13}"#, "line 1: not that one"), ("telemetry air", r#"[{"v": 1}, {"v": 102}]"#, "line 1: too much")]
    {
        let error = TwinTestKit::of::<Relay>("r").replay(&log(&[poisoned(0, what, payload)])).unwrap_err().to_string();
        assert_eq!(error, wanted);
    }
    let mut kit = TwinTestKit::of::<Relay>("r");
    kit.replay(&log(&[poisoned(0, "event alarm-of-mine", "7")])).unwrap();
    assert_eq!(kit.expect_event("heard"), "alarm-of-mine");
}

#[test]
fn metadata_is_as_it_was_and_time_begins_with_the_log() {
    let registered = event(500, "registered", json!({"model": "x", "metadata": {"to": "b"}}));
    let events = [registered, reading(510, 1.0), event(520, "metadata_patched", json!({"patch": {"to": "c"}})), reading(530, 1.0)];
    let mut kit = TwinTestKit::of::<Relay>("r").with_metadata(json!({"room": 7}));
    kit.replay(&log(&events)).unwrap();
    let sent: Vec<_> =
        kit.effects().iter().filter_map(|e| if let Effect::Command { to, .. } = e { Some(to.as_str()) } else { None }).collect();
    assert_eq!(sent, ["b", "c"]);
    assert_eq!(kit.now(), start().plus(Duration::from_secs(530)));
    let early = start().minus(Duration::from_secs(86_400));
    let mut kit = TwinTestKit::of::<Relay>("r").with_metadata(json!({"room": 7}));
    kit.replay(&json!({"received_at": early.to_string(), "kind": "event", "data": {"name": "beat", "payload": null}}).to_string()).unwrap();
    assert_eq!(kit.now(), early, "setting up is no beginning");
}

#[test]
fn a_command_that_the_twin_sent_itself_is_sent_by_its_behaviour_and_not_by_the_log() {
    let registered = event(0, "registered", json!({"metadata": {"to": "r"}}));
    let own = command(10, "c1", json!({"v": 1.0}), "twin:r");
    let forever = log(&[registered, own]);
    // Its behaviour would pass it on to itself without an end.
    TwinTestKit::of::<Relay>("r").replay(&forever).unwrap();
    let mut kit = TwinTestKit::of::<Relay>("r");
    kit.replay(&log(&[command(10, "c1", json!({"v": 1.0}), "twin:other"), command(11, "c2", json!(null), "a person")])).unwrap();
    assert_eq!(kit.inbox().len(), 2, "what others sent is theirs");
}

#[test]
fn the_logs_of_a_tree_happen_again_in_the_order_of_time() {
    let a = log(&[event(0, "registered", json!({"metadata": {"to": "b"}})), reading(10, 7.0), reading(30, 8.0)]);
    let b = log(&[
        command(10, "c1", json!({"v": 7.0}), "twin:a"),
        event(20, "metadata_patched", json!({"patch": {"to": "c"}})),
        command(30, "c2", json!({"v": 8.0}), "twin:a"),
    ]);
    let mut tree = TreeTestKit::new().with::<Relay>();
    tree.add("top", Relay::MODEL, None);
    for id in ["a", "b", "c"] {
        tree.add(id, Relay::MODEL, Some("top"));
    }
    assert_eq!(tree.replay([("b", &*b), ("a", &*a)]).unwrap(), 4);
    // The first stayed at b, the second was passed on: b knew its target by then.
    let payloads = |tree: &TreeTestKit, id: &str| tree.inbox(id).into_iter().map(|c| c.payload["v"].clone()).collect::<Vec<_>>();
    assert_eq!((payloads(&tree, "b"), payloads(&tree, "c")), (vec![json!(7.0)], vec![json!(8.0)]));
    assert_eq!(tree.now(), start().plus(Duration::from_secs(30)));
    let error = tree.replay([("a", &*log(&[poisoned(40, "telemetry", r#"{"v": 101}"#)]))]).unwrap_err().to_string();
    assert_eq!(error, "line 1: a: too much");
    assert!(tree.replay([("nobody", &*a)]).is_err());
}

#[test]
fn a_twin_of_a_model_that_extends_anothers_behaves_as_that_one_does() {
    let heir =
        json!({"@context": "dtmi:dtdl:context;3", "@id": "dtmi:test:Booster;1", "@type": "Interface", "extends": "dtmi:test:Relay;1"});
    let base = json!({"@context": "dtmi:dtdl:context;3", "@id": "dtmi:test:Relay;1", "@type": "Interface"});
    let mut tree = TreeTestKit::new().with::<Relay>().with_models(json!([heir, base]));
    tree.add("b", "dtmi:test:Booster;1", None).telemetry("b", json!({"v": 1}));
    assert_eq!(tree.state::<Relay>("b").heard, 1);
}
