//! The runtime as everybody else sees it: one cheap handle that hides where a twin lives.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hierarchy_models::{Command, CommandId, CommandState, DeviceMessage, ModelId, Name, TwinId, Value, event::Status, value::Map};
use persistence::{
    Bucket, BucketQuery, CommandQuery, EventQuery, HistoryItem, HistoryQuery, LoggedEvent, Page, RegistryEntry, RegistryQuery, Store, StoreStats,
};
use serde::Serialize;

use crate::{
    clock::Clock,
    device::{Connect, ConnectError, DeviceSession, Refusal},
    error::TwinError,
    identity::Identities,
    live::{LiveEvent, LiveFilter},
    settings::Settings,
    view::TwinView,
};

/// What `POST /twins` asks for.
#[derive(Debug, Clone)]
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

/// A change of what people decide about a twin. `parent` and `gateway`: the outer `None` leaves as it is, the inner removes.
#[derive(Debug, Clone, Default)]
pub struct TwinPatch {
    pub metadata: Option<Map>,
    pub desired: Option<Map>,
    pub tags: Option<Vec<Name>>,
    pub parent: Option<Option<TwinId>>,
    pub gateway: Option<Option<TwinId>>,
}

#[derive(Debug, Clone)]
pub struct NewCommand {
    pub name: Name,
    pub payload: Value,
    pub ttl: Duration,
    pub idempotency_key: Option<Name>,
    pub sender: Name,
}

/// A twin and what is under it.
#[derive(Debug, Clone, Serialize)]
pub struct TreeNode {
    pub twin: TwinView,
    pub children: Vec<TreeNode>,
    /// Children that were left out by the depth or by the node limit.
    pub children_left_out: u64,
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

/// A live reader's end. Dropping it ends the subscription.
pub struct LiveReader {
    _private: (),
}

/// What comes out of a [`LiveReader`].
#[derive(Debug, Clone)]
pub enum LiveItem {
    /// Start over: what follows does not join what came before. Read the tree again; `resume` is the id to resume behind.
    Reset { resume: String },
    Event { id: String, event: Arc<LiveEvent> },
}

impl LiveReader {
    /// Waits for the next item; `None` when the server stops.
    pub async fn next(&mut self) -> Option<LiveItem> {
        todo!()
    }
}

/// Cheap to clone, usable from any thread that has a tokio runtime.
#[derive(Clone)]
pub struct Twins {
    _inner: Arc<()>,
}

/// Keeps a thread a home of twins; dropping it does not stop twins that live there.
pub struct HostGuard(());

impl Twins {
    /// Recovers what the journal holds beyond the checkpoint and starts the background work.
    pub async fn open(_store: Arc<dyn Store>, _identities: Identities, _settings: Settings, _clock: Arc<dyn Clock>) -> Result<Self, TwinError> {
        todo!()
    }

    /// Makes the current thread (one that runs a tokio `LocalSet`: an ntex worker, an actix arbiter) a home of twins.
    /// A device's twin is started on the thread it connects on.
    pub fn join_thread(&self) -> HostGuard {
        todo!()
    }

    /// Closes all sessions, writes what is pending, and lets go of the store. Calls after it answer `Stopping`.
    pub async fn shutdown(&self) {
        todo!()
    }

    pub fn identities(&self) -> &Identities {
        todo!()
    }

    pub fn settings(&self) -> &Settings {
        todo!()
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        todo!()
    }

    // ---- devices -------------------------------------------------------------------------------------------------

    /// Must be called on a thread that has joined.
    pub async fn connect(&self, _connect: Connect) -> Result<DeviceSession, ConnectError> {
        todo!()
    }

    /// A message without a session, such as a will that is sent after the connection is gone.
    pub async fn send(&self, _device: &TwinId, _message: DeviceMessage) -> Result<(), Refusal> {
        todo!()
    }

    // ---- people and systems --------------------------------------------------------------------------------------

    pub async fn register(&self, _registration: Registration) -> Result<Registered, TwinError> {
        todo!()
    }

    pub async fn get(&self, _id: &TwinId) -> Result<TwinView, TwinError> {
        todo!()
    }

    /// Applies all of the patch or nothing of it. `if_version` is the version `If-Match` names.
    pub async fn patch(&self, _id: &TwinId, _patch: TwinPatch, _if_version: Option<u64>) -> Result<TwinView, TwinError> {
        todo!()
    }

    pub async fn delete(&self, _id: &TwinId, _recursive: bool, _if_version: Option<u64>) -> Result<(), TwinError> {
        todo!()
    }

    /// Durable, and the device's live session ended if inactive, when it returns.
    pub async fn set_status(&self, _id: &TwinId, _status: Status) -> Result<TwinView, TwinError> {
        todo!()
    }

    /// New derived keys; the old ones and the sessions opened with them end.
    pub async fn reset_credentials(&self, _id: &TwinId) -> Result<BTreeMap<String, String>, TwinError> {
        todo!()
    }

    /// Lets a quarantined twin run again.
    pub async fn release(&self, _id: &TwinId) -> Result<TwinView, TwinError> {
        todo!()
    }

    pub async fn entry(&self, _id: &TwinId) -> Result<RegistryEntry, TwinError> {
        todo!()
    }

    pub async fn list(&self, _query: RegistryQuery) -> Result<Page<RegistryEntry>, TwinError> {
        todo!()
    }

    /// `depth` 0 is the twin alone; at most `nodes_max` twins.
    pub async fn tree(&self, _id: &TwinId, _depth: usize, _nodes_max: usize) -> Result<TreeNode, TwinError> {
        todo!()
    }

    pub async fn history(&self, _query: HistoryQuery) -> Result<Page<HistoryItem>, TwinError> {
        todo!()
    }

    pub async fn buckets(&self, _query: BucketQuery) -> Result<Page<Bucket>, TwinError> {
        todo!()
    }

    pub async fn events(&self, _query: EventQuery) -> Result<Page<LoggedEvent>, TwinError> {
        todo!()
    }

    /// Durable in the twin's inbox when it returns. The same idempotency key gives the same command.
    pub async fn command(&self, _id: &TwinId, _command: NewCommand) -> Result<Command, TwinError> {
        todo!()
    }

    /// Waits until the command ends, at most `timeout`; the command as it is then.
    pub async fn await_command(&self, _id: &TwinId, _command: &CommandId, _timeout: Duration) -> Result<Command, TwinError> {
        todo!()
    }

    pub async fn command_of(&self, _id: &TwinId, _command: &CommandId) -> Result<Command, TwinError> {
        todo!()
    }

    pub async fn commands(&self, _query: CommandQuery) -> Result<Page<Command>, TwinError> {
        todo!()
    }

    pub async fn cancel_command(&self, _id: &TwinId, _command: &CommandId) -> Result<Command, TwinError> {
        todo!()
    }

    /// Follows the live stream. With `resume` (an id from [`LiveItem`]) it goes on behind that event when it still can;
    /// else, and always without one, the first item is a [`LiveItem::Reset`].
    pub async fn live(&self, _filter: LiveFilter, _resume: Option<&str>) -> Result<LiveReader, TwinError> {
        todo!()
    }

    /// Whether a device's message would be taken now.
    pub async fn ready(&self) -> Result<(), TwinError> {
        todo!()
    }

    pub fn stats(&self) -> RuntimeStats {
        todo!()
    }

    pub fn store_kind(&self) -> &'static str {
        todo!()
    }
}

#[allow(unused)]
fn unused(_: CommandState) {}
