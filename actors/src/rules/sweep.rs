//! After a change of the rules: twins that would not notice by themselves are asked to look.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::{StreamExt, stream};
use hierarchy_models::{
    AlertState, TwinId,
    rule::{CompiledRule, source_of},
};
use persistence::RegistryQuery;

use crate::{
    alerts::{self, AlertQuery},
    envelope::Ask,
    error::TwinError,
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
            end_of(&runtime, &old).await?;
        }
        match new.filter(|new| new.rule.enabled && wants_all(new)) {
            Some(new) => scope_of(&runtime, &new).await,
            None => Ok(()),
        }
    };
    if let Err(error) = swept.await {
        tracing::warn!(%error, "after a change of the rules not all twins could be asked; they look when a record comes");
    }
}

fn wants_all(rule: &CompiledRule) -> bool {
    rule.has_timers() || rule.programs().any(|program| program.reads(&|reads| reads.rollups))
}

async fn end_of(runtime: &Arc<Runtime>, old: &CompiledRule) -> Result<(), TwinError> {
    let source = source_of(&old.rule.id);
    for state in [AlertState::Raised, AlertState::Acknowledged] {
        let mut cursor = None;
        loop {
            let query = AlertQuery { state: Some(state), limit: LISTED_AT_ONCE, cursor, ..AlertQuery::default() };
            let page = alerts::list(runtime, query).await?;
            let twins: BTreeSet<TwinId> = page.items.into_iter().filter(|r| r.alert.source == source).map(|r| r.twin).collect();
            ask(runtime, twins).await;
            match page.cursor.as_deref().and_then(hierarchy_models::AlertId::parse) {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
    }
    Ok(())
}

async fn scope_of(runtime: &Arc<Runtime>, rule: &CompiledRule) -> Result<(), TwinError> {
    ask(runtime, rule.rule.under.iter().cloned()).await;
    let mut cursor = None;
    loop {
        let (model, under) = (rule.rule.model.clone(), rule.rule.under.clone());
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
