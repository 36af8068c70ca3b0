//! All rules there are: documents of the store, compiled into one immutable set.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use hierarchy_models::{
    ModelId, Name,
    limits::{RULES_MAX, RULES_PER_TWIN_MAX},
    rule::CompiledRule,
    tree::Path,
};
use parking_lot::RwLock;
use persistence::Store;
use tokio::sync::Mutex as AsyncMutex;

use super::sealed;
use crate::{error::TwinError, identity::Identities, models::Known};

pub const KIND: &str = "rule";

/// In the order of their ids.
#[derive(Default)]
pub struct RuleSet(Vec<Arc<CompiledRule>>);

impl RuleSet {
    /// Those that look at such a twin, as many as one twin may have.
    pub fn over(&self, known: &Known, model: &ModelId, path: &Path) -> Vec<Arc<CompiledRule>> {
        let is_over = |rule: &&Arc<CompiledRule>| rule.is_over(|wanted| known.is_of(model, wanted), path);
        let mut over: Vec<Arc<CompiledRule>> = self.0.iter().filter(is_over).cloned().collect();
        if over.len() > RULES_PER_TWIN_MAX {
            metrics::counter!("twinfold_rules_left_out_total").increment((over.len() - RULES_PER_TWIN_MAX) as u64);
            over.truncate(RULES_PER_TWIN_MAX);
        }
        over
    }

    pub fn all(&self) -> &[Arc<CompiledRule>] {
        &self.0
    }

    pub fn get(&self, id: &str) -> Option<&Arc<CompiledRule>> {
        let at = self.0.binary_search_by(|rule| rule.rule.id.as_str().cmp(id)).ok()?;
        self.0.get(at)
    }
}

#[derive(Default)]
pub struct RuleBook {
    /// Raised after each change of the rules, and of the models they name; 0 until there was a rule.
    generation: AtomicU64,
    has_timers: AtomicBool,
    set: RwLock<Arc<RuleSet>>,
    /// One change at a time: the document and then the set.
    changing: AsyncMutex<()>,
}

impl RuleBook {
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether any rule is turned by time alone.
    pub fn has_timers(&self) -> bool {
        self.has_timers.load(Ordering::Relaxed)
    }

    pub fn set(&self) -> Arc<RuleSet> {
        self.set.read().clone()
    }

    /// Reads what the store has. A rule that this program cannot compile is left out and named in the log.
    pub async fn load(&self, store: &dyn Store, identities: &Identities) -> Result<(), TwinError> {
        let mut rules = Vec::new();
        for document in store.documents(KIND, None, RULES_MAX).await? {
            match sealed::read(&document.body, identities).and_then(|rule| CompiledRule::new(rule).map_err(|e| e.to_string())) {
                Ok(rule) => rules.push(Arc::new(rule)),
                Err(error) => tracing::error!(rule = %document.id, %error, "a stored rule cannot be read and does not run"),
            }
        }
        if !rules.is_empty() {
            self.publish(rules);
        }
        Ok(())
    }

    fn publish(&self, mut rules: Vec<Arc<CompiledRule>>) {
        rules.sort_by(|a, b| a.rule.id.cmp(&b.rule.id));
        metrics::gauge!("twinfold_rules").set(rules.len() as f64);
        self.has_timers.store(rules.iter().any(|rule| rule.rule.enabled && rule.has_timers()), Ordering::Relaxed);
        *self.set.write() = Arc::new(RuleSet(rules));
        // After the set: who sees the number finds the rules.
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Models came: every twin looks its rules up again when it next has something to do.
    pub fn models_changed(&self) {
        if self.set.read().all().iter().any(|rule| rule.rule.model.is_some()) {
            self.generation.fetch_add(1, Ordering::Release);
        }
    }

    /// Durable and in force when it returns. `make` gets the rule that is there; gives back the former one and the new one.
    pub async fn put(
        &self,
        (store, identities): (&dyn Store, &Identities),
        id: &str,
        make: impl FnOnce(Option<&Arc<CompiledRule>>) -> Result<CompiledRule, TwinError>,
    ) -> Result<(Option<Arc<CompiledRule>>, Arc<CompiledRule>), TwinError> {
        let _sole = self.changing.lock().await;
        let set = self.set();
        let old = set.get(id).cloned();
        let new = Arc::new(make(old.as_ref())?);
        if old.is_none() && set.all().len() >= RULES_MAX {
            return Err(TwinError::Limit { limit: "RULES_MAX", detail: format!("there are {RULES_MAX} rules") });
        }
        store.put_document(KIND, id, sealed::write(&new.rule, identities)?.into()).await?;
        let others = set.all().iter().filter(|rule| rule.rule.id != id).cloned();
        self.publish(others.chain([new.clone()]).collect());
        Ok((old, new))
    }

    /// The rule that went, if `check` lets it go.
    pub async fn remove(
        &self,
        store: &dyn Store,
        id: &str,
        check: impl FnOnce(&CompiledRule) -> Result<(), TwinError>,
    ) -> Result<Arc<CompiledRule>, TwinError> {
        let _sole = self.changing.lock().await;
        let set = self.set();
        let old = set.get(id).cloned().ok_or_else(|| TwinError::NoSuchRule(Name::from(id)))?;
        check(&old)?;
        store.delete_document(KIND, id).await?;
        self.publish(set.all().iter().filter(|rule| rule.rule.id != id).cloned().collect());
        Ok(old)
    }
}
