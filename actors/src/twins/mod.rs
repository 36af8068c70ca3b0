//! The runtime as everybody else sees it: one cheap handle that hides where a twin lives.

mod alerts;
mod commands;
mod jobs;
mod models;
mod places;
mod provisioning;
mod reads;
mod registry;
mod rollups;
mod rules;
mod search;
mod tree;

pub(crate) use registry::row_of;
pub use tree::TreeNode;

pub use crate::twin::TwinPatch;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use hierarchy_models::{DeviceMessage, ModelId, Name, TwinId, Value, access::Right, tree::Path, value::Map};
use persistence::{COPY_KIND, Page, Store, StoreStats};
use serde::{Deserialize, Serialize};

use crate::{
    access::{Access, Subject},
    audit::{self, AuditFilter, AuditLog, Recorded},
    background,
    body::refusal_of_problem,
    clock::Clock,
    device::{CloseReason, Connect, ConnectError, DeviceSession, Refusal},
    envelope::{Ask, Envelope, Problem},
    error::TwinError,
    host::Host,
    hub::LiveReader,
    identity::{Identities, Proof},
    kind::Kinds,
    live::LiveFilter,
    meters,
    quotas::Quotas,
    rules::webhooks,
    runtime::Runtime,
    settings::Settings,
    twin::{decide::Input, device_input::Speaker},
    view::TwinView,
};

/// What `POST /twins` asks for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Registration {
    /// Assigned when absent.
    pub id: Option<TwinId>,
    pub model: ModelId,
    pub parent: Option<TwinId>,
    pub gateway: Option<TwinId>,
    pub metadata: Map,
    pub tags: Vec<Name>,
    /// Key slots; a slot with a value is a key brought from outside, one without is derived. `primary` and `secondary`
    /// are derived when absent.
    pub keys: Option<BTreeMap<String, Option<String>>>,
}

