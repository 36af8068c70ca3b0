//! What is to be said and done once a turn is durable: answers, live events, effects, figures upward.

use std::sync::Arc;

use hierarchy_models::{AlertRecord, Command, CommandId, CommandState, Event, EventBody, TwinId, rollup::Contribution, value::Map};
use persistence::Error;
use tokio::sync::oneshot;

use crate::{
    actor,
    body::{Body, SharedBody, Told, refusal_of_problem, store_problem},
    device::{Downlink, Link, Outcome},
    envelope::{Answerer, Reply},
    live::LiveEvent,
    rules::webhooks::Call,
};

/// What is to be said and done once a turn is durable. Small, as every message has one: most turns end with one word.
pub struct Completion {
    body: SharedBody,
    seq: u64,
    words: Words,
    more: Option<Box<More>>,
}

enum Words {
    None,
    /// A session's message was taken.
    Taken(Arc<dyn Link>, u64),
    Reply(Box<(Answerer, Reply)>),
}

/// What few turns have.
#[derive(Default)]
struct More {
    live: Vec<LiveEvent>,
    alerts: Vec<AlertRecord>,
    calls: Vec<Call>,
    /// Commands to other twins wait to be sent.
    outbound: bool,
    ended: Vec<CommandId>,
    /// Patches of desired properties, each with the version it made.
    desired: Vec<(Map, u64)>,
    /// What the parent is to be told.
    up: Option<(TwinId, Contribution)>,
    down: Option<Downlink>,
    barrier: Option<oneshot::Sender<()>>,
}

impl Completion {
    pub fn new(body: &SharedBody) -> Self {
        let seq = {
            let mut b = body.borrow_mut();
            b.pending += 1;
            b.state.seq
        };
        Self { body: body.clone(), seq, words: Words::None, more: None }
    }

    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    pub fn barrier(body: &SharedBody, tell: oneshot::Sender<()>) -> Self {
        let mut this = Self::new(body);
        this.more().barrier = Some(tell);
        this
    }

    pub fn answering(mut self, answerer: Answerer, reply: Reply) -> Self {
        self.words = match (answerer, reply) {
            (Answerer::Nobody, _) => Words::None,
            (Answerer::Ticket(link, ticket), Ok(_)) => Words::Taken(link, ticket),
            (answerer, reply) => Words::Reply(Box::new((answerer, reply))),
        };
        self
    }

    pub fn telling(mut self, told: Told) -> Self {
        let Told { live, alerts, calls } = told;
        if !live.is_empty() || !alerts.is_empty() || !calls.is_empty() {
            let more = self.more();
            (more.live, more.alerts, more.calls) = (live, alerts, calls);
        }
        self
    }

    pub fn sending(mut self, down: Downlink) -> Self {
        self.more().down = Some(down);
        self
    }

    pub fn ending(mut self, command: CommandId) -> Self {
        self.more().ended.push(command);
        self
    }

    pub fn passing_on(mut self, parent: Option<TwinId>, contribution: Contribution, live: Option<LiveEvent>) -> Self {
        if parent.is_some() || live.is_some() {
            let more = self.more();
            more.up = parent.map(|parent| (parent, contribution));
            more.live.extend(live);
        }
        self
    }

    /// Notes what the events of the turn ask to be done afterwards.
    pub fn following(mut self, events: &[Event]) -> Self {
        let patches = events.iter().filter(|e| matches!(e.body, EventBody::DesiredPatched { .. })).count() as u64;
        let mut version = self.body.borrow().state.desired_version.saturating_sub(patches);
        for event in events {
            match &event.body {
                EventBody::CommandEnded { id, .. } => self.more().ended.push(id.clone()),
                EventBody::OutboundQueued(_) => self.more().outbound = true,
                EventBody::DesiredPatched { patch } => {
                    version += 1;
                    self.more().desired.push((patch.clone(), version));
                }
                _ => {}
            }
        }
        self
    }

