//! One turn of a twin: decide, apply, hand to the lane; and what happens when a behaviour fails in it.

use std::time::{Duration, Instant};

use hierarchy_models::{Raw, Timestamp, supervision::Verdict};

use super::{
    TwinActor,
    mailbox::{restart_later, wait},
    marks::{mark, register_wake, relist},
};
use crate::{
    body::{Body, SharedBody, store_problem},
    completion::Completion,
    device::{CloseReason, Downlink, Refusal},
    envelope::{Answer, Answerer, Problem, Reply},
    error::TwinError,
    rules::{self, Occasion},
    twin::{
        Decided, Rejection, decide,
        decide::{Input, Said, number},
    },
};

impl TwinActor {
    /// Decides, applies, hands to the lane. `answer` is made after the events were applied and sent when they are durable.
    pub(super) fn decide(&self, input: Input, answerer: Answerer, now: Timestamp, answer: impl FnOnce(&SharedBody) -> Reply + 'static) {
        if let Some(work) = rules::prepare(&self.body) {
            // What its rules remember is read first; the letter goes on when it is there.
            return wait(&self.body, work, move |actor, past| {
                rules::recall(&actor.body, past);
                actor.decide(input, answerer, now, answer);
            });
        }
        let ends = match &input {
            Input::Disconnect { session, .. } => Some(*session),
            _ => None,
        };
        let seq_base = match &input {
            Input::Register(new) => new.seq_base,
            _ => 0,
        };
        let occasion = Occasion::of(&input);
        let (decided, has_rules) = {
            let b = self.body.borrow();
            if b.suspect {
                let error = b.host().lane.broken();
                drop(b);
                return answerer.send(Err(suspect_problem(error)));
            }
            let started = Instant::now();
            let decided = decide(&b.id, &b.state, &*b.kind, input, now);
            note_duration(&b, started.elapsed());
            (decided, b.rules.has_any())
        };
        match decided {
            Ok(decided) => {
                // A store that is known to be broken refuses early: nothing is decided that cannot become durable.
                let broken = if decided.events.is_empty() { None } else { self.body.borrow().host().lane.broken() };
                if let Some(error) = broken {
                    // The link is gone whether that can be recorded or not; the survey records it later.
                    let mut b = self.body.borrow_mut();
                    if ends.is_some_and(|session| b.linked.as_ref().is_some_and(|l| l.session == session)) {
                        b.unlink();
                    }
                    drop(b);
                    return answerer.send(Err(store_problem(&error)));
                }
                let decided = if has_rules { rules::follow(&self.body, decided, occasion, now) } else { decided };
                self.carry_out(decided, seq_base, ends, answerer, now, answer);
            }
            Err(Rejection::Device(refusal)) => self.refuse(refusal, answerer),
            Err(Rejection::Call(error)) => self.answer_durable(answerer, Err(Problem::Call(error))),
            Err(Rejection::Failed { error, what, raw }) => self.fall(error, what, raw, answerer),
        }
    }

    fn refuse(&self, refusal: Refusal, answerer: Answerer) {
        metrics::counter!("twinfold_messages_refused_total").increment(1);
        answerer.send(Err(Problem::Device(refusal)));
    }

    fn carry_out(
        &self,
        decided: Decided,
        seq_base: u64,
        ends: Option<u64>,
        answerer: Answerer,
        now: Timestamp,
        answer: impl FnOnce(&SharedBody) -> Reply,
    ) {
        let Decided { events, outbound, said } = decided;
        let (events, told) = {
            let mut b = self.body.borrow_mut();
            let events = number(b.state.seq.max(seq_base), now, events);
            let told = b.apply(&events);
            let over = ends.is_some_and(|session| b.linked.as_ref().is_some_and(|l| l.session == session));
            let was_linked = b.linked.is_some() && !b.state.connection.connected;
            if (over || was_linked)
                && let Some(linked) = b.unlink()
                && !over
            {
                // The twin itself ended the session: it is unregistered, or has another gateway.
                let _ = linked.link.deliver(&b.id, Downlink::Close(CloseReason::Revoked));
            }
            (events, told)
        };
        let reply = match (said, answer(&self.body)) {
            (Said::Connected { session_present }, Ok(Answer::Connected { subscriptions, held_packets, attached, .. })) => {
                Ok(Answer::Connected { session_present, subscriptions, held_packets, attached })
            }
            (Said::Refused(refusal), _) => Err(Problem::Device(refusal)),
            (Said::Done, reply) => reply,
            (said, _) => Ok(Answer::Said(said)),
        };
        if events.is_empty() {
            return self.answer_durable(answerer, reply);
        }
        mark(&self.body);
        let completion = Completion::new(&self.body).answering(answerer, reply).telling(told, outbound).following(&events);
        let (host, id) = {
            let mut b = self.body.borrow_mut();
            register_wake(&mut b);
            (b.host(), b.id.clone())
        };
        host.lane.push(&id, &events, completion);
    }

    /// A behaviour failed: ask the parent, wait, read the twin back, and put the message aside.
    fn fall(&self, error: String, what: String, raw: Option<Raw>, answerer: Answerer) {
        let body = self.body.clone();
        let (runtime, lane, id, parent) = {
            let b = body.borrow();
            (b.runtime().clone(), b.host().lane.clone(), b.id.clone(), b.state.parent.clone())
        };
        tracing::warn!(twin = %id, %what, %error, "a behaviour failed; the twin restarts");
        metrics::counter!("twinfold_twin_restarts_total").increment(1);
        let recover = async move {
            lane.barrier(&body).await;
            let verdict = runtime.verdict(&id, parent.as_ref()).await;
            if let Verdict::RestartAfter(pause) = verdict {
                tokio::time::sleep(pause).await;
            }
            (verdict, runtime.load(&id).await)
        };
        wait(&self.body, recover, move |actor, (verdict, loaded)| {
            match loaded {
                Ok(loaded) => {
                    actor.body.borrow_mut().reload(loaded);
                    relist(&actor.body);
                }
                Err(error) => {
                    actor.body.borrow_mut().suspect = true;
                    restart_later(&actor.body);
                    return answerer.send(Err(store_problem(&error)));
                }
            }
            let quarantine = match verdict {
                Verdict::Quarantine { restarts } => Some(restarts),
                Verdict::RestartAfter(_) => None,
            };
            let now = actor.body.borrow().runtime().clock.now();
            let refusal = Refusal::Poisoned { error: error.clone() };
            let input = Input::Poison { what, error, raw, quarantine };
            actor.decide(input, answerer, now, |_| Err(Problem::Device(refusal)));
        });
    }
}

/// A turn blocks its thread: one that takes too long is told.
fn note_duration(b: &Body, took: Duration) {
    if took > b.runtime().settings.turn_budget {
        tracing::warn!(twin = %b.id, ?took, "a turn took longer than twins.turn_budget");
        metrics::counter!("twinfold_turns_over_budget_total").increment(1);
    }
}

pub(super) fn suspect_problem(error: Option<persistence::Error>) -> Problem {
    match error {
        Some(error) => store_problem(&error),
        None => Problem::Call(TwinError::Overloaded),
    }
}
