//! A rule in a request's body, read member by member.

use hierarchy_models::{
    ModelId, Name, Severity, Timestamp, TwinId, Value, model,
    rule::{Action, Rule, Target, ttl_default},
};

use crate::{
    body::FromBody,
    members::{self, Members, pointer_to},
    problem::Problem,
};

/// A rule that is to be made.
#[derive(Debug, Clone)]
pub struct Draft {
    id: Option<Name>,
    description: String,
    enabled: bool,
    model: Option<ModelId>,
    under: Option<TwinId>,
    when: String,
    clear: Option<String>,
    actions: Option<Vec<Action>>,
}

impl Draft {
    fn read_from(body: &mut Members) -> Result<Self, Problem> {
        Ok(Self {
            id: body.optional("id", name)?,
            description: body.optional("description", members::text)?.unwrap_or_default(),
            enabled: body.optional("enabled", flag)?.unwrap_or(true),
            model: body.optional("model", kind)?,
            under: body.optional("under", members::parsed)?,
            when: body.required("when", members::text)?,
            clear: body.optional("clear", members::text)?,
            actions: body.optional("actions", actions)?,
        })
    }

    /// Without an id it gets one when it is made.
    pub fn into_rule(self) -> Rule {
        self.into_rule_named("")
    }

    pub fn into_rule_named(self, id: &str) -> Rule {
        let Self { id: own, description, enabled, model, under, when, clear, actions } = self;
        let actions = actions.unwrap_or_else(|| vec![alert_of(&when)]);
        let (version, created_at, changed_at) = (1, Timestamp::EPOCH, Timestamp::EPOCH);
        let id = own.unwrap_or_else(|| id.into());
        Rule { id, description, enabled, model, under, when, clear, actions, version, created_at, changed_at }
    }
}

/// What a rule without actions does.
fn alert_of(when: &str) -> Action {
    Action::Alert { name: None, severity: Severity::Warning, text: when.replace('{', "{{").replace('}', "}}") }
}

impl FromBody for Draft {
    fn read(body: &mut Members) -> Result<Self, Problem> {
        Self::read_from(body)
    }
}

/// An RFC 7396 merge patch of a rule; its actions are replaced as a whole.
#[derive(Debug, Clone, Default)]
pub struct Change {
    description: Option<Option<String>>,
    enabled: Option<bool>,
    model: Option<Option<ModelId>>,
    under: Option<Option<TwinId>>,
    when: Option<String>,
    clear: Option<Option<String>>,
    actions: Option<Vec<Action>>,
}

impl FromBody for Change {
    const MEDIA_TYPES: &'static [&'static str] = &["application/merge-patch+json", "application/json"];

    fn read(body: &mut Members) -> Result<Self, Problem> {
        Ok(Self {
            description: body.removable("description", members::text)?,
            enabled: body.optional("enabled", flag)?,
            model: body.removable("model", kind)?,
            under: body.removable("under", members::parsed)?,
            when: body.optional("when", members::text)?,
            clear: body.removable("clear", members::text)?,
            actions: body.optional("actions", actions)?,
        })
    }
}

impl Change {
    pub fn apply(self, rule: Rule) -> Rule {
        let mut rule = rule;
        let Self { description, enabled, model, under, when, clear, actions } = self;
        if let Some(mut actions) = actions {
            keep_secrets(&rule.actions, &mut actions);
            rule.actions = actions;
        }
        if let Some(description) = description {
            rule.description = description.unwrap_or_default();
        }
        rule.enabled = enabled.unwrap_or(rule.enabled);
        rule.model = model.unwrap_or(rule.model);
        rule.under = under.unwrap_or(rule.under);
        rule.when = when.unwrap_or(rule.when);
        rule.clear = clear.unwrap_or(rule.clear);
        rule
    }
}

/// A secret is never read back, so whoever writes the actions again keeps that of the same address.
fn keep_secrets(old: &[Action], new: &mut [Action]) {
    for action in new {
        if let Action::Webhook { url, secret: secret @ None } = action {
            let known = old.iter().find_map(|action| match action {
                Action::Webhook { url: known, secret } if known == url => secret.clone(),
                _ => None,
            });
            *secret = known;
        }
    }
}

