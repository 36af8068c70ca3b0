//! What travels to a twin's mailbox, and what comes back.

use std::sync::Arc;

use actix::Message;
use hierarchy_models::{Command, CommandId, Name, TwinId, event::Subscriptions, rollup::Contribution, supervision::Verdict, tree::Path};
use tokio::sync::oneshot;

use crate::{
    device::{Link, Refusal},
    error::TwinError,
    twin::{
        decide::{Input, Said},
        device_input::Speaker,
    },
    view::TwinView,
};

/// Everything a twin can be asked.
pub enum Ask {
    Core(Input),
    /// A device (or, for it, its gateway) opens a session.
    Connect {
        by: Speaker,
        session: u64,
        protocol: Name,
        remote: String,
        clean_start: bool,
        expiry_seconds: u32,
        link: Arc<dyn Link>,
    },
    /// The session can take downlinks now.
    Ready {
        session: u64,
    },
    Subscribe {
        session: u64,
        subscriptions: Subscriptions,
    },
    /// The device wants to read its twin.
    Get {
        speaker: Speaker,
    },
    View,
    Command(CommandId),
    CommandByKey(Name),
    /// The commands that no row shows yet as they are.
    Commands,
    Await {
        command: CommandId,
        tell: oneshot::Sender<Command>,
    },
    /// Which gateway speaks for it, and what of it is subscribed to.
    Gateway,
    /// What it and all below it come to.
    Contribute,
    Contribution {
        child: TwinId,
        contribution: Contribution,
    },
    ChildGone(TwinId),
    ChildFailed(TwinId),
    PathChanged(Path),
    /// End the session, whatever it is.
    Kick(crate::device::CloseReason),
    /// Tell the session's socket to close; the session says the rest itself.
    CloseLink(crate::device::CloseReason),
    /// The registry's row of it.
    Row,
    /// Tell the parent again what it comes to.
    PassOn,
}

#[derive(Debug)]
pub enum Answer {
    Said(Said),
    Connected { session_present: bool, subscriptions: Subscriptions, held_packets: Vec<u16>, attached: Vec<TwinId> },
    View(Box<TwinView>),
    Command(Option<Box<Command>>),
    Commands(Vec<Command>),
    Gateway(Option<TwinId>, Subscriptions),
    Contribution(Box<Contribution>),
    Row(Box<persistence::RegistryRow>),
    Verdict(Verdict),
    Done,
}

pub enum Problem {
    Device(Refusal),
    Call(TwinError),
    /// The twin is on its way elsewhere; here is the question again.
    Returned(Box<Ask>),
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Device(refusal)
    }
}

impl From<TwinError> for Problem {
    fn from(error: TwinError) -> Self {
        Self::Call(error)
    }
}

pub type Reply = Result<Answer, Problem>;

/// A question and the way back. A question is never lost: when the actor stops with letters in its mailbox, each
/// returns to its sender, who looks the twin up again.
pub struct Envelope {
    ask: Option<Ask>,
    reply: Option<oneshot::Sender<Reply>>,
}

impl Envelope {
    pub fn new(ask: Ask) -> (Self, oneshot::Receiver<Reply>) {
        let (reply, answer) = oneshot::channel();
        (Self { ask: Some(ask), reply: Some(reply) }, answer)
    }

    /// Without an answer; lost when the twin leaves, which is fine for what comes again by itself.
    pub fn tell(ask: Ask) -> Self {
        Self { ask: Some(ask), reply: None }
    }

    /// Whether it brings a parent the figures of a child, which are taken whatever state the parent is in.
    pub fn is_contribution(&self) -> bool {
        matches!(self.ask, Some(Ask::Contribution { .. } | Ask::ChildGone(_)))
    }

    pub fn open(mut self) -> Option<(Ask, Answerer)> {
        Some((self.ask.take()?, Answerer(self.reply.take())))
    }
}

impl Drop for Envelope {
    fn drop(&mut self) {
        if let (Some(ask), Some(reply)) = (self.ask.take(), self.reply.take()) {
            let _ = reply.send(Err(Problem::Returned(Box::new(ask))));
        }
    }
}

impl Message for Envelope {
    type Result = ();
}

/// The way back of one question.
pub struct Answerer(Option<oneshot::Sender<Reply>>);

impl Answerer {
    pub fn send(self, reply: Reply) {
        // Nobody listening is no error: a caller may have given up.
        if let Some(tx) = self.0 {
            let _ = tx.send(reply);
        }
    }
}
