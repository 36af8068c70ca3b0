//! What parents and children say to each other.

use hierarchy_models::Timestamp;

use super::{TwinActor, marks::mark_rollup};
use crate::envelope::{Answer, Answerer, Ask};

impl TwinActor {
    pub(super) fn take_from_tree(&self, ask: Ask, answerer: Answerer, now: Timestamp) {
        let mut b = self.body.borrow_mut();
        let runtime = b.runtime().clone();
        match ask {
            Ask::Contribute => {
                let contribution = b.contribution();
                b.passed_on = Some(contribution.fingerprint());
                drop(b);
                self.answer_durable(answerer, Ok(Answer::Contribution(Box::new(contribution))));
            }
            Ask::Contribution { child, contribution } => {
                b.below.get_or_insert_default().update(&child, contribution, runtime.settings.stale_after, now);
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
}
