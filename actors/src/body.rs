//! One twin in memory: its core state, what is below it, its link, and what it has under way.
//!
//! Shared between the actor (which decides) and the lane (which speaks once a commit is done): both live on one thread.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    sync::Arc,
};

use hierarchy_models::{
    Command, CommandId, Event, EventBody, Timestamp, TwinId,
    limits::INBOX_IN_FLIGHT_MAX,
    rollup::{Aggregate, Contribution},
    supervision::RestartWindow,
    tree::Path,
    value::Map,
};
use persistence::{Error, RegistryRow, Snapshot};
use tokio::sync::oneshot;

use crate::{
    device::{Downlink, Link, LinkError, Refusal},
    envelope::{Envelope, Problem},
    error::TwinError,
    host::Host,
    kind::Kind,
    live::LiveEvent,
    runtime::Loaded,
    twin::{TwinState, decide::Input, live_events::live_event, snapshot::contribution_to_bytes, view::desired_document},
};

pub type SharedBody = Rc<RefCell<Body>>;

/// The way down, and what went down it in this session.
pub struct Linked {
    pub session: u64,
    pub link: Arc<dyn Link>,
    /// The session has said that it can take downlinks.
    pub ready: bool,
    /// Commands handed to this session.
    handed: Vec<CommandId>,
    /// The whole desired state must go down next.
    pub desired_due: bool,
}

impl Linked {
    pub fn new(session: u64, link: Arc<dyn Link>) -> Self {
        Self { session, link, ready: false, handed: Vec::new(), desired_due: false }
    }
}

pub struct Body {
    pub id: TwinId,
    pub path: Path,
    pub state: TwinState,
    /// What is below it, when anything is: most twins have nothing there.
    pub below: Option<Box<Aggregate>>,
    pub kind: Arc<dyn Kind>,
    pub host: Rc<Host>,
    pub linked: Option<Box<Linked>>,
    pub durable_seq: u64,
    /// Completions that wait in the lane.
    pub pending: u32,
    pub last_used: Timestamp,
    /// Not trusted since a commit failed: nothing is decided on it.
    pub suspect: bool,
    /// It is being read back: its mailbox waits, and it stays where it is, until that is over.
    pub waiting: bool,
    /// On its way out of memory or to another thread.
    pub leaving: bool,
    pub dirty: bool,
    pub registry_dirty: bool,
    pub rollup_dirty: bool,
    /// The fingerprint of what the parent was last told.
    pub passed_on: Option<u64>,
    pub wake_registered: Option<Timestamp>,
    extras: Option<Box<Extras>>,
}

/// What few twins have at any time.
#[derive(Default)]
pub struct Extras {
    /// Letters that came while the mailbox waits.
    pub mailbox: VecDeque<Envelope>,
    /// It must be read back once the mailbox does not wait any more.
    pub restart_due: bool,
    /// Open commands that an earlier session was handed, acknowledged or not: they come again marked as such.
    pub handed_before: Vec<CommandId>,
    /// Commands that changed since the last flush, whether the core still holds them or not.
    pub command_rows: BTreeMap<CommandId, Command>,
    /// Those that the flush under way took.
    pub rows_in_flush: BTreeMap<CommandId, Command>,
    pub waiters: Vec<(CommandId, oneshot::Sender<Command>)>,
    pub child_restarts: BTreeMap<TwinId, RestartWindow>,
}

/// A twin on its way to another thread, all of it durable.
pub struct Luggage {
    id: TwinId,
    path: Path,
    state: TwinState,
    below: Option<Box<Aggregate>>,
    dirty: bool,
    registry_dirty: bool,
    last_used: Timestamp,
    wake_registered: Option<Timestamp>,
    extras: Option<Box<Extras>>,
}

