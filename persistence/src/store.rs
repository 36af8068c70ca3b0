//! The traits a store implements. Methods are grouped by who calls them; [`Store`] is all of them together but
//! [`Identities`], which is handed out apart so that nothing that lists or searches can reach a credential.

use async_trait::async_trait;
use bytes::Bytes;
use hierarchy_models::{Command, CommandId, Event, Name, Timestamp, TwinId, event::Status, id::ModelId, tree::Path, value::Map};

use crate::{
    audit::Audit,
    batch::Batch,
    error::Error,
    query::{Bucket, BucketQuery, CommandQuery, EventQuery, HistoryItem, HistoryQuery, LoggedEvent, Page},
    search::RegistryQuery,
};

/// A place in the journal: everything committed before it is covered. Opaque but ordered within one store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(pub Vec<u64>);

/// The events of one turn of one twin: they became durable together or not at all. Never empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    pub twin: TwinId,
    pub events: Vec<Event>,
}

/// A twin's state at a point, as bytes that only the runtime reads.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    pub twin: TwinId,
    /// The last event that is part of it.
    pub seq: u64,
    pub state: Bytes,
    /// What the twin alone (without what is below it) passes to its parent, so that a parent starts without waking its children.
    pub contribution: Bytes,
    /// When the twin must be woken next (a command expires, a timer is due).
    pub wake_at: Option<Timestamp>,
}

/// A registered twin, as the registry lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct RegistryRow {
    pub id: TwinId,
    pub model: ModelId,
    pub parent: Option<TwinId>,
    pub gateway: Option<TwinId>,
    pub status: Status,
    pub metadata: Map,
    pub tags: Vec<Name>,
    pub created_at: Timestamp,
    /// The twin's event that this row is the fold of; an older row never replaces a newer one.
    pub seq: u64,
}

/// A row and what the store worked out about it.
#[derive(Debug, Clone, PartialEq)]
pub struct RegistryEntry {
    pub row: RegistryRow,
    pub path: Path,
}

/// A child as its parent first sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Child {
    pub id: TwinId,
    pub model: ModelId,
    pub has_children: bool,
    /// From its snapshot; empty when it has none yet.
    pub contribution: Bytes,
}

/// What a twin starts from.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    pub snapshot: Snapshot,
    pub path: Path,
    pub children: Vec<Child>,
}

/// Rows to be written together, in one transaction where the store has them.
#[derive(Debug, Clone, Default)]
pub struct Projection {
    /// When given: all of history up to here is written too, and the checkpoint moves here. The caller vouches that
    /// every twin with an event before it has its snapshot in this projection or in an earlier one.
    pub through: Option<Mark>,
    pub snapshots: Vec<Snapshot>,
    /// Rows that are facts of the journal already: a move that would close a loop leaves the twin where it was, a parent that
    /// is not there makes the twin the top of its own tree until it comes.
    pub registry: Vec<RegistryRow>,
    pub commands: Vec<(TwinId, Command)>,
    /// Twins whose rows (snapshot, registry, commands) go away, before the rows above are written: those of the same twin
    /// belong to its next life. Their history stays until retention takes it.
    pub deleted: Vec<TwinId>,
}

#[async_trait]
pub trait Journal: Send + Sync {
    /// Makes the batch durable: when this returns `Ok`, no crash of any process loses it. Batches of one caller that
    /// awaits each before the next keep their order. On `Err` the turns may or may not come back at recovery, but were
    /// never acknowledged; the caller must read [`Journal::tail`] before it goes on with any of these twins.
    async fn append(&self, batch: Batch) -> Result<(), Error>;

    /// The committed turns of one twin that no checkpoint covers, oldest first. Read it before the twin's snapshot, and skip
    /// what the snapshot holds: a flush in between then loses nothing, while the other order could.
    async fn tail(&self, twin: &TwinId) -> Result<Vec<Turn>, Error>;

    /// Committed turns after the checkpoint, oldest first, about `bytes_max` bytes of them, with the mark they reach to.
    /// Empty when all is projected. Recovery calls it, projects, and calls again.
    async fn unprojected(&self, bytes_max: usize) -> Result<(Vec<Turn>, Mark), Error>;

    /// Everything committed so far.
    fn mark(&self) -> Mark;