#[derive(Debug, Clone)]
pub struct Registered {
    pub view: TwinView,
    pub keys: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
pub struct NewCommand {
    pub name: Name,
    pub payload: Value,
    pub ttl: Duration,
    pub idempotency_key: Option<Name>,
    pub sender: Name,
}

/// Figures for health and metrics.
#[derive(Debug, Clone, Serialize)]
pub struct RuntimeStats {
    pub twins_resident: u64,
    pub twins_connected: u64,
    pub memory_bytes: u64,
    #[serde(skip)]
    pub store: StoreStats,
}

/// Cheap to clone, usable from any thread that has a tokio runtime.
#[derive(Clone)]
pub struct Twins {
    pub(crate) runtime: Arc<Runtime>,
    acting: Option<Arc<Subject>>,
}

/// Says that a thread has joined; twins live there for as long as the thread does.
pub struct HostGuard(());

/// What a store far away does not answer is asked again for so long: nobody else serves by then.
const START_PATIENCE: Duration = Duration::from_secs(60);
const START_PAUSE: Duration = Duration::from_millis(100);
/// Time a stop gives sessions to say goodbye to their twins.
const GOODBYE_WAIT: Duration = Duration::from_secs(3);

/// Reads what a start needs, and writes behind what the last run did not. May be done again when it was broken off.
async fn load(runtime: &Arc<Runtime>) -> Result<(), TwinError> {
    let store = &*runtime.store;
    runtime.identities.access().load().await?;
    runtime.models.load(store).await?;
    runtime.rules.load(store, &runtime.identities).await?;
    // What runs here is no copy of another store any more.
    for mark in store.documents(COPY_KIND, None, 1).await? {
        store.delete_document(COPY_KIND, &mark.id).await?;
    }
    let turns = background::recover(runtime).await?;
    runtime.jobs.load(store).await?;
    runtime.webhooks.load(store, runtime.settings.webhooks_waiting_max).await?;
    if turns > 0 {
        tracing::info!(turns, "recovered what the last run had not written behind");
    }
    runtime.wakes.load(runtime).await
}

impl Twins {
    /// Recovers what the journal holds beyond the checkpoint and starts the background work.
    pub async fn open(store: Arc<dyn Store>, identities: Identities, settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, TwinError> {
        Self::open_with(store, identities, settings, clock, Kinds::built_in()).await
    }

    /// The same, with kinds of twin of one's own.
    pub async fn open_with(
        store: Arc<dyn Store>,
        identities: Identities,
        settings: Settings,
        clock: Arc<dyn Clock>,
        kinds: Kinds,
    ) -> Result<Self, TwinError> {
        meters::register();
        let runtime = Runtime::new(store, identities, settings, clock, kinds);
        runtime.identities.access().configure(runtime.settings.oidc.clone(), runtime.settings.session_lifetime);
        let until = tokio::time::Instant::now() + START_PATIENCE;
        while let Err(error) = load(&runtime).await {
            let may_pass = matches!(&error, TwinError::Store(error) if error.is_transient());
            if !may_pass || !runtime.keeps_durable || tokio::time::Instant::now() >= until {
                return Err(error);
            }
            tracing::warn!(%error, "the start waits for the store");
            // No condition to wait for: the store says nothing when it is well again.
            tokio::time::sleep(START_PAUSE).await;
        }
        start_background(&runtime)?;
        Ok(Self::of(runtime))
    }

    pub(crate) fn of(runtime: Arc<Runtime>) -> Self {
        Self { runtime, acting: None }
    }

    /// The same twins, for somebody whose rights were looked at: what has to wait for others looks again when its turn has come, at where things
    /// stand by then.
    pub fn acting_for(&self, subject: &Arc<Subject>) -> Self {
        Self { runtime: self.runtime.clone(), acting: Some(subject.clone()) }
    }

    /// Whether whoever this acts for has the right still, at this place.
    pub(crate) fn still(&self, right: Right, place: &Path) -> Result<(), TwinError> {
        let Some(subject) = &self.acting else { return Ok(()) };
        let place = std::slice::from_ref(place);
        // What a provider's token gives was read from it and does not change.
        let by_token = !subject.by_token || subject.granted.at(&place[0]).has(right);
        let stands = self.access().still_may(&subject.id, subject.by_token, (right, Some(place)), self.clock().now());
        if by_token && stands { Ok(()) } else { Err(TwinError::Withdrawn) }
    }

    /// Makes the current thread (one that runs a tokio `LocalSet`: a worker of the front door, an actix arbiter) a home of twins.
    /// A device's twin is started on the thread it connects on.
    pub fn join_thread(&self) -> HostGuard {
        Host::join(&self.runtime);
        HostGuard(())
    }

    /// Closes all sessions, writes what is pending, and lets go of the store. Calls after it answer `Stopping`.
    pub async fn shutdown(&self) {
        let runtime = &self.runtime;
        if runtime.stopping.swap(true, Ordering::SeqCst) {
            return;
        }
        runtime.hub.close();
        for twin in runtime.directory.residents() {
            runtime.post(twin, Envelope::tell(Ask::CloseLink(CloseReason::ServerStops)));
        }
        let deadline = tokio::time::Instant::now() + GOODBYE_WAIT;
        while tokio::time::Instant::now() < deadline && self.links_open().await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        runtime.audit.settle(true).await;
        // Nobody writes rows any more from here on: the store is about to close.
        let _alone = runtime.rows.write().await;
        if let Err(error) = background::flush_alone(runtime).await {
            tracing::warn!(%error, "the last flush failed; the next start recovers from the journal");
        }
        if let Err(error) = runtime.store.close().await {
            tracing::warn!(%error, "the store did not close cleanly");
        }
    }

    async fn links_open(&self) -> usize {
        let hosts = self.runtime.hosts.read().clone();
        let mut open = 0;
        for host in hosts {
            open += host.call(|host| async move { host.links() }).await.unwrap_or(0);
        }
        open
    }

    pub fn identities(&self) -> &Identities {
        &self.runtime.identities
    }

    /// People and systems and what they may do.
    pub fn access(&self) -> &Access {
        self.runtime.identities.access()
    }

    /// What a principal may ask for in a second.
    pub fn quotas(&self) -> &Quotas {
        &self.runtime.quotas
    }

    /// Who did what.
    pub fn audit(&self) -> &AuditLog {
        &self.runtime.audit
    }

    /// A page of the audit log, newest first.
    pub async fn audited(&self, filter: AuditFilter) -> Result<Page<Recorded>, TwinError> {
        audit::list(&*self.runtime.store, filter).await
    }

    pub fn settings(&self) -> &Settings {
        &self.runtime.settings
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.runtime.clock
    }

    /// Must be called on a thread that has joined.
    pub async fn connect(&self, connect: Connect) -> Result<DeviceSession, ConnectError> {
        DeviceSession::open(&self.runtime, connect).await
    }

    /// The will of a device whose connection is gone; refused when what the device had proved itself with opens nothing any more, or when it
    /// does not speak for `target` any more.
    pub async fn send_will(&self, device: &TwinId, proof: Proof, target: &TwinId, message: DeviceMessage) -> Result<(), Refusal> {
        if !self.runtime.identities.is_current(device, proof).await {
            return Err(Refusal::NotAuthorized { reason: "its credentials were withdrawn".into() });
        }
        let speaker = if device == target { Speaker::Server } else { Speaker::Gateway { id: device.clone() } };
        let input = Input::Device { speaker, message, packet: None };
        self.runtime.ask(target, Ask::Core(input)).await.map(drop).map_err(refusal_of_problem)
    }

    /// A message without a session.
    pub async fn send(&self, device: &TwinId, message: DeviceMessage) -> Result<(), Refusal> {
        let input = Input::Device { speaker: Speaker::Server, message, packet: None };
        self.runtime.ask(device, Ask::Core(input)).await.map(drop).map_err(refusal_of_problem)
    }

    /// Follows the live stream. With `resume` (an id from [`crate::LiveItem`]) it goes on behind that event when it still
    /// can; else, and always without one, the first item is a [`crate::LiveItem::Reset`].
    pub async fn live(&self, filter: LiveFilter, resume: Option<&str>) -> Result<LiveReader, TwinError> {
        self.runtime.hub.follow(filter, resume)
    }

    /// Whether a device's message would be taken now.
    pub async fn ready(&self) -> Result<(), TwinError> {
        if self.runtime.is_stopping() {
            return Err(TwinError::Stopping);
        }
        Ok(self.runtime.store.ready().await?)
    }

    pub fn stats(&self) -> RuntimeStats {
        let hosts = self.runtime.hosts.read();
        let sum = |f: fn(&crate::host::HostFigures) -> &std::sync::atomic::AtomicU64| {
            hosts.iter().map(|h| f(&h.figures).load(Ordering::Relaxed)).sum()
        };
        RuntimeStats {
            twins_resident: self.runtime.directory.len() as u64,
            twins_connected: sum(|f| &f.connected),
            memory_bytes: sum(|f| &f.memory_bytes),
            store: self.runtime.store.stats(),
        }
    }

    pub fn store_kind(&self) -> &'static str {
        self.runtime.store.kind()
    }

