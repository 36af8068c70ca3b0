//! How figures move up the tree: children push absolute contributions once a tick; a parent that starts asks for them. What twins and their
//! models define beyond what every twin folds goes down as asks, and the answers come up in the same contributions.

mod asking;
mod defined;
mod seen;

use std::{
    collections::HashSet,
    sync::{Arc, Weak},
};

use futures_util::future::join_all;
use hierarchy_models::{
    Name, TwinId, Value,
    rollup::{Aggregate, Asks, Contribution, Counts, Fold},
    value::Map,
};
use persistence::Child;

use crate::{
    body::{Body, TwinCell},
    envelope::{Answer, Ask, Envelope},
    error::TwinError,
    live::{LiveEvent, LiveKind},
    models::Known,
    runtime::{Place, Runtime},
    twin::{snapshot::contribution_from_bytes, view::rollup_view},
    view::DefinedView,
};

pub use asking::{ask_awaited, ask_below, asking_of};
pub use defined::Definitions;
pub use seen::Seen;

/// Passes a contribution on. A parent in memory gets it at once; one that is not is started first.
pub fn send_up(runtime: &Arc<Runtime>, parent: TwinId, child: TwinId, contribution: Contribution, body: Weak<TwinCell>) {
    if let Some(twin) = runtime.directory.peek(&parent) {
        // Bounded by the number of children a tick.
        runtime.post(twin, Envelope::up(runtime, child, contribution));
        return;
    }
    let runtime = runtime.clone();
    actix_rt::spawn(async move {
        let Ok(twin) = runtime.resolve(&parent, Place::Any).await else { return };
        // It may have moved to another parent, or left, while this one was being started.
        let Some(body) = body.upgrade() else { return };
        let still = {
            let b = body.borrow();
            let stands = b.state.registered && !b.leaving && b.state.parent.as_ref() == Some(&parent);
            stands.then(|| b.contribution())
        };
        if let Some(contribution) = still {
            runtime.post(twin, Envelope::up(&runtime, child, contribution));
        }
    });
}

/// What a starting twin finds below it, `listed` being its children. Those in memory, and those with children of their own, are asked; of the
/// others the contribution lies beside their snapshot, so that a room of a thousand devices wakes none of them. `asks` is what the twin asks
/// of them beyond what every twin tells.
pub async fn gather(runtime: &Arc<Runtime>, parent: &TwinId, listed: Vec<Child>, asks: Option<&Arc<Asks>>) -> Result<Aggregate, TwinError> {
    let mut below = Aggregate::default();
    below.ask(asks.cloned());
    if listed.is_empty() {
        return Ok(below);
    }
    let (asked, quiet): (Vec<Child>, Vec<Child>) = listed.into_iter().partition(|c| c.has_children || runtime.directory.knows(&c.id));
    let now = runtime.clock.now();
    let stale_after = runtime.settings.stale_after;
    if !quiet.is_empty() {
        // Read again: whoever left memory before it was looked for has written its row by now.
        let rows = runtime.store.children(parent).await?;
        let asked: HashSet<&TwinId> = asked.iter().map(|child| &child.id).collect();
        let quiet: Vec<Child> = rows.into_iter().filter(|c| !asked.contains(&c.id)).collect();
        for (child, contribution) in quiet.iter().zip(asking::of_quiet(runtime, &quiet, asks).await?) {
            below.update(&child.id, contribution, stale_after, now);
        }
    }
    let contribute = || Ask::Contribute { parent: parent.clone(), asks: asks.cloned(), starting: true };
    let answers = join_all(asked.iter().map(|child| runtime.ask(&child.id, contribute()))).await;
    for (child, answer) in asked.iter().zip(answers) {
        let contribution = match answer {
            Ok(Answer::Contribution(contribution)) => *contribution,
            _ => at_rest(&runtime.models.known(), child)?,
        };
        below.update(&child.id, contribution, stale_after, now);
    }
    Ok(below)
}

fn at_rest(known: &Known, child: &Child) -> Result<Contribution, TwinError> {
    if !child.contribution.is_empty() {
        return Ok(contribution_from_bytes(&child.contribution)?);
    }
    let devices = u64::from(!known.catalogue.is_place(&child.model));
    Ok(Contribution { counts: Counts { devices, ..Counts::default() }, ..Contribution::default() })
}

/// A parent's new figures, for live readers.
pub fn live_rollup(b: &Body) -> LiveEvent {
    let view = rollup_view(&b.state, b.below(), &b.results());
    let int = |n: u64| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
    let values: Map = b
        .below()
        .contribution(b.state.own_contribution())
        .values
        .iter()
        .map(|(name, fold): &(Name, Fold)| (name.clone(), fold_value(fold)))
        .collect();
    let mut alerts = Map::from([("count".into(), int(view.alerts.count))]);
    if let Some(worst) = view.alerts.worst {
        alerts.insert("worst".into(), Value::from(format!("{worst:?}").to_lowercase().as_str()));
    }
    let mut rollups = Map::from([
        ("count".into(), int(view.count)),
        ("connected".into(), int(view.connected)),
        ("stale".into(), int(view.stale)),
        ("quarantined".into(), int(view.quarantined)),
        ("alerts".into(), Value::from(alerts)),
        ("values".into(), Value::from(values)),
    ]);
    if !view.defined.is_empty() {
        let shown = |DefinedView { value, count, stale }: &DefinedView| -> Value {
            [("value", value.clone()), ("count", int(*count)), ("stale", int(*stale))].into_iter().collect()
        };
        let defined: Map = view.defined.iter().map(|(name, result)| (name.clone(), shown(result))).collect();
        rollups.insert("defined".into(), Value::from(defined));
    }
    let rollups = Value::from(rollups);
    LiveEvent {
        kind: LiveKind::State,
        twin: b.id.clone(),
        path: b.path.clone(),
        seq: 0,
        at: b.runtime().clock.now(),
        data: [("rollups", rollups)].into_iter().collect(),
    }
}

fn fold_value(fold: &Fold) -> Value {
    let float = |f: f64| if f.is_finite() { Value::Float(f) } else { Value::Null };
    [
        ("count", Value::Int(fold.count as i64)),
        ("sum", float(fold.sum)),
        ("avg", fold.avg().map_or(Value::Null, Value::Float)),
        ("min", float(fold.min)),
        ("max", float(fold.max)),
        ("last", float(fold.last)),
        ("last_at", Value::Text(fold.last_at.to_string().into())),
    ]
    .into_iter()
    .collect()
}
