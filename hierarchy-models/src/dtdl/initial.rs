//! Initial values (the Initialization extension) against the schemas of their properties.

use super::{Element, Fault, Json, Member, Ontology};
use crate::{
    model::schema::{Mode, Schemas},
    value::{Map, Value},
};

pub fn check(ontology: &Ontology) -> Result<(), Fault> {
    let initial = |element: &Element| element.added.iter().find(|(name, _)| *name == "initialValue").map(|(_, value)| value.clone());
    let found: Vec<_> = ontology.elements.indices().filter_map(|i| Some((i, initial(ontology.elements.at(i))?))).collect();
    if found.is_empty() {
        return Ok(());
    }
    let schemas = Schemas::of(ontology);
    for (index, json) in found {
        let schema = schemas.in_member(ontology, index, Member::Schema);
        if let Err(misfit) = schemas.check(schema, &value(&json), Mode::Whole) {
            let rule = format!("does not fit the schema: {}", misfit.reason);
            return Err(ontology.elements.fault_in(index, &format!("initialValue{}", misfit.pointer), rule));
        }
    }
    Ok(())
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(*b),
        Json::Int(i) => Value::Int(*i),
        Json::Float(f) => Value::Float(*f),
        Json::Text(text) => Value::Text(text.clone()),
        Json::List(list) => Value::from(list.iter().map(value).collect::<Vec<_>>()),
        Json::Object(members) => Value::from(members.iter().map(|(name, v)| (name.clone(), value(v))).collect::<Map>()),
    }
}