    /// Runs one round of everything that otherwise goes by the tick: roll-ups up, wakes, staleness, a flush, retention. For tests
    /// with a hand-moved clock.
    pub async fn tick(&self) -> Result<(), TwinError> {
        let runtime = &self.runtime;
        runtime.wakes.round(runtime).await;
        background::survey(runtime, true).await;
        // A change needs one round a level to reach the top.
        for _ in 0..hierarchy_models::limits::TREE_DEPTH_MAX {
            let hosts = runtime.hosts.read().clone();
            for host in hosts {
                host.call(|host| async move { host.tick().await }).await;
            }
            tokio::task::yield_now().await;
        }
        background::flush(runtime).await?;
        if let Some(retention) = runtime.settings.history_retention {
            background::forget(runtime, retention).await;
        }
        Ok(())
    }
}

/// A call's problem as its caller sees it.
pub(crate) fn error_of(problem: Problem) -> TwinError {
    match problem {
        Problem::Call(error) => error,
        Problem::Returned(_) => TwinError::Overloaded,
        Problem::Device(Refusal::StoreFull) => persistence::Error::Full { doing: "recording a message", detail: "no room".into() }.into(),
        Problem::Device(Refusal::Poisoned { behaviour, error }) => TwinError::BehaviourFailed { behaviour, error },
        Problem::Device(refusal) => TwinError::Invalid { pointer: String::new(), reason: refusal.to_string() },
    }
}

/// A thread for what goes on beside the messages; it is a home of twins too, so that there is always one.
fn start_background(runtime: &Arc<Runtime>) -> Result<(), TwinError> {
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let for_thread = runtime.clone();
    let failed = |detail: String| persistence::Error::Unavailable { doing: "starting the background thread", detail };
    std::thread::Builder::new()
        .name("twinfold-background".into())
        .spawn(move || {
            let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Ok(tokio) = built else { return };
            let local = tokio::task::LocalSet::new();
            local.block_on(&tokio, async move {
                Host::join(&for_thread);
                let _ = tell.send(());
                actix_rt::spawn(background::run_wakes(for_thread.clone()));
                actix_rt::spawn(background::run_surveys(for_thread.clone()));
                actix_rt::spawn(background::run_retention(for_thread.clone()));
                actix_rt::spawn(webhooks::run(for_thread.clone()));
                actix_rt::spawn(audit::run(for_thread.audit.clone(), for_thread.store.clone()));
                actix_rt::spawn(crate::jobs::run(for_thread.clone()));
                background::run(for_thread).await;
                // The jobs of the last flush still come through this thread: it ends with the process.
                std::future::pending::<()>().await;
            });
        })
        .map_err(|e| failed(e.to_string()))?;
    told.recv().map_err(|e| failed(e.to_string()))?;
    Ok(())
}
