//! Facts about the model language that the specification's own cases do not reach: other versions, extensions, limits.

#![allow(clippy::unwrap_used)]

use hierarchy_models::dtdl::{self, Fault, Json, UndefinedExtensions};

fn check(documents: &[&str]) -> Result<(), Fault> {
    let read: Vec<Json> = documents.iter().map(|d| serde_json::from_str(d).unwrap_or_else(|e| panic!("{e}: {d}"))).collect();
    dtdl::check(&read, UndefinedExtensions::Refuse).map(drop)
}

/// An Interface with these members.
fn interface(version: u8, extensions: &str, members: &str) -> String {
    let more = extensions.split_whitespace().map(|e| format!(r#", "dtmi:dtdl:extension:{e}""#)).collect::<String>();
    let members = if members.is_empty() { String::new() } else { format!(", {members}") };
    format!(r#"{{"@context": ["dtmi:dtdl:context;{version}"{more}], "@id": "dtmi:t:A;1", "@type": "Interface"{members}}}"#)
}

fn with_contents(version: u8, extensions: &str, contents: &str) -> String {
    interface(version, extensions, &format!(r#""contents": [{contents}]"#))
}

#[track_caller]
fn valid(document: &str) {
    assert_eq!(check(&[document]), Ok(()), "{document}");
}

#[track_caller]
fn invalid(document: &str, element: &str, rule: &str) {
    let fault = check(&[document]).expect_err(document);
    assert!(fault.element.contains(element) && fault.rule.contains(rule), "{fault}\n{document}");
}

fn nested(levels: usize) -> String {
    (0..levels).fold("\"double\"".into(), |inner, _| format!(r#"{{"@type": "Array", "elementSchema": {inner}}}"#))
}

#[test]
fn a_fault_names_the_element_by_identifier_and_way() {
    invalid(
        &with_contents(
            3,
            "",
            r#"{"@type": "Telemetry", "name": "speed", "schema": {"@type": "Map", "mapKey": {"name": "k", "schema": "string"}}}"#,
        ),
        "dtmi:t:A;1/contents/speed/schema",
        "needs mapValue",
    );
    invalid(&with_contents(3, "", r#"{"@type": "Telemetry", "name": "a b", "schema": "double"}"#), "dtmi:t:A;1/contents/0/name", "letters");
}

#[test]
fn each_version_has_schemas_of_its_own() {
    let telemetry = |schema: &str| format!(r#"{{"@type": "Telemetry", "name": "t", "schema": {schema}}}"#);
    for schema in ["byte", "short", "unsignedLong", "decimal", "uuid", "bytes", "scaledDecimal"] {
        let schema = telemetry(&format!("{schema:?}"));
        valid(&with_contents(4, "", &schema));
        invalid(&with_contents(3, "", &schema), "/schema", "is not a schema");
    }
    valid(&with_contents(3, "", &telemetry(&nested(5))));
    invalid(&with_contents(3, "", &telemetry(&nested(6))), "", "at most 5");
    valid(&with_contents(4, "", &telemetry(&nested(8))));
    invalid(&with_contents(4, "", &telemetry(&nested(9))), "", "at most 8");
}

#[test]
fn since_version_4_a_schema_may_name_itself() {
    let tree = |version| {
        let object = r#"{"@id": "dtmi:t:tree;1", "@type": "Object", "fields": [
            {"name": "label", "schema": "string"}, {"name": "children", "schema": {"@type": "Array", "elementSchema": "dtmi:t:tree;1"}}]}"#;
        interface(version, "", &format!(r#""schemas": [{object}]"#))
    };
    valid(&tree(4));
    invalid(&tree(3), "dtmi:t:tree;1", "holds itself");
}

#[test]
fn version_2_has_tighter_limits_and_arrays_only_outside_properties() {
    let property = |name: &str, schema: &str| format!(r#"{{"@type": "Property", "name": {name:?}, "schema": {schema}}}"#);
    let long = "n".repeat(65);
    valid(&with_contents(3, "", &property(&long, "\"double\"")));
    invalid(&with_contents(2, "", &property(&long, "\"double\"")), "/name", "at most 64");
    valid(&with_contents(3, "", &property("p", &nested(1))));
    invalid(&with_contents(2, "", &property("p", &nested(1))), "/schema", "Array");
    invalid(&with_contents(2, "", &property("p", "\"point\"")), "/schema", "geospatial");
    let many: Vec<String> = (0..301).map(|n| property(&format!("p{n}"), "\"double\"")).collect();
    valid(&with_contents(2, "", &many[..300].join(",")));
    invalid(&with_contents(2, "", &many.join(",")), "dtmi:t:A;1", "at most 300");
    invalid(
        &interface(2, "", r#""displayName": "0123456789012345678901234567890123456789012345678901234567890123456789""#),
        "displayName",
        "64",
    );
    invalid(
        &interface(2, "", r#""schemas": [{"@id": "dtmi:t:e;1", "@type": "Enum", "valueSchema": "integer"}]"#),
        "dtmi:t:e;1",
        "enumValues",
    );
    invalid(r#"{"@context": "dtmi:dtdl:context;2", "@id": "dtmi:t:A", "@type": "Interface"}"#, "dtmi:t:A", "not a DTMI");
}

#[test]
fn a_semantic_type_goes_with_a_unit_and_a_number() {
    let telemetry = |types: &str, rest: &str| format!(r#"{{"@type": ["Telemetry", {types}], "name": "t", {rest}}}"#);
    let good = telemetry("\"Temperature\"", r#""schema": "double", "unit": "degreeCelsius""#);
    valid(&with_contents(2, "", &good));
    valid(&with_contents(3, "quantitativeTypes;1", &good));
    valid(&with_contents(4, "quantitativeTypes;2", &good));
    invalid(&with_contents(3, "", &good), "", "\"Temperature\" is not defined");
    invalid(&with_contents(4, "quantitativeTypes;1", &good), "", "not an extension of DTDL v4");
    let extension = "quantitativeTypes;1";
    let bad = |rest| with_contents(3, extension, &telemetry("\"Temperature\"", rest));
    invalid(&bad(r#""schema": "double", "unit": "metre""#), "/unit", "not a unit of Temperature");
    invalid(&bad(r#""schema": "double""#), "contents/t", "needs a unit");
    invalid(&bad(r#""schema": "string", "unit": "kelvin""#), "contents/t", "numeric");
    invalid(
        &with_contents(3, extension, r#"{"@type": "Telemetry", "name": "t", "schema": "double", "unit": "metre"}"#),
        "/unit",
        "semantic type",
    );
    invalid(&with_contents(3, extension, r#"{"@type": ["Command", "Temperature"], "name": "t"}"#), "", "cannot stand beside Command");
}

#[test]
fn the_extensions_hold_their_own_rules() {
    let sensor =
        |more: &str| format!(r#"{{"@type": ["Telemetry", "Temperature"], "name": "temp", "schema": "double", "unit": "kelvin"}}, {more}"#);
    let accuracy = |of: &str| {
        sensor(&format!(r#"{{"@type": ["Telemetry", "ValueAnnotation"], "name": "accuracy", "annotates": {of:?}, "schema": "double"}}"#))
    };
    valid(&with_contents(3, "quantitativeTypes;1 annotation;1", &accuracy("temp")));
    invalid(&with_contents(3, "quantitativeTypes;1 annotation;1", &accuracy("tmp")), "/annotates", "not the name");
    let unit = |what: &str, types: &str| {
        sensor(&format!(
            r#"{{"@type": ["Property", {types}], "name": "unit", "annotates": "temp", "overrides": {what:?}, "schema": "TemperatureUnit"}}"#
        ))
    };
    let overriding = "quantitativeTypes;1 annotation;1 overriding;1";
    valid(&with_contents(3, overriding, &unit("unit", r#""ValueAnnotation", "Override""#)));
    invalid(&with_contents(3, overriding, &unit("schema", r#""ValueAnnotation", "Override""#)), "/overrides", "schema");
    let initial = |value: &str| {
        format!(
            r#"{{"@type": ["Property", "Initialized"], "name": "p", "schema": {{"@type": "Object", "fields": [{{"name": "a", "schema": "integer"}}]}}, "initialValue": {value}}}"#
        )
    };
    valid(&with_contents(3, "initialization;1", &initial(r#"{"a": 1}"#)));
    invalid(&with_contents(3, "initialization;1", &initial(r#"{"a": "x"}"#)), "initialValue/a", "whole number");
    let streaming =
        |writable| format!(r#"{{"@type": ["Property", "Streaming"], "name": "p", "schema": "double", "writable": {writable}}}"#);
    valid(&with_contents(3, "streaming;1", &streaming(false)));
    invalid(&with_contents(3, "streaming;1", &streaming(true)), "contents/p", "writable");
    valid(&with_contents(3, "historization;1", r#"{"@type": ["Property", "Historized"], "name": "p", "schema": "double"}"#));
    invalid(&with_contents(3, "historization;1", r#"{"@type": ["Command", "Historized"], "name": "p"}"#), "", "beside Command");
}

#[test]
fn a_roll_up_is_read_when_its_model_is() {
    let with = |extension: &str, contents: &str| {
        with_contents(3, extension, contents).replace("dtmi:dtdl:extension:rollup", "dtmi:twinfold:extension:rollup")
    };
    let mean = |text: &str| format!(r#"{{"@type": ["Telemetry", "Rollup"], "name": "mean", "schema": "double", "rollup": {text:?}}}"#);
    valid(&with("rollup;1", &mean("avg(children.t)")));
    invalid(&with("rollup;1", &mean("avg(children.t")), "mean/rollup", "column 15");
    invalid(&with("", &mean("avg(children.t)")), "mean", "Rollup");
}

#[test]
fn names_meet_along_the_whole_line_of_bases() {
    let model = |id: &str, extends: &str, content: &str| {
        format!(
            r#"{{"@context": "dtmi:dtdl:context;3", "@id": "dtmi:t:{id};1", "@type": "Interface", "extends": [{extends}],
                "contents": [{{"@type": "Telemetry", "name": "{content}", "schema": "double"}}]}}"#
        )
    };
    let (base, left, right) = (model("Base", "", "b"), model("L", "\"dtmi:t:Base;1\"", "l"), model("R", "\"dtmi:t:Base;1\"", "r"));
    let both = model("Both", "\"dtmi:t:L;1\", \"dtmi:t:R;1\"", "own");
    assert_eq!(check(&[&both, &left, &right, &base]), Ok(()), "one base on two ways is one");
    let clash = model("Both", "\"dtmi:t:L;1\", \"dtmi:t:R;1\"", "b");
    let fault = check(&[&clash, &left, &right, &base]).unwrap_err();
    assert!(fault.element == "dtmi:t:Both;1" && fault.rule.contains("two contents of the name b"), "{fault}");
    let fault = check(&[&both, &left, &base]).unwrap_err();
    assert_eq!(fault.missing, ["dtmi:t:R;1"]);
}

#[test]
fn a_newer_interface_may_extend_an_older_one_and_not_the_other_way_round() {
    let model = |version: u8, id: &str, extends: &str| {
        format!(r#"{{"@context": "dtmi:dtdl:context;{version}", "@id": "dtmi:t:{id};1", "@type": "Interface", "extends": [{extends}]}}"#)
    };
    assert_eq!(check(&[&model(4, "A", "\"dtmi:t:B;1\""), &model(2, "B", "")]), Ok(()));
    let fault = check(&[&model(2, "A", "\"dtmi:t:B;1\""), &model(3, "B", "")]).unwrap_err();
    assert!(fault.rule.contains("DTDL v3"), "{fault}");
}

#[test]
fn a_chain_of_bases_ends_at_its_limit_however_long_it_is() {
    let chain = |length: usize| -> Vec<String> {
        let extends = |n: usize| if n + 1 < length { format!(r#", "extends": "dtmi:t:m{};1""#, n + 1) } else { String::new() };
        (0..length)
            .map(|n| format!(r#"{{"@context": "dtmi:dtdl:context;3", "@id": "dtmi:t:m{n};1", "@type": "Interface"{}}}"#, extends(n)))
            .collect()
    };
    let judge = |length| check(&chain(length).iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(judge(11), Ok(()));
    for length in [12, 20_000] {
        assert!(judge(length).unwrap_err().rule.contains("at most 10"), "{length}");
    }
}

#[test]
fn a_text_of_more_than_a_mebibyte_is_too_large_for_one_interface() {
    let property = |n: usize| format!(r#"{{"@type": "Property", "name": "p{n}", "schema": "double", "comment": "{}"}}"#, "c".repeat(500));
    let contents = |n: usize| (0..n).map(property).collect::<Vec<_>>().join(",");
    valid(&with_contents(3, "", &contents(1_500)));
    invalid(&with_contents(3, "", &contents(2_500)), "dtmi:t:A;1", "1048576");
}

#[test]
fn an_extension_nobody_knows_is_allowed_or_refused_as_asked() {
    let document =
        r#"{"@context": ["dtmi:dtdl:context;3", "dtmi:ours:shapes;1"], "@id": "dtmi:t:A;1", "@type": ["Interface", "Round"], "radius": 3}"#;
    let json: Json = serde_json::from_str(document).unwrap();
    assert!(dtdl::check([&json], UndefinedExtensions::Allow).is_ok());
    let fault = dtdl::check([&json], UndefinedExtensions::Refuse).unwrap_err();
    assert!(fault.rule.contains("dtmi:ours:shapes;1"), "{fault}");
}

mod damaged {
    use proptest::prelude::*;

    use super::*;

    const WHOLE: &str = r#"[{"@context": ["dtmi:dtdl:context;3", "dtmi:dtdl:extension:quantitativeTypes;1", "dtmi:dtdl:extension:initialization;1"],
        "@id": "dtmi:t:A;1", "@type": "Interface", "displayName": {"en": "a", "de": "b"}, "schemas": [
        {"@id": "dtmi:t:m;1", "@type": "Map", "mapKey": {"name": "k", "schema": "string"}, "mapValue": {"name": "v", "schema": "dtmi:t:o;1"}},
        {"@id": "dtmi:t:o;1", "@type": "Object", "fields": [{"name": "x", "schema": {"@type": "Enum", "valueSchema": "integer",
            "enumValues": [{"name": "one", "enumValue": 1}]}}]}],
        "contents": [{"@type": ["Telemetry", "Temperature"], "name": "t", "schema": "double", "unit": "kelvin"},
        {"@type": ["Property", "Initialized"], "name": "p", "schema": "dtmi:t:m;1", "initialValue": {"a": {"x": 1}}},
        {"@type": "Relationship", "name": "r", "target": "dtmi:t:A;1", "maxMultiplicity": 3, "properties": [
            {"@type": "Property", "name": "q", "schema": "date", "writable": true}]},
        {"@type": "Command", "name": "c", "request": {"name": "a", "schema": "dtmi:t:o;1"}},
        {"@type": "Component", "name": "k", "schema": "dtmi:t:B;1"}]},
        {"@context": "dtmi:dtdl:context;2", "@id": "dtmi:t:B;1", "@type": "Interface", "extends": ["dtmi:t:C;1"]},
        {"@context": "dtmi:dtdl:context;2", "@id": "dtmi:t:C;1", "@type": "Interface", "contents": []}]"#;

    #[test]
    fn the_whole_document_is_valid() {
        valid(WHOLE);
    }

    proptest! {
        #[test]
        fn a_damaged_document_is_a_verdict_and_never_a_panic(at in 0..WHOLE.len(), what in "[\\]\\[{}\":;,@a-c0-9]{0,3}", skip in 0usize..12) {
            let end = (at + skip).min(WHOLE.len());
            let text = format!("{}{what}{}", &WHOLE[..at], &WHOLE[end..]);
            if let Ok(json) = serde_json::from_str::<Json>(&text) {
                for undefined in [UndefinedExtensions::Allow, UndefinedExtensions::Refuse] {
                    let _ = dtdl::check([&json], undefined);
                }
            }
        }
    }
}
