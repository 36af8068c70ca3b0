//! One twin in memory: its core state, what is below it, its link, and what it has under way.
//!
//! Only the thread it lives on changes it: the actor (which decides) and the lane (which speaks once a commit is done). Readers
//! on other threads may look at it meanwhile, so that a GET costs no letter (`Runtime::glance`).

mod down;
mod luggage;

use std::{
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use hierarchy_models::{
    AlertRecord, Command, CommandId, Event, EventBody, Timestamp, TwinId,
    rollup::{Aggregate, Contribution},
    supervision::RestartWindow,
    tree::Path,
};
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use persistence::{Error, RegistryRow, Snapshot};
use tokio::sync::oneshot;

use crate::{
    alerts::apply_noting,
    device::Refusal,
    envelope::{Envelope, Problem},
    error::TwinError,
    host::Host,
    kind::Kind,
    live::LiveEvent,
    loaded::Loaded,
    rules::{
        Hosted,
        webhooks::{Call, call_of},
    },
    runtime::Runtime,
    twin::{
        TwinState,
        live_events::{live_alert, live_event},
        snapshot::contribution_to_bytes,
    },
};

pub use down::Linked;
pub use luggage::Luggage;

pub type SharedBody = Arc<TwinCell>;

/// A body and its lock. Its own thread takes it for a step at a time and never waits but for a reader's glance.
pub struct TwinCell(RwLock<Body>);

impl TwinCell {
    pub fn new(body: Body) -> SharedBody {
        Arc::new(Self(RwLock::new(body)))
    }

    /// Any number at a time, also on one thread. Must not be held over an `await` or a [`Self::borrow_mut`].
    pub fn borrow(&self) -> RwLockReadGuard<'_, Body> {
        self.0.read_recursive()
    }

    /// As [`Self::borrow`], for other threads: waits behind the twin's own, which readers must not hold up, however many they are.
    pub fn look(&self) -> RwLockReadGuard<'_, Body> {
        self.0.read()
    }

    /// On the thread the twin lives on only. Whatever was seen of the twin before is old from here on, changed or not.
    pub fn borrow_mut(&self) -> RwLockWriteGuard<'_, Body> {
        let mut body = self.0.write();
        body.revision += 1;
        body
    }
}

pub struct Body {
    pub id: TwinId,
    /// Raised whenever somebody could have changed it.
    pub revision: u64,
    pub path: Path,
    pub state: TwinState,
    /// What is below it, when anything is: most twins have nothing there.
    pub below: Option<Box<Aggregate>>,
    pub kind: Arc<dyn Kind>,
    runtime: Arc<Runtime>,
    pub linked: Option<Box<Linked>>,
    pub durable_seq: u64,
    /// Completions that wait in the lane.
    pub pending: u32,
    /// Milliseconds since 1970; readers set it too.
    last_used: AtomicI64,
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
    /// The rules that look at it, when any do.
    pub rules: Hosted,
    extras: Option<Box<Extras>>,
}

