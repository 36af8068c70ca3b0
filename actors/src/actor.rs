//! A twin as an actor: one letter at a time, in order, on one thread. It alone does IO for the twin; the core it wraps is pure.
//!
//! Ours and not actix's, which costs 0.85 KB a twin and two allocations a letter, and does not survive a panic
//! (`docs/decisions/0005-twins-are-our-own-actors.md`). A behaviour's turn runs under `catch_unwind` in
//! [`crate::kind::run_turn`], and on a failure the twin drops what is in memory and reads itself back from what is durable,
//! while its mailbox waits. How often that may happen is for the parent to say.

mod conform;
mod mailbox;
mod marks;
mod stopwatch;
mod tree;
mod turn;

use hierarchy_models::{Timestamp, event::DisconnectReason};

use crate::{
    body::{Linked, SharedBody},
    completion::Completion,
    device::{CloseReason, Downlink},
    envelope::{Answer, Answerer, Ask, Reply},
    error::TwinError,
    twin::decide::{Input, Said},
};

pub use mailbox::{receive, restart};
pub use marks::{mark, mark_rollup, register_wake};

/// A twin at work on a letter.
#[derive(Clone)]
struct TwinActor {
    body: SharedBody,
}

impl TwinActor {
    fn take(&self, ask: Ask, answerer: Answerer, now: Timestamp) {
        match ask {
            Ask::Core(Input::Wake) => {
                self.body.borrow_mut().wake_registered = None;
                self.decide(Input::Wake, answerer, now, |_| Ok(Answer::Said(Said::Done)));
                register_wake(&mut self.body.borrow_mut());
                crate::outbox::send(&self.body, true);
            }
            Ask::Core(input) => self.decide(input, answerer, now, |_| Ok(Answer::Said(Said::Done))),
            Ask::Connect { by, session, protocol, remote, clean_start, expiry_seconds, link } => {
                if matches!(by, crate::twin::device_input::Speaker::Gateway { .. })
                    && let Err(refusal) = self.body.borrow().state.authorise(&by)
                {
                    return answerer.send(Err(refusal.into()));
                }
                let input = Input::Connect { session, protocol, remote, clean_start, expiry_seconds };
                self.connect(input, Box::new(Linked::new(session, link)), answerer, now);
            }
            Ask::Ready { session } => {
                let mut b = self.body.borrow_mut();
                if let Some(linked) = b.linked.as_mut().filter(|l| l.session == session) {
                    linked.ready = true;
                }
                b.pump();
                drop(b);
                answerer.send(Ok(Answer::Done));
            }
            Ask::Subscribe { session, subscriptions } => {
                {
                    let mut b = self.body.borrow_mut();
                    let fresh = subscriptions.desired.is_some() && b.state.connection.subscriptions.desired.is_none();
                    if let Some(linked) = b.linked.as_mut().filter(|l| l.session == session) {
                        linked.desired_due |= fresh;
                        linked.ready = true;
                    }
                }
                self.decide(Input::Subscribe { session, subscriptions }, answerer, now, |_| Ok(Answer::Said(Said::Done)));
                // Delivery must start even when nothing had to be recorded; what was recorded pumps when it is durable.
                self.body.borrow_mut().pump();
            }
            Ask::Get { speaker } => {
                let allowed = self.body.borrow().state.authorise(&speaker);
                match allowed {
                    Err(refusal) => answerer.send(Err(refusal.into())),
                    Ok(()) => {
                        let document = self.document();
                        let completion = Completion::new(&self.body).answering(answerer, Ok(Answer::Done));
                        self.await_durable(completion.sending(Downlink::Twin(document)));
                    }
                }
            }
            Ask::View => {
                if !self.body.borrow().state.registered {
                    let id = self.body.borrow().id.clone();
                    return answerer.send(Err(TwinError::NoSuchTwin(id).into()));
                }
                let document = self.document();
                self.answer_durable(answerer, Ok(Answer::View(document)));
            }
            Ask::Command(id) => {
                let found = self.body.borrow().command(|c| c.id == id).cloned().map(Box::new);
                self.answer_durable(answerer, Ok(Answer::Command(found)));
            }
            Ask::CommandByKey(key) => {
                let same = |c: &hierarchy_models::Command| c.idempotency_key.as_ref() == Some(&key);
                let found = self.body.borrow().command(same).cloned().map(Box::new);
                self.answer_durable(answerer, Ok(Answer::Command(found)));
            }
            Ask::Commands => {
                let b = self.body.borrow();
                let extras = b.extras();
                let rows = extras.rows_in_flush.values().chain(extras.command_rows.values());
                let all: std::collections::BTreeMap<_, _> = rows.map(|c| (c.id.clone(), c.clone())).collect();
                drop(b);
                self.answer_durable(answerer, Ok(Answer::Commands(all.into_values().collect())));
            }
            Ask::Await { command, tell } => self.await_command(&command, tell, answerer),
            Ask::Gateway => {
                let b = self.body.borrow();
                let gateway = b.state.gateway.clone().filter(|_| b.state.registered);
                answerer.send(Ok(Answer::Gateway(gateway, b.state.connection.subscriptions)));
            }
            Ask::Kick(reason) => {
                let session = {
                    let b = self.body.borrow();
                    if let Some(linked) = b.linked.as_ref() {
                        let _ = linked.link.deliver(&b.id, Downlink::Close(reason));
                    }
                    b.state.connection.session
                };
                // From here on nothing of that session is taken, however long its socket takes to close.
                let input = Input::Disconnect { session, reason: DisconnectReason::Revoked, will: None, expiry_seconds: Some(0) };
                self.decide(input, answerer, now, |_| Ok(Answer::Done));
            }
            Ask::CloseLink(reason) => {
                let b = self.body.borrow();
                if let Some(linked) = b.linked.as_ref() {
                    let _ = linked.link.deliver(&b.id, Downlink::Close(reason));
                }
                answerer.send(Ok(Answer::Done));
            }
            Ask::Definitions => {
                let b = self.body.borrow();
                if !b.state.registered {
                    return answerer.send(Err(TwinError::NoSuchTwin(b.id.clone()).into()));
                }
                let definitions = b.definitions();
                drop(b);
                self.answer_durable(answerer, Ok(Answer::Definitions(definitions)));
            }
            Ask::Holds { filter, entry } => {
                let b = self.body.borrow();
                let holds = b.holds(&filter, &entry, &b.runtime().models.known());
                drop(b);
                self.answer_durable(answerer, Ok(Answer::Holds(holds)));
            }
            Ask::Row => {
                let row = crate::twins::row_of(&self.body.borrow());
                self.answer_durable(answerer, Ok(Answer::Row(row)));
            }
            Ask::PassOn => {
                self.body.borrow_mut().passed_on = None;
                mark_rollup(&self.body);
                answerer.send(Ok(Answer::Done));
            }
            Ask::PathChanged(path) => {
                let mut b = self.body.borrow_mut();
                b.path = path;
                // Another place may be in the scope of other rules.
                b.rules.forget_scope();
                drop(b);
                answerer.send(Ok(Answer::Done));
            }
            ask => self.take_from_tree(ask, answerer, now),
        }
    }