impl Extras {
    const NONE: Self = Self {
        mailbox: VecDeque::new(),
        restart_due: false,
        handed_before: Vec::new(),
        command_rows: BTreeMap::new(),
        rows_in_flush: BTreeMap::new(),
        waiters: Vec::new(),
        child_restarts: BTreeMap::new(),
    };

    fn is_empty(&self) -> bool {
        self.mailbox.is_empty()
            && !self.restart_due
            && self.handed_before.is_empty()
            && self.command_rows.is_empty()
            && self.rows_in_flush.is_empty()
            && self.waiters.is_empty()
            && self.child_restarts.is_empty()
    }
}

impl Body {
    /// The body of a twin that starts.
    pub fn new(host: &Rc<Host>, id: TwinId, path: Path, state: TwinState, below: Aggregate) -> Self {
        let runtime = host.runtime();
        Self {
            id,
            path,
            below: (!below.is_empty()).then(|| Box::new(below)),
            kind: runtime.kinds.of(&state.model).clone(),
            host: host.clone(),
            linked: None,
            durable_seq: state.seq,
            pending: 0,
            last_used: runtime.clock.now(),
            suspect: false,
            waiting: false,
            leaving: false,
            dirty: false,
            registry_dirty: false,
            rollup_dirty: false,
            passed_on: None,
            wake_registered: state.wake_at(),
            state,
            extras: None,
        }
    }

    /// Takes the twin out of a body that stays behind as a shell.
    pub fn pack(&mut self) -> Luggage {
        let dirty = std::mem::take(&mut self.dirty);
        Luggage {
            id: self.id.clone(),
            path: self.path.clone(),
            state: std::mem::replace(&mut self.state, TwinState::blank()),
            below: self.below.take(),
            dirty,
            registry_dirty: self.registry_dirty,
            last_used: self.last_used,
            wake_registered: self.wake_registered,
            extras: self.extras.take(),
        }
    }

    /// The twin on its new thread, and the end of its connection that is to be recorded there.
    pub fn unpack(host: &Rc<Host>, luggage: Luggage) -> (Self, Option<Input>) {
        let Luggage { id, path, state, below, dirty, registry_dirty, last_used, wake_registered, extras } = luggage;
        let end = host.lost_connection(&state);
        let fresh = Self::new(host, id, path, state, Aggregate::default());
        (Self { below, dirty, registry_dirty, last_used, wake_registered, extras, ..fresh }, end)
    }

    pub fn extras(&self) -> &Extras {
        // It owns nothing, so one serves all; a `static` would have to be shareable between threads.
        const NONE: &Extras = &Extras::NONE;
        self.extras.as_deref().unwrap_or(NONE)
    }

    pub fn extras_mut(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }

    /// Lets go of what is empty.
    pub fn tidy(&mut self) {
        if self.extras.as_deref().is_some_and(Extras::is_empty) {
            self.extras = None;
        }
    }

    pub fn below(&self) -> &Aggregate {
        static NOTHING: Aggregate = Aggregate::EMPTY;
        self.below.as_deref().unwrap_or(&NOTHING)
    }

