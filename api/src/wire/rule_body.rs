//! Schemas of the bodies that rules are written with. As those of `described`, they are never built: the bodies are read member by member.

#![allow(dead_code)]

use serde_json::Value;
use utoipa::ToSchema;

#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRule {
    /// Letters, digits, `-` and `_`; assigned when absent.
    #[schema(max_length = 64)]
    id: Option<String>,
    #[schema(max_length = 1024)]
    description: Option<String>,
    #[schema(default = true)]
    enabled: Option<bool>,
    /// Twins of this model: a DTMI or a short name.
    model: Option<String>,
    /// This twin and all below it.
    under: Option<String>,
    #[schema(max_length = 2048, example = "for(avg(temperature, 10m) > 30, 5m)")]
    when: String,
    #[schema(max_length = 2048)]
    clear: Option<String>,
    /// Each with one member: `alert`, `command`, `emit` or `webhook`. An alert with the condition as its text when absent.
    #[schema(value_type = Option<Vec<Object>>, max_items = 8)]
    actions: Option<Value>,
}

/// An RFC 7396 merge patch; `actions` are replaced as a whole.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RulePatch {
    description: Option<String>,
    #[schema(nullable = false)]
    enabled: Option<bool>,
    model: Option<String>,
    under: Option<String>,
    #[schema(nullable = false)]
    when: Option<String>,
    clear: Option<String>,
    #[schema(value_type = Option<Vec<Object>>, nullable = false)]
    actions: Option<Value>,
}

#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleTest {
    /// The id of a rule, or one as for `POST /rules`.
    rule: Value,
    twin: String,
    /// By the time of the records; included.
    #[schema(format = DateTime)]
    from: Option<String>,
    /// Not included.
    #[schema(format = DateTime)]
    to: Option<String>,
}
