//! One turn of a twin: decide, apply, hand to the lane; and what happens when a behaviour fails in it.

use hierarchy_models::{Name, Raw, Timestamp, supervision::Verdict};

use super::{
    TwinActor, conform,
    mailbox::{restart_later, wait},
    marks::{mark, register_wake, relist},
    stopwatch::{Lap, Stopwatch},
};
use crate::{
    body::{Body, SharedBody, store_problem},
    completion::Completion,
    device::{CloseReason, Downlink, Refusal},
    envelope::{Answer, Answerer, Problem, Reply},
    error::TwinError,
    rules::{self, Occasion},
    twin::{
        Decided, Failure, Rejection, decide,
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
        let (decided, overrun, has_rules) = {
            let mut b = self.body.borrow();
            if b.models_changed() {
                drop(b);
                self.body.borrow_mut().learn_model();
                b = self.body.borrow();
            }
            if b.suspect {
                let error = b.host().lane.broken();
                drop(b);
                return answerer.send(Err(suspect_problem(error)));
            }
            let watch = Stopwatch::start(!b.kind.is_built_in());
            let decided = match conform::refusal(&b, &input) {
                None => decide(b.surroundings(), &b.state, &*b.kind, input, now),
                Some(refused) => refused,
            };
            let overrun = note_duration(&b, &watch.stop(b.runtime().settings.turn_budget));
            (decided, overrun, b.rules.has_any())
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
                let failed = decided.failed.clone().or(overrun);
                let decided = if has_rules { rules::follow(&self.body, decided, occasion, now) } else { decided };
                self.carry_out(decided, seq_base, ends, answerer, now, answer);
                // What happened stands and is answered; the twin restarts on top of it.
                if let Some(Failure { what, error }) = failed {
                    self.fall(error, what, None, Answerer::Nobody);
                }
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
        let Decided { events, said, .. } = decided;
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
        let completion = Completion::new(&self.body).answering(answerer, reply).telling(told).following(&events);
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
        let (runtime, lane, id, parent, behaviour) = {
            let b = body.borrow();
            let behaviour = Name::from(b.kind.bound_to().unwrap_or(b.state.model.as_str()));
            (b.runtime().clone(), b.host().lane.clone(), b.id.clone(), b.state.parent.clone(), behaviour)
        };
        tracing::warn!(twin = %id, %behaviour, %what, %error, "a behaviour failed; the twin restarts");
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
            let refusal = Refusal::Poisoned { behaviour, error: error.clone() };
            let input = Input::Poison { what, error, raw, quarantine };
            actor.decide(input, answerer, now, |_| Err(Problem::Device(refusal)));
        });
    }
}

/// A turn blocks its thread: one that takes too long is told, and is a failure of the behaviour when it is its fault.
fn note_duration(b: &Body, lap: &Lap) -> Option<Failure> {
    let budget = b.runtime().settings.turn_budget;
    if lap.took <= budget {
        return None;
    }
    tracing::warn!(twin = %b.id, took = ?lap.took, "a turn took longer than twins.turn_budget");
    metrics::counter!("twinfold_turns_over_budget_total").increment(1);
    let error = || format!("the turn took {:?}; twins.turn_budget is {budget:?}", lap.took);
    lap.is_overrun.then(|| Failure { what: "a turn".into(), error: error() })
}

pub(super) fn suspect_problem(error: Option<persistence::Error>) -> Problem {
    match error {
        Some(error) => store_problem(&error),
        None => Problem::Call(TwinError::Overloaded),
    }
}
