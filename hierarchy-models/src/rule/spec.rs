//! A rule as people write it, and the checks that make it one that can run.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};

use super::{error::RuleError, program::Program, template::Template};
use crate::{
    alert::Severity,
    id::{COMMAND_ID_BYTES_MAX, CommandId, ModelId, Name, TwinId},
    limits::{ACTIONS_PER_RULE_MAX, BEHAVIOUR_BYTES_MAX, COMMAND_TTL_DEFAULT, COMMAND_TTL_MAX, NAME_BYTES_MAX, RULE_DESCRIPTION_BYTES_MAX},
    time::Timestamp,
    tree::Path,
    value::Value,
};

/// Bytes of a webhook's address.
pub const URL_BYTES_MAX: usize = 2_048;
/// Bytes of the secret that a webhook's calls are signed with.
pub const SECRET_BYTES_MIN: usize = 16;
pub const SECRET_BYTES_MAX: usize = 256;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Letters, digits, `-` and `_`.
    pub id: Name,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    pub enabled: bool,
    /// Twins of this model and of those that extend it; of any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelId>,
    /// This twin and all below it; all twins when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under: Option<TwinId>,
    pub when: String,
    /// When it ends; as soon as `when` is false, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clear: Option<String>,
    pub actions: Vec<Action>,
    /// 1 for the rule as it was made, one more with each change.
    #[serde(default = "first_version")]
    pub version: u64,
    pub created_at: Timestamp,
    pub changed_at: Timestamp,
}

/// Of rules that were stored before they had any.
fn first_version() -> u64 {
    1
}

/// Who gets a rule's command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    #[default]
    #[serde(rename = "self")]
    Itself,
    Parent,
}

/// What follows when the condition comes true.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Stands until the rule clears it.
    Alert {
        /// The rule's id when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<Name>,
        severity: Severity,
        /// With placeholders in braces.
        text: String,
    },
    Command {
        #[serde(default)]
        to: Target,
        name: Name,
        #[serde(default)]
        payload: Value,
        /// Seconds.
        ttl: f64,
    },
    Emit {
        name: Name,
        #[serde(default)]
        payload: Value,
    },
    /// Also called when the rule clears.
    Webhook {
        url: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secret: Option<String>,
    },
}

/// A rule that can run. Immutable; shared by all twins in its scope.
#[derive(Debug)]
pub struct CompiledRule {
    pub rule: Rule,
    pub when: Program,
    pub clear: Option<Program>,
    /// The text of each action that is an alert.
    texts: Vec<Option<Template>>,
    names: BTreeSet<Name>,
}

fn member(member: impl Into<String>, reason: impl Into<String>) -> RuleError {
    RuleError::Member { member: member.into(), reason: reason.into() }
}

fn text(pointer: &str, text: &str) -> Result<Program, RuleError> {
    Program::compile(text).map_err(|error| RuleError::Text { member: pointer.into(), error })
}

impl CompiledRule {
    pub fn new(rule: Rule) -> Result<Self, RuleError> {
        CommandId::new(&rule.id).map_err(|_| member("/id", format!("must be 1 to {COMMAND_ID_BYTES_MAX} letters, digits, '-' and '_'")))?;
        if rule.description.len() > RULE_DESCRIPTION_BYTES_MAX {
            return Err(member("/description", format!("is longer than {RULE_DESCRIPTION_BYTES_MAX} bytes")));
        }
        if rule.actions.is_empty() || rule.actions.len() > ACTIONS_PER_RULE_MAX {
            return Err(member("/actions", format!("must be 1 to {ACTIONS_PER_RULE_MAX}")));
        }
        let when = text("/when", &rule.when)?;
        let clear = rule.clear.as_deref().map(|clear| text("/clear", clear)).transpose()?;
        let mut texts = Vec::new();
        for (n, action) in rule.actions.iter().enumerate() {
            texts.push(check(action, &format!("/actions/{n}"), &when)?);
        }
        let mut names = when.names();
        names.extend(clear.iter().flat_map(Program::names));
        Ok(Self { rule, when, clear, texts, names })
    }

    pub fn programs(&self) -> impl Iterator<Item = &Program> {
        std::iter::once(&self.when).chain(&self.clear)
    }

    /// Its condition and its clear condition look at nothing but these telemetry values, beside what does not come by telemetry.
    pub fn names(&self) -> &BTreeSet<Name> {
        &self.names
    }

    /// Those of the texts of its actions too.
    pub fn all_names(&self) -> BTreeSet<Name> {
        let mut names = self.names.clone();
        names.extend(self.texts.iter().flatten().flat_map(Template::names));
        names
    }

