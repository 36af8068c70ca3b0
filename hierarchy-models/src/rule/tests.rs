//! What rules say of records and time, and what they refuse to be.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::{Name, Severity, Timestamp, Value, value::Map};

const LATE_MAX: Duration = Duration::from_secs(60);

/// A twin with nothing but what its records said.
#[derive(Default)]
struct Twin {
    values: BTreeMap<Name, (Value, Timestamp)>,
    reported: Map,
    metadata: Map,
}

impl Facts for Twin {
    fn value(&self, name: &str) -> Option<(&Value, Timestamp)> {
        self.values.get(name).map(|(value, at)| (value, *at))
    }
    fn with_values(&self, see: &mut See<'_>) {
        see(&mut self.values.iter().map(|(name, (value, _))| (name.as_str(), value)));
    }
    fn with_reported(&self, see: &mut See<'_>) {
        see(&mut self.reported.iter().map(|(name, value)| (name.as_str(), value)));
    }
    fn metadata(&self) -> &Map {
        &self.metadata
    }
    fn rollups(&self) -> Value {
        [("count", Value::Int(3))].into_iter().collect()
    }
    fn model(&self) -> &str {
        "dtmi:twinfold:Device;1"
    }
    fn id(&self) -> &str {
        "sensor-1"
    }
    fn since(&self) -> Timestamp {
        Timestamp::EPOCH
    }
    fn take(&mut self, at: Timestamp, values: &[(Name, Value)]) {
        for (name, value) in values {
            if self.values.get(name).is_none_or(|(_, known)| *known <= at) {
                self.values.insert(name.clone(), (value.clone(), at));
            }
        }
    }
}

fn minute(n: f64) -> Timestamp {
    Timestamp::from_millis((n * 60_000.0) as i64).unwrap()
}

fn rule(when: &str, clear: Option<&str>) -> Rule {
    Rule {
        id: "r".into(),
        description: String::new(),
        enabled: true,
        model: None,
        under: None,
        when: when.into(),
        clear: clear.map(Into::into),
        actions: vec![Action::Alert { name: None, severity: Severity::Warning, text: "{value} of {id}".into() }],
        version: 1,
        created_at: Timestamp::EPOCH,
        changed_at: Timestamp::EPOCH,
    }
}

struct Bench {
    rules: TwinRules,
    twin: Twin,
    out: Vec<Turned>,
}

impl Bench {
    fn new(when: &str, clear: Option<&str>) -> Self {
        let compiled = CompiledRule::new(rule(when, clear)).unwrap_or_else(|e| panic!("{when}: {e}"));
        Self { rules: TwinRules::new(vec![Arc::new(compiled)], |_| false), twin: Twin::default(), out: Vec::new() }
    }

    fn record(&mut self, at: f64, values: &[(&str, f64)]) -> &mut Self {
        let values: Vec<(Name, Value)> = values.iter().map(|(name, value)| ((*name).into(), Value::Float(*value))).collect();
        self.rules.record(minute(at), &values, &mut self.twin, LATE_MAX, &mut self.out);
        self
    }

    fn advance(&mut self, to: f64) -> &mut Self {
        self.rules.advance(minute(to), &self.twin, &mut self.out);
        self
    }

    /// What turned so far: on or off, and the minute.
    fn turned(&self) -> Vec<(bool, f64)> {
        self.out.iter().map(|t| (t.on, t.at.as_millis() as f64 / 60_000.0)).collect()
    }
}

#[test]
fn a_rule_turns_once_and_back() {
    let mut bench = Bench::new("temperature > 30", None);
    for (n, t) in [20.0, 31.0, 32.0, 29.0, 31.0].into_iter().enumerate() {
        bench.record(n as f64, &[("temperature", t)]);
    }
    assert_eq!(bench.turned(), [(true, 1.0), (false, 3.0), (true, 4.0)]);
    assert_eq!(bench.out[0].texts, ["31 of sensor-1"]);
}

#[test]
fn a_clear_condition_of_its_own_is_hysteresis() {
    let mut bench = Bench::new("t > 30", Some("t < 25"));
    for (n, t) in [31.0, 28.0, 31.0, 26.0, 24.0, 28.0].into_iter().enumerate() {
        bench.record(n as f64, &[("t", t)]);
    }
    assert_eq!(bench.turned(), [(true, 0.0), (false, 4.0)]);
}

