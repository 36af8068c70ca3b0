//! The parts of the runtime and how they find each other: directory, hosts, store, hub, wakes.
//!
//! [`Runtime::ask`] is the one way to a twin: it finds it, or starts it from its snapshot, and asks again when it moved.

use std::{
    collections::HashMap,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use hierarchy_models::{
    CommandId, TwinId,
    rollup::{Aggregate, Asking, Asks},
    supervision::{RestartWindow, Verdict},
    tree::Path,
};
use parking_lot::{Mutex, RwLock};
use persistence::Store;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard, RwLock as AsyncRwLock};

use crate::{
    alerts::Alerts,
    audit::AuditLog,
    body::{Body, SharedBody},
    claim::Claim,
    clock::Clock,
    directory::{Directory, Found, TwinRef},
    envelope::{Answer, Ask, Envelope, Problem},
    error::TwinError,
    host::{Host, HostHandle},
    hub::Hub,
    identity::Identities,
    intake::Intake,
    jobs::Jobs,
    kind::Kinds,
    loaded::Loaded,
    models::Models,
    outbox::OnTheWay,
    quotas::Quotas,
    rollups,
    rules::{RuleBook, webhooks::Webhooks},
    settings::Settings,
    twin::TwinState,
    wakes::Wakes,
};

/// Where a twin should live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On this thread, with its device's socket; moved here when it lives elsewhere.
    Here,
    /// On this thread, unless it is linked to a socket on another.
    Near,
    /// Where it is, or anywhere.
    Any,
}

const IDENTITY_LOCKS: usize = 64;
/// Twins whose restarts the runtime counts itself; beyond it the counts start anew.
const ORPHANS_MAX: usize = 10_000;
/// How long a parent may take to judge a child's failure before the runtime does.
const VERDICT_WAIT: Duration = Duration::from_secs(1);

pub struct Runtime {
    pub store: Arc<dyn Store>,
    /// [`Store::commits_may_wait`].
    pub keeps_durable: bool,
    pub identities: Identities,
    pub settings: Settings,
    pub clock: Arc<dyn Clock>,
    pub kinds: Kinds,
    pub models: Models,
    pub directory: Directory,
    pub hosts: RwLock<Vec<HostHandle>>,
    pub hub: Arc<Hub>,
    pub wakes: Wakes,
    pub intake: Intake,
    pub on_the_way: OnTheWay,
    pub alerts: Alerts,
    pub audit: Arc<AuditLog>,
    pub rules: RuleBook,
    pub jobs: Jobs,
    pub quotas: Quotas,
    pub webhooks: Webhooks,
    /// Registrations share it; moves and removals, which could close loops or orphan twins, have it alone.
    pub tree: AsyncRwLock<()>,
    /// One at a time for each stripe of ids: whoever changes an identity reads it first, and nobody in between.
    identity_locks: Vec<AsyncMutex<()>>,
    /// Commands that a twin had handed down when it moved, and that are to be marked when they come again.
    pub handed: Mutex<HashMap<TwinId, Vec<CommandId>>>,
    /// A flush has it alone; whoever else writes a twin's rows shares it. So no row that a flush gathered earlier lands
    /// on top of a newer one, and no twin leaves memory while its snapshot is under way.
    pub rows: AsyncRwLock<()>,
    pub stopping: AtomicBool,
    /// Sessions of this process have higher numbers.
    pub first_session: u64,
    pub sessions: AtomicU64,
    /// Restarts of twins whose parent is not in memory.
    orphans: Mutex<HashMap<TwinId, RestartWindow>>,
}