    /// The programs within its texts.
    pub fn text_programs(&self) -> impl Iterator<Item = &Program> {
        self.texts.iter().flatten().flat_map(Template::programs)
    }

    pub fn text(&self, action: usize) -> Option<&Template> {
        self.texts.get(action)?.as_ref()
    }

    pub fn reaches_ms(&self) -> i64 {
        self.programs().chain(self.text_programs()).map(Program::reach_ms).max().unwrap_or(0)
    }

    /// Whether it looks at a twin there, of which `is_a` says whether its model is, or extends, another. Switched off, it looks at none.
    pub fn is_over(&self, is_a: impl Fn(&ModelId) -> bool, path: &Path) -> bool {
        let Rule { enabled, model, under, .. } = &self.rule;
        *enabled && under.as_ref().is_none_or(|top| path.contains(top)) && model.as_ref().is_none_or(is_a)
    }

    /// Whether a twin may turn it without sending anything: by time, or by what is below.
    pub fn turns_in_silence(&self) -> bool {
        self.has_timers() || self.programs().any(|program| program.reads(&|reads| reads.rollups))
    }

    /// Whether time alone can turn it.
    pub fn has_timers(&self) -> bool {
        let mut timed = false;
        self.programs().for_each(|p| p.each_term(&mut |term| timed |= !matches!(term, super::program::Term::Window { .. })));
        timed
    }

    /// The name of the alert that this action raises.
    pub fn alert_name(&self, action: &Action) -> Option<Name> {
        match action {
            Action::Alert { name, .. } => Some(name.clone().unwrap_or_else(|| self.rule.id.clone())),
            _ => None,
        }
    }

    /// What its alerts say raised them.
    pub fn source(&self) -> Name {
        source_of(&self.rule.id)
    }
}

/// What the alerts of this rule say raised them.
pub fn source_of(rule: &str) -> Name {
    format!("rule:{rule}").into()
}

fn check(action: &Action, at: &str, when: &Program) -> Result<Option<Template>, RuleError> {
    let name_ok = |name: &str| (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control);
    let named = |name: &str, pointer: &str| {
        let fine = name_ok(name) && !name.contains(['/', '+', '#']);
        if fine {
            Ok(())
        } else {
            Err(member(pointer, format!("must be 1 to {NAME_BYTES_MAX} bytes without '/', '+', '#' or control characters")))
        }
    };
    let small = |payload: &Value, pointer: &str| {
        if payload.heap_bytes() <= BEHAVIOUR_BYTES_MAX {
            Ok(())
        } else {
            Err(member(pointer, format!("takes more than {BEHAVIOUR_BYTES_MAX} bytes")))
        }
    };
    match action {
        Action::Alert { name, text, .. } => {
            if let Some(name) = name {
                named(name, &format!("{at}/alert/name"))?;
            }
            let pointer = format!("{at}/alert/text");
            Template::compile(text, when).map(Some).map_err(|error| RuleError::Text { member: pointer, error })
        }
        Action::Command { name, payload, ttl, .. } => {
            named(name, &format!("{at}/command/name"))?;
            small(payload, &format!("{at}/command/payload"))?;
            match Duration::try_from_secs_f64(*ttl) {
                Ok(ttl) if ttl >= Duration::from_millis(1) && ttl <= COMMAND_TTL_MAX => Ok(None),
                _ => Err(member(
                    format!("{at}/command/ttl"),
                    format!("must be more than 0 and at most {} seconds", COMMAND_TTL_MAX.as_secs()),
                )),
            }
        }
        Action::Emit { name, payload } => {
            named(name, &format!("{at}/emit/name"))?;
            small(payload, &format!("{at}/emit/payload")).map(|()| None)
        }
        Action::Webhook { url, secret } => {
            check_url(url).map_err(|reason| member(format!("{at}/webhook/url"), reason))?;
            let fits = secret.as_ref().is_none_or(|s| (SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&s.len()));
            let reason = || format!("must be {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes");
            if fits { Ok(None) } else { Err(member(format!("{at}/webhook/secret"), reason())) }
        }
    }
}

/// Only the form; where it leads is looked at when it is called.
fn check_url(url: &str) -> Result<(), String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let Some(rest) = rest else { return Err("must begin with https:// or http://".into()) };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if url.len() > URL_BYTES_MAX || url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(format!("must be at most {URL_BYTES_MAX} bytes without spaces or control characters"));
    }
    match authority {
        "" => Err("names no host".into()),
        a if a.contains('@') => Err("must not carry a user name or password".into()),
        _ => Ok(()),
    }
}

/// Seconds to live of a command whose rule names none.
pub fn ttl_default() -> f64 {
    COMMAND_TTL_DEFAULT.as_secs_f64()
}