#[test]
fn whole_numbers_and_fractions_are_numbers() {
    let mut bench = Bench::new("t + 1 > 30 && t * 2 >= 58 && mod(t, 10) == 9", None);
    bench.twin.take(minute(0.0), &[("t".into(), Value::Int(21))]);
    let values = [("t".into(), Value::Int(29))];
    bench.rules.record(minute(1.0), &values, &mut bench.twin, LATE_MAX, &mut bench.out);
    assert_eq!(bench.turned(), []);
    let mut bench = Bench::new("t + 1 >= 30 && values.t * 2 >= 58 && mod(t, 10) == 9", None);
    bench.rules.record(minute(1.0), &values, &mut bench.twin, LATE_MAX, &mut bench.out);
    assert_eq!(bench.turned(), [(true, 1.0)]);
}

#[test]
fn windows_go_by_the_time_of_the_records() {
    let mut bench = Bench::new("avg(t, 10m) > 20 && count(t, 10m) >= 3", None);
    bench.record(0.0, &[("t", 30.0)]).record(4.0, &[("t", 30.0)]).record(9.0, &[("t", 30.0)]);
    assert_eq!(bench.turned(), [(true, 9.0)], "the third of ten minutes");
    bench.record(10.0, &[("t", 30.0)]);
    assert_eq!(bench.turned().len(), 1, "the first has left, and there are three again");
    bench.record(30.0, &[("t", 30.0)]);
    assert_eq!(bench.turned()[1], (false, 30.0), "one alone is not three");
}

#[test]
fn each_figure_is_what_its_name_says() {
    for (when, is_so) in [
        ("min(t, 10m) == 1 && max(t, 10m) == 4", true),
        ("rate(t, 10m) == 0.05", true), // from 1 to 4 in a minute
        ("stddev(t, 10m) == 1.5", true),
        ("max(min(t, 10m), avg(t, 10m)) == 2.5", true),
        ("min(t, 30s) == 4 && count(u, 10m) == 0", true),
        ("avg(u, 10m) > 0", false),
    ] {
        let mut bench = Bench::new(when, None);
        bench.record(0.0, &[("t", 1.0)]).record(1.0, &[("t", 4.0)]);
        assert_eq!(bench.turned().iter().any(|(on, at)| *on && *at == 1.0), is_so, "{when}");
    }
}

#[test]
fn a_condition_must_hold_for_as_long_as_it_says() {
    let mut bench = Bench::new("for(t > 30, 5m)", None);
    bench.record(0.0, &[("t", 31.0)]).record(3.0, &[("t", 29.0)]).record(4.0, &[("t", 31.0)]);
    assert_eq!(bench.rules.due(), Some(minute(9.0)));
    bench.advance(8.9);
    assert_eq!(bench.turned(), []);
    bench.advance(20.0);
    assert_eq!(bench.turned(), [(true, 9.0)], "at its own instant, however late somebody looks");
    assert_eq!(bench.rules.due(), None);
    bench.record(21.0, &[("t", 1.0)]);
    assert_eq!(bench.turned()[1], (false, 21.0));
}

#[test]
fn a_record_after_a_gap_finds_what_was_due_in_it() {
    let mut bench = Bench::new("absent(t, 15m)", None);
    bench.record(0.0, &[("t", 1.0)]).record(60.0, &[("t", 1.0)]);
    assert_eq!(bench.turned(), [(true, 15.0), (false, 60.0)]);
    bench.record(70.0, &[("other", 1.0)]).record(80.0, &[("other", 1.0)]);
    assert_eq!(bench.turned()[2..], [(true, 75.0)], "another value's record lets time pass");
}

#[test]
fn a_missing_value_turns_nothing_and_is_counted() {
    let mut bench = Bench::new("t > 30 && reported.mode == 'cool'", None);
    bench.record(0.0, &[("t", 31.0)]);
    assert_eq!(bench.turned(), []);
    assert_eq!(bench.rules.take_counts(), Counts { evaluations: 1, errors: 1, late: 0 });
    bench.twin.reported.insert("mode".into(), "cool".into());
    bench.record(1.0, &[("t", 31.0)]);
    assert_eq!(bench.turned(), [(true, 1.0)]);
    bench.twin.reported.clear();
    bench.record(2.0, &[("t", 31.0)]);
    assert_eq!(bench.turned().len(), 1, "what cannot be said clears nothing either");
}

