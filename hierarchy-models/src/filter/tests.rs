//! What filters mean, and what they answer to what is none.

use super::*;
use crate::{
    limits::{FILTER_COMPARISONS_MAX, FILTER_NESTING_MAX, FILTER_PATH_NAMES_MAX, FILTER_TEXT_BYTES_MAX},
    rollup::{Source, Subject},
    tree::Path,
    value::{Map, Value},
};

struct Twin {
    telemetry: Map,
    reported: Map,
    is_connected: bool,
}

impl Subject for Twin {
    fn is_place(&self) -> bool {
        false
    }
    fn is_of(&self, _: &ModelId) -> bool {
        unreachable!("models are of the registry")
    }
    fn is_active(&self) -> bool {
        unreachable!("whether it is active is of the registry")
    }
    fn is_connected(&self) -> bool {
        self.is_connected
    }
    fn is_quarantined(&self) -> bool {
        false
    }
    fn alerts(&self) -> [u64; 3] {
        [1, 0, 1]
    }
    fn value(&self, source: Source, name: &str) -> Option<(&Value, Timestamp)> {
        let map = if source == Source::Telemetry { &self.telemetry } else { &self.reported };
        map.get(name).map(|value| (value, Timestamp::EPOCH))
    }
}

fn map(json: &str) -> Map {
    serde_json::from_str(json).unwrap()
}

fn id(text: &str) -> TwinId {
    TwinId::new(text).unwrap()
}

