//! What fits a model: telemetry, properties, commands, as devices and callers send them.

#![allow(clippy::unwrap_used)]

use hierarchy_models::{
    CommandResult, Map, ModelId, Record, Timestamp, Value,
    dtdl::{self, Json, UndefinedExtensions},
    model::{BUILT_INS, Catalogue, Misfit, Model, schema::Mode},
};

const DOCUMENT: &str = r#"[
  {"@context": "dtmi:dtdl:context;3", "@id": "dtmi:t:Base;1", "@type": "Interface", "contents": [
    {"@type": "Telemetry", "name": "temperature", "schema": "double"},
    {"@type": "Property", "name": "serial", "schema": "string"}]},
  {"@context": "dtmi:dtdl:context;3", "@id": "dtmi:t:Fan;1", "@type": "Interface", "contents": [
    {"@type": "Telemetry", "name": "speed", "schema": "integer"},
    {"@type": "Property", "name": "target", "schema": "integer", "writable": true},
    {"@type": "Command", "name": "stop", "response": {"name": "turns", "schema": "integer"}}]},
  {"@context": "dtmi:dtdl:context;3", "@id": "dtmi:t:Unit;1", "@type": "Interface", "extends": "dtmi:t:Base;1", "contents": [
    {"@type": "Telemetry", "name": "state", "schema": {"@type": "Enum", "valueSchema": "string", "enumValues": [
      {"name": "on", "enumValue": "on"}, {"name": "off", "enumValue": "off"}]}},
    {"@type": "Telemetry", "name": "where", "schema": "point"},
    {"@type": "Property", "name": "limits", "writable": true, "schema": {"@type": "Object", "fields": [
      {"name": "low", "schema": "double"}, {"name": "high", "schema": "double"}]}},
    {"@type": "Property", "name": "since", "schema": "dateTime"},
    {"@type": "Component", "name": "fan", "schema": "dtmi:t:Fan;1"},
    {"@type": "Command", "name": "ventilate", "request": {"name": "how", "schema": {"@type": "Object", "fields": [
      {"name": "level", "schema": "integer"}]}},
      "response": {"name": "since", "schema": "dateTime"}},
    {"@type": "Command", "name": "reset"}]}
]"#;

fn unit() -> std::sync::Arc<Model> {
    let json: Json = serde_json::from_str(DOCUMENT).unwrap();
    let ontology = dtdl::check([&json], UndefinedExtensions::Refuse).unwrap();
    Catalogue::of(&ontology).get(&ModelId::new("dtmi:t:Unit;1").unwrap()).unwrap().clone()
}

fn map(json: &str) -> Map {
    serde_json::from_str::<Value>(json).unwrap().into_map().unwrap()
}

fn records(json: &[&str]) -> Vec<Record> {
    json.iter().map(|json| Record { at: Timestamp::EPOCH, id: None, values: map(json).into_iter().collect() }).collect()
}

#[track_caller]
fn at(result: Result<(), Misfit>, pointer: &str) {
    assert_eq!(result.unwrap_err().pointer, pointer);
}

