//! Between a behaviour's types, the JSON it writes, and the values that are stored.

use hierarchy_models as domain;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Error, Result};

/// JSON as it is stored; an error when it is nested too deep.
pub fn from_json(json: Value) -> Result<domain::Value> {
    Ok(domain::Value::deserialize(json)?)
}

/// A stored value as JSON.
pub fn to_json(value: &domain::Value) -> Value {
    match value {
        domain::Value::Null => Value::Null,
        domain::Value::Bool(b) => Value::Bool(*b),
        domain::Value::Int(i) => Value::from(*i),
        domain::Value::Float(f) => Value::from(*f),
        domain::Value::Text(text) => Value::from(text.as_str()),
        domain::Value::List(list) => list.iter().map(to_json).collect(),
        domain::Value::Map(map) => Value::Object(members(map)),
    }
}

fn members(map: &domain::Map) -> serde_json::Map<String, Value> {
    map.iter().map(|(name, value)| (name.to_string(), to_json(value))).collect()
}

pub fn encode<T: Serialize>(value: &T) -> Result<domain::Value> {
    from_json(serde_json::to_value(value)?)
}

pub fn decode<T: DeserializeOwned>(value: &domain::Value) -> Result<T> {
    serde_json::from_value(to_json(value)).map_err(Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_through_json_comes_back() {
        let json = serde_json::json!({"a": 1, "b": -2.5, "c": [true, null, "x"], "d": {"e": {}}});
        let value = from_json(json.clone()).unwrap();
        assert_eq!(to_json(&value), json);
        assert_eq!(encode(&json).unwrap(), value);
    }

    #[test]
    fn json_beyond_the_deepest_nesting_is_an_error() {
        let deep = (0..100).fold(Value::Null, |inner, _| Value::from(vec![inner]));
        assert!(from_json(deep).is_err());
    }
}