/// `{rule, twin, from, to}`; the rule as a draft, or the id of one.
#[derive(Debug)]
pub struct Test {
    pub rule: Tested,
    pub twin: TwinId,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

#[derive(Debug)]
pub enum Tested {
    Known(String),
    Draft(Box<Draft>),
}

impl FromBody for Test {
    fn read(body: &mut Members) -> Result<Self, Problem> {
        let rule = body.required("rule", |value, pointer| match value {
            Value::Text(id) => Ok(Tested::Known(id.to_string())),
            value => within(value, pointer, Draft::read_from).map(|draft| Tested::Draft(Box::new(draft))),
        })?;
        let twin = body.required("twin", members::parsed)?;
        let (from, to): (Option<Timestamp>, Option<Timestamp>) = (body.optional("from", time)?, body.optional("to", time)?);
        match (from, to) {
            (Some(a), Some(b)) if a > b => Err(Problem::member("/from", "lies after `to`")),
            _ => Ok(Self { rule, twin, from, to }),
        }
    }
}

/// Reads an object to its last member.
fn within<T>(value: Value, pointer: &str, read: impl FnOnce(&mut Members) -> Result<T, Problem>) -> Result<T, Problem> {
    let mut inner = Members::of(value, pointer)?;
    let read = read(&mut inner)?;
    inner.finish()?;
    Ok(read)
}

fn name(value: Value, pointer: &str) -> Result<Name, Problem> {
    members::text(value, pointer).map(Name::from)
}

fn time(value: Value, pointer: &str) -> Result<Timestamp, Problem> {
    members::parsed(value, pointer)
}

fn flag(value: Value, pointer: &str) -> Result<bool, Problem> {
    value.as_bool().ok_or_else(|| Problem::member(pointer, format!("must be true or false, not {}", members::kind_of(&value))))
}

fn kind(value: Value, pointer: &str) -> Result<ModelId, Problem> {
    model::resolve(&members::text(value, pointer)?).map_err(|error| Problem::member(pointer, error.to_string()))
}

fn severity(value: Value, pointer: &str) -> Result<Severity, Problem> {
    let text = members::text(value, pointer)?;
    Severity::parse(&text).ok_or_else(|| Problem::member(pointer, "must be info, warning or critical"))
}

fn target(value: Value, pointer: &str) -> Result<Target, Problem> {
    match members::text(value, pointer)?.as_str() {
        "self" => Ok(Target::Itself),
        "parent" => Ok(Target::Parent),
        _ => Err(Problem::member(pointer, "must be self or parent")),
    }
}

fn actions(value: Value, pointer: &str) -> Result<Vec<Action>, Problem> {
    let each = members::list(value, pointer)?.into_iter().enumerate();
    each.map(|(n, value)| {
        let pointer = pointer_to(pointer, &n.to_string());
        within(value, &pointer, |members| action(members, &pointer))
    })
    .collect()
}

fn action(one: &mut Members, pointer: &str) -> Result<Action, Problem> {
    let found = [
        one.optional("alert", |value, at| {
            within(value, at, |m| {
                Ok(Action::Alert {
                    name: m.optional("name", name)?,
                    severity: m.optional("severity", severity)?.unwrap_or(Severity::Warning),
                    text: m.optional("text", members::text)?.unwrap_or_default(),
                })
            })
        })?,
        one.optional("command", |value, at| {
            within(value, at, |m| {
                Ok(Action::Command {
                    to: m.optional("to", target)?.unwrap_or_default(),
                    name: m.required("name", name)?,
                    payload: m.raw("payload").unwrap_or_default(),
                    ttl: m.optional("ttl", members::number)?.unwrap_or_else(ttl_default),
                })
            })
        })?,
        one.optional("emit", |value, at| {
            within(value, at, |m| Ok(Action::Emit { name: m.required("name", name)?, payload: m.raw("payload").unwrap_or_default() }))
        })?,
        one.optional("webhook", |value, at| {
            within(value, at, |m| {
                // What a reader sees of the secret may stand in what is written back.
                let _ = m.optional("signed", flag)?;
                Ok(Action::Webhook { url: m.required("url", members::text)?, secret: m.optional("secret", members::text)? })
            })
        })?,
    ];
    let mut found = found.into_iter().flatten();
    match (found.next(), found.next()) {
        (Some(action), None) => Ok(action),
        _ => Err(Problem::member(pointer, "must have one of the members alert, command, emit, webhook")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::parse;

    #[test]
    fn a_rule_needs_no_more_than_a_condition() {
        let rule = parse::<Draft>(br#"{"when": "temperature > 30"}"#).unwrap().into_rule();
        assert!(rule.enabled);
        assert_eq!(rule.actions, [Action::Alert { name: None, severity: Severity::Warning, text: "temperature > 30".into() }]);
        let braces = parse::<Draft>(br#"{"when": "{'a': 1}.a > 0"}"#).unwrap().into_rule();
        assert!(matches!(&braces.actions[0], Action::Alert { text, .. } if text == "{{'a': 1}}.a > 0"));
    }

    #[test]
    fn a_fault_is_named_by_its_pointer() {
        for (body, pointer) in [
            (r#"{}"#, "/when"),
            (r#"{"when": 1}"#, "/when"),
            (r#"{"when": "a", "enabled": "yes"}"#, "/enabled"),
            (r#"{"when": "a", "model": "Kitchen"}"#, "/model"),
            (r#"{"when": "a", "actions": {}}"#, "/actions"),
            (r#"{"when": "a", "actions": [{}]}"#, "/actions/0"),
            (r#"{"when": "a", "actions": [{"emit": {"name": "x"}, "alert": {}}]}"#, "/actions/0"),
            (r#"{"when": "a", "actions": [{"alert": {"severity": "bad"}}]}"#, "/actions/0/alert/severity"),
            (r#"{"when": "a", "actions": [{"alert": {}}, {"command": {"to": "all", "name": "x"}}]}"#, "/actions/1/command/to"),
            (r#"{"when": "a", "actions": [{"webhook": {"link": "x", "url": "y"}}]}"#, "/actions/0/webhook/link"),
            (r#"{"when": "a", "then": 1}"#, "/then"),
        ] {
            assert_eq!(parse::<Draft>(body.as_bytes()).unwrap_err().document()["pointer"], pointer, "{body}");
        }
        let test = |body: &str| parse::<Test>(body.as_bytes()).unwrap_err().document()["pointer"].clone();
        assert_eq!(test(r#"{"rule": {"when": "a", "x": 1}, "twin": "t"}"#), "/rule/x");
        assert_eq!(test(r#"{"rule": "r", "twin": "t", "from": "2014-01-01", "to": "2013-01-01"}"#), "/from");
    }

    #[test]
    fn a_patch_changes_what_it_names_and_keeps_a_secret_that_it_does_not() {
        let draft = r#"{"id": "r", "when": "a", "clear": "b", "model": "Room",
            "actions": [{"webhook": {"url": "https://x/", "secret": "0123456789abcdef"}}]}"#;
        let rule = parse::<Draft>(draft.as_bytes()).unwrap().into_rule();
        let patch = |body: &str| parse::<Change>(body.as_bytes()).unwrap().apply(rule.clone());
        let changed = patch(r#"{"clear": null, "enabled": false, "actions": [{"webhook": {"url": "https://x/", "signed": true}}]}"#);
        assert_eq!((changed.clear, changed.enabled, changed.model, changed.when.as_str()), (None, false, rule.model.clone(), "a"));
        assert_eq!(changed.actions, rule.actions);
        let moved = patch(r#"{"actions": [{"webhook": {"url": "https://y/"}}]}"#);
        assert_eq!(moved.actions, [Action::Webhook { url: "https://y/".into(), secret: None }], "a secret is not told to another");
    }
}
