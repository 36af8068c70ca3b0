//! Documents as they lie in stores by now: rules, alerts, calls. They are JSON; what was written once is read for ever.

use std::{fs, path::Path};

use hierarchy_models::{
    AlertRecord, Timestamp, Value,
    rule::{CompiledRule, Rule},
};
use serde::{Serialize, de::DeserializeOwned};

use super::webhooks::Call;

fn kept(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)).unwrap()
}

/// Reads it, and finds that it is written as it lies there.
fn as_kept<T: DeserializeOwned + Serialize>(name: &str) -> T {
    let bytes = kept(name);
    let read: T = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(String::from_utf8(serde_json::to_vec(&read).unwrap()).unwrap(), String::from_utf8(bytes).unwrap().trim_end());
    read
}

#[test]
fn a_rule_is_read_and_written_as_it_was() {
    let rule: Rule = as_kept("rule.json");
    assert_eq!((rule.version, rule.actions.len(), rule.clear.as_deref()), (3, 4, Some("avg(t, 10m) < 28")));
    CompiledRule::new(rule).unwrap();
}

#[test]
fn a_rule_of_before_rules_had_versions_is_of_the_first() {
    let rule: Rule = serde_json::from_slice(&kept("rule_unversioned.json")).unwrap();
    assert_eq!((&*rule.id, rule.version), ("hot", 1));
}

#[test]
fn an_alert_is_read_and_written_as_it_was() {
    let alert: AlertRecord = as_kept("alert.json");
    assert_eq!((alert.alert.count, alert.alert.seq, &*alert.alert.source), (2, 12, "rule:hot"));
    assert_eq!(alert.cleared.unwrap().at, "2026-11-01T00:10:00Z".parse::<Timestamp>().unwrap());
}

#[test]
fn a_call_is_read_and_written_as_it_was() {
    let call: Call = as_kept("webhook_call.json");
    assert_eq!(
        (&*call.key, &*call.rule, call.action, call.payload.get("state").and_then(Value::as_str)),
        ("c-t1", "hot", 3, Some("raised"))
    );
}
