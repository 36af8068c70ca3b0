//! What is to be said and done once a turn is durable: answers, live events, effects, figures upward.

use std::rc::Rc;

use hierarchy_models::{Command, CommandId, CommandState, Event, EventBody, TwinId, rollup::Contribution, value::Map};
use persistence::Error;
use tokio::sync::oneshot;

use crate::{
    actor::Restart,
    body::{Body, SharedBody, store_problem},
    device::Downlink,
    envelope::{Answerer, Reply},
    kind::Outbound,
    live::LiveEvent,
};

/// What is to be said and done once a turn is durable.
pub struct Completion {
    body: SharedBody,
    seq: u64,
    answer: Option<(Answerer, Reply)>,
    live: Vec<LiveEvent>,
    outbound: Vec<Outbound>,
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
        Self {
            body: body.clone(),
            seq,
            answer: None,
            live: Vec::new(),
            outbound: Vec::new(),
            ended: Vec::new(),
            desired: Vec::new(),
            up: None,
            down: None,
            barrier: None,
        }
    }

    pub fn barrier(body: &SharedBody, tell: oneshot::Sender<()>) -> Self {
        Self { barrier: Some(tell), ..Self::new(body) }
    }

    pub fn answering(mut self, answerer: Answerer, reply: Reply) -> Self {
        self.answer = Some((answerer, reply));
        self
    }

    pub fn telling(mut self, live: Vec<LiveEvent>, outbound: Vec<Outbound>) -> Self {
        self.live = live;
        self.outbound = outbound;
        self
    }

    pub fn sending(mut self, down: Downlink) -> Self {
        self.down = Some(down);
        self
    }

    pub fn ending(mut self, command: CommandId) -> Self {
        self.ended.push(command);
        self
    }

    pub fn passing_on(mut self, parent: Option<TwinId>, contribution: Contribution, live: Option<LiveEvent>) -> Self {
        self.up = parent.map(|parent| (parent, contribution));
        self.live.extend(live);
        self
    }

    /// Notes what the events of the turn ask to be done afterwards.
    pub fn following(mut self, events: &[Event]) -> Self {
        let patches = events.iter().filter(|e| matches!(e.body, EventBody::DesiredPatched { .. })).count() as u64;
        let mut version = self.body.borrow().state.desired_version.saturating_sub(patches);
        for event in events {
            match &event.body {
                EventBody::CommandEnded { id, .. } => self.ended.push(id.clone()),
                EventBody::DesiredPatched { patch } => {
                    version += 1;
                    self.desired.push((patch.clone(), version));
                }
                _ => {}
            }
        }
        self
    }

    /// The commit returned.
    pub fn committed(self) {
        let Self { body, seq, answer, live, outbound, ended, desired, up, down, barrier } = self;
        let runtime = {
            let mut b = body.borrow_mut();
            b.pending = b.pending.saturating_sub(1);
            b.durable_seq = b.durable_seq.max(seq);
            for id in ended {
                tell_waiters(&mut b, &id);
            }
            for (patch, version) in desired {
                b.desired_changed(patch, version);
            }
            if let (Some(down), Some(linked)) = (down, b.linked.as_ref()) {
                // A device that asks faster than it reads asks again.
                let _ = linked.link.deliver(&b.id, down);
            }
            if b.linked.as_ref().is_some_and(|l| l.desired_due || b.state.inbox.is_some()) {
                b.pump();
            }
            b.host.runtime().clone()
        };
        if let Some((answerer, reply)) = answer {
            answerer.send(reply);
        }
        if let Some((parent, contribution)) = up {
            let id = body.borrow().id.clone();
            crate::rollups::send_up(&runtime, parent, id, contribution, Rc::downgrade(&body));
        }
        if !live.is_empty() {
            runtime.hub.publish(live);
        }
        if !outbound.is_empty() {
            let sender = body.borrow().id.clone();
            actix_rt::spawn(async move { runtime.send_outbound(sender, outbound).await });
        }
        drop(barrier);
    }

    /// The commit failed.
    pub fn failed(self, error: &Error) {
        let Self { body, answer, barrier, .. } = self;
        {
            let mut b = body.borrow_mut();
            b.pending = b.pending.saturating_sub(1);
            if !b.suspect {
                b.suspect = true;
                // What it passed on may not stand.
                b.passed_on = None;
                if let Some(addr) = &b.addr {
                    addr.do_send(Restart);
                }
            }
        }
        if let Some((answerer, _)) = answer {
            answerer.send(Err(store_problem(error)));
        }
        drop(barrier);
    }
}

fn tell_waiters(body: &mut Body, id: &CommandId) {
    let Some(command) = body.command(|c| c.id == *id && c.state.is_end()).cloned() else { return };
    let (told, waiting) = std::mem::take(&mut body.waiters).into_iter().partition(|(waited, _)| waited == id);
    body.waiters = waiting;
    let told: Vec<(CommandId, oneshot::Sender<Command>)> = told;
    for (_, tell) in told {
        let _ = tell.send(command.clone());
    }
    metrics::counter!("twinfold_commands_ended_total", "state" => CommandState::as_str(command.state)).increment(1);
}