    /// The commit returned.
    pub fn committed(self) {
        let Self { body, seq, words, more } = self;
        {
            let mut b = body.borrow_mut();
            b.pending = b.pending.saturating_sub(1);
            b.now_durable(seq);
            if more.is_none() {
                pump_if_due(&mut b);
            }
        }
        let up_and_out = more.map(|more| more.in_the_twin(&body));
        match words {
            Words::None => {}
            Words::Taken(link, ticket) => link.settled(ticket, Outcome::Taken),
            Words::Reply(reply) => reply.0.send(reply.1),
        }
        if let Some(rest) = up_and_out {
            rest.outside(&body);
        }
    }

    /// The commit failed.
    pub fn failed(self, error: &Error) {
        let Self { body, words, more, .. } = self;
        let fresh = {
            let mut b = body.borrow_mut();
            b.pending = b.pending.saturating_sub(1);
            // What it passed on may not stand.
            b.passed_on = None;
            if b.extras().heard_children.is_some() {
                b.extras_mut().heard_children = None;
            }
            !std::mem::replace(&mut b.suspect, true)
        };
        match words {
            Words::None => {}
            Words::Taken(link, ticket) => link.settled(ticket, Outcome::Refused(refusal_of_problem(store_problem(error)))),
            Words::Reply(reply) => reply.0.send(Err(store_problem(error))),
        }
        drop(more);
        if fresh {
            actor::restart(&body);
        }
    }
}

/// Something may wait to go down.
fn pump_if_due(b: &mut Body) {
    if b.linked.as_ref().is_some_and(|l| l.desired_due || b.state.inbox.is_some()) {
        b.pump();
    }
}

impl More {
    /// What concerns the twin itself and its device.
    fn in_the_twin(mut self, body: &SharedBody) -> Self {
        let mut b = body.borrow_mut();
        for id in std::mem::take(&mut self.ended) {
            tell_waiters(&mut b, &id);
        }
        for (patch, version) in std::mem::take(&mut self.desired) {
            b.desired_changed(patch, version);
        }
        if let (Some(down), Some(linked)) = (self.down.take(), b.linked.as_ref()) {
            // A device that asks faster than it reads asks again.
            let _ = linked.link.deliver(&b.id, down);
        }
        // Before anybody hears that it is so: who is told of an alert finds it in the list.
        b.runtime().alerts.changed(std::mem::take(&mut self.alerts));
        b.runtime().webhooks.queue(std::mem::take(&mut self.calls));
        pump_if_due(&mut b);
        self
    }

    /// What concerns others.
    fn outside(self, body: &SharedBody) {
        let (runtime, id) = {
            let b = body.borrow();
            (b.runtime().clone(), b.id.clone())
        };
        if let Some((parent, contribution)) = self.up {
            crate::rollups::send_up(&runtime, parent, id.clone(), contribution, Arc::downgrade(body));
        }
        if !self.live.is_empty() {
            runtime.hub.publish(self.live);
        }
        if self.outbound {
            crate::outbox::send(body, false);
        }
        drop(self.barrier);
    }
}

fn tell_waiters(body: &mut Body, id: &CommandId) {
    let Some(command) = body.command(|c| c.id == *id && c.state.is_end()).cloned() else { return };
    if body.extras().waiters.is_empty() {
        return count_end(command.state);
    }
    let (told, waiting) = std::mem::take(&mut body.extras_mut().waiters).into_iter().partition(|(waited, _)| waited == id);
    body.extras_mut().waiters = waiting;
    let told: Vec<(CommandId, oneshot::Sender<Command>)> = told;
    for (_, tell) in told {
        let _ = tell.send(command.clone());
    }
    count_end(command.state);
}

fn count_end(state: CommandState) {
    metrics::counter!("twinfold_commands_ended_total", "state" => CommandState::as_str(state)).increment(1);
}
