//! A thread that twins live on: its lane into the journal, its list of changed twins, its tick.

use std::{
    cell::RefCell,
    collections::HashMap,
    rc::Rc,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix::Actor;
use hierarchy_models::{Command, Timestamp, TwinId, event::DisconnectReason, rollup::Aggregate, tree::Path};
use persistence::{Projection, RegistryRow, Snapshot};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::{
    actor::{Stop, TwinActor},
    body::{Body, SharedBody, registry_row},
    device::{CloseReason, Downlink},
    directory::{Handle, TwinRef},
    envelope::{Ask, Envelope},
    lane::Lane,
    runtime::Runtime,
    twin::{TwinState, decide::Input},
};

/// Jobs waiting for one host.
const JOBS_MAX: usize = 1_024;
/// Twins whose snapshots are made before others get a turn on the thread.
const SNAPSHOTS_AT_ONCE: usize = 128;

type Job = Box<dyn FnOnce(&Rc<Host>) + Send>;

/// The way to a host from any thread.
#[derive(Clone)]
pub struct HostHandle {
    pub id: usize,
    jobs: mpsc::Sender<Job>,
    pub figures: Arc<HostFigures>,
}

/// What a host tells about itself, read from other threads.
#[derive(Default)]
pub struct HostFigures {
    pub twins: AtomicU64,
    pub connected: AtomicU64,
    pub memory_bytes: AtomicU64,
}

impl HostHandle {
    /// Runs `job` on the host's thread; `false` when the thread is gone.
    pub async fn run(&self, job: impl FnOnce(&Rc<Host>) + Send + 'static) -> bool {
        self.jobs.send(Box::new(job)).await.is_ok()
    }

    /// Runs an asynchronous job there and brings its result back.
    pub async fn call<T, F>(&self, job: impl FnOnce(Rc<Host>) -> F + Send + 'static) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + 'static,
    {
        let (tell, told) = oneshot::channel();
        let sent = self.run(move |host| {
            let future = job(host.clone());
            actix_rt::spawn(async move {
                let _ = tell.send(future.await);
            });
        });
        if sent.await { told.await.ok() } else { None }
    }
}

/// What one host's changed twins come to, for one flush.
#[derive(Default)]
pub struct Collected {
    pub snapshots: Vec<Snapshot>,
    pub registry: Vec<RegistryRow>,
    pub commands: Vec<(TwinId, Command)>,
}

pub struct Host {
    pub id: usize,
    runtime: Arc<Runtime>,
    pub lane: Rc<Lane>,
    pub dirty: RefCell<Vec<SharedBody>>,
    pub rollup_dirty: RefCell<Vec<SharedBody>>,
    /// What the flush under way took; changed again if it fails.
    in_flush: RefCell<Vec<SharedBody>>,
    twins: RefCell<HashMap<TwinId, SharedBody>>,
    figures: Arc<HostFigures>,
}

thread_local! {
    static HERE: RefCell<Option<Rc<Host>>> = const { RefCell::new(None) };
}

impl Host {
    /// The host of this thread.
    pub fn here() -> Option<Rc<Self>> {
        HERE.with(|here| here.borrow().clone())
    }

    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// Makes this thread a host and starts its background tasks on its `LocalSet`.
    pub fn join(runtime: &Arc<Runtime>) -> HostHandle {
        if let Some(host) = Self::here()
            && Arc::ptr_eq(&host.runtime, runtime)
        {
            return runtime.hosts.read()[host.id].clone();
        }
        let (jobs, mut inbox) = mpsc::channel::<Job>(JOBS_MAX);
        let figures = Arc::<HostFigures>::default();
        let (host, handle) = {
            let mut hosts = runtime.hosts.write();
            let host = Rc::new(Self {
                id: hosts.len(),
                runtime: runtime.clone(),
                lane: Lane::new(runtime.store.clone()),
                dirty: RefCell::default(),
                rollup_dirty: RefCell::default(),
                in_flush: RefCell::default(),
                twins: RefCell::default(),
                figures: figures.clone(),
            });
            let handle = HostHandle { id: host.id, jobs, figures };
            hosts.push(handle.clone());
            (host, handle)
        };
        HERE.with(|here| *here.borrow_mut() = Some(host.clone()));
        let worker = host.clone();
        actix_rt::spawn(async move {
            while let Some(job) = inbox.recv().await {
                job(&worker);
            }
        });
        actix_rt::spawn(Self::tick_for_ever(Rc::downgrade(&host), Arc::downgrade(runtime), runtime.settings.rollup_tick));
        handle
    }

    async fn tick_for_ever(host: std::rc::Weak<Self>, runtime: Weak<Runtime>, every: Duration) {
        let mut ticks = tokio::time::interval(every.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match (host.upgrade(), runtime.upgrade()) {
                (Some(host), Some(_)) => host.tick().await,
                _ => return,
            }
        }
    }

    /// Starts the actor of a twin on this thread.
    pub fn start(self: &Rc<Self>, id: TwinId, path: Path, state: TwinState, below: Aggregate) -> TwinRef {
        let now = self.runtime.clock.now();
        let kind = self.runtime.kinds.of(&state.model).clone();
        let durable_seq = state.seq;
        let passed_on = None;
        let body = Rc::new(RefCell::new(Body {
            id: id.clone(),
            path,
            below,
            kind,
            host: self.clone(),
            addr: None,
            linked: None,
            durable_seq,
            pending: 0,
            last_used: now,
            suspect: false,
            leaving: false,
            dirty: false,
            registry_dirty: false,
            command_rows: Default::default(),
            rows_in_flush: Default::default(),
            rollup_dirty: false,
            passed_on,
            waiters: Vec::new(),
            child_restarts: Default::default(),
            wake_registered: state.wake_at(),
            state,
        }));
        let addr = TwinActor::new(body.clone()).start();
        body.borrow_mut().addr = Some(addr.clone());
        if let Some(end) = self.lost_connection(&body.borrow().state) {
            // First in its mailbox: nobody else has the address yet.
            addr.do_send(Envelope::tell(Ask::Core(end)));
        }
        self.twins.borrow_mut().insert(id.clone(), body);
        Arc::new(Handle { id, host: self.id, addr, permits: Semaphore::new(self.runtime.settings.mailbox_max) })
    }

    /// A twin that starts has no link. One that was connected when it was written lost its connection with the process
    /// before this one, or is being taken over from another thread of this one.
    fn lost_connection(&self, state: &TwinState) -> Option<Input> {
        let connection = &state.connection;
        let ours = connection.session > self.runtime.first_session;
        let reason = if ours { DisconnectReason::TakenOver } else { DisconnectReason::Unknown };
        connection.connected.then_some(Input::Disconnect { session: connection.session, reason, will: None, expiry_seconds: None })
    }

    /// Once a tick: changed figures go up, a broken store is asked how it is.
    pub async fn tick(self: &Rc<Self>) {
        self.lane.probe().await;
        let changed = std::mem::take(&mut *self.rollup_dirty.borrow_mut());
        for body in changed {
            self.pass_on(&body);
        }
    }

    fn pass_on(self: &Rc<Self>, body: &SharedBody) {
        let (id, parent, contribution, live) = {
            let mut b = body.borrow_mut();
            b.rollup_dirty = false;
            // What has left speaks from its new place, or from its row.
            if !b.state.registered || b.leaving {
                return;
            }
            let contribution = b.contribution();
            if b.passed_on.as_ref() == Some(&contribution) {
                return;
            }
            b.passed_on = Some(contribution.clone());
            let live = (!b.below.is_empty() && self.runtime.hub.is_followed()).then(|| crate::rollups::live_rollup(&b));
            (b.id.clone(), b.state.parent.clone(), contribution, live)
        };
        if let Some(event) = live {
            self.runtime.hub.publish(vec![event]);
        }
        if let Some(parent) = parent {
            crate::rollups::send_up(&self.runtime, parent, id, contribution, Rc::downgrade(body));
        }
    }

    /// Connections that twins here hold.
    pub fn links(&self) -> usize {
        self.twins.borrow().values().filter(|b| b.borrow().linked.is_some()).count()
    }

    fn bodies(&self) -> Vec<SharedBody> {
        self.twins.borrow().values().cloned().collect()
    }

    fn body_of(&self, id: &TwinId) -> Option<SharedBody> {
        self.twins.borrow().get(id).cloned()
    }

    /// Once a second or so: counts, marks the stale, and says who may leave (idle longest first).
    pub fn survey(&self, now: Timestamp, stale_sweep: bool) -> Vec<(Timestamp, TwinId, usize)> {
        let stale_after = self.runtime.settings.stale_after;
        let (mut memory, mut connected, mut idle) = (0usize, 0u64, Vec::new());
        let bodies = self.bodies();
        for body in &bodies {
            let mut b = body.borrow_mut();
            let bytes = b.memory_bytes();
            memory += bytes;
            connected += u64::from(b.state.connection.connected);
            if b.is_idle() {
                idle.push((b.last_used, b.id.clone(), bytes));
            }
            if stale_sweep && !b.below.is_empty() && b.below.sweep(stale_after, now) {
                drop(b);
                crate::actor::mark_rollup(body);
            }
        }
        self.figures.twins.store(bodies.len() as u64, Ordering::Relaxed);
        self.figures.connected.store(connected, Ordering::Relaxed);
        self.figures.memory_bytes.store(memory as u64, Ordering::Relaxed);
        idle
    }

    /// Snapshots of everything that changed, all of it durable; `None` when a commit failed meanwhile and the flush must
    /// not move the checkpoint.
    pub async fn collect(self: Rc<Self>) -> Option<Collected> {
        let failures = self.lane.failures();
        let changed = std::mem::take(&mut *self.dirty.borrow_mut());
        let mut out = Collected::default();
        let mut suspect = false;
        for chunk in changed.chunks(SNAPSHOTS_AT_ONCE) {
            for body in chunk {
                suspect |= body.borrow().suspect;
                take_rows(body, &mut out);
            }
            tokio::task::yield_now().await;
        }
        if let Some(body) = changed.first() {
            self.lane.barrier(body).await;
        }
        *self.in_flush.borrow_mut() = changed;
        if suspect || self.lane.failures() != failures {
            // What was gathered may rest on what is lost; and who is suspect has durable events that no row shows yet.
            self.flushed(false);
            return None;
        }
        Some(out)
    }

    /// The flush that [`Self::collect`] was for is over.
    pub fn flushed(&self, written: bool) {
        let changed = std::mem::take(&mut *self.in_flush.borrow_mut());
        for body in changed {
            if written {
                body.borrow_mut().rows_in_flush.clear();
                continue;
            }
            self.again(&body);
        }
    }

    /// What was taken of a twin for a flush is to be written the next time.
    fn again(&self, body: &SharedBody) {
        let mut b = body.borrow_mut();
        b.registry_dirty = true;
        let taken = std::mem::take(&mut b.rows_in_flush);
        let newer = std::mem::take(&mut b.command_rows);
        b.command_rows = taken.into_iter().chain(newer).collect();
        if !b.dirty {
            b.dirty = true;
            self.dirty.borrow_mut().push(body.clone());
        }
    }

    /// Sends a twin out of memory: writes it, stops its actor, frees its entry. `false` when it has to stay.
    pub async fn evict(self: Rc<Self>, twin: TwinRef) -> bool {
        let directory = &self.runtime.directory;
        let Some(gate) = directory.begin_move(&twin) else { return false };
        let stay = |body: &SharedBody| {
            body.borrow_mut().leaving = false;
            directory.settle(&twin.id, &gate, Some(twin.clone()));
            false
        };
        let Some(body) = self.body_of(&twin.id) else {
            directory.settle(&twin.id, &gate, None);
            return true;
        };
        self.pass_on(&body);
        body.borrow_mut().leaving = true;
        let _shared = self.runtime.rows.read().await;
        while body.borrow().pending > 0 {
            self.lane.barrier(&body).await;
        }
        if body.borrow().suspect {
            return stay(&body);
        }
        if body.borrow().dirty {
            let mut rows = Collected::default();
            take_rows(&body, &mut rows);
            let Collected { snapshots, registry, commands } = rows;
            let projection = Projection { snapshots, registry, commands, ..Projection::default() };
            if let Err(error) = self.runtime.store.project(projection).await {
                tracing::warn!(twin = %twin.id, %error, "the twin cannot be written and stays in memory");
                self.again(&body);
                return stay(&body);
            }
        }
        if let Some(linked) = body.borrow_mut().linked.take() {
            let _ = linked.link.deliver(&twin.id, Downlink::Close(CloseReason::TakenOver));
        }
        twin.addr.do_send(Stop);
        // The actor and its body know each other: let go.
        body.borrow_mut().addr = None;
        self.twins.borrow_mut().remove(&twin.id);
        directory.settle(&twin.id, &gate, None);
        true
    }

    /// Forgets a twin that is unregistered.
    pub fn forget(&self, twin: &TwinRef) {
        if let Some(body) = self.twins.borrow_mut().remove(&twin.id) {
            let mut b = body.borrow_mut();
            b.leaving = true;
            b.dirty = false;
            b.addr = None;
        }
        twin.addr.do_send(Stop);
    }
}

/// Moves what a flush must write of a changed twin into `out`.
fn take_rows(body: &SharedBody, out: &mut Collected) {
    let mut b = body.borrow_mut();
    if !b.dirty || b.suspect {
        return;
    }
    b.dirty = false;
    if b.state.registered {
        out.snapshots.push(b.snapshot());
        if std::mem::take(&mut b.registry_dirty) {
            out.registry.push(registry_row(&b.id, &b.state));
        }
    }
    let id = b.id.clone();
    let rows = std::mem::take(&mut b.command_rows);
    out.commands.extend(rows.values().map(|c| (id.clone(), c.clone())));
    b.rows_in_flush.extend(rows);
}