/// What of a turn is to be told once it is durable.
#[derive(Default)]
pub struct Told {
    pub live: Vec<LiveEvent>,
    pub alerts: Vec<AlertRecord>,
    pub calls: Vec<Call>,
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
        let runtime = host.runtime().clone();
        Self {
            id,
            revision: 0,
            path,
            below: (!below.is_empty()).then(|| Box::new(below)),
            kind: runtime.kinds.of(&state.model).clone(),
            linked: None,
            durable_seq: state.seq,
            pending: 0,
            last_used: AtomicI64::new(runtime.clock.now().as_millis()),
            suspect: false,
            waiting: false,
            leaving: false,
            dirty: false,
            registry_dirty: false,
            rollup_dirty: false,
            passed_on: None,
            wake_registered: state.wake_at(),
            state,
            rules: Hosted::default(),
            extras: None,
            runtime,
        }
    }

    pub fn last_used(&self) -> Timestamp {
        Timestamp::from_millis_clamped(self.last_used.load(Ordering::Relaxed))
    }

    pub fn used(&self, now: Timestamp) {
        self.last_used.store(now.as_millis(), Ordering::Relaxed);
    }

    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// The thread it lives on, which must be this one.
    pub fn host(&self) -> Rc<Host> {
        Host::of(&self.runtime).expect("a twin's turns run on a thread that has joined")
    }

    /// Whether what is in memory is what is durable, and this is where the twin is.
    pub fn is_settled(&self) -> bool {
        self.pending == 0 && !self.suspect && !self.waiting && !self.leaving && self.state.registered
    }

    pub fn extras(&self) -> &Extras {
        // It owns nothing, so one serves all; a `static` would have to be shareable between threads.
        const NONE: &Extras = &Extras::NONE;
        self.extras.as_deref().unwrap_or(NONE)
    }

    pub fn extras_mut(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }

    /// Whether something empty is held.
    pub fn is_untidy(&self) -> bool {
        self.extras.as_deref().is_some_and(Extras::is_empty)
    }

    /// Lets go of what is empty.
    pub fn tidy(&mut self) {
        if self.is_untidy() {
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
            wake_at: self.wake_at(),
        }
    }

    /// When it must act without being spoken to: what its state waits for, or its rules.
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.state.wake_at().into_iter().chain(self.rules.wake_at()).min()
    }

    pub fn memory_bytes(&self) -> usize {
        // The body, its seat and its place in the directory, with what the allocator and the maps add.
        const FIXED: usize = size_of::<Body>() + 160;
        FIXED
            + self.state.heap_bytes()
            + self.rules.heap_bytes()
            + self.below.as_ref().map_or(0, |below| size_of::<Aggregate>() + below.heap_bytes())
    }

    /// Whether it may leave memory. A place whose devices are not all stale stays, to notice when they fall silent.
    pub fn is_idle(&self) -> bool {
        let awaited = self.extras().waiters.iter().any(|(_, tell)| !tell.is_closed());
        let watches = self.below.as_ref().is_some_and(|below| below.has_fresh_leaf());
        self.linked.is_none() && self.pending == 0 && !awaited && !watches && !self.suspect && !self.waiting && !self.leaving
    }

    /// Applies a turn's events; what is to be told of them.
    pub fn apply(&mut self, events: &[Event]) -> Told {
        let wants_live = self.runtime.hub.is_followed();
        let dedupe = self.runtime.settings.dedupe_records_max;
        let Told { mut live, mut alerts, mut calls } = Told::default();
        for event in events {
            let alert = apply_noting(&mut self.state, &self.id, event, dedupe);
            match &event.body {
                EventBody::CommandQueued(command) => self.command_changed(&command.id.clone()),
                EventBody::CommandDelivered { id } | EventBody::CommandEnded { id, .. } => self.command_changed(&id.clone()),
                EventBody::Registered { model, .. } => {
                    self.kind = self.runtime.kinds.of(model).clone();
                    self.registry_dirty = true;
                    self.rules = Default::default();
                }
                EventBody::MetadataPatched { .. }
                | EventBody::TagsSet { .. }
                | EventBody::Moved { .. }
                | EventBody::GatewaySet { .. }
                | EventBody::StatusSet { .. } => self.registry_dirty = true,
                EventBody::WebhookQueued { .. } => calls.extend(call_of(&self.id, event)),
                _ => {}
            }
            if wants_live {
                live.extend(match &alert {
                    Some(record) => Some(live_alert(&self.path, record, event)),
                    None => live_event(&self.id, &self.path, &self.state, event),
                });
            }
            alerts.extend(alert);
        }
        Told { live, alerts, calls }
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
        let Loaded { state, commands, alerts, calls } = loaded;
        // Those that a commit of unknown end brought are durable after all.
        self.runtime.alerts.changed(alerts.into_values().collect());
        self.runtime.webhooks.queue(calls);
        self.rules = Default::default();
        self.durable_seq = state.seq;
        self.kind = self.runtime.kinds.of(&state.model).clone();
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