/// What the row says of it, and the row with the state.
fn judged(text: &str) -> (Verdict, bool) {
    let filter = Filter::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    let metadata = map(r#"{"floor": "3", "level": 3, "on": true, "place": {"wing": "east", "no": null}, "odd name": 1, "labels": ["a"]}"#);
    let (twin, parent, path) = (id("lamp-1"), id("room-2"), Path::from_stored("site-1/room-2/lamp-1"));
    let row = Registered {
        id: &twin,
        model: &crate::model::resolve("Device").unwrap(),
        parent: Some(&parent),
        gateway: None,
        is_active: true,
        metadata: &metadata,
        tags: &["new".into()],
        created_at: "2026-05-01T12:00:00Z".parse().unwrap(),
        path: &path,
    };
    let state =
        Twin { telemetry: map(r#"{"temperature": 25.5, "at": {"lat": 1}}"#), reported: map(r#"{"mode": "eco"}"#), is_connected: true };
    (filter.judge(&row), filter.holds(&row, &state))
}

#[test]
fn the_row_answers_what_it_knows() {
    for (text, holds) in [
        (r#"metadata.floor == "3""#, true),
        (r#"metadata.floor == 3"#, false),
        (r#"metadata.level == 3 && metadata.level < 3.5 and metadata.level >= 3"#, true),
        ("metadata.on", true),
        ("metadata.off", false),
        (r#"metadata.place.wing != "west""#, true),
        (r#"metadata.place.door != "west""#, false),
        (r#"!(metadata.place.door == "west")"#, true),
        (r#"metadata."odd name" == 1"#, true),
        ("exists(metadata.place)", true),
        ("has(metadata.place.no)", false),
        ("exists(parent) && !exists(gateway)", true),
        (r#"tag("new") && has(tags, "new") && "new" in tags"#, true),
        (r#"tag("old")"#, false),
        (r#"under("site-1") && under("room-2")"#, true),
        (r#"under("lamp-1")"#, false),
        (r#"id == "lamp-1" && parent == "room-2" && path.startsWith("site-1/")"#, true),
        (r#"parent != "room-2" || gateway != "x""#, false),
        (r#"id.startsWith("lamp") && startsWith(id, "l") && id.endsWith("-1") && id.contains("mp")"#, true),
        (r#"metadata.place.wing.startsWith("ea")"#, true),
        (r#"metadata.level in [1, 2, 3]"#, true),
        (r#"metadata.level in [1, 2]"#, false),
        (r#"model == "Device" && isA("Device") && model != "Room""#, true),
        (r#"model in ["Room", "Device"]"#, true),
        (r#"status == "active" && status != "inactive""#, true),
        (r#"created_at >= "2026-05-01" && created_at < "2026-05-01T12:00:00.001Z""#, true),
        ("(metadata.on or metadata.off) and not metadata.off", true),
    ] {
        assert_eq!(judged(text), (if holds { Verdict::Yes } else { Verdict::No }, holds), "{text}");
    }
}

#[test]
fn what_only_the_twin_knows_stays_open_until_it_is_asked() {
    for (text, holds) in [
        ("values.temperature > 25", true),
        ("telemetry.temperature <= 25", false),
        (r#"values.mode == "eco" && reported.mode == "eco""#, true),
        ("exists(telemetry.mode)", false),
        ("values.at.lat == 1", true),
        (r#"status == "online" && connection == "connected""#, true),
        (r#"connection != "disconnected""#, true),
        (r#"status in ["quarantined", "offline"]"#, false),
        ("alerts > 1", true),
        (r#"metadata.floor == "3" && values.temperature > 25 && under("site-1")"#, true),
        ("metadata.off || values.temperature > 26", false),
    ] {
        assert_eq!(judged(text), (Verdict::Open, holds), "{text}");
        assert!(Filter::parse(text).unwrap().reads_state(), "{text}");
    }
    assert_eq!(judged("metadata.off && values.temperature > 25"), (Verdict::No, false));
    assert_eq!(judged("metadata.on || values.temperature > 26"), (Verdict::Yes, true));
}

#[test]
fn a_fault_is_told_by_its_column_and_by_what_should_stand_there() {
    for (text, column, says) in [
        ("", 1, "a comparison"),
        ("floor == 3", 1, "metadata.floor"),
        ("metadata == 3", 10, "\".\""),
        ("metadata.floor = 3", 16, "means nothing"),
        ("metadata.floor == ", 19, "a text in quotes, a number, true or false"),
        ("metadata.floor == 3 metadata.x", 21, "the end"),
        (r#"metadata.floor == "3"#, 19, "closing quote"),
        ("metadata.floor in 3", 19, "\"[\""),
        ("metadata.floor in [1 2]", 22, "\"]\""),
        (r#"status == "on""#, 11, "online, offline, active, inactive, quarantined"),
        (r#"connection == "up""#, 15, "connected, disconnected"),
        ("status > 3", 8, "\"==\" or \"!=\""),
        (r#"model == "Rom""#, 10, "Rom"),
        ("id == 3", 7, "a text in quotes"),
        ("id", 3, "a comparison"),
        (r#"created_at > "monday""#, 14, "monday"),
        (r#"under("a b")"#, 7, "twin id"),
        ("under(site)", 7, "a text in quotes"),
        (r#"sum("x")"#, 1, "tag, has, exists"),
        ("exists(model)", 8, "metadata.NAME"),
        (r#"tags == "x""#, 1, "tag(\"x\")"),
        (r#"metadata.name.matches("x")"#, 15, "startsWith"),
        (r#""x" in metadata"#, 8, "in tags"),
        ("(metadata.a", 12, "\")\""),
        ("alerts > many", 10, "a number"),
        ("ä == 1", 1, "metadata.ä"),
    ] {
        let error = Filter::parse(text).unwrap_err();
        assert!(error.column == column && error.reason.contains(says), "{text}: {error}");
    }
}

#[test]
fn what_is_too_much_is_refused_by_its_limit() {
    let refused = |text: String, limit: usize| {
        let error = Filter::parse(&text).unwrap_err();
        assert!(error.reason.contains(&limit.to_string()), "{error}");
    };
    refused(" ".repeat(FILTER_TEXT_BYTES_MAX + 1), FILTER_TEXT_BYTES_MAX);
    refused(vec!["metadata.a"; FILTER_COMPARISONS_MAX + 1].join("||"), FILTER_COMPARISONS_MAX);
    refused(format!("metadata.a in [{}]", vec!["1"; FILTER_COMPARISONS_MAX + 1].join(",")), FILTER_COMPARISONS_MAX);
    refused(format!("{}metadata.a", "!".repeat(FILTER_NESTING_MAX + 1)), FILTER_NESTING_MAX);
    refused(format!("{}metadata.a", "(".repeat(FILTER_NESTING_MAX + 1)), FILTER_NESTING_MAX);
    refused(format!("metadata{}", ".a".repeat(FILTER_PATH_NAMES_MAX + 1)), FILTER_PATH_NAMES_MAX);
    assert!(Filter::parse(&format!("{}metadata.a", "!".repeat(FILTER_NESTING_MAX))).is_ok());
}

#[test]
fn a_model_stands_for_those_that_extend_it() {
    let model = |name: &str| crate::model::resolve(name).unwrap();
    let mut filter = Filter::parse(r#"!isA("Device") || model == "Room""#).unwrap();
    filter.resolve_models(&|of| if *of == model("Device") { vec![model("Gateway"), model("Device")] } else { vec![] });
    let Filter::Any(parts) = &filter else { panic!("{filter:?}") };
    let mut wanted = vec![model("Device"), model("Gateway")];
    wanted.sort();
    assert_eq!(parts[0], Filter::Not(Box::new(Filter::Test(Test::Model(wanted)))));
    assert_eq!(parts[1], Filter::Test(Test::Model(vec![model("Room")])));
}

#[test]
fn an_order_has_a_name_and_a_direction() {
    let by = |text: &str| Sort::parse(text).map(|sort| (sort.by, sort.descending)).map_err(|e| e.column);
    assert_eq!(by("id"), Ok((SortBy::Id, false)));
    assert_eq!(by("-created_at"), Ok((SortBy::CreatedAt, true)));
    assert_eq!(by("metadata.place.wing"), Ok((SortBy::Metadata(vec!["place".into(), "wing".into()]), false)));
    for (bad, column) in [("", 1), ("--id", 2), ("values.x", 1), ("id, created_at", 3), ("metadata", 9), ("name", 1)] {
        assert_eq!(by(bad), Err(column), "{bad}");
    }
}
