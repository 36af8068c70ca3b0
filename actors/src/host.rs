//! A thread that twins live on: its lane into the journal, its list of changed twins, its tick.
//!
//! To actix a thread is one actor, the [`Door`]: letters from other threads come through its mailbox and are carried to the
//! twin's seat. Between twins, sessions and their thread there is no queue: a letter is taken at once.

mod door;
mod leaving;
mod rows;

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix::{Actor, Addr};
use hierarchy_models::{Timestamp, TwinId, event::DisconnectReason, rollup::Aggregate, tree::Path};
use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot};

use crate::{
    actor,
    body::{Body, SharedBody, TwinCell},
    completion::Completion,
    directory::TwinRef,
    envelope::{Ask, Envelope},
    lane::Lane,
    runtime::Runtime,
    seats::{Seat, Seats},
    twin::{TwinState, decide::Input},
};
use door::{Door, Letter};

/// Twins looked at before others get a turn on the thread.
const SURVEYED_AT_ONCE: usize = 512;
/// Jobs waiting for one host.
const JOBS_MAX: usize = 1_024;

type Job = Box<dyn FnOnce(&Rc<Host>) + Send>;

/// The way to a host from any thread.
#[derive(Clone)]
pub struct HostHandle {
    pub id: u32,
    jobs: mpsc::Sender<Job>,
    door: Addr<Door>,
    seats: Arc<RwLock<Seats>>,
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
    /// Carries a letter to a twin there. It comes back through its sender when the twin, or the thread, is gone. Who
    /// sends letters bounds them: each waits for its answer, or is one of a parent's children once a tick.
    pub fn carry(&self, seat: Seat, envelope: Envelope) {
        self.door.do_send(Letter { seat, envelope });
    }

    /// A twin there, to look at and not to change.
    pub fn body_at(&self, seat: Seat) -> Option<SharedBody> {
        self.seats.read().get(seat).cloned()
    }

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
    pub id: u32,
    runtime: Arc<Runtime>,
    pub lane: Rc<Lane>,
    pub dirty: RefCell<Vec<SharedBody>>,
    pub rollup_dirty: RefCell<Vec<SharedBody>>,
    /// What the flush under way took; changed again if it fails.
    in_flush: RefCell<Vec<SharedBody>>,
    seats: Arc<RwLock<Seats>>,
    figures: Arc<HostFigures>,
}

thread_local! {
    /// The hosts of this thread: one for each runtime that it has joined.
    static HERE: RefCell<Vec<Rc<Host>>> = const { RefCell::new(Vec::new()) };
}

