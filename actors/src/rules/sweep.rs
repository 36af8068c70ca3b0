//! After a change of the rules, of the tree or of the models: twins that would not notice by themselves are asked to look.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::{StreamExt, stream};
use hierarchy_models::{
    AlertId, AlertState, ModelId, Name, TwinId,
    rule::{CompiledRule, source_of},
};
use persistence::RegistryQuery;

use crate::{
    alerts::{self, AlertQuery},
    envelope::Ask,
    error::TwinError,
    models::Known,
    runtime::Runtime,
    twin::decide::Input,
};

/// Twins listed at once, and asked at the same time.
const LISTED_AT_ONCE: usize = 500;
const ASKED_AT_ONCE: usize = 16;

/// Asks whoever the rule's alerts stand on, and when time or figures below can turn it, everybody in its scope, in memory or not: a
/// silent device sends no record that would make it look. Others look when their next record comes.
pub async fn sweep(runtime: Arc<Runtime>, old: Option<Arc<CompiledRule>>, new: Option<Arc<CompiledRule>>) {
    let swept = async {
        if let Some(old) = old {
            ask_alerted(&runtime, None, |source| *source == source_of(&old.rule.id)).await?;
        }
        match new.filter(|new| new.rule.enabled && new.turns_in_silence()) {
            Some(new) => ask_scope(&runtime, &new, models_of(&runtime, &new, |_| true)).await,
            None => Ok(()),
        }
    };
    told(swept.await, "the rules");
}

/// A twin stands elsewhere, with all below it: what was raised there may not be said here, and silence may be noticed here that was not
/// there.
pub async fn sweep_moved(runtime: Arc<Runtime>, top: TwinId) {
    let swept = async {
        ask_alerted(&runtime, Some(top.clone()), |source| source.starts_with(&*source_of(""))).await?;
        let set = runtime.rules.set();
        let noticed = set.all().iter().any(|rule| rule.rule.enabled && rule.rule.under.is_some() && rule.turns_in_silence());
        if noticed { ask_under(&runtime, None, Some(top)).await } else { Ok(()) }
    };
    told(swept.await, "the tree");
}

/// Models came that were not in `before`: twins that are of them already may be in the scope of a rule by now.
pub async fn sweep_models(runtime: Arc<Runtime>, before: Arc<Known>) {
    let swept = async {
        for rule in runtime.rules.set().all().iter().filter(|rule| rule.rule.enabled && rule.turns_in_silence()) {
            if rule.rule.model.is_some() {
                ask_scope(&runtime, rule, models_of(&runtime, rule, |model| before.catalogue.get(model).is_none())).await?;
            }
        }
        Ok(())
    };
    told(swept.await, "the models");
}

fn told(swept: Result<(), TwinError>, what: &str) {
    if let Err(error) = swept {
        tracing::warn!(%error, "after a change of {what} not all twins could be asked to look at their rules; they look when a record comes");
    }
}

/// The models whose twins a rule looks at, those that extend the one it names included; `None` stands for any.
fn models_of(runtime: &Runtime, rule: &CompiledRule, wanted: impl Fn(&ModelId) -> bool) -> Vec<Option<ModelId>> {
    let Some(of) = &rule.rule.model else { return vec![None] };
    let known = runtime.models.known();
    let heirs = known.catalogue.iter().filter(|model| model.id != *of && model.is_a(of)).map(|model| &model.id);
    std::iter::once(of).chain(heirs).filter(|model| wanted(model)).map(|model| Some(model.clone())).collect()
}

/// Asks twins on which an alert of such a source stands; on this one or below it, when one is given.
async fn ask_alerted(runtime: &Arc<Runtime>, under: Option<TwinId>, is_meant: impl Fn(&Name) -> bool) -> Result<(), TwinError> {
    for state in [AlertState::Raised, AlertState::Acknowledged] {
        let mut cursor = None;
        loop {
            let query = AlertQuery { under: under.clone(), state: Some(state), limit: LISTED_AT_ONCE, cursor, ..AlertQuery::default() };
            let page = alerts::list(runtime, query).await?;
            let twins: BTreeSet<TwinId> = page.items.into_iter().filter(|r| is_meant(&r.alert.source)).map(|r| r.twin).collect();
            ask(runtime, twins).await;
            match page.cursor.as_deref().and_then(AlertId::parse) {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
    }
    Ok(())
}

async fn ask_scope(runtime: &Arc<Runtime>, rule: &CompiledRule, models: Vec<Option<ModelId>>) -> Result<(), TwinError> {
    for model in models {
        ask_under(runtime, model, rule.rule.under.clone()).await?;
    }
    Ok(())
}

/// Asks these twins, the one they are under too.
async fn ask_under(runtime: &Arc<Runtime>, model: Option<ModelId>, under: Option<TwinId>) -> Result<(), TwinError> {
    ask(runtime, under.iter().cloned()).await;
    let mut cursor = None;
    loop {
        let (model, under) = (model.clone(), under.clone());
        let page = runtime.store.list(RegistryQuery { model, under, limit: LISTED_AT_ONCE, cursor, ..RegistryQuery::default() }).await?;
        ask(runtime, page.items.into_iter().map(|entry| entry.row.id)).await;
        match page.cursor {
            Some(next) if !runtime.is_stopping() => cursor = Some(next),
            _ => return Ok(()),
        }
    }
}

async fn ask(runtime: &Arc<Runtime>, twins: impl IntoIterator<Item = TwinId>) {
    stream::iter(twins)
        .for_each_concurrent(ASKED_AT_ONCE, |twin| async move {
            // One that is gone meanwhile has nothing to look at.
            let _ = runtime.ask(&twin, Ask::Core(Input::Evaluate)).await;
        })
        .await;
}
