//! Rules as everybody else sees them: making, changing, removing, trying.

use std::sync::Arc;

use hierarchy_models::{
    Timestamp,
    rule::{CompiledRule, Rule, RuleError},
};

use super::Twins;
use crate::{
    error::TwinError,
    rules::{Trial, TrialOutcome, run_trial, sweep},
};

/// A fault in a rule, as a call's error.
pub fn error_of_rule(error: RuleError) -> TwinError {
    match error {
        RuleError::Text { member, error } => TwinError::RuleText { pointer: member, error },
        RuleError::Member { member, reason } => TwinError::Invalid { pointer: member, reason },
    }
}

fn compile(rule: Rule) -> Result<CompiledRule, TwinError> {
    CompiledRule::new(rule).map_err(error_of_rule)
}

fn check_version(rule: &CompiledRule, if_version: Option<u64>) -> Result<(), TwinError> {
    match if_version {
        Some(version) if version != rule.rule.version => Err(TwinError::VersionMismatch { current: rule.rule.version }),
        _ => Ok(()),
    }
}

impl Twins {
    /// By id.
    pub fn rules(&self) -> Vec<Arc<CompiledRule>> {
        self.runtime.rules.set().all().to_vec()
    }

    pub fn rule(&self, id: &str) -> Result<Arc<CompiledRule>, TwinError> {
        self.runtime.rules.set().get(id).cloned().ok_or_else(|| TwinError::NoSuchRule(id.into()))
    }

    /// Durable and in force when it returns.
    pub async fn create_rule(&self, rule: Rule) -> Result<Arc<CompiledRule>, TwinError> {
        // Without an id it gets one.
        let id = if rule.id.is_empty() { uuid::Uuid::now_v7().simple().to_string().into() } else { rule.id.clone() };
        let rule = Rule { id: id.clone(), ..rule };
        let now = self.runtime.clock.now();
        let under = rule.under.clone();
        let make = |old: Option<&Arc<CompiledRule>>| match old {
            Some(_) => Err(TwinError::RuleExists(rule.id.clone())),
            None => compile(Rule { version: 1, created_at: now, changed_at: now, ..rule }),
        };
        let put = async { self.runtime.rules.put((&*self.runtime.store, &self.runtime.identities), &id, make).await };
        let (old, new) = self.while_there(under.as_ref(), put).await?;
        self.sweep(old, Some(new.clone()));
        Ok(new)
    }

    /// `change` gets the rule as it is, at `if_version` when that is named; a mismatch too when another call changes it meanwhile. What the
    /// windows of its unchanged parts hold stays.
    pub async fn change_rule(
        &self,
        id: &str,
        if_version: Option<u64>,
        change: impl FnOnce(Rule) -> Result<Rule, TwinError>,
    ) -> Result<Arc<CompiledRule>, TwinError> {
        let before = self.rule(id)?;
        check_version(&before, if_version)?;
        let wanted = change(before.rule.clone())?;
        // One that stays where it is may be switched off, whatever became of its place.
        let under = wanted.under.clone().filter(|under| before.rule.under.as_ref() != Some(under));
        let now = self.runtime.clock.now();
        let make = |old: Option<&Arc<CompiledRule>>| {
            let old = old.ok_or_else(|| TwinError::NoSuchRule(id.into()))?;
            check_version(old, Some(before.rule.version))?;
            let Rule { id, version, created_at, .. } = old.rule.clone();
            compile(Rule { id, version: version + 1, created_at, changed_at: now, ..wanted })
        };
        let put = async { self.runtime.rules.put((&*self.runtime.store, &self.runtime.identities), id, make).await };
        let (old, new) = self.while_there(under.as_ref(), put).await?;
        self.sweep(old, Some(new.clone()));
        Ok(new)
    }

    /// Its alerts are cleared by and by.
    pub async fn delete_rule(&self, id: &str, if_version: Option<u64>) -> Result<(), TwinError> {
        let old = self.runtime.rules.remove(&*self.runtime.store, id, |old| check_version(old, if_version)).await?;
        self.sweep(Some(old), None);
        Ok(())
    }

    fn sweep(&self, old: Option<Arc<CompiledRule>>, new: Option<Arc<CompiledRule>>) {
        actix_rt::spawn(sweep(self.runtime.clone(), old, new));
    }

    /// What a rule would have raised and cleared over the stored history of one twin. `from` is included, `to` is not; both by the time
    /// of the records.
    pub async fn try_rule(
        &self,
        rule: Rule,
        twin: hierarchy_models::TwinId,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
    ) -> Result<TrialOutcome, TwinError> {
        run_trial(&self.runtime, Trial { rule: compile(rule)?, twin, from, to }).await
    }
}