    /// What this twin and everything below it come to.
    pub fn contribution(&self) -> Contribution {
        self.below().contribution(self.state.own_contribution())
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            twin: self.id.clone(),
            seq: self.state.seq,
            state: self.state.to_bytes().into(),
            contribution: contribution_to_bytes(&self.state.own_contribution()).into(),
            wake_at: self.state.wake_at(),
        }
    }

    pub fn memory_bytes(&self) -> usize {
        // The body, its seat and its place in the directory, with what the allocator and the maps add.
        const FIXED: usize = size_of::<Body>() + 160;
        FIXED + self.state.heap_bytes() + self.below.as_ref().map_or(0, |below| size_of::<Aggregate>() + below.heap_bytes())
    }

    /// Whether it may leave memory. A place whose devices are not all stale stays, to notice when they fall silent.
    pub fn is_idle(&self) -> bool {
        let awaited = self.extras().waiters.iter().any(|(_, tell)| !tell.is_closed());
        let watches = self.below.as_ref().is_some_and(|below| below.has_fresh_leaf());
        self.linked.is_none() && self.pending == 0 && !awaited && !watches && !self.suspect && !self.waiting && !self.leaving
    }

    /// Applies a turn's events; what a live reader would be told of them.
    pub fn apply(&mut self, events: &[Event]) -> Vec<LiveEvent> {
        let wants_live = self.host.runtime().hub.is_followed();
        let dedupe = self.host.runtime().settings.dedupe_records_max;
        let mut live = Vec::new();
        for event in events {
            self.state.apply(event, dedupe);
            match &event.body {
                EventBody::CommandQueued(command) => self.command_changed(&command.id.clone()),
                EventBody::CommandDelivered { id } | EventBody::CommandEnded { id, .. } => self.command_changed(&id.clone()),
                EventBody::Registered { model, .. } => {
                    self.kind = self.host.runtime().kinds.of(model).clone();
                    self.registry_dirty = true;
                }
                EventBody::MetadataPatched { .. }
                | EventBody::TagsSet { .. }
                | EventBody::Moved { .. }
                | EventBody::GatewaySet { .. }
                | EventBody::StatusSet { .. } => self.registry_dirty = true,
                _ => {}
            }
            if wants_live && let Some(event) = live_event(&self.id, &self.path, &self.state, event) {
                live.push(event);
            }
        }
        live
    }

    /// A command that the core holds, or that it has let go and no row shows yet.
    pub fn command(&self, wanted: impl Fn(&Command) -> bool) -> Option<&Command> {
        let inbox = self.state.inbox.as_deref();
        let held = inbox.into_iter().flat_map(|i| i.open.iter().map(|o| &o.command).chain(i.ended.iter().rev()));
        let extras = self.extras();
        held.chain(extras.command_rows.values()).chain(extras.rows_in_flush.values()).find(|c| wanted(c))
    }

    fn command_changed(&mut self, id: &CommandId) {
        if let Some(command) = self.state.inbox.as_deref().and_then(|i| i.get(id)).cloned() {
            self.extras_mut().command_rows.insert(id.clone(), command);
        }
    }

    /// Takes what is durable in the place of what is in memory.
    pub fn reload(&mut self, loaded: Loaded) {
        let Loaded { state, commands } = loaded;
        self.durable_seq = state.seq;
        self.kind = self.host.runtime().kinds.of(&state.model).clone();
        self.state = state;
        self.suspect = false;
        // The tail reaches back to the checkpoint: whatever a flush under way has taken is among these too.
        let extras = self.extras_mut();
        extras.command_rows = commands;
        extras.rows_in_flush = BTreeMap::new();
        // Whatever asked for it, this was it.
        extras.restart_due = false;
        self.registry_dirty = self.state.registered;
        self.passed_on = None;
    }

    /// The link is gone or replaced; what it was handed is remembered.
    pub fn unlink(&mut self) -> Option<Box<Linked>> {
        let mut old = self.linked.take()?;
        for id in std::mem::take(&mut old.handed) {
            if !self.extras().handed_before.contains(&id) {
                self.extras_mut().handed_before.push(id);
            }
        }
        Some(old)
    }

    /// Hands down what is due: desired state first, then commands in order, as many as may be in flight.
    pub fn pump(&mut self) {
        let now = self.host.runtime().clock.now();
        let Some(linked) = self.linked.as_mut().filter(|l| l.ready) else { return };
        let subscriptions = self.state.connection.subscriptions;
        // Nothing goes down that is not durable; the commit under way comes back here.
        let is_durable = self.durable_seq >= self.state.seq;
        if subscriptions.desired.is_some() && linked.desired_due && is_durable {
            let document = desired_document(&self.state);
            let message = Downlink::Desired { document, version: self.state.desired_version, full: true };
            match linked.link.deliver(&self.id, message) {
                Ok(()) => linked.desired_due = false,
                Err(_) => return,
            }
        }
        let Some(inbox) = self.state.inbox.as_deref().filter(|_| subscriptions.commands.is_some()) else { return };
        if let Some(extras) = self.extras.as_deref_mut() {
            extras.handed_before.retain(|id| inbox.open.iter().any(|o| o.command.id == *id));
        }
        let handed_before = self.extras.as_deref().map_or(&[][..], |e| &e.handed_before);
        linked.handed.retain(|id| inbox.open.iter().any(|o| o.command.id == *id));
        for open in &inbox.open {
            if linked.handed.len() >= INBOX_IN_FLIGHT_MAX {
                break;
            }
            let c = &open.command;
            if open.seq > self.durable_seq || c.expires_at <= now || linked.handed.contains(&c.id) {
                continue;
            }
            let message = Downlink::Command {
                id: c.id.clone(),
                name: c.name.clone(),
                payload: c.payload.clone(),
                expires_at: c.expires_at,
                redelivery: c.deliveries > 0 || handed_before.contains(&c.id),
            };
            match linked.link.deliver(&self.id, message) {
                Ok(()) => linked.handed.push(c.id.clone()),
                Err(LinkError::Full | LinkError::Closed) => break,
            }
        }
    }

    /// A change of desired properties, durable now, on its way down.
    pub fn desired_changed(&mut self, patch: Map, version: u64) {
        let Some(linked) = self.linked.as_mut() else { return };
        if self.state.connection.subscriptions.desired.is_none() {
            return;
        }
        if !linked.ready || linked.desired_due {
            linked.desired_due = true;
            return;
        }
        let mut document = patch;
        document.insert("$version".into(), hierarchy_models::Value::Int(version as i64));
        if linked.link.deliver(&self.id, Downlink::Desired { document, version, full: false }).is_err() {
            linked.desired_due = true;
        }
    }
}