    /// Bytes of committed turns that no checkpoint covers.
    fn backlog_bytes(&self) -> u64;
}

#[async_trait]
pub trait Projections: Send + Sync {
    async fn project(&self, projection: Projection) -> Result<(), Error>;
    async fn snapshot(&self, twin: &TwinId) -> Result<Option<Snapshot>, Error>;
    /// The snapshot of each of these, in the order of `twins`. A store that can reads all of them at once.
    async fn snapshots(&self, twins: &[TwinId]) -> Result<Vec<Option<Snapshot>>, Error> {
        let mut all = Vec::with_capacity(twins.len());
        for twin in twins {
            all.push(self.snapshot(twin).await?);
        }
        Ok(all)
    }
    /// Twins whose snapshot wants to be woken, soonest first, at most `limit`, due after `after`.
    async fn wakes(&self, after: Option<(Timestamp, TwinId)>, limit: usize) -> Result<Vec<(Timestamp, TwinId)>, Error>;
    /// Forgets ended commands queued, and history received, before `before`, at most about `rows_max` rows a call; how many rows went.
    async fn forget_history(&self, before: Timestamp, rows_max: usize) -> Result<usize, Error>;
}

#[async_trait]
pub trait History: Send + Sync {
    /// Values of one name by their own time, oldest first. Sees every committed record, projected or not.
    async fn history(&self, query: HistoryQuery) -> Result<Page<HistoryItem>, Error>;
    /// The same, folded into buckets aligned to 1970-01-01T00:00Z; empty buckets are left out.
    async fn buckets(&self, query: BucketQuery) -> Result<Page<Bucket>, Error>;
    /// The event log of one twin by time of receipt, oldest first. Sees every committed event, projected or not.
    async fn events(&self, query: EventQuery) -> Result<Page<LoggedEvent>, Error>;
    async fn command(&self, twin: &TwinId, id: &CommandId) -> Result<Option<Command>, Error>;
    async fn command_by_key(&self, twin: &TwinId, idempotency_key: &str) -> Result<Option<Command>, Error>;
    /// Newest first.
    async fn commands(&self, query: CommandQuery) -> Result<Page<Command>, Error>;
}

#[async_trait]
pub trait Registry: Send + Sync {
    /// Writes rows at once (not behind): when it returns, reads see them. Moving a twin moves the paths of all below it.
    /// All rows or, when a parent is missing, a loop would close or the tree would be too deep, none. Their order is free. When the
    /// store fails in the middle, some may have been written; reads see those and no others.
    async fn put_rows(&self, rows: Vec<RegistryRow>) -> Result<(), Error>;
    async fn entry(&self, twin: &TwinId) -> Result<Option<RegistryEntry>, Error>;
    /// Where it stands. Without a look at what is far away, where the store can: who is confined to a place is asked for it with every call.
    async fn path(&self, twin: &TwinId) -> Result<Option<Path>, Error> {
        Ok(self.entry(twin).await?.map(|entry| entry.path))
    }
    /// Twins whose rows do not say that they are not meant, in the order asked for. A page that is not the last may hold fewer than were asked
    /// for, down to none, when the call has looked at as much as one call may.
    async fn list(&self, query: RegistryQuery) -> Result<Page<RegistryEntry>, Error>;
    async fn children(&self, parent: &TwinId) -> Result<Vec<Child>, Error>;
    /// The children of each of these, in the order of `parents`. A store that can reads all of them at once.
    async fn children_of(&self, parents: &[TwinId]) -> Result<Vec<Vec<Child>>, Error> {
        let mut all = Vec::with_capacity(parents.len());
        for parent in parents {
            all.push(self.children(parent).await?);
        }
        Ok(all)
    }
    /// Ids of all twins below `top`, deepest first, itself not included.
    async fn below(&self, top: &TwinId) -> Result<Vec<TwinId>, Error>;
    async fn count(&self) -> Result<u64, Error>;
}