    fn document(&self) -> Box<crate::view::TwinView> {
        Box::new(self.body.borrow().view())
    }

    /// Answers once everything the answer may rest on is durable.
    fn answer_durable(&self, answerer: Answerer, reply: Reply) {
        if self.body.borrow().pending == 0 {
            return answerer.send(reply);
        }
        self.await_durable(Completion::new(&self.body).answering(answerer, reply));
    }

    fn await_durable(&self, completion: Completion) {
        let (host, id) = {
            let b = self.body.borrow();
            (b.host(), b.id.clone())
        };
        host.lane.push(&id, &[], completion);
    }

    fn await_command(
        &self,
        command: &hierarchy_models::CommandId,
        tell: tokio::sync::oneshot::Sender<hierarchy_models::Command>,
        answerer: Answerer,
    ) {
        let mut b = self.body.borrow_mut();
        let max = b.runtime().settings.command_waiters_max;
        if !b.extras().waiters.is_empty() {
            b.extras_mut().waiters.retain(|(_, tell)| !tell.is_closed());
        }
        let known = b.state.inbox.as_deref().and_then(|i| i.get(command)).cloned();
        match known {
            None => {
                let (twin, command) = (b.id.clone(), command.clone());
                answerer.send(Err(TwinError::NoSuchCommand { twin, command }.into()));
            }
            Some(_) if b.extras().waiters.len() >= max => {
                let detail = format!("{max} callers wait for this twin's commands");
                answerer.send(Err(TwinError::Limit { limit: "commands.waiters_max", detail }.into()));
            }
            // An end that is decided but not durable yet is told by the commit.
            Some(c) if c.state.is_end() && b.pending == 0 => {
                let _ = tell.send(c);
                answerer.send(Ok(Answer::Done));
            }
            Some(c) => {
                b.extras_mut().waiters.push((command.clone(), tell));
                drop(b);
                answerer.send(Ok(Answer::Done));
                if c.state.is_end() {
                    self.await_durable(Completion::new(&self.body).ending(c.id));
                }
            }
        }
    }

    fn connect(&self, input: Input, linked: Box<Linked>, answerer: Answerer, now: Timestamp) {
        let body = self.body.clone();
        self.decide(input, answerer, now, move |_| {
            let mut b = body.borrow_mut();
            let old = b.unlink();
            b.linked = Some(linked);
            if let Some(old) = old.filter(|old| b.linked.as_ref().is_some_and(|new| new.session != old.session)) {
                let _ = old.link.deliver(&b.id, Downlink::Close(CloseReason::TakenOver));
            }
            let state = &b.state;
            let attached = state.rare.as_deref().map(|r| r.attached.clone()).unwrap_or_default();
            let subscriptions = state.connection.subscriptions;
            let held_packets = state.held_packets().to_vec();
            if let Some(linked) = b.linked.as_mut() {
                linked.desired_due = subscriptions.desired.is_some();
            }
            Ok(Answer::Connected { session_present: false, subscriptions, held_packets, attached })
        });
    }
}
