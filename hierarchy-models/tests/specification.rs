//! The model language against data nobody here made: the specification's own conformance cases, and RealEstateCore with Brick.
//!
//! The data is public and lies beside the checkout; where it is missing the tests say so.

#![allow(clippy::unwrap_used)]

use std::{fs, io::Write, path::PathBuf};

use hierarchy_models::{
    ModelId,
    dtdl::{self, Json, UndefinedExtensions},
    model::Catalogue,
};

fn data(name: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(name);
    let text = fs::read_to_string(path).ok();
    if text.is_none() {
        skip(&format!("../shared/data/{name} is missing"));
    }
    text
}

/// As the tests of the root package say it, for `./test` to count.
fn skip(why: &str) {
    eprintln!("SKIPPED specification: {why}");
    if let Some(path) = std::env::var_os("TWINFOLD_TEST_SKIPS") {
        let file = fs::OpenOptions::new().append(true).create(true).open(path);
        let _ = file.and_then(|mut f| writeln!(f, "specification: {why}"));
    }
}

fn json(text: &str) -> Json {
    serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap()
}

/// Cases that are judged differently here, by their rule, and why. None is.
const EXCEPTIONS: [(&str, &str); 0] = [];

#[test]
fn the_specifications_own_cases_are_judged_as_it_judges_them() {
    let Some(text) = data("dtdl-v3-cases.jsonl") else { return };
    let (mut agreed, mut wrong) = (0, Vec::new());
    for line in text.lines() {
        let case = json(line);
        let rule = case.member("rule").unwrap().as_text().unwrap().clone();
        if EXCEPTIONS.iter().any(|(excepted, _)| *excepted == rule) {
            continue;
        }
        let allows = case.member("options").unwrap().included().iter().any(|o| o.as_text().unwrap() == "AllowUndefinedExtensions");
        let undefined = if allows { UndefinedExtensions::Allow } else { UndefinedExtensions::Refuse };
        let found = dtdl::check(case.member("input").unwrap().included(), undefined);
        if Json::Bool(found.is_ok()) == *case.member("valid").unwrap() {
            agreed += 1;
        } else {
            wrong.push(format!("{rule}: {:?} {line}", found.err()));
        }
    }
    let shown = wrong.iter().take(5).cloned().collect::<Vec<_>>().join("\n");
    assert!(agreed > 3_000, "the cases were not read: {agreed}");
    assert!(wrong.is_empty(), "{} of {} cases are judged differently:\n{shown}", wrong.len(), agreed + wrong.len());
}

#[test]
fn a_case_with_an_unresolved_reference_names_it() {
    let Some(text) = data("dtdl-v3-cases.jsonl") else { return };
    let mut seen = 0;
    for line in text.lines() {
        let case = json(line);
        let Some(expected) = case.member("expect").and_then(|e| e.member("unresolvedIdentifiers")) else { continue };
        let fault = dtdl::check(case.member("input").unwrap().included(), UndefinedExtensions::Refuse).unwrap_err();
        let expected: Vec<_> = expected.included().iter().map(|id| id.as_text().unwrap().clone()).collect();
        assert_eq!(fault.missing, expected, "{line}");
        seen += 1;
    }
    assert!(seen > 0);
}

#[test]
fn real_estate_core_loads_whole_and_is_known_with_all_it_inherits() {
    let Some(text) = data("rec.dtdlv2.jsonld") else { return };
    let ontology = dtdl::check([&json(&text)], UndefinedExtensions::Refuse).unwrap();
    assert_eq!(ontology.interfaces().count(), 1_364);
    let catalogue = Catalogue::of(&ontology);
    let model = |id: &str| catalogue.get(&ModelId::new(id).unwrap()).unwrap_or_else(|| panic!("{id} is missing")).clone();
    for place in ["Site", "Building", "Level", "Room", "Space", "Zone"] {
        let model = model(&format!("dtmi:org:w3id:rec:{place};1"));
        assert!(model.is_place, "{place}");
        assert!(model.property("customTags").is_some(), "{place} inherits from Space");
    }
    let sensor = model("dtmi:org:brickschema:schema:Brick:Zone_Air_Temperature_Sensor;1");
    assert!(!sensor.is_place && sensor.telemetry.is_empty());
    assert!(sensor.is_a(&ModelId::new("dtmi:org:brickschema:schema:Brick:Point;1").unwrap()));
    let observed = &sensor.component("lastKnownValue").unwrap().model;
    assert_eq!(observed.id.as_str(), "dtmi:org:w3id:rec:TemperatureObservation;1");
    let value = observed.properties.iter().find(|p| p.unit.is_some()).unwrap();
    assert_eq!(value.unit.as_deref(), Some("degreeCelsius"));
    let level = model("dtmi:org:w3id:rec:Level;1");
    assert!(level.property("levelNumber").unwrap().writable);
    assert_eq!(level.bases.len(), 2, "Architecture and Space: {:?}", level.bases);
}
