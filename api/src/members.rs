//! Reading the members of a JSON body one by one, so that each fault is answered with the pointer to it.
//!
//! Not serde's derive: it knows the line of a fault but not its pointer, and a crate that adds pointers would be one more
//! dependency for six small bodies. The body is parsed into the domain's [`Value`], whose depth is bounded.

use hierarchy_models::{Map, Value};

use crate::problem::{self, Problem};

/// The members of one object that nobody has read yet.
#[derive(Debug)]
pub struct Members {
    map: Map,
    pointer: String,
    known: Vec<&'static str>,
}

/// The RFC 6901 pointer to a member.
pub fn pointer_to(parent: &str, name: &str) -> String {
    format!("{parent}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// What `value` is, for messages.
pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Int(_) | Value::Float(_) => "a number",
        Value::Text(_) => "a string",
        Value::List(_) => "an array",
        Value::Map(_) => "an object",
    }
}

fn not_a(wanted: &str, value: &Value, pointer: &str) -> Problem {
    Problem::member(pointer, format!("must be {wanted}, not {}", kind_of(value)))
}

impl Members {
    pub fn of(value: Value, pointer: &str) -> Result<Self, Problem> {
        match value {
            Value::Map(map) => Ok(Self { map: *map, pointer: pointer.to_owned(), known: Vec::new() }),
            other => Err(not_a("an object", &other, pointer)),
        }
    }

    /// The member as it stands; `null` is a value here.
    pub fn raw(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.map.remove(name)
    }

    /// The member, read by `read`; `null` is the same as absent.
    pub fn optional<T>(&mut self, name: &'static str, read: impl FnOnce(Value, &str) -> Result<T, Problem>) -> Result<Option<T>, Problem> {
        match self.raw(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value, &pointer_to(&self.pointer, name)).map(Some),
        }
    }

    pub fn required<T>(&mut self, name: &'static str, read: impl FnOnce(Value, &str) -> Result<T, Problem>) -> Result<T, Problem> {
        let pointer = pointer_to(&self.pointer, name);
        self.optional(name, read)?.ok_or_else(|| Problem::member(&pointer, "is missing"))
    }

    /// As [`Self::optional`], where `null` says "remove": the outer `None` is absence.
    pub fn removable<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Value, &str) -> Result<T, Problem>,
    ) -> Result<Option<Option<T>>, Problem> {
        match self.raw(name) {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(None)),
            Some(value) => read(value, &pointer_to(&self.pointer, name)).map(|read| Some(Some(read))),
        }
    }

    /// All members, whatever their names are.
    pub fn all(&mut self) -> Map {
        std::mem::take(&mut self.map)
    }

    /// Refuses what nobody has read.
    pub fn finish(self) -> Result<(), Problem> {
        let Some(name) = self.map.keys().next() else { return Ok(()) };
        let detail = format!("{name:?} is not known here; known are {}", self.known.join(", "));
        Err(Problem::new(problem::UNKNOWN_MEMBER, detail).pointing_at(&pointer_to(&self.pointer, name)))
    }
}

pub fn text(value: Value, pointer: &str) -> Result<String, Problem> {
    match value {
        Value::Text(text) => Ok(text.to_string()),
        other => Err(not_a("a string", &other, pointer)),
    }
}

pub fn object(value: Value, pointer: &str) -> Result<Map, Problem> {
    match value {
        Value::Map(map) => Ok(*map),
        other => Err(not_a("an object", &other, pointer)),
    }
}

pub fn list(value: Value, pointer: &str) -> Result<Vec<Value>, Problem> {
    match value {
        Value::List(list) => Ok(*list),
        other => Err(not_a("an array", &other, pointer)),
    }
}

pub fn number(value: Value, pointer: &str) -> Result<f64, Problem> {
    value.as_f64().ok_or_else(|| not_a("a number", &value, pointer))
}

/// A text that some type of the domain checks.
pub fn parsed<T>(value: Value, pointer: &str) -> Result<T, Problem>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text(value, pointer)?.parse().map_err(|error: T::Err| Problem::member(pointer, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(json: &str) -> Members {
        Members::of(serde_json::from_str(json).unwrap(), "").unwrap()
    }

    #[test]
    fn an_unknown_member_is_named_by_its_pointer() {
        let mut members = members(r#"{"name": 1, "a/b~c": 2}"#);
        members.raw("name");
        let document = members.finish().unwrap_err().document();
        assert_eq!(document["pointer"], "/a~1b~0c");
        assert!(document["detail"].as_str().unwrap().contains("known are name"));
    }

    #[test]
    fn absent_and_null_differ_only_where_null_removes() {
        let mut both = members(r#"{"a": null}"#);
        assert_eq!(both.optional("a", text).unwrap(), None);
        let mut both = members(r#"{"a": null}"#);
        assert_eq!(both.removable("a", text).unwrap(), Some(None));
        assert_eq!(both.removable("b", text).unwrap(), None);
    }

    #[test]
    fn a_wrong_kind_says_what_was_wanted_and_where() {
        let problem = members(r#"{"ttl": "soon"}"#).required("ttl", number).unwrap_err().document();
        assert_eq!(problem["pointer"], "/ttl");
        assert_eq!(problem["detail"], "must be a number, not a string");
        assert_eq!(members("{}").required("ttl", number).unwrap_err().document()["detail"], "is missing");
    }
}
