//! Asks going down: a twin that starts is asked at once, one in memory when what is asked of it has changed or when it answered something else.
//!
//! Whoever changes what it asks awaits its children until each has answered just that. A child that moves in, wakes up or was not reached is
//! found by its first answer to something else, so nothing has to be remembered about who was told what.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::future::join_all;
use hierarchy_models::{
    TwinId,
    rollup::{Asking, Asks, Awaited, Contribution},
};
use persistence::Child;

use super::seen;
use crate::{
    actor::mark_rollup,
    body::SharedBody,
    envelope::{Answer, Ask},
    error::TwinError,
    runtime::Runtime,
    twin::TwinState,
};

/// How long a child may take to answer, those below it included. One that takes longer passes its figures on when it has them.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// Snapshots of twins at rest read together.
const SNAPSHOTS_AT_ONCE: usize = 256;

/// What is asked of a starting twin, by `asked` or else by its parent if that is in memory, and what it defines.
pub fn asking_of(runtime: &Arc<Runtime>, twin: &TwinState, asked: Option<&Arc<Asks>>) -> Asking {
    let by_parent = || twin.parent.as_ref().and_then(|parent| asked_by(runtime, parent));
    Asking::new(asked.cloned().or_else(by_parent), runtime.models.known().rollups_in_force(twin))
}

fn asked_by(runtime: &Arc<Runtime>, parent: &TwinId) -> Option<Arc<Asks>> {
    let twin = runtime.directory.peek(parent)?;
    let body = runtime.hosts.read().get(twin.host as usize)?.body_at(twin.seat)?;
    let b = body.look();
    b.asking.as_deref()?.down().cloned()
}

/// Once a tick: asks those below a changed twin who have not answered what is asked now.
pub fn ask_awaited(body: &SharedBody) {
    {
        let b = body.borrow();
        if !b.awaits_answers() || b.is_asking || b.leaving || b.suspect {
            return;
        }
    }
    body.borrow_mut().is_asking = true;
    let body = body.clone();
    actix_rt::spawn(async move {
        let anybody = ask_below(&body).await;
        body.borrow_mut().is_asking = false;
        // Whoever could not be taken at its word is asked again at the next tick; when nobody answers at all, at the next survey.
        if anybody && !body.borrow().leaving {
            mark_rollup(&body);
        }
    });
}

/// Asks those below who are awaited, and takes what they say unless they have said something newer since; whether anybody answered.
pub async fn ask_below(body: &SharedBody) -> bool {
    let (runtime, parent, asks, awaited) = {
        let b = body.borrow();
        (b.runtime().clone(), b.id.clone(), b.below().asks().cloned(), b.below().awaited())
    };
    let (mut asked, away): (Vec<_>, Vec<_>) = awaited.into_iter().partition(|one| runtime.directory.knows(&one.child));
    let mut anybody = false;
    if !away.is_empty() {
        match rest(&runtime, &parent, away, asks.as_ref()).await {
            Ok((quiet, above_others)) => {
                asked.extend(above_others);
                anybody |= !quiet.is_empty();
                // One that has woken up meanwhile is asked itself.
                let still = quiet.into_iter().filter(|(one, _)| !runtime.directory.knows(&one.child));
                still.for_each(|(one, contribution)| take(body, asks.as_ref(), &one, contribution));
            }
            Err(error) => tracing::warn!(twin = %parent, %error, "those below cannot be asked yet"),
        }
    }
    let answers = join_all(asked.iter().map(|one| answer(&runtime, &parent, &one.child, asks.clone()))).await;
    for (one, contribution) in asked.iter().zip(answers).filter_map(|(one, answer)| Some((one, answer?))) {
        anybody = true;
        take(body, asks.as_ref(), one, contribution);
    }
    anybody
}

/// Of those that are not in memory: what the ones with none below them come to, and the others.
async fn rest(
    runtime: &Arc<Runtime>,
    parent: &TwinId,
    away: Vec<Awaited>,
    asks: Option<&Arc<Asks>>,
) -> Result<(Vec<(Awaited, Contribution)>, Vec<Awaited>), TwinError> {
    let mut rows: HashMap<TwinId, Child> = runtime.store.children(parent).await?.into_iter().map(|row| (row.id.clone(), row)).collect();
    let (mut quiet, mut quiet_rows, mut above_others) = (Vec::new(), Vec::new(), Vec::new());
    for one in away {
        match rows.remove(&one.child) {
            Some(row) if row.has_children => above_others.push(one),
            Some(row) => {
                quiet.push(one);
                quiet_rows.push(row);
            }
            // It is not here any more, which this parent is about to hear.
            None => {}
        }
    }
    let contributions = of_quiet(runtime, &quiet_rows, asks).await?;
    Ok((quiet.into_iter().zip(contributions).collect(), above_others))
}

/// What twins at rest, with none below them, come to: by their rows, and by their snapshots when more is asked than the rows hold.
pub async fn of_quiet(runtime: &Arc<Runtime>, rows: &[Child], asks: Option<&Arc<Asks>>) -> Result<Vec<Contribution>, TwinError> {
    let known = runtime.models.known();
    let Some(asks) = asks else { return rows.iter().map(|row| super::at_rest(&known, row)).collect() };
    let mut all = Vec::with_capacity(rows.len());
    for rows in rows.chunks(SNAPSHOTS_AT_ONCE) {
        let ids: Vec<TwinId> = rows.iter().map(|row| row.id.clone()).collect();
        for (row, snapshot) in rows.iter().zip(runtime.store.snapshots(&ids).await?) {
            let twin = snapshot.map(|snapshot| TwinState::from_bytes(&snapshot.state)).transpose()?;
            // One without a snapshot has said nothing yet.
            let twin = twin.unwrap_or_else(|| TwinState {
                model: row.model.clone(),
                is_place: known.catalogue.is_place(&row.model),
                ..TwinState::blank()
            });
            all.push(seen::at_rest(&known, &twin, asks));
        }
    }
    Ok(all)
}

async fn answer(runtime: &Arc<Runtime>, parent: &TwinId, child: &TwinId, asks: Option<Arc<Asks>>) -> Option<Contribution> {
    let ask = Ask::Contribute { parent: parent.clone(), asks, starting: false };
    match tokio::time::timeout(ANSWER_WAIT, runtime.ask(child, ask)).await {
        Ok(Ok(Answer::Contribution(contribution))) => Some(*contribution),
        _ => None,
    }
}

/// Takes a child's answer, unless something else is asked by now or the child has said something newer.
fn take(body: &SharedBody, asks: Option<&Arc<Asks>>, awaited: &Awaited, contribution: Contribution) {
    let mut b = body.borrow_mut();
    let (now, stale_after) = (b.runtime().clock.now(), b.runtime().settings.stale_after);
    let is_asked = match (b.below().asks(), asks) {
        (None, None) => true,
        (Some(now), Some(then)) => Arc::ptr_eq(now, then),
        _ => false,
    };
    // On its way to another thread it is asked for again there.
    if is_asked && !b.leaving && b.below().still_awaits(awaited) {
        b.below_mut().update(&awaited.child, contribution, stale_after, now);
    }
}
