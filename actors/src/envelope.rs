//! What travels to a twin's mailbox, and what comes back.

use std::sync::Arc;

use hierarchy_models::{
    Command, CommandId, Name, TwinId,
    event::Subscriptions,
    filter::Filter,
    rollup::{Asks, Contribution},
    supervision::Verdict,
    tree::Path,
};
use tokio::sync::oneshot;

use crate::{
    body::refusal_of_problem,
    device::{Link, Outcome, Refusal},
    error::TwinError,
    rollups::Definitions,
    runtime::Runtime,
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
    /// What it and all below it come to; its parent asks this of it from now on. Of a parent that is `starting` nothing else is heard before
    /// the answer; to any other the figures are told once more in their turn, lest an older letter comes after the answer.
    Contribute {
        parent: TwinId,
        asks: Option<Arc<Asks>>,
        starting: bool,
    },
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
    /// Which roll-ups are defined on it.
    Definitions,
    /// Whether a filter means it, which its row leaves open.
    Holds {
        filter: Arc<Filter>,
        entry: Box<persistence::RegistryEntry>,
    },
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
    Definitions(Definitions),
    Holds(bool),
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

/// A question and the way back. A question is never lost: when its twin is not there any more, or leaves with letters in
/// its mailbox, each returns to its sender, who looks the twin up again.
pub struct Envelope {
    ask: Option<Ask>,
    answerer: Answerer,
}

impl Envelope {
    pub fn new(ask: Ask) -> (Self, oneshot::Receiver<Reply>) {
        let (reply, answer) = oneshot::channel();
        (Self { ask: Some(ask), answerer: Answerer::Call(reply) }, answer)
    }

    /// A device's message whose outcome goes to its session under `ticket`.
    pub fn post(ask: Ask, link: Arc<dyn Link>, ticket: u64) -> Self {
        Self { ask: Some(ask), answerer: Answerer::Ticket(link, ticket) }
    }

    /// Without an answer; lost when the twin leaves, which is fine for what comes again by itself.
    pub fn tell(ask: Ask) -> Self {
        Self { ask: Some(ask), answerer: Answerer::Nobody }
    }

    /// A child's figures to its parent. A parent that leaves memory asks for them when it starts again; one that moves to another
    /// thread does not, so a letter that finds nobody has the child say it again.
    pub fn up(runtime: &Arc<Runtime>, child: TwinId, contribution: Contribution) -> Self {
        let answerer = Answerer::Child(runtime.clone(), child.clone());
        Self { ask: Some(Ask::Contribution { child, contribution }), answerer }
    }

    /// Whether it brings a parent the figures of a child, which are taken whatever state the parent is in.
    pub fn is_contribution(&self) -> bool {
        matches!(self.ask, Some(Ask::Contribution { .. } | Ask::ChildGone(_)))
    }

    pub fn open(mut self) -> Option<(Ask, Answerer)> {
        Some((self.ask.take()?, std::mem::replace(&mut self.answerer, Answerer::Nobody)))
    }
}

impl Drop for Envelope {
    fn drop(&mut self) {
        let Some(ask) = self.ask.take() else { return };
        match std::mem::replace(&mut self.answerer, Answerer::Nobody) {
            Answerer::Nobody => {}
            Answerer::Child(runtime, child) => runtime.say_again(&child),
            Answerer::Call(reply) => drop(reply.send(Err(Problem::Returned(Box::new(ask))))),
            Answerer::Ticket(link, ticket) => {
                let outcome = match ask {
                    Ask::Core(Input::Device { message, packet, .. }) => Outcome::Returned(Box::new((message, packet))),
                    _ => Outcome::Refused(Refusal::SessionEnded),
                };
                link.settled(ticket, outcome);
            }
        }
    }
}

/// The way back of one question.
pub enum Answerer {
    Nobody,
    /// Nobody, but for a letter that is not taken: see [`Envelope::up`].
    Child(Arc<Runtime>, TwinId),
    Call(oneshot::Sender<Reply>),
    /// A session's message, by the number the session gave it.
    Ticket(Arc<dyn Link>, u64),
}

impl Answerer {
    pub fn send(self, reply: Reply) {
        match self {
            Self::Nobody | Self::Child(..) => {}
            // Nobody listening is no error: a caller may have given up.
            Self::Call(tell) => drop(tell.send(reply)),
            Self::Ticket(link, ticket) => {
                link.settled(ticket, reply.map_or_else(|p| Outcome::Refused(refusal_of_problem(p)), |_| Outcome::Taken))
            }
        }
    }
}