/// The row the registry keeps of a twin.
pub fn registry_row(id: &TwinId, state: &TwinState) -> RegistryRow {
    RegistryRow {
        id: id.clone(),
        model: state.model.clone(),
        parent: state.parent.clone(),
        gateway: state.gateway.clone(),
        status: state.status,
        metadata: state.metadata.clone(),
        tags: state.tags.clone(),
        created_at: state.created_at,
        seq: state.seq,
    }
}

/// A store's failure as whoever asked sees it.
pub fn store_problem(error: &Error) -> Problem {
    Problem::Call(TwinError::Store(error.clone()))
}

/// The same for a device.
fn refusal_of(error: &TwinError) -> Refusal {
    match error {
        TwinError::Store(Error::Full { .. }) => Refusal::StoreFull,
        TwinError::NoSuchTwin(_) => Refusal::NotAuthorized { reason: "there is no such twin".into() },
        TwinError::Limit { limit, detail } => Refusal::Quota { limit, detail: detail.clone() },
        TwinError::Invalid { reason, .. } => Refusal::Invalid { reason: reason.clone() },
        _ => Refusal::StoreUnavailable,
    }
}

/// A call's problem as a device sees it.
pub fn refusal_of_problem(problem: Problem) -> Refusal {
    match problem {
        Problem::Device(refusal) => refusal,
        Problem::Call(error) => refusal_of(&error),
        Problem::Returned(_) => Refusal::StoreUnavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_twin_with_ten_values_fits_its_budget() {
        let mut state = TwinState::blank();
        let values: Vec<_> = (0..10).map(|n| (format!("value-{n}").into(), hierarchy_models::Value::Float(1.0))).collect();
        state.telemetry.put_all(&values, Timestamp::EPOCH, Timestamp::EPOCH);
        let bytes = size_of::<Body>() + state.heap_bytes();
        assert!(bytes <= 1_000, "{bytes} bytes");
    }
}