impl Runtime {
    pub fn new(store: Arc<dyn Store>, identities: Identities, settings: Settings, clock: Arc<dyn Clock>, kinds: Kinds) -> Arc<Self> {
        let models = Models::new(settings.undefined_extensions);
        let epoch = format!("{:x}", clock.now().as_millis());
        let hub = Hub::new(epoch, settings.live_replay_events_max, settings.live_queue_events_max, settings.live_readers_max);
        // Session numbers of different runs of the program must not meet: the clock leads, 2^20 a millisecond.
        let first_session = (clock.now().as_millis().max(0) as u64) << 20;
        Arc::new(Self {
            keeps_durable: store.commits_may_wait(),
            store,
            audit: Arc::new(AuditLog::new(clock.clone())),
            identities,
            clock,
            kinds,
            models,
            directory: Directory::default(),
            hosts: RwLock::default(),
            hub,
            wakes: Wakes::default(),
            intake: Intake::default(),
            on_the_way: OnTheWay::default(),
            alerts: Alerts::default(),
            rules: RuleBook::default(),
            jobs: Jobs::default(),
            quotas: Quotas::new(&settings.quotas),
            webhooks: Webhooks::default(),
            tree: AsyncRwLock::default(),
            identity_locks: (0..IDENTITY_LOCKS).map(|_| AsyncMutex::default()).collect(),
            handed: Mutex::default(),
            rows: AsyncRwLock::default(),
            stopping: AtomicBool::new(false),
            first_session,
            sessions: AtomicU64::new(first_session),
            orphans: Mutex::default(),
            settings,
        })
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    pub fn next_session(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Held while a twin is registered or removed, or its identity is changed.
    pub async fn identity_lock(&self, id: &TwinId) -> MutexGuard<'_, ()> {
        self.identity_locks[usize::from(persistence::shard_of(id)) % IDENTITY_LOCKS].lock().await
    }

    fn host_for(self: &Arc<Self>, id: &TwinId, place: Place) -> Result<HostHandle, TwinError> {
        let hosts = self.hosts.read();
        let here = match place {
            Place::Here | Place::Near => Host::of(self).map(|h| h.id),
            Place::Any => None,
        };
        let index = here.map_or_else(|| usize::from(persistence::shard_of(id)) % hosts.len().max(1), |here| here as usize);
        hosts.get(index).cloned().ok_or(TwinError::Stopping)
    }

    /// The twin's address, started from its snapshot when it is not in memory.
    pub async fn resolve(self: &Arc<Self>, id: &TwinId, place: Place) -> Result<TwinRef, TwinError> {
        self.resolve_asked(id, place, None).await
    }

    /// The same, `asked` being what its parent asks of it, if that is known.
    async fn resolve_asked(self: &Arc<Self>, id: &TwinId, place: Place, asked: Option<&Arc<Asks>>) -> Result<TwinRef, TwinError> {
        loop {
            if self.is_stopping() {
                return Err(TwinError::Stopping);
            }
            match self.directory.claim(id) {
                Found::Resident(twin) => {
                    let may_move = match place {
                        Place::Here => true,
                        Place::Near => !self.is_linked(twin),
                        Place::Any => false,
                    };
                    let here = Host::of(self).filter(|here| may_move && here.id != twin.host);
                    return match here {
                        // One that has to stay where it is serves its device from there.
                        Some(here) => Ok(self.move_to(id, twin, here.id, place == Place::Near).await.unwrap_or(twin)),
                        None => Ok(twin),
                    };
                }
                Found::Moving(gate) => {
                    // Closed when the move is over; nothing else ever ends the wait.
                    let _ = gate.acquire().await;
                }
                Found::Vacant(gate) => {
                    // In a box: nearly every caller finds its twin in memory, and carries the room for this for nothing.
                    return Box::pin(self.wake(Claim::new(self, id, gate), place, asked)).await;
                }
            }
        }
    }

    /// Starts a twin from its snapshot, with what is below it.
    async fn wake(self: &Arc<Self>, claim: Claim, place: Place, asked: Option<&Arc<Asks>>) -> Result<TwinRef, TwinError> {
        // Without a snapshot it is not registered: what the journal had of it was written by the recovery.
        let Some(origin) = self.store.origin(&claim.id).await? else { return Err(TwinError::NoSuchTwin(claim.id.clone())) };
        let state = TwinState::from_bytes(&origin.snapshot.state)?;
        let asking = rollups::asking_of(self, &state, asked);
        let below = rollups::gather(self, &claim.id, origin.children, asking.down()).await?;
        self.start(claim, place, origin.path, state, below, asking).await
    }

    /// Starts the actor of a twin that does not exist yet. One that is resident is given back as it is: it refuses a
    /// second registration itself, and may be the shell of a twin that was just removed.
    pub async fn create(self: &Arc<Self>, id: &TwinId, path: Path) -> Result<TwinRef, TwinError> {
        loop {
            match self.directory.claim(id) {
                Found::Resident(twin) => return Ok(twin),
                Found::Moving(gate) => {
                    let _ = gate.acquire().await;
                }
                Found::Vacant(gate) => {
                    let claim = Claim::new(self, id, gate);
                    if self.store.entry(id).await?.is_some() {
                        return Err(TwinError::AlreadyRegistered(id.clone()));
                    }
                    return self.start(claim, Place::Any, path, TwinState::blank(), Aggregate::default(), Asking::default()).await;
                }
            }
        }
    }

    /// Starts the actor. The host settles the claim, so that a caller that goes away half way leaves no second actor behind.
    async fn start(
        self: &Arc<Self>,
        claim: Claim,
        place: Place,
        path: Path,
        state: TwinState,
        below: Aggregate,
        asking: Asking,
    ) -> Result<TwinRef, TwinError> {
        let host = self.host_for(&claim.id, place)?;
        metrics::counter!("twinfold_twins_activated_total").increment(1);
        let start = move |host: &Rc<Host>| {
            let twin = host.start(claim.id.clone(), path, state, below, asking);
            claim.settle(twin)
        };
        if let Some(here) = Host::of(self).filter(|h| h.id == host.id) {
            return Ok(start(&here));
        }
        host.call(move |host| async move { start(&host) }).await.ok_or(TwinError::Stopping)
    }

    /// Sends a twin out of memory; `false` when it has to stay.
    pub async fn evict(&self, id: &TwinId, twin: TwinRef, only_idle: bool) -> bool {
        let Some(host) = self.host_of(twin) else { return false };
        let id = id.clone();
        host.call(move |host| host.evict(id, twin, only_idle)).await.unwrap_or(false)
    }

    async fn move_to(&self, id: &TwinId, twin: TwinRef, to: u32, only_unlinked: bool) -> Option<TwinRef> {
        let (from, to) = (self.host_of(twin)?, self.hosts.read().get(to as usize).cloned()?);
        let id = id.clone();
        from.call(move |host| host.move_to(id, twin, to, only_unlinked)).await.flatten()
    }

    pub fn host_of(&self, twin: TwinRef) -> Option<HostHandle> {
        self.hosts.read().get(twin.host as usize).cloned()
    }

    /// Gives a twin a letter: at once when it lives on this thread, else through its thread's door.
    pub fn post(self: &Arc<Self>, twin: TwinRef, envelope: Envelope) {
        match self.here(twin) {
            Some(host) => host.deliver(twin.seat, envelope),
            None => match self.hosts.read().get(twin.host as usize) {
                Some(host) => host.carry(twin.seat, envelope),
                None => drop(envelope),
            },
        }
    }

    /// Looks at a resident twin from any thread, without a letter. `None` when it is not in memory, or when something of it is
    /// not durable yet: then it must be asked.
    pub fn glance<T>(&self, id: &TwinId, look: impl FnOnce(&SharedBody, &Body) -> T) -> Option<T> {
        let body = self.resident(id)?;
        let b = body.look();
        b.is_settled().then(|| look(&body, &b))
    }

    fn resident(&self, id: &TwinId) -> Option<SharedBody> {
        let twin = self.directory.peek(id).filter(|_| !self.is_stopping())?;
        self.hosts.read().get(twin.host as usize)?.body_at(twin.seat)
    }

    /// The same at what is durable of a twin that has something on its way to a store far away; `None` when nobody kept it.
    pub fn glance_behind<T>(&self, id: &TwinId, look: impl FnOnce(&Body, &TwinState) -> T) -> Option<T> {
        let body = self.resident(id)?;
        let b = body.look();
        b.durable().map(|durable| look(&b, durable))
    }

    /// Has a twin tell its parent again what it comes to. One that is not in memory has written that beside its snapshot; one on
    /// its way to another thread says it there.
    pub fn say_again(self: &Arc<Self>, child: &TwinId) {
        if let Some(twin) = self.directory.peek(child).filter(|_| !self.is_stopping()) {
            self.post(twin, Envelope::tell(Ask::PassOn));
        }
    }

    fn is_linked(&self, twin: TwinRef) -> bool {
        let body = self.hosts.read().get(twin.host as usize).and_then(|host| host.body_at(twin.seat));
        body.is_some_and(|body| body.look().linked.is_some())
    }

    /// This thread, when the twin lives on it.
    pub fn here(self: &Arc<Self>, twin: TwinRef) -> Option<Rc<Host>> {
        Host::of(self).filter(|host| host.id == twin.host)
    }

    /// Asks a twin at a known address.
    pub async fn ask_at(self: &Arc<Self>, twin: TwinRef, ask: Ask) -> Result<Answer, Problem> {
        let (envelope, answer) = Envelope::new(ask);
        self.post(twin, envelope);
        answer.await.unwrap_or(Err(Problem::Call(TwinError::Overloaded)))
    }

    /// What is durable of a twin: its snapshot and the turns after it; a blank one when there is neither.
    pub async fn load(&self, id: &TwinId) -> Result<Loaded, persistence::Error> {
        // The tail first: a flush in between may move events from it into the snapshot, never the other way.
        let tail = self.store.tail(id).await?;
        let snapshot = self.store.snapshot(id).await?;
        let state = match snapshot {
            Some(snapshot) => TwinState::from_bytes(&snapshot.state)?,
            None => TwinState::blank(),
        };
        let mut loaded = Loaded::new(state);
        for turn in &tail {
            loaded.take(id, &turn.events, self.settings.dedupe_records_max);
        }
        Ok(loaded)
    }

    /// Asks a twin, wherever it is.
    pub async fn ask(self: &Arc<Self>, id: &TwinId, ask: Ask) -> Result<Answer, Problem> {
        let mut ask = ask;
        loop {
            // One that starts for this question starts with it, and gathers only once.
            let asked = if let Ask::Contribute { asks, .. } = &ask { asks.clone() } else { None };
            let twin = self.resolve_asked(id, Place::Any, asked.as_ref()).await?;
            match self.ask_at(twin, ask).await {
                Err(Problem::Returned(again)) => ask = *again,
                reply => return reply,
            }
        }
    }

    /// The parent's word on a child's failure; the runtime's own when there is none to ask.
    pub async fn verdict(self: &Arc<Self>, id: &TwinId, parent: Option<&TwinId>) -> Verdict {
        // A parent that is not in memory is not started for this: it could be waiting for this very child.
        if let Some(parent) = parent.and_then(|p| self.directory.peek(p)) {
            let asked = tokio::time::timeout(VERDICT_WAIT, self.ask_at(parent, Ask::ChildFailed(id.clone()))).await;
            if let Ok(Ok(Answer::Verdict(verdict))) = asked {
                return verdict;
            }
        }
        let mut orphans = self.orphans.lock();
        if orphans.len() >= ORPHANS_MAX {
            orphans.clear();
        }
        orphans.entry(id.clone()).or_default().failed(&self.settings.restart, self.clock.now())
    }
}

pub fn new_command_id() -> CommandId {
    CommandId::new(uuid::Uuid::now_v7().simple().to_string()).expect("32 hexadecimal digits are a command id")
}
