//! What parents and children say to each other.

use hierarchy_models::Timestamp;

use super::{TwinActor, marks::mark_rollup};
use crate::{
    envelope::{Answer, Answerer, Ask},
    error::TwinError,
    rollups,
};

impl TwinActor {
    pub(super) fn take_from_tree(&self, ask: Ask, answerer: Answerer, now: Timestamp) {
        let mut b = self.body.borrow_mut();
        let runtime = b.runtime().clone();
        match ask {
            // One that it has left hears of that; what it comes to is for its new parent to be told.
            Ask::Contribute { parent, .. } if b.state.parent.as_ref() != Some(&parent) => {
                answerer.send(Err(TwinError::NoSuchParent { parent }.into()));
            }
            Ask::Contribute { asks, starting, .. } => {
                let must_ask = b.adopt(asks);
                drop(b);
                if !must_ask {
                    return self.contribute(answerer, starting);
                }
                let actor = self.clone();
                actix_rt::spawn(async move {
                    rollups::ask_below(&actor.body).await;
                    actor.contribute(answerer, starting);
                });
            }
            Ask::Contribution { child, contribution } => {
                b.below_mut().update(&child, contribution, runtime.settings.stale_after, now);
                drop(b);
                mark_rollup(&self.body);
                answerer.send(Ok(Answer::Done));
            }
            Ask::ChildGone(child) => {
                if let Some(below) = b.below.as_mut() {
                    below.remove(&child);
                }
                if !b.extras().child_restarts.is_empty() {
                    b.extras_mut().child_restarts.remove(&child);
                }
                drop(b);
                mark_rollup(&self.body);
                answerer.send(Ok(Answer::Done));
            }
            Ask::ChildFailed(child) => {
                let verdict = b.extras_mut().child_restarts.entry(child).or_default().failed(&runtime.settings.restart, now);
                answerer.send(Ok(Answer::Verdict(verdict)));
            }
            _ => answerer.send(Ok(Answer::Done)),
        }
    }

    /// Answers with what the twin comes to.
    fn contribute(&self, answerer: Answerer, starting: bool) {
        let mut b = self.body.borrow_mut();
        if b.leaving {
            return answerer.send(Err(TwinError::Overloaded.into()));
        }
        let contribution = b.contribution();
        b.passed_on = starting.then(|| b.fingerprint(&contribution));
        drop(b);
        if !starting {
            mark_rollup(&self.body);
        }
        self.answer_durable(answerer, Ok(Answer::Contribution(Box::new(contribution))));
    }
}
