//! One twin in memory: its core state, what is below it, its link, and what it has under way.
//!
//! Only the thread it lives on changes it: the actor (which decides) and the lane (which speaks once a commit is done). Readers
//! on other threads may look at it meanwhile, so that a GET costs no letter (`Runtime::glance`).

mod applying;
mod down;
mod durable;
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
    Command, CommandId, Timestamp, TwinId,
    model::Model,
    rollup::{Aggregate, Asking},
    supervision::RestartWindow,
    tree::Path,
};
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use persistence::{Error, RegistryRow, Snapshot};
use tokio::sync::oneshot;

use crate::{
    device::Refusal,
    envelope::{Envelope, Problem},
    error::TwinError,
    host::Host,
    kind::Kind,
    loaded::Loaded,
    rules::Hosted,
    runtime::Runtime,
    twin::{Surroundings, TwinState, snapshot::contribution_to_bytes},
};

pub use applying::Told;
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
    /// What it is asked and defines beyond what every twin folds, when that is anything.
    pub asking: Option<Box<Asking>>,
    pub kind: Arc<dyn Kind>,
    /// What values are held against; none for a model that declares nothing or is not known.
    pub model: Option<Arc<Model>>,
    /// Which models were known when that was looked up.
    models_seen: u32,
    runtime: Arc<Runtime>,
    pub linked: Option<Box<Linked>>,
    pub durable_seq: u64,
    /// As it stood at that event, while later ones are on their way to a store that may take long.
    durable: Option<Box<TwinState>>,
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
    /// Children that have not answered what is asked of them are being asked.
    pub is_asking: bool,
    /// The fingerprint of what the parent was last told.
    pub passed_on: Option<u64>,
    pub wake_registered: Option<Timestamp>,
    /// The rules that look at it, when any do.
    pub rules: Hosted,
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
    /// The fingerprint of what its behaviour was last told of its children.
    pub heard_children: Option<u64>,
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
        heard_children: None,
    };

    fn is_empty(&self) -> bool {
        self.mailbox.is_empty()
            && !self.restart_due
            && self.handed_before.is_empty()
            && self.command_rows.is_empty()
            && self.rows_in_flush.is_empty()
            && self.waiters.is_empty()
            && self.child_restarts.is_empty()
            && self.heard_children.is_none()
    }
}

impl Body {
    /// The body of a twin that starts.
    pub fn new(host: &Rc<Host>, id: TwinId, path: Path, state: TwinState, below: Aggregate, asking: Asking) -> Self {
        let runtime = host.runtime().clone();
        let (models_seen, known) = runtime.models.current();
        Self {
            id,
            revision: 0,
            path,
            below: (!below.is_empty()).then(|| Box::new(below)),
            asking: (!asking.is_nothing()).then(|| Box::new(asking)),
            kind: runtime.kinds.inherited(&state.model, &known.catalogue, state.is_place).clone(),
            model: known.checked(&state.model),
            models_seen,
            linked: None,
            durable_seq: state.seq,
            durable: None,
            pending: 0,
            last_used: AtomicI64::new(runtime.clock.now().as_millis()),
            suspect: false,
            waiting: false,
            leaving: false,
            dirty: false,
            registry_dirty: false,
            rollup_dirty: false,
            is_asking: false,
            passed_on: None,
            wake_registered: state.next_deadline(),
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

    /// What its turns see beside its own state.
    pub fn surroundings(&self) -> Surroundings<'_> {
        Surroundings { id: &self.id, path: &self.path, below: self.below() }
    }

    pub fn below(&self) -> &Aggregate {
        static NOTHING: Aggregate = Aggregate::EMPTY;
        self.below.as_deref().unwrap_or(&NOTHING)
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
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.state.next_deadline().into_iter().chain(self.rules.wake_at()).min()
    }

    /// The same, for a process that starts: at once if a command waits to be sent again.
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.state.wake_at().into_iter().chain(self.rules.wake_at()).min()
    }

    pub fn memory_bytes(&self) -> usize {
        // The body, its seat and its place in the directory, with what the allocator and the maps add.
        const FIXED: usize = size_of::<Body>() + 160;
        let below = self.below.as_ref().map_or(0, |below| size_of::<Aggregate>() + below.heap_bytes());
        // What it is asked is shared by all that are asked the same.
        let asking = self.asking.as_ref().map_or(0, |_| size_of::<Asking>());
        let durable = self.durable.as_ref().map_or(0, |durable| size_of::<TwinState>() + durable.heap_bytes());
        FIXED + durable + self.state.heap_bytes() + self.rules.heap_bytes() + below + asking
    }

    /// Whether it may leave memory. A place whose devices are not all stale stays, to notice when they fall silent.
    pub fn is_idle(&self) -> bool {
        let awaited = self.extras().waiters.iter().any(|(_, tell)| !tell.is_closed());
        let watches = self.is_asking || self.below.as_ref().is_some_and(|below| below.has_fresh_leaf());
        let at_rest = self.pending == 0 && !self.suspect && !self.waiting && !self.leaving;
        self.linked.is_none() && at_rest && !awaited && !watches && self.state.outbox().is_empty()
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
        self.durable = None;
        self.state = state;
        self.learn_model();
        self.suspect = false;
        // The tail reaches back to the checkpoint: whatever a flush under way has taken is among these too.
        let extras = self.extras_mut();
        extras.command_rows = commands;
        extras.rows_in_flush = BTreeMap::new();
        // Whatever asked for it, this was it.
        extras.restart_due = false;
        self.registry_dirty = self.state.registered;
        self.passed_on = None;
        self.redefine();
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