#[test]
fn records_of_other_values_cost_a_rule_nothing() {
    let mut bench = Bench::new("t > 30", None);
    bench.record(0.0, &[("u", 31.0)]).record(1.0, &[("v", 31.0)]);
    assert_eq!(bench.rules.take_counts().evaluations, 0);
}

#[test]
fn a_late_record_joins_its_window_and_one_too_late_does_not() {
    let mut bench = Bench::new("count(t, 10m) == 3", None);
    bench.record(1.0, &[("t", 1.0)]).record(2.0, &[("t", 1.0)]);
    bench.record(0.5, &[("t", 1.0)]);
    assert_eq!((bench.turned(), bench.rules.take_counts().late), (vec![], 1), "a minute and a half late");
    bench.record(1.5, &[("t", 1.0)]);
    assert_eq!(bench.turned(), [(true, 2.0)], "and time does not go back");
}

#[test]
fn a_device_that_kept_its_records_is_judged_as_it_happened() {
    let mut bench = Bench::new("count(t, 10m) >= 3 || absent(t, 15m)", None);
    bench.record(0.0, &[("t", 1.0)]).advance(60.0);
    assert_eq!(bench.turned(), [(true, 15.0)], "it was away");
    bench.record(5.0, &[("t", 1.0)]);
    assert_eq!(bench.turned()[1], (false, 15.0), "not so, as it turns out");
    bench.record(6.0, &[("t", 1.0)]);
    assert_eq!((bench.turned()[2], bench.rules.take_counts().late), ((true, 6.0), 0));
}

#[test]
fn what_a_changed_rule_still_asks_for_is_kept() {
    let mut bench = Bench::new("for(avg(t, 10m) > 30, 5m)", None);
    bench.record(0.0, &[("t", 31.0)]).record(4.0, &[("t", 31.0)]);
    let other = CompiledRule::new(rule("for(avg(t, 10m) > 30, 5m) && max(t, 1h) < 90", None)).unwrap();
    let old = std::mem::replace(&mut bench.rules, TwinRules::new(vec![Arc::new(other)], |_| false));
    bench.rules.inherit(old);
    bench.record(5.0, &[("t", 31.0)]);
    assert_eq!(bench.turned(), [(true, 5.0)]);
}

#[test]
fn a_fault_points_at_its_place() {
    for (text, line, column, word) in [
        ("", 1, 1, "missing"),
        ("temperature >", 1, 14, ""),
        ("temperature > 30)", 1, 17, "closes nothing"),
        ("(temperature > 30", 1, 1, "not closed"),
        ("a > 1 &&\n  avg(temperature) > 2", 2, 18, "duration"),
        ("avg(a + b, 10m) > 1", 1, 5, "one value"),
        ("avg(a, 10) > 1", 1, 10, "duration"),
        ("avg(a, 10x) > 1", 1, 8, "d, h, m, s or ms"),
        ("avg(a, 32d) > 1", 1, 8, "at most 31d"),
        ("for(, 10m)", 1, 5, "missing"),
        ("for(a >, 10m)", 1, 8, ""),
        ("a > 10m", 1, 5, "window function"),
        ("a % 2 == 0", 1, 3, "mod(a, b)"),
        ("sin(a) > 0", 1, 1, "no function"),
        ("'x'.trim() == 'x'", 1, 5, "no method"),
        ("a > 'ä' && b > # 1", 1, 16, ""),
    ] {
        let error = Program::compile(text).map(drop).expect_err(text);
        assert_eq!((error.line, error.column), (line, column), "{text:?}: {error}");
        assert!(error.reason.contains(word), "{text:?}: {error}");
    }
}

#[test]
fn what_is_too_much_is_refused_by_name() {
    let refused = |text: &str| Program::compile(text).map(drop).expect_err(text).reason;
    assert!(refused(&format!("a > {}", " ".repeat(3_000))).contains("2048 bytes"));
    assert!(refused(&format!("{}a{}", "(".repeat(40), ")".repeat(40))).contains("32 levels"));
    assert!(refused(&vec!["avg(a, 1m) > 0"; 17].join(" && ")).contains("16 window functions"));
    assert!(refused("[1].all(x, [1].all(y, [1].all(z, x > y)))").contains("more than 2"));
}

