//! Rules as people and systems write and read them. A secret is written and never read.

use actors::{TrialAlert, TrialOutcome};
use hierarchy_models::{
    Timestamp,
    rule::{Action, Rule, Target},
    value::Map,
};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rule)]
pub struct RuleDocument {
    pub id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    pub description: String,
    pub enabled: bool,
    /// Absent: twins of any model.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub model: Option<String>,
    /// Absent: everywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub under: Option<String>,
    #[schema(example = "for(avg(temperature, 10m) > 30, 5m)")]
    pub when: String,
    /// Absent: as soon as `when` is false.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub clear: Option<String>,
    /// Each with one member: `alert`, `command`, `emit` or `webhook`.
    #[schema(value_type = Vec<Object>)]
    pub actions: Vec<Value>,
    /// What `If-Match` takes: 1 for the rule as it was made, one more with each change.
    pub version: u64,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub changed_at: Timestamp,
}

impl From<&Rule> for RuleDocument {
    fn from(rule: &Rule) -> Self {
        Self {
            id: rule.id.to_string(),
            description: rule.description.clone(),
            enabled: rule.enabled,
            model: rule.model.as_ref().map(ToString::to_string),
            under: rule.under.as_ref().map(ToString::to_string),
            when: rule.when.clone(),
            clear: rule.clear.clone(),
            actions: rule.actions.iter().map(action).collect(),
            version: rule.version,
            created_at: rule.created_at,
            changed_at: rule.changed_at,
        }
    }
}

fn action(action: &Action) -> Value {
    match action {
        Action::Alert { name: Some(name), severity, text } => json!({"alert": {"name": name, "severity": severity, "text": text}}),
        Action::Alert { name: None, severity, text } => json!({"alert": {"severity": severity, "text": text}}),
        Action::Command { to, name, payload, ttl } => {
            let to = if *to == Target::Parent { "parent" } else { "self" };
            json!({"command": {"to": to, "name": name, "payload": payload, "ttl": ttl}})
        }
        Action::Emit { name, payload } => json!({"emit": {"name": name, "payload": payload}}),
        Action::Webhook { url, secret } => json!({"webhook": {"url": url, "signed": secret.is_some()}}),
    }
}

/// An alert that a rule would have raised.
#[derive(Debug, Serialize, ToSchema)]
pub struct TestedAlert {
    pub name: String,
    /// Absent of a rule that raises no alert.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub severity: Option<&'static str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    pub text: String,
    /// The values that the rule looked at.
    #[schema(value_type = Object)]
    pub values: Map,
    #[schema(value_type = String, format = DateTime)]
    pub raised_at: Timestamp,
    /// Absent while it would stand at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    pub cleared_at: Option<Timestamp>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RuleTestOutcome {
    /// What it would have raised, oldest first.
    pub items: Vec<TestedAlert>,
    pub records: u64,
    pub evaluations: u64,
    /// Evaluations that came to no answer: a value was missing, or of the wrong kind.
    pub errors: u64,
    /// Records that came later than `rules.late_max` allows.
    pub late: u64,
}

impl From<TrialOutcome> for RuleTestOutcome {
    fn from(outcome: TrialOutcome) -> Self {
        let TrialOutcome { alerts, records, evaluations, errors, late } = outcome;
        let item = |alert: TrialAlert| {
            let TrialAlert { name, severity, text, values, raised_at, cleared_at } = alert;
            TestedAlert { name: name.to_string(), severity: severity.map(|s| s.as_str()), text, values, raised_at, cleared_at }
        };
        Self { items: alerts.into_iter().map(item).collect(), records, evaluations, errors, late }
    }
}
