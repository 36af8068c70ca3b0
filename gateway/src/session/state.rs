//! What the parts of one session share.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
    rc::Rc,
    sync::Arc,
};

use actors::{
    audit::{Actor, Entry, Outcome as AuditOutcome, Target},
    device::DeviceSession,
    identity::{Scope, Verified},
};
use hierarchy_models::{Timestamp, TwinId, event::Subscriptions};
use tokio::sync::Semaphore;

use crate::{
    dialects::{Dialect, Downstream},
    house::House,
    wire::Version,
};

/// Of a topic that was refused, what is kept.
pub(crate) const KEPT_TOPIC_CHARS: usize = 256;

pub(crate) struct Session {
    pub(crate) house: Arc<House>,
    pub(crate) twin: DeviceSession,
    pub(crate) device: TwinId,
    /// The address it came from.
    from: Box<str>,
    pub(crate) version: Version,
    /// What it may do now, and what it might at first.
    pub(crate) scope: Cell<Scope>,
    pub(crate) opened_with: Scope,
    /// Whether its CONNECT named the method by which AUTH renews it.
    pub(crate) renews: bool,
    /// When it is over; at the end of time where it is not.
    pub(crate) until: Cell<Timestamp>,
    pub(crate) exactly_once: RefCell<ExactlyOnce>,
    pub(crate) subscribed: RefCell<Subscribed>,
    turns: RefCell<Turns>,
}

/// Whose messages are on their way and waited for, each with the turn its next one waits for.
type Turns = Vec<(TwinId, Rc<Semaphore>)>;

/// The right to hand one message to a twin; the next of the same session has it when this is dropped, in the order of asking.
pub(crate) struct Turn<'a> {
    session: &'a Session,
    target: &'a TwinId,
    turn: Rc<Semaphore>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turn.add_permits(1);
        // ours, and the list's: nobody waits
        if Rc::strong_count(&self.turn) == 2 {
            self.session.turns.borrow_mut().retain(|(target, _)| target != self.target);
        }
    }
}

impl Session {
    pub(crate) fn new(
        house: Arc<House>,
        (twin, from): (DeviceSession, String),
        version: Version,
        verified: &Verified,
        renews: bool,
    ) -> Self {
        let exactly_once = ExactlyOnce { taken: twin.held_packets().iter().map(|id| (*id, false)).collect(), ..ExactlyOnce::default() };
        let subscribed = Subscribed { own: twin.subscriptions(), children: HashMap::new(), resumed: twin.session_present() };
        Self {
            house,
            device: twin.device().clone(),
            from: from.into(),
            twin,
            version,
            scope: Cell::new(verified.scope),
            opened_with: verified.scope,
            renews,
            until: Cell::new(verified.until.unwrap_or(Timestamp::MAX)),
            exactly_once: RefCell::new(exactly_once),
            subscribed: RefCell::new(subscribed),
            turns: RefCell::default(),
        }
    }

    /// What is not the device's, or not for its credential: a topic, or the twin that it names.
    pub(crate) fn refused(&self, action: &str, kind: &str, name: &str) {
        self.house.meters.topics_refused.increment(1);
        self.denied(action, (kind, name), "not_authorized");
    }

    /// Recorded in the audit log.
    pub(crate) fn denied(&self, action: &str, (kind, name): (&str, &str), why: &str) {
        let name: String = name.chars().take(KEPT_TOPIC_CHARS).collect();
        tracing::debug!(device = %self.device, kind, name, action, why, "refused");
        let actor = Actor { id: self.device.to_string(), name: "device".into() };
        let entry = Entry::at_the_door(&self.from, action, Target { kind: kind.into(), id: Some(name) }, AuditOutcome::Denied);
        self.house.twins.audit().note(Entry { actor: Some(actor), reason: Some(why.into()), ..entry });
    }

    /// Waits until the session's earlier messages to this twin have been taken or refused. A twin that is on its way between
    /// threads gives messages back, and a later one must not find it before they do.
    pub(crate) async fn turn<'a>(&'a self, target: &'a TwinId) -> Turn<'a> {
        let turn = {
            let mut turns = self.turns.borrow_mut();
            match turns.iter().find(|(waiting, _)| waiting == target) {
                Some((_, turn)) => turn.clone(),
                None => {
                    let turn = Rc::new(Semaphore::new(1));
                    turns.push((target.clone(), turn.clone()));
                    turn
                }
            }
        };
        if let Ok(permit) = turn.acquire().await {
            permit.forget();
        }
        Turn { session: self, target, turn }
    }

    /// Nothing is taken of it any more, however late its connection hears of it.
    pub(crate) fn is_over(&self) -> bool {
        let until = self.until.get();
        until != Timestamp::MAX && until <= self.house.twins.clock().now()
    }

    pub(crate) fn dialect(&self) -> &'static dyn Dialect {
        self.house.dialect()
    }
}

/// QoS 2 messages by packet id.
#[derive(Default)]
pub(crate) struct ExactlyOnce {
    /// Handed to the twin, whose word is awaited.
    pub(crate) under_way: HashSet<u16>,
    /// Taken and not released. `true`: it counts against this connection's Receive Maximum, `false`: it was taken on an
    /// earlier connection.
    pub(crate) taken: HashMap<u16, bool>,
}

impl ExactlyOnce {
    pub(crate) fn knows(&self, id: u16) -> bool {
        self.under_way.contains(&id) || self.taken.contains_key(&id)
    }
}

/// Subscriptions of the session, its own twin's and its children's.
pub(crate) struct Subscribed {
    own: Subscriptions,
    children: HashMap<TwinId, Subscriptions>,
    /// Children may have been subscribed to on an earlier connection, which only their twins remember.
    resumed: bool,
}

impl Subscribed {
    pub(crate) fn of(&self, own: &TwinId, target: &TwinId) -> Subscriptions {
        if own == target { self.own } else { self.children.get(target).copied().unwrap_or_default() }
    }

    /// Whether an earlier connection may have subscribed to this child, which only its twin remembers.
    pub(crate) fn may_be_remembered(&self, own: &TwinId, target: &TwinId) -> bool {
        own != target && self.resumed && !self.children.contains_key(target)
    }

    pub(crate) fn remember(&mut self, child: &TwinId, subscriptions: Subscriptions) {
        self.children.entry(child.clone()).or_insert(subscriptions);
    }

    /// The QoS to send this to `target` with; `None` when it is not subscribed to.
    pub(crate) fn qos(&self, own: &TwinId, target: &TwinId, what: Downstream) -> Option<u8> {
        if self.may_be_remembered(own, target) {
            return Some(1);
        }
        let subscriptions = self.of(own, target);
        *slot(&mut { subscriptions }, what)
    }

    /// Sets one subscription and tells what stood there and what stands for the twin now.
    pub(crate) fn set(&mut self, own: &TwinId, target: &TwinId, what: Downstream, qos: Option<u8>) -> (Option<u8>, Subscriptions) {
        let subscriptions = if own == target { &mut self.own } else { self.children.entry(target.clone()).or_default() };
        let before = std::mem::replace(slot(subscriptions, what), qos);
        (before, *subscriptions)
    }
}

fn slot(subscriptions: &mut Subscriptions, what: Downstream) -> &mut Option<u8> {
    match what {
        Downstream::Commands => &mut subscriptions.commands,
        Downstream::Desired => &mut subscriptions.desired,
        Downstream::Twin => &mut subscriptions.twin,
    }
}
