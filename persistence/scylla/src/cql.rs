//! The session with the cluster: connects, prepares each statement once, runs it under the profile of its use, and says what went
//! wrong in the words of [`Error`].

use std::{
    fmt::Display,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::TryStreamExt;
use parking_lot::RwLock;
use persistence::Error;
use scylla::{
    client::{
        execution_profile::ExecutionProfile, execution_profile::ExecutionProfileHandle, session::Session, session_builder::SessionBuilder,
    },
    deserialize::row::DeserializeRow,
    policies::{
        retry::{DefaultRetryPolicy, FallthroughRetryPolicy},
        speculative_execution::SimpleSpeculativeExecutionPolicy,
        timestamp_generator::{MonotonicTimestampGenerator, TimestampGenerator},
    },
    serialize::row::SerializeRow,
    statement::{Consistency, SerialConsistency, prepared::PreparedStatement},
    value::{CqlValue, Row},
};
use tokio::sync::Semaphore;

use crate::{Options, stamps::Stamps};

/// A lightweight transaction that takes longer has an unknown outcome, and is settled by a serial read.
const JOURNAL_WAIT_MAX: Duration = Duration::from_secs(3);
/// A read or a write that takes longer failed; both may be repeated.
const DATA_WAIT_MAX: Duration = Duration::from_secs(5);
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(5);
/// A node that is there and does not answer costs every third transaction its time-out; this is how soon it is left out.
const ALIVE_EVERY: Duration = Duration::from_secs(5);
const ALIVE_WAIT_MAX: Duration = Duration::from_secs(5);
/// A read that is not answered by then is asked of another replica too.
const SPECULATE_AFTER: Duration = Duration::from_millis(150);
/// Looks at who owns the keyspace that are under way at once.
const LOOKS_MAX: usize = 16;
/// Rows of one page of an answer.
const PAGE_ROWS: i32 = 5_000;

/// What a statement is for, which says how it is run.
#[derive(Debug, Clone, Copy)]
pub enum Use {
    /// A lightweight transaction: tried once, its caller settles what is not known.
    Transaction,
    /// A read that sees every transaction with an outcome, and ends those without.
    SerialRead,
    /// Repeated, and asked of a second replica when the first is slow.
    Read,
    /// A write that may be repeated.
    Write,
}

#[derive(Debug)]
pub struct Statement(PreparedStatement);

struct Profiles {
    journal: ExecutionProfileHandle,
    read: ExecutionProfileHandle,
    write: ExecutionProfileHandle,
}

impl Profiles {
    fn new() -> Self {
        let journal = ExecutionProfile::builder()
            .consistency(Consistency::Quorum)
            .serial_consistency(Some(SerialConsistency::Serial))
            .request_timeout(Some(JOURNAL_WAIT_MAX))
            .retry_policy(Arc::new(FallthroughRetryPolicy::new()));
        let write = ExecutionProfile::builder()
            .consistency(Consistency::Quorum)
            .request_timeout(Some(DATA_WAIT_MAX))
            .retry_policy(Arc::new(DefaultRetryPolicy::new()));
        let speculation = SimpleSpeculativeExecutionPolicy { max_retry_count: 1, retry_interval: SPECULATE_AFTER };
        let read = write.clone().speculative_execution_policy(Some(Arc::new(speculation)));
        Self { journal: journal.build().into_handle(), read: read.build().into_handle(), write: write.build().into_handle() }
    }
}

/// A handle to the cluster; gone after [`Cql::close`].
pub struct Cql {
    session: RwLock<Option<Arc<Session>>>,
    profiles: Profiles,
    /// Bound what is under way; neither waits for the other.
    reads: Semaphore,
    writes: Semaphore,
    /// Of their own, so that it is known who owns the keyspace while everything else waits.
    looks: Semaphore,
    schema_patience: Duration,
    /// What every request carries that names no other timestamp.
    pub stamps: Arc<Stamps>,
    clock: MonotonicTimestampGenerator,
}

pub fn unavailable(doing: &'static str) -> impl Fn(&dyn Display) -> Error {
    move |error| Error::Unavailable { doing, detail: error.to_string() }
}

pub fn damaged(doing: &'static str, detail: impl Display) -> Error {
    Error::Damaged { doing, detail: detail.to_string() }
}

impl Cql {
    pub async fn connect(options: &Options) -> Result<Self, Error> {
        let profiles = Profiles::new();
        let stamps = Arc::<Stamps>::default();
        let mut builder = SessionBuilder::new()
            .known_nodes(&options.nodes)
            .default_execution_profile_handle(profiles.write.clone())
            .connection_timeout(CONNECT_WAIT_MAX)
            .keepalive_interval(ALIVE_EVERY)
            .keepalive_timeout(ALIVE_WAIT_MAX)
            .schema_agreement_timeout(options.schema_patience)
            // How the keyspace is replicated: without it no request would go to a node that has its rows.
            .keyspaces_to_fetch([&options.keyspace])
            .fetch_full_schema_metadata(false)
            .refresh_metadata_on_auto_schema_agreement(false)
            .timestamp_generator(stamps.clone());
        if let Some((user, password)) = &options.credentials {
            builder = builder.user(user, password);
        }
        if let Some(tls) = &options.tls {
            builder = builder.tls_context(Some(tls.0.clone()));
        }
        let session = builder.build().await.map_err(|e| unavailable("connecting to the cluster")(&e))?;
        Ok(Self {
            session: RwLock::new(Some(Arc::new(session))),
            profiles,
            reads: Semaphore::new(options.in_flight_max.max(1)),
            writes: Semaphore::new(options.in_flight_max.max(1)),
            looks: Semaphore::new(LOOKS_MAX),
            schema_patience: options.schema_patience,
            stamps,
            clock: MonotonicTimestampGenerator::new(),
        })
    }

    /// Microseconds since 1970, later each time; by this machine's clock, which two owners need not agree on.
    pub fn clock(&self) -> i64 {
        self.clock.next_timestamp()
    }

    /// Learns anew how the keyspace lies on the nodes.
    pub async fn refresh(&self, doing: &'static str) -> Result<(), Error> {
        self.session(doing)?.refresh_metadata().await.map_err(|e| unavailable(doing)(&e))
    }

    pub fn session(&self, doing: &'static str) -> Result<Arc<Session>, Error> {
        let closed = || Error::Unavailable { doing, detail: "the store is closed".into() };
        self.session.read().clone().ok_or_else(closed)
    }

    pub fn close(&self) {
        self.session.write().take();
    }

    /// Runs a statement that changes the schema; returns when all nodes agree on it.
    pub async fn change_schema(&self, doing: &'static str, text: &str) -> Result<(), Error> {
        let mut statement = scylla::statement::Statement::new(text);
        statement.set_request_timeout(Some(self.schema_patience));
        self.session(doing)?.query_unpaged(statement, ()).await.map(drop).map_err(|e| unavailable(doing)(&e))
    }

    pub async fn use_keyspace(&self, doing: &'static str, keyspace: &str) -> Result<(), Error> {
        self.session(doing)?.use_keyspace(keyspace, false).await.map_err(|e| unavailable(doing)(&e))
    }

    pub async fn prepare(&self, usage: Use, text: &str) -> Result<Statement, Error> {
        let doing = "preparing a statement";
        let prepared = self.session(doing)?.prepare(text).await;
        let mut prepared = prepared.map_err(|e| Error::Unavailable { doing, detail: format!("{text}: {e}") })?;
        prepared.set_page_size(PAGE_ROWS);
        let profile = match usage {
            Use::Transaction => &self.profiles.journal,
            Use::SerialRead => {
                prepared.set_consistency(Consistency::Serial);
                &self.profiles.journal
            }
            Use::Read => &self.profiles.read,
            Use::Write => &self.profiles.write,
        };
        prepared.set_is_idempotent(matches!(usage, Use::Read | Use::Write));
        prepared.set_execution_profile_handle(Some(profile.clone()));
        Ok(Statement(prepared))
    }

    /// Runs a transaction or a serial read; the first row it answered.
    pub async fn settle<R>(&self, doing: &'static str, statement: &Statement, values: impl SerializeRow) -> Result<Option<R>, Error>
    where
        R: for<'f, 'm> DeserializeRow<'f, 'm>,
    {
        let answer = self.session(doing)?.execute_unpaged(&statement.0, values).await.map_err(|e| unavailable(doing)(&e))?;
        let rows = answer.into_rows_result().map_err(|e| damaged(doing, e))?;
        rows.maybe_first_row::<R>().map_err(|e| damaged(doing, e))
    }

    /// Runs a transaction; whether its condition held. Cassandra answers one column then, ScyllaDB always all of them.
    pub async fn transact(&self, doing: &'static str, statement: &Statement, values: impl SerializeRow) -> Result<bool, Error> {
        let row: Option<Row> = self.settle(doing, statement, values).await?;
        match row.as_ref().and_then(|row| row.columns.first()) {
            Some(Some(CqlValue::Boolean(applied))) => Ok(*applied),
            other => Err(damaged(doing, format!("a transaction answered {other:?}"))),
        }
    }

    pub async fn write(&self, doing: &'static str, statement: &Statement, values: impl SerializeRow) -> Result<(), Error> {
        let _room = self.writes.acquire().await;
        self.stamps.check(doing)?;
        self.session(doing)?.execute_unpaged(&statement.0, values).await.map(drop).map_err(|e| unavailable(doing)(&e))
    }

    /// All rows of an answer, page by page.
    pub async fn rows<R>(&self, doing: &'static str, statement: &Statement, values: impl SerializeRow) -> Result<Vec<R>, Error>
    where
        R: for<'f, 'm> DeserializeRow<'f, 'm> + 'static,
    {
        let _room = self.reads.acquire().await;
        let answer = self.session(doing)?.execute_iter(statement.0.clone(), values).await.map_err(|e| unavailable(doing)(&e))?;
        let rows = answer.rows_stream::<R>().map_err(|e| damaged(doing, e))?;
        rows.try_collect().await.map_err(|e| unavailable(doing)(&e))
    }

    /// The row with this key.
    pub async fn row<R>(&self, doing: &'static str, statement: &Statement, values: impl SerializeRow) -> Result<Option<R>, Error>
    where
        R: for<'f, 'm> DeserializeRow<'f, 'm>,
    {
        let _room = self.reads.acquire().await;
        self.settle(doing, statement, values).await
    }

    /// The same, for who asks who owns the keyspace.
    pub async fn look<R>(&self, doing: &'static str, statement: &Statement, values: impl SerializeRow) -> Result<Option<R>, Error>
    where
        R: for<'f, 'm> DeserializeRow<'f, 'm>,
    {
        let _room = self.looks.acquire().await;
        self.settle(doing, statement, values).await
    }
}

/// Pauses between tries of what the cluster did not answer.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Does again what the cluster did not answer, until it does, or `patience` is over. What it refused stays refused.
pub async fn until_answered<T, F>(patience: Duration, mut work: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let deadline = Instant::now() + patience;
    loop {
        match work().await {
            // No condition to wait for: the cluster says nothing when it is well again.
            Err(Error::Unavailable { .. }) if Instant::now() < deadline => tokio::time::sleep(TRY_AGAIN_AFTER).await,
            done => return done,
        }
    }
}

/// Runs `work` for every item, at most `at_once` of them together; the first error ends it. Items are values and not references, for
/// which a task that runs this could not be sent to another thread: of a slice, take the places.
pub async fn for_each<T, O, F>(items: impl IntoIterator<Item = T>, at_once: usize, work: impl FnMut(T) -> F) -> Result<Vec<O>, Error>
where
    F: Future<Output = Result<O, Error>>,
{
    use futures_util::{StreamExt, stream};
    stream::iter(items.into_iter().map(work)).buffered(at_once).try_collect().await
}

/// The same, but for what each came to: an error ends nothing.
pub async fn each<T, O, F>(items: impl IntoIterator<Item = T>, at_once: usize, work: impl FnMut(T) -> F) -> Vec<Result<O, Error>>
where
    F: Future<Output = Result<O, Error>>,
{
    use futures_util::{StreamExt, stream};
    stream::iter(items.into_iter().map(work)).buffered(at_once).collect().await
}
