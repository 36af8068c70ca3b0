//! Opens and closes the parts together and ties them into a [`Store`].

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hierarchy_models::TwinId;
use persistence::{Batch, Error, Journal as JournalTrait, Mark, Origin, Registry, Store, StoreStats, Turn, codec};

use crate::{
    Options, ScyllaIdentities, audit,
    commands::Commands,
    cql::Cql,
    documents,
    journal::Journal,
    projections::{
        retention::Retention,
        shelves::{Shelves, go_by_themselves},
        snapshots::Snapshots,
    },
    registry::{self, Rows},
    schema,
};

/// A cluster that answers a readiness check later than this is not ready.
const READY_WAIT_MAX: Duration = Duration::from_secs(2);
const CHECKING: &str = "checking whether the cluster answers";

/// The store in one keyspace. One process owns it at a time: who opens it takes it over.
pub struct ScyllaStore {
    pub(crate) core: Arc<Core>,
}

pub(crate) struct Core {
    pub cql: Arc<Cql>,
    pub journal: Journal,
    pub shelves: Arc<Shelves>,
    pub snapshots: Snapshots,
    pub commands: Commands,
    pub registry: Rows,
    pub documents: documents::Statements,
    pub audit: audit::Log,
    pub retention: Retention,
    pub projecting: tokio::sync::Mutex<()>,
}

impl Core {
    /// Runs a write that no append fences: not begun when another process has the keyspace, and not acknowledged when one
    /// has taken it meanwhile.
    pub async fn owned<T>(&self, write: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.journal.look().await?;
        let done = write.await?;
        self.journal.look().await?;
        Ok(done)
    }
}

/// What [`ScyllaStore::open`] gives. Closing the store closes both.
pub struct Opened {
    pub store: Arc<ScyllaStore>,
    pub identities: Arc<ScyllaIdentities>,
}

impl ScyllaStore {
    /// Opens the store in a keyspace, or makes one there, on the runtime that this is called in.
    pub async fn open(options: Options) -> Result<Opened, Error> {
        Reached::reach(options).await?.take_over().await
    }
}

/// A keyspace with its tables, left with whoever has it.
pub struct Reached {
    cql: Arc<Cql>,
    logs: u16,
    options: Options,
}

impl Reached {
    /// Connects, and makes or migrates what is missing.
    pub async fn reach(options: Options) -> Result<Self, Error> {
        let cql = Arc::new(Cql::connect(&options).await?);
        let keyspace = schema::migrate(&cql, &options).await?;
        Ok(Self { cql, logs: keyspace.logs, options })
    }

    /// Whether any twin is registered.
    pub async fn has_twins(&self) -> Result<bool, Error> {
        registry::is_anybody_there(&self.cql).await
    }

    /// From now on the keyspace is this process's.
    pub async fn take_over(self) -> Result<Opened, Error> {
        let Self { cql, logs, options } = self;
        let journal = Journal::open(&cql, logs, &options).await?;
        let shelves = Arc::new(Shelves::prepare(cql.clone(), options.history_ttl, journal.epoch).await?);
        let core = Arc::new(Core {
            snapshots: Snapshots::prepare(cql.clone()).await?,
            journal,
            commands: Commands::prepare(cql.clone(), shelves.clone()).await?,
            registry: Rows::open(cql.clone()).await?,
            documents: documents::Statements::prepare(cql.clone()).await?,
            retention: Retention::prepare(cql.clone(), go_by_themselves(options.history_ttl, cql.clock())).await?,
            audit: audit::Log::prepare(cql.clone()).await?,
            projecting: tokio::sync::Mutex::new(()),
            shelves,
            cql,
        });
        let identities = Arc::new(ScyllaIdentities::prepare(core.clone()).await?);
        Ok(Opened { store: Arc::new(ScyllaStore { core }), identities })
    }
}

#[async_trait]
impl JournalTrait for ScyllaStore {
    async fn append(&self, batch: Batch) -> Result<(), Error> {
        self.core.journal.append(batch).await
    }

    async fn tail(&self, twin: &TwinId) -> Result<Vec<Turn>, Error> {
        let log = self.core.journal.log_of(twin);
        log.settled()?;
        let tail = log.tail(twin).await?;
        tail.turns.into_iter().map(|(_, turn)| codec::decode_turn(turn)).collect()
    }

    async fn unprojected(&self, bytes_max: usize) -> Result<(Vec<Turn>, Mark), Error> {
        self.core.journal.unprojected(bytes_max).await
    }

    fn mark(&self) -> Mark {
        self.core.journal.mark()
    }

    fn backlog_bytes(&self) -> u64 {
        self.core.journal.backlog_bytes()
    }
}

#[async_trait]
impl Store for ScyllaStore {
    fn kind(&self) -> &'static str {
        "scylla"
    }

    async fn origin(&self, twin: &TwinId) -> Result<Option<Origin>, Error> {
        let (snapshot, entry) = tokio::join!(self.core.snapshots.get(twin), self.core.registry.entry(twin));
        let (Some(snapshot), Some(entry)) = (snapshot?, entry?) else { return Ok(None) };
        Ok(Some(Origin { snapshot, path: entry.path, children: self.children(twin).await? }))
    }

    async fn ready(&self) -> Result<(), Error> {
        let slow = |_| Error::Unavailable { doing: CHECKING, detail: format!("no answer within {READY_WAIT_MAX:?}") };
        tokio::time::timeout(READY_WAIT_MAX, self.core.journal.ready()).await.map_err(slow)?
    }

    async fn taken_over(&self) -> String {
        self.core.journal.shared.fence.raised().await
    }

    fn stats(&self) -> StoreStats {
        let counts = self.core.journal.logs.iter().map(|log| log.backlog.counts());
        let (frames_committed, turns_committed) = counts.fold((0, 0), |all, more| (all.0 + more.0, all.1 + more.1));
        StoreStats { disk_bytes: 0, frames_committed, turns_committed, backlog_bytes: self.backlog_bytes() }
    }

    async fn close(&self) -> Result<(), Error> {
        self.core.journal.close().await;
        self.core.cql.close();
        Ok(())
    }
}