/// Small documents that do not belong to a twin: API keys, rules, models, jobs. Durable when `put` returns.
#[async_trait]
pub trait Documents: Send + Sync {
    async fn put_document(&self, kind: &'static str, id: &str, body: Bytes) -> Result<(), Error>;
    async fn document(&self, kind: &'static str, id: &str) -> Result<Option<Bytes>, Error>;
    async fn delete_document(&self, kind: &'static str, id: &str) -> Result<bool, Error>;
    /// By id, ascending.
    async fn documents(&self, kind: &'static str, after: Option<String>, limit: usize) -> Result<Vec<Document>, Error>;
}

#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub id: String,
    pub body: Bytes,
}

/// A key that was brought from outside, encrypted; the store cannot read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedKey {
    pub slot: String,
    pub nonce: Vec<u8>,
    pub sealed: Vec<u8>,
}

/// SHA-256 of a certificate's DER.
pub type Thumbprint = [u8; 32];

/// A client certificate that is a device's own, whoever signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnCertificate {
    pub slot: String,
    pub sha256: Thumbprint,
}

/// Who a device is at the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub device: TwinId,
    pub enabled: bool,
    /// Part of every derived key; raised when credentials are reset or the id is registered again.
    pub generation: u64,
    /// Which master key its keys are derived from.
    pub kid: u32,
    /// Names of the derived keys, such as `primary` and `secondary`.
    pub slots: Vec<String>,
    pub sealed: Vec<SealedKey>,
    pub certificates: Vec<OwnCertificate>,
    /// Hash of a password that a person chose, in PHC form.
    pub password: Option<String>,
    /// Who may speak for it: the way from a gateway to its devices. The twin's own state is what is asked at a message.
    pub gateway: Option<TwinId>,
}

impl Identity {
    /// One that is enabled and that nothing opens yet.
    pub fn new(device: TwinId, generation: u64, kid: u32) -> Self {
        Self {
            device,
            enabled: true,
            generation,
            kid,
            slots: Vec::new(),
            sealed: Vec::new(),
            certificates: Vec::new(),
            password: None,
            gateway: None,
        }
    }
}

#[async_trait]
pub trait Identities: Send + Sync {
    /// Durable when it returns.
    async fn put_identities(&self, identities: Vec<Identity>) -> Result<(), Error>;
    async fn identity(&self, device: &TwinId) -> Result<Option<Identity>, Error>;
    /// Keeps the generation, so that keys of a former device of the same id never work again.
    async fn delete_identity(&self, device: &TwinId) -> Result<(), Error>;
    /// The generation that the next registration of this id starts with.
    async fn next_generation(&self, device: &TwinId) -> Result<u64, Error>;
    /// Every id that ever had an identity, and the highest generation it used; in an order of the store's own, behind `after`.
    async fn generations(&self, after: Option<TwinId>, limit: usize) -> Result<Vec<(TwinId, u64)>, Error>;
    /// Devices whose identity names this gateway, ascending, behind `after`; fewer than `limit` only at the end.
    async fn behind_gateway(&self, gateway: &TwinId, after: Option<TwinId>, limit: usize) -> Result<Vec<TwinId>, Error>;
}

/// What a store says about itself, for health and metrics; counts are since the start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StoreStats {
    pub disk_bytes: u64,
    pub frames_committed: u64,
    pub turns_committed: u64,
    pub backlog_bytes: u64,
}

/// Everything but the identities.
#[async_trait]
pub trait Store: Journal + Projections + History + Registry + Documents + Audit {
    /// `embedded`, `memory`, `scylla`.
    fn kind(&self) -> &'static str;
    /// Whether a commit may have to wait for other machines. Meanwhile readers are shown what was durable before it.
    fn commits_may_wait(&self) -> bool {
        false
    }
    /// What a twin starts from; `None` when it has no snapshot or no row. A store that can reads all of it at once.
    async fn origin(&self, twin: &TwinId) -> Result<Option<Origin>, Error> {
        let Some(snapshot) = self.snapshot(twin).await? else { return Ok(None) };
        let Some(entry) = self.entry(twin).await? else { return Ok(None) };
        Ok(Some(Origin { snapshot, path: entry.path, children: self.children(twin).await? }))
    }
    /// Whether a write would be taken now; the error says why not.
    async fn ready(&self) -> Result<(), Error>;
    /// Ends when another process has taken the store over, with how that showed: this one owns nothing any more, and will not again.
    /// Never ends for a store that can have one process only.
    async fn taken_over(&self) -> String {
        std::future::pending().await
    }
    fn stats(&self) -> StoreStats;
    /// Writes what is buffered and lets go of files. Nothing is lost without it; starting again is faster with it.
    async fn close(&self) -> Result<(), Error>;
}
