//! Opens and closes the parts together and ties them into a [`Store`].

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hierarchy_models::TwinId;
use persistence::{Batch, Error, Journal as JournalTrait, Mark, Origin, Registry, Store, StoreStats, Turn, codec};

use crate::{
    Options, ScyllaIdentities,
    audit::{self, AuditReader},
    commands::Commands,
    cql::{Cql, until_answered},
    documents, identities,
    journal::{Journal, cells},
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
    /// How long what is known to be wanted is tried again.
    pub patience: Duration,
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

/// A cluster, and a keyspace in it that is there or not; nothing is changed, and whoever has it keeps it.
pub struct Looked {
    cql: Arc<Cql>,
    version: Option<u32>,
    options: Options,
}

impl Looked {
    /// Connects and looks.
    pub async fn at(options: Options) -> Result<Self, Error> {
        let cql = Arc::new(Cql::connect(&options).await?);
        let version = until_answered(options.schema_patience, || schema::version(&cql, &options.keyspace)).await?;
        Ok(Self { cql, version, options })
    }

    /// Whether any twin is registered.
    pub async fn has_twins(&self) -> Result<bool, Error> {
        if self.version.is_none() { Ok(false) } else { registry::is_anybody_there(&self.cql).await }
    }

    /// Its audit log, to be read beside whoever has the keyspace.
    pub async fn audit_reader(&self) -> Result<AuditReader, Error> {
        if self.version.is_none() {
            let detail = format!("there is no keyspace {} of this program", self.options.keyspace);
            return Err(Error::Unavailable { doing: "looking at the keyspace", detail });
        }
        AuditReader::prepare(self.cql.clone()).await
    }

    /// Makes or migrates what is missing.
    pub async fn migrate(self) -> Result<Reached, Error> {
        let Self { cql, options, .. } = self;
        let keyspace = schema::migrate(&cql, &options).await?;
        Ok(Reached { cql, logs: keyspace.logs, options })
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
        Looked::at(options).await?.migrate().await
    }

    /// From now on the keyspace is this process's. Who has it serves until everything is prepared here that can be; what the cluster does not
    /// answer after that is asked again, for by then nobody else serves.
    pub async fn take_over(self) -> Result<Opened, Error> {
        let Self { cql, logs, options } = self;
        let statements = Arc::new(cells::Statements::prepare(&cql).await?);
        let shelves = Arc::new(Shelves::prepare(cql.clone(), options.history_ttl).await?);
        let snapshots = Snapshots::prepare(cql.clone()).await?;
        let commands = Commands::prepare(cql.clone(), shelves.clone(), options.commands_looked_max).await?;
        let registry = Rows::prepare(cql.clone()).await?;
        let documents = documents::Statements::prepare(cql.clone()).await?;
        let retention = Retention::prepare(cql.clone(), go_by_themselves(options.history_ttl, cql.clock())).await?;
        let audit = audit::Log::prepare(cql.clone()).await?;
        let identities = identities::Statements::prepare(&cql).await?;

        let journal = Journal::open(&cql, statements, logs, &options).await?;
        shelves.begin(journal.epoch);
        until_answered(options.append_patience, || registry.load()).await?;
        let core = Arc::new(Core {
            snapshots,
            journal,
            commands,
            registry,
            documents,
            retention,
            audit,
            projecting: tokio::sync::Mutex::new(()),
            patience: options.append_patience,
            shelves,
            cql,
        });
        let identities = Arc::new(ScyllaIdentities::new(core.clone(), identities));
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

    fn commits_may_wait(&self) -> bool {
        true
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
