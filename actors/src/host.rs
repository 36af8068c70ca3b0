//! A thread that twins live on: its lane into the journal, its list of changed twins, its tick.

mod leaving;
mod rows;

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
use hierarchy_models::{Timestamp, TwinId, event::DisconnectReason, rollup::Aggregate, tree::Path};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::{
    actor::TwinActor,
    body::{Body, SharedBody},
    completion::Completion,
    directory::{Handle, TwinRef},
    envelope::{Ask, Envelope},
    lane::Lane,
    runtime::Runtime,
    twin::{TwinState, decide::Input},
};

/// Twins looked at before others get a turn on the thread.
const SURVEYED_AT_ONCE: usize = 512;
/// Jobs waiting for one host.
const JOBS_MAX: usize = 1_024;

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
    /// Turns on their way to the journal.
    pub lane_turns: AtomicU64,
    /// Callers waiting for a command's end.
    pub waiters: AtomicU64,
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
            below: (!below.is_empty()).then(|| Box::new(below)),
            kind,
            host: self.clone(),
            addr: None,
            linked: None,
            handed_before: self.runtime.handed.lock().remove(&id).unwrap_or_default(),
            durable_seq,
            pending: 0,
            last_used: now,
            suspect: false,
            falling: false,
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

    /// Tells the parent what a changed twin comes to, once all of it is durable.
    fn pass_on(self: &Rc<Self>, body: &SharedBody) {
        let (id, parent, contribution, live) = {
            let mut b = body.borrow_mut();
            b.rollup_dirty = false;
            // What has left speaks from its new place, or from its row; what is suspect, once it was read back.
            if !b.state.registered || b.leaving || b.suspect {
                return;
            }
            let contribution = b.contribution();
            let fingerprint = Some(contribution.fingerprint());
            if b.passed_on == fingerprint {
                return;
            }
            b.passed_on = fingerprint;
            let live = (b.below.is_some() && self.runtime.hub.is_followed()).then(|| crate::rollups::live_rollup(&b));
            (b.id.clone(), b.state.parent.clone(), contribution, live)
        };
        let said = Completion::new(body).passing_on(parent, contribution, live);
        if body.borrow().pending == 1 {
            said.committed();
        } else {
            self.lane.push(&id, &[], said);
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

    /// Every few seconds: counts, marks the stale, and says who may leave. While memory is within its budget that is only who
    /// has been idle since `idle_since`; beyond it, all who are idle, for the longest idle to be picked.
    pub async fn survey(self: Rc<Self>, now: Timestamp, sweep: bool, idle_since: Timestamp) -> Vec<(Timestamp, TwinId, usize)> {
        let stale_after = self.runtime.settings.stale_after;
        let (mut memory, mut connected, mut waiters, mut idle) = (0usize, 0u64, 0u64, Vec::new());
        let bodies = self.bodies();
        for chunk in bodies.chunks(SURVEYED_AT_ONCE) {
            for body in chunk {
                let mut b = body.borrow_mut();
                let bytes = b.memory_bytes();
                memory += bytes;
                connected += u64::from(b.state.connection.connected);
                waiters += b.waiters.len() as u64;
                reconcile(&mut b);
                if b.last_used <= idle_since && b.is_idle() {
                    idle.push((b.last_used, b.id.clone(), bytes));
                }
                if sweep && b.below.as_mut().is_some_and(|below| below.sweep(stale_after, now)) {
                    drop(b);
                    crate::actor::mark_rollup(body);
                }
            }
            tokio::task::yield_now().await;
        }
        self.figures.twins.store(bodies.len() as u64, Ordering::Relaxed);
        self.figures.connected.store(connected, Ordering::Relaxed);
        self.figures.waiters.store(waiters, Ordering::Relaxed);
        self.figures.lane_turns.store(self.lane.waiting() as u64, Ordering::Relaxed);
        self.figures.memory_bytes.store(memory as u64, Ordering::Relaxed);
        idle
    }
}

/// A link that ended without a word (its end could not be recorded then), or that belongs to a session that never became
/// durable, is let go of, and the end is recorded.
fn reconcile(b: &mut Body) {
    if b.pending > 0 || b.suspect || b.falling || b.leaving {
        return;
    }
    if b.linked.as_ref().is_some_and(|l| l.link.is_closed() || !b.state.connection.connected) {
        b.unlink();
    }
    if b.state.connection.connected
        && b.linked.is_none()
        && let Some(addr) = &b.addr
    {
        let session = b.state.connection.session;
        let end = Input::Disconnect { session, reason: DisconnectReason::Unknown, will: None, expiry_seconds: None };
        addr.do_send(Envelope::tell(Ask::Core(end)));
    }
}
