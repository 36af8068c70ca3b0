//! What is a definition, what is none, and where it is said to be wrong.

use super::*;
use crate::{expression::Number, limits::NAME_BYTES_MAX, model};

fn read(text: &str) -> (Figure, Ask) {
    definition(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn any(name: &str) -> Operand {
    Operand { source: Source::Any, name: name.into() }
}

#[test]
fn every_figure_has_its_form() {
    let children = || Scope { reach: Reach::Children, of: None };
    let devices = || Scope { reach: Reach::Devices, of: None };
    let power = || What::Values(any("power"));
    let weighted = What::Weighted { value: any("temperature"), weight: any("area") };
    let rooms = Scope { reach: Reach::Twins, of: Some(model::resolve("Room").unwrap()) };
    for (text, figure, scope, what) in [
        ("avg(children.temperature)", Figure::Avg, children(), What::Values(any("temperature"))),
        ("sum(devices.power)", Figure::Sum, devices(), power()),
        (" max ( devices . power ) ", Figure::Max, devices(), power()),
        ("min(devices.\"power\")", Figure::Min, devices(), power()),
        ("last(devices.'power')", Figure::Last, devices(), power()),
        ("count(devices.power)", Figure::Count, devices(), power()),
        ("count()", Figure::Count, devices(), What::Twins),
        ("count(twins(of 'Room'))", Figure::Count, rooms.clone(), What::Twins),
        ("worst(alerts)", Figure::Worst, Scope { reach: Reach::Twins, of: None }, What::Alerts),
        ("worst(children.alerts)", Figure::Worst, children(), What::Alerts),
        ("worst(twins(of \"dtmi:twinfold:Room;1\").alerts)", Figure::Worst, rooms, What::Alerts),
        ("percentile(devices.power, 99.5)", Figure::Percentile(99.5), devices(), What::Spread(any("power"))),
        ("avg(children.temperature, weight: children.area)", Figure::Avg, children(), weighted),
    ] {
        assert_eq!(read(text), (figure, Ask { scope, what, only: None }), "{text}");
    }
}

#[test]
fn a_condition_binds_as_in_other_languages() {
    let only = |text: &str| read(&format!("count(where {text})")).1.only.unwrap();
    assert_eq!(only("a and b or c and not d"), only("(a and b) or (c and (not d))"));
    assert_eq!(only("a && !b || c"), only("a == true and not (b == true) or c"));
    assert_ne!(only("a and (b or c)"), only("a and b or c"));
    let less = Comparison::Value { operand: any("x-y"), relation: Relation::LessOrEqual, literal: Literal::Number(Number::new(-1500.0)) };
    assert_eq!(only("x-y <= -1.5e3"), Condition::Compare(less));
    let named = Comparison::Value { operand: any("status"), relation: Relation::Equal, literal: Literal::Text("a \"b\"".into()) };
    assert_eq!(only(r#""status" == "a \"b\"""#), Condition::Compare(named), "a value that is called status");
    let of_metadata = Operand { source: Source::Metadata, name: "floor".into() };
    let is_three = Comparison::Value { operand: of_metadata, relation: Relation::NotEqual, literal: Literal::Number(Number::new(3.0)) };
    assert_eq!(only("metadata.floor != 3"), Condition::Compare(is_three));
}

#[test]
fn what_is_wrong_is_told_with_its_column() {
    let long_name = format!("sum(devices.{})", "n".repeat(NAME_BYTES_MAX + 1));
    let nested = format!("count(where {}a)", "not ".repeat(ROLLUP_NESTING_MAX + 2));
    let many = format!("count(where a{})", " or a".repeat(ROLLUP_COMPARISONS_MAX));
    let too_long = " ".repeat(ROLLUP_TEXT_BYTES_MAX + 1);
    for (text, column, says) in [
        ("", 1, "one of count, sum"),
        ("mean(children.t)", 1, "\"mean\" is no figure"),
        ("avg children.t", 5, "\"(\" must stand here"),
        ("avg(rooms.t)", 5, "children, devices or twins"),
        ("avg(children)", 13, "\".\" must stand here"),
        ("avg(children.)", 14, "the name of a value"),
        ("avg(children.a.b)", 14, "before another name"),
        ("avg(children.t", 15, "not the end"),
        ("avg(children.t) x", 17, "the end must stand here, not \"x\""),
        ("sum(children.t, weight: children.a)", 17, "only avg takes a weight"),
        ("avg(children.t, weight: devices.a)", 25, "the same twins"),
        ("percentile(devices.p)", 21, "\",\" must stand here"),
        ("percentile(devices.p, 101)", 23, "0 to 100"),
        ("count(twins(of \"Rom\"))", 16, "is not a model id"),
        ("count(where status == \"gone\")", 23, "there are online, offline"),
        ("count(where status < \"online\")", 20, "\"==\" or \"!=\""),
        ("count(where alerts == \"x\")", 23, "a number"),
        ("count(where mode == eco)", 21, "a text in quotes"),
        ("count(where mode == \"eco)", 21, "no closing quote"),
        ("count(where äö > 1 §)", 20, "'§' means nothing here"),
        ("sum(devices.p where p > 1e999)", 25, "not a number"),
        (&long_name, 13, "1 to 128 bytes"),
        (&nested, 81, "at most 16 deep"),
        (&many, 93, "at most 16 comparisons"),
        (&too_long, 1, "at most 512"),
    ] {
        let error = definition(text).expect_err(text);
        assert_eq!(error.column, column, "{text}: {error}");
        assert!(error.reason.contains(says), "{text}: {error}");
        assert!(error.to_string().starts_with(&format!("column {column}: ")));
    }
}

proptest::proptest! {
    #[test]
    fn no_text_breaks_the_parser(text in r#"[ -~äß"'\\]{0,80}"#) {
        let _ = definition(&text);
    }

    #[test]
    fn no_words_break_the_parser(words in proptest::collection::vec(0usize..20, 0..40)) {
        let known = ["count", "avg", "(", ")", "where", "not", "and", "or", "devices", "of", "\"Room\"", ".", "power", ",", "weight", ":", "3", "==", "status", "-"];
        let text: Vec<&str> = words.into_iter().map(|n| known[n]).collect();
        let _ = definition(&text.join(" "));
    }
}
