//! How letters reach a twin, and how it waits: while it is read back nothing is decided, and what comes is kept in order.

use std::time::Duration;

use super::{TwinActor, marks::relist, turn};
use crate::{
    body::SharedBody,
    envelope::{Ask, Envelope},
    error::TwinError,
};

/// Pause between attempts to read a twin back while the store does not answer.
pub(super) const REREAD_PAUSE: Duration = Duration::from_millis(200);

/// Takes a letter, or keeps it while the mailbox waits.
pub fn receive(body: &SharedBody, envelope: Envelope) {
    let waiting = body.borrow().waiting;
    if waiting {
        return keep(body, envelope);
    }
    let is_figures = envelope.is_contribution();
    let now = {
        let b = body.borrow();
        if b.leaving && !is_figures {
            // Dropping it returns the question to its sender.
            return;
        }
        let now = b.runtime().clock.now();
        b.used(now);
        now
    };
    let Some((ask, answerer)) = envelope.open() else { return };
    if !is_figures && !matches!(ask, Ask::CloseLink(_)) {
        let b = body.borrow();
        if b.suspect {
            let broken = b.host().lane.broken();
            drop(b);
            return answerer.send(Err(turn::suspect_problem(broken)));
        }
    }
    TwinActor { body: body.clone() }.take(ask, answerer, now);
}

fn keep(body: &SharedBody, envelope: Envelope) {
    let mut b = body.borrow_mut();
    let max = b.runtime().settings.mailbox_max;
    if b.extras().mailbox.len() < max {
        metrics::counter!("twinfold_mailbox_waits_total").increment(1);
        return b.extras_mut().mailbox.push_back(envelope);
    }
    drop(b);
    metrics::counter!("twinfold_mailbox_full_total").increment(1);
    if let Some((_, answerer)) = envelope.open() {
        answerer.send(Err(TwinError::Overloaded.into()));
    }
}

/// Reads the twin back from the store: what is in memory is not to be trusted.
pub fn restart(body: &SharedBody) {
    {
        let mut b = body.borrow_mut();
        if b.waiting {
            b.extras_mut().restart_due = true;
            return;
        }
    }
    let (runtime, id) = {
        let b = body.borrow();
        (b.runtime().clone(), b.id.clone())
    };
    let read = async move { runtime.load(&id).await };
    wait(body, read, |actor, loaded| match loaded {
        Ok(loaded) => {
            actor.body.borrow_mut().reload(loaded);
            relist(&actor.body);
        }
        Err(error) => {
            tracing::warn!(twin = %actor.body.borrow().id, %error, "the twin cannot be read back yet");
            restart_later(&actor.body);
        }
    });
}

pub(super) fn restart_later(body: &SharedBody) {
    let body = std::sync::Arc::downgrade(body);
    actix_rt::spawn(async move {
        tokio::time::sleep(REREAD_PAUSE).await;
        if let Some(body) = body.upgrade() {
            restart(&body);
        }
    });
}

/// Lets the mailbox wait until `work` is done and `then` has run on what came of it.
pub(super) fn wait<T: 'static>(body: &SharedBody, work: impl Future<Output = T> + 'static, then: impl FnOnce(&TwinActor, T) + 'static) {
    body.borrow_mut().waiting = true;
    let actor = TwinActor { body: body.clone() };
    actix_rt::spawn(async move {
        let outcome = work.await;
        actor.body.borrow_mut().waiting = false;
        then(&actor, outcome);
        go_on(&actor.body);
    });
}

/// Takes what came meanwhile, until the mailbox waits again.
fn go_on(body: &SharedBody) {
    loop {
        let next = {
            let mut b = body.borrow_mut();
            if b.waiting {
                return;
            }
            if std::mem::take(&mut b.extras_mut().restart_due) {
                None
            } else {
                let Some(next) = b.extras_mut().mailbox.pop_front() else { return b.tidy() };
                Some(next)
            }
        };
        match next {
            None => restart(body),
            Some(envelope) => receive(body, envelope),
        }
    }
}