impl Host {
    /// This thread as a home of that runtime's twins.
    pub fn of(runtime: &Arc<Runtime>) -> Option<Rc<Self>> {
        HERE.with(|here| here.borrow().iter().find(|host| Arc::ptr_eq(&host.runtime, runtime)).cloned())
    }

    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// Makes this thread a host and starts its background tasks on its `LocalSet`.
    pub fn join(runtime: &Arc<Runtime>) -> HostHandle {
        if let Some(host) = Self::of(runtime) {
            return runtime.hosts.read()[host.id as usize].clone();
        }
        let (jobs, mut inbox) = mpsc::channel::<Job>(JOBS_MAX);
        let (figures, seats) = (Arc::<HostFigures>::default(), Arc::<RwLock<Seats>>::default());
        let (host, handle) = {
            let mut hosts = runtime.hosts.write();
            let host = Rc::new(Self {
                id: hosts.len() as u32,
                runtime: runtime.clone(),
                lane: Lane::new(runtime.store.clone()),
                dirty: RefCell::default(),
                rollup_dirty: RefCell::default(),
                in_flush: RefCell::default(),
                seats: seats.clone(),
                figures: figures.clone(),
            });
            let door = Door::new(&host).start();
            let handle = HostHandle { id: host.id, jobs, door, seats, figures };
            hosts.push(handle.clone());
            (host, handle)
        };
        HERE.with(|here| here.borrow_mut().push(host.clone()));
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

    /// Gives a twin its seat on this thread.
    pub fn start(self: &Rc<Self>, id: TwinId, path: Path, state: TwinState, below: Aggregate) -> TwinRef {
        let handed = self.runtime.handed.lock().remove(&id).unwrap_or_default();
        let end = self.lost_connection(&state);
        let body = TwinCell::new(Body::new(self, id, path, state, below));
        let seat = self.seats.write().seat(body.clone());
        if !handed.is_empty() {
            body.borrow_mut().extras_mut().handed_before = handed;
        }
        self.first_letter(&body, end);
        TwinRef { host: self.id, seat }
    }

    /// Before anything else: nobody else has the address yet.
    fn first_letter(&self, body: &SharedBody, end: Option<Input>) {
        if let Some(end) = end {
            actor::receive(body, Envelope::tell(Ask::Core(end)));
        }
    }

    /// A letter for one of this thread's twins, taken now. It returns to its sender when the twin is not there.
    pub fn deliver(&self, seat: Seat, envelope: Envelope) {
        match self.body_at(seat) {
            Some(body) => actor::receive(&body, envelope),
            None => drop(envelope),
        }
    }

    fn body_at(&self, seat: Seat) -> Option<SharedBody> {
        self.seats.read().get(seat).cloned()
    }

    /// A twin that starts has no link. One that was connected when it was written lost its connection with the process
    /// before this one, or is being taken over from another thread of this one.
    pub fn lost_connection(&self, state: &TwinState) -> Option<Input> {
        let connection = &state.connection;
        let ours = connection.session > self.runtime.first_session;
        let reason = if ours { DisconnectReason::TakenOver } else { DisconnectReason::Unknown };
        connection.connected.then_some(Input::Disconnect { session: connection.session, reason, will: None, expiry_seconds: None })
    }

    /// Once a tick: changed figures go up, a broken store is asked how it is.
    pub async fn tick(self: &Rc<Self>) {
        self.lane.probe().await;
        let changed = std::mem::take(&mut *self.rollup_dirty.borrow_mut());
        let generation = self.runtime.rules.generation();
        for body in changed {
            self.pass_on(&body);
            let has_figures = generation > 0 && body.borrow().below.is_some();
            if has_figures && body.borrow().rules.watches_rollups(generation) {
                actor::receive(&body, Envelope::tell(Ask::Core(Input::Evaluate)));
            }
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
        self.seats.read().iter().filter(|b| b.borrow().linked.is_some()).count()
    }

    fn bodies(&self) -> Vec<SharedBody> {
        self.seats.read().iter().cloned().collect()
    }

    /// Every few seconds: counts, marks the stale, and says who may leave. While memory is within its budget that is only who
    /// has been idle since `idle_since`; beyond it, all who are idle, for the longest idle to be picked.
    pub async fn survey(self: Rc<Self>, now: Timestamp, sweep: bool, idle_since: Timestamp) -> Vec<(Timestamp, TwinId, usize)> {
        let stale_after = self.runtime.settings.stale_after;
        let (mut memory, mut connected, mut waiters, mut idle) = (0usize, 0u64, 0u64, Vec::new());
        let bodies = self.bodies();
        for chunk in bodies.chunks(SURVEYED_AT_ONCE) {
            for body in chunk {
                if let Some(end) = mend(body) {
                    actor::receive(body, Envelope::tell(Ask::Core(end)));
                }
                let places_others = {
                    let b = body.borrow();
                    let bytes = b.memory_bytes();
                    memory += bytes;
                    connected += u64::from(b.state.connection.connected);
                    waiters += b.extras().waiters.len() as u64;
                    if b.last_used() <= idle_since && b.is_idle() {
                        idle.push((b.last_used(), b.id.clone(), bytes));
                    }
                    b.below.is_some()
                };
                if sweep && places_others && body.borrow_mut().below.as_mut().is_some_and(|below| below.sweep(stale_after, now)) {
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
/// durable, is let go of; the end that is to be recorded. Most twins need nothing, and are only looked at: who has read them need not again.
fn mend(body: &SharedBody) -> Option<Input> {
    let (untidy, loose) = {
        let b = body.borrow();
        let at_rest = b.pending == 0 && !b.suspect && !b.waiting && !b.leaving;
        (b.is_untidy(), at_rest && has_loose_link(&b))
    };
    if !untidy && !loose {
        return None;
    }
    let mut b = body.borrow_mut();
    b.tidy();
    if !loose {
        return None;
    }
    b.unlink();
    let session = b.state.connection.session;
    let end = Input::Disconnect { session, reason: DisconnectReason::Unknown, will: None, expiry_seconds: None };
    b.state.connection.connected.then_some(end)
}

/// Whether link and state say different things of the connection.
fn has_loose_link(b: &Body) -> bool {
    match &b.linked {
        Some(linked) => linked.link.is_closed() || !b.state.connection.connected,
        None => b.state.connection.connected,
    }
}