#[test]
fn readings_fit_own_and_inherited_telemetry() {
    let unit = unit();
    for good in [
        r#"{"temperature": 21}"#,
        r#"{"temperature": 21.5, "state": "on"}"#,
        r#"{"where": {"type": "Point", "coordinates": [8.5, 47.4]}}"#,
        r#"{"serial": "x-1"}"#,
        r#"{"fan": {"speed": 900, "__t": "c"}}"#,
        r#"{"fan": {"speed": 900.0}}"#,
    ] {
        assert_eq!(unit.check_records(&records(&[good])), Ok(()), "{good}");
    }
    at(unit.check_records(&records(&[r#"{"temperature": "warm"}"#])), "/temperature");
    at(unit.check_records(&records(&[r#"{"temperature": 1}"#, r#"{"state": "ON"}"#])), "/1/state");
    at(unit.check_records(&records(&[r#"{"tmperature": 21}"#])), "/tmperature");
    at(unit.check_records(&records(&[r#"{"fan": {"speed": 1.5}}"#])), "/fan/speed");
    at(unit.check_records(&records(&[r#"{"where": {"type": "Point", "coordinates": [8.5]}}"#])), "/where/coordinates");
}

#[test]
fn reported_properties_fit_as_a_patch_and_as_a_whole() {
    let unit = unit();
    let patch = r#"{"limits": {"low": null}, "serial": null, "since": "2026-01-31T12:00:00Z", "fan": {"target": 5}}"#;
    assert_eq!(unit.check_reported(&map(patch), Mode::Patch), Ok(()));
    at(unit.check_reported(&map(r#"{"limits": {"low": null}}"#), Mode::Whole), "/limits/low");
    at(unit.check_reported(&map(r#"{"limits": {"middle": 1}}"#), Mode::Patch), "/limits/middle");
    at(unit.check_reported(&map(r#"{"since": "yesterday"}"#), Mode::Patch), "/since");
    at(unit.check_reported(&map(r#"{"colour": "red"}"#), Mode::Patch), "/colour");
}

#[test]
fn only_writable_properties_are_desired() {
    let unit = unit();
    assert_eq!(unit.check_desired(&map(r#"{"limits": {"high": 30}, "fan": {"target": 3}, "$note": 1}"#)), Ok(()));
    at(unit.check_desired(&map(r#"{"serial": "x"}"#)), "/serial");
    at(unit.check_desired(&map(r#"{"limits": {"high": "hot"}}"#)), "/limits/high");
    at(unit.check_desired(&map(r#"{"fan": {"target": "fast"}}"#)), "/fan/target");
}

#[test]
fn commands_fit_by_name_and_payload() {
    let unit = unit();
    let payload = |json: &str| serde_json::from_str::<Value>(json).unwrap();
    assert_eq!(unit.check_command("ventilate", &payload(r#"{"level": 2}"#)), Ok(()));
    assert_eq!(unit.check_command("reset", &Value::Null), Ok(()));
    assert_eq!(unit.check_command("fan*stop", &payload("{}")), Ok(()));
    at(unit.check_command("ventilate", &payload(r#"{"level": "high"}"#)), "/payload/level");
    at(unit.check_command("reset", &payload(r#"{"now": true}"#)), "/payload");
    at(unit.check_command("explode", &Value::Null), "/name");
    at(unit.check_command("fan*start", &Value::Null), "/name");
}

#[test]
fn an_answer_fits_where_the_model_says_what_is_answered() {
    let unit = unit();
    let answer = |name: &str, status: u16, payload: Value| unit.check_result(name, &CommandResult { status, payload });
    assert_eq!(answer("ventilate", 200, "2026-01-01T00:00:00Z".into()), Ok(()));
    at(answer("ventilate", 200, Value::Int(1)), "/payload");
    at(answer("ventilate", 204, Value::Null), "/payload");
    assert_eq!(answer("ventilate", 500, map(r#"{"why": "no power"}"#).into()), Ok(()), "what failed says why as it likes");
    assert_eq!(answer("fan*stop", 200, Value::Int(9)), Ok(()));
    at(answer("fan*stop", 200, "soon".into()), "/payload");
    for (name, payload) in [("reset", Value::Int(1)), ("unknown", Value::Null), ("other*stop", Value::Int(1))] {
        assert_eq!(answer(name, 200, payload), Ok(()), "{name}: the model does not say what it answers");
    }
}

#[test]
fn since_version_4_an_answer_may_be_nothing() {
    let json: Json = serde_json::from_str(
        r#"{"@context": "dtmi:dtdl:context;4", "@id": "dtmi:t:P;1", "@type": "Interface", "contents": [
            {"@type": "Command", "name": "measure", "response": {"name": "level", "schema": "integer", "nullable": true}}]}"#,
    )
    .unwrap();
    let catalogue = Catalogue::of(&dtdl::check([&json], UndefinedExtensions::Refuse).unwrap());
    let model = catalogue.get(&ModelId::new("dtmi:t:P;1").unwrap()).unwrap();
    let answer = |payload: Value| model.check_result("measure", &CommandResult { status: 200, payload });
    assert_eq!((answer(Value::Null), answer(Value::Int(1))), (Ok(()), Ok(())));
    at(answer("much".into()), "/payload");
}

#[test]
fn events_and_diagnostics_fit_what_the_model_has_a_name_for() {
    let unit = unit();
    assert_eq!(unit.check_event("state", &"on".into()), Ok(()));
    at(unit.check_event("state", &"broken".into()), "");
    at(unit.check_event("where", &map(r#"{"type": "Circle"}"#).into()), "/type");
    assert_eq!(unit.check_event("alarm", &map(r#"{"name": "hot"}"#).into()), Ok(()), "the model has no word for it");
    let diagnostics = |json: &str| unit.check_diagnostics(&map(json).into());
    assert_eq!(diagnostics(r#"{"uptime": 7, "temperature": 21.5, "serial": "x", "fan": {"speed": 1}}"#), Ok(()));
    at(diagnostics(r#"{"uptime": 7, "temperature": "warm"}"#), "/temperature");
    at(diagnostics(r#"{"serial": 7}"#), "/serial");
    at(diagnostics(r#"{"fan": {"speed": "fast"}}"#), "/fan/speed");
    assert_eq!(unit.check_diagnostics(&"fine".into()), Ok(()));
}

#[test]
fn a_model_that_declares_none_of_a_sort_takes_all_of_it() {
    let json: Json = serde_json::from_str(
        r#"{"@context": "dtmi:dtdl:context;3", "@id": "dtmi:t:P;1", "@type": "Interface", "contents": [
            {"@type": "Property", "name": "serial", "schema": "string"}]}"#,
    )
    .unwrap();
    let catalogue = Catalogue::of(&dtdl::check([&json], UndefinedExtensions::Refuse).unwrap());
    let model = catalogue.get(&ModelId::new("dtmi:t:P;1").unwrap()).unwrap();
    assert_eq!(model.check_records(&records(&[r#"{"anything": 1}"#])), Ok(()));
    assert_eq!(model.check_command("anything", &Value::Int(1)), Ok(()));
    at(model.check_records(&records(&[r#"{"serial": 1}"#])), "/serial");
    at(model.check_reported(&map(r#"{"anything": 1}"#), Mode::Patch), "/anything");
}

#[test]
fn the_built_in_models_are_valid() {
    let documents: Vec<Json> = BUILT_INS.iter().map(|b| serde_json::from_str(b.document).unwrap()).collect();
    let catalogue = Catalogue::of(&dtdl::check(&documents, UndefinedExtensions::Refuse).unwrap());
    for built_in in BUILT_INS {
        let model = catalogue.get(&ModelId::new(built_in.dtmi).unwrap()).unwrap();
        assert_eq!(model.is_place, built_in.is_place, "{}", built_in.short);
        assert!(model.description.is_some(), "{}", built_in.short);
    }
    assert!(catalogue.get(&ModelId::new("dtmi:twinfold:Device;1").unwrap()).unwrap().is_open());
}
