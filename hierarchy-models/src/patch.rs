//! RFC 7396 merge patch over [`Value`] maps.

use crate::value::{Map, Value};

/// Applies `patch` to `target`: `null` removes, a map goes deeper, anything else replaces.
pub fn merge(target: &mut Map, patch: &Map) {
    for (name, change) in patch {
        match change {
            Value::Null => {
                target.remove(name);
            }
            Value::Map(inner) => {
                let slot = target.entry(name.clone()).or_default();
                if !matches!(slot, Value::Map(_)) {
                    *slot = Value::from(Map::new());
                }
                if let Value::Map(existing) = slot {
                    merge(existing, inner);
                }
            }
            other => {
                target.insert(name.clone(), other.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v(json: &str) -> Value {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_cases_of_rfc_7396_hold() {
        // Appendix A, those whose target and patch are objects.
        for (target, patch, want) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, r#"{}"#),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            (r#"{}"#, r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            let mut t = v(target).into_map().unwrap();
            merge(&mut t, v(patch).as_map().unwrap());
            assert_eq!(Value::from(t), v(want), "{target} + {patch}");
        }
    }
}