#[test]
fn a_text_is_checked_like_a_condition() {
    let when = Program::compile("avg(temperature, 10m) > 30").unwrap();
    assert!(Template::compile("{{{value}}} is {temperature} in {metadata.room}", &when).is_ok());
    for (text, column) in [("a {", 3), ("a } b", 3), ("über {a >}", 10), ("x {avg(a)}", 9)] {
        let error = Template::compile(text, &when).map(drop).expect_err(text);
        assert_eq!(error.column, column, "{text}: {error}");
    }
}

#[test]
fn a_text_shows_figures_and_what_is_missing() {
    let mut with_text = rule("t > 30", None);
    with_text.actions = vec![Action::Alert { name: None, severity: Severity::Info, text: "{{{t}}} {avg(t, 1h)} {u} {'' + id}".into() }];
    let compiled = Arc::new(CompiledRule::new(with_text).unwrap());
    let mut bench = Bench { rules: TwinRules::new(vec![compiled], |_| false), twin: Twin::default(), out: Vec::new() };
    bench.record(0.0, &[("t", 20.0)]).record(1.0, &[("t", 31.0)]);
    assert_eq!(bench.out[0].texts, ["{31} 25.5 ? sensor-1"]);
    assert_eq!(bench.out[0].values, Map::from([("t".into(), Value::Float(31.0))]));
}

#[test]
fn a_rules_parts_are_checked() {
    let with = |change: &dyn Fn(&mut Rule)| {
        let mut one = rule("t > 1", None);
        change(&mut one);
        match CompiledRule::new(one) {
            Err(RuleError::Text { member, .. } | RuleError::Member { member, .. }) => member,
            Ok(_) => "taken".into(),
        }
    };
    assert_eq!(with(&|_| {}), "taken");
    assert_eq!(with(&|r| r.id = "a b".into()), "/id");
    assert_eq!(with(&|r| r.clear = Some("t >".into())), "/clear");
    assert_eq!(with(&|r| r.actions.clear()), "/actions");
    let url = |url: &str| vec![Action::Webhook { url: url.into(), secret: None }];
    for bad in ["ftp://x/", "https://", "https://a@b/", "https://a b/", "x"] {
        assert_eq!(with(&|r| r.actions = url(bad)), "/actions/0/webhook/url", "{bad}");
    }
    let secret = Some("short".to_owned());
    assert_eq!(
        with(&|r| r.actions = vec![Action::Webhook { url: "https://a/".into(), secret: secret.clone() }]),
        "/actions/0/webhook/secret"
    );
    let command = |name: &str, ttl| vec![Action::Command { to: Target::Parent, name: name.into(), payload: Value::Null, ttl }];
    assert_eq!(with(&|r| r.actions = command("a/b", 1.0)), "/actions/0/command/name");
    assert_eq!(with(&|r| r.actions = command("a", 0.0)), "/actions/0/command/ttl");
    assert_eq!(with(&|r| r.actions = command("a", f64::NAN)), "/actions/0/command/ttl");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Records in any order within the bound come to the same windows as in the order of their times: the last word of a rule over
    /// them is the same.
    #[test]
    fn disorder_within_the_bound_changes_no_window(
        mut input in proptest::collection::vec((0i64..50_000, -50i32..50), 1..60),
        swaps in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..60),
    ) {
        // All within 50 s, which is less than the bound.
        let last_word = |records: &[(i64, i32)]| {
            let mut bench = Bench::new("avg(t, 20s) > 0 || stddev(t, 20s) > 40.3", None);
            for (ms, value) in records {
                bench.record(*ms as f64 / 60_000.0, &[("t", f64::from(*value))]);
            }
            bench.record(50_000.0 / 60_000.0, &[("t", 0.0)]);
            bench.rules.is_on("r")
        };
        input.sort();
        input.dedup_by_key(|(ms, _)| *ms);
        let ordered = last_word(&input);
        let mut mixed = input.clone();
        for (a, b) in swaps {
            let (a, b) = (a.index(mixed.len()), b.index(mixed.len()));
            mixed.swap(a, b);
        }
        prop_assert_eq!(last_word(&mixed), ordered);
    }

    /// No text brings the compiler down.
    #[test]
    fn any_text_is_taken_or_refused(text in "[a-z0-9_(){}\\[\\]'\",.<>=!&|?:+*/% \\n-]{0,60}|\\PC{0,40}") {
        let _ = Program::compile(&text);
    }
}
