//! A keyspace that a test opens a store in.

#![allow(clippy::unwrap_used, dead_code)]

pub mod node;

use std::{
    fs,
    io::Write,
    net::{TcpStream, ToSocketAddrs},
    path::Path,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use hierarchy_models::{
    Event, EventBody, Raw, Record, Timestamp, TwinId, Value,
    event::{Encoding, Status},
    id::ModelId,
};
use persistence::{
    Batch, RegistryRow, Store,
    contract::{self, Place},
};
use persistence_scylla::{Opened, Options, Replication, ScyllaStore};
use scylla::client::{session::Session, session_builder::SessionBuilder};

/// Few logs: each start of a store claims every one of them.
const LOGS: u16 = 3;
/// Where tests/cql/cassandra says that it runs, and where that is. Not its first node, which is for trying out.
const PID_FILE: &str = "../../target/cql/node91/pid";
const NODE: &str = "127.0.0.91:9042";
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(2);

/// Where the server is that the tests run against.
pub fn server() -> String {
    std::env::var("TWINFOLD_TEST_CQL").unwrap_or_else(|_| NODE.into())
}

/// Whether there is a server; when there is none, the test that asks says so and is skipped. One that was there and is gone is a failure.
pub fn there() -> bool {
    static SEEN: AtomicBool = AtomicBool::new(false);
    // Never somebody else's: tests make keyspaces, and stop the server.
    let ours = std::env::var_os("TWINFOLD_TEST_CQL").is_some() || Path::new(env!("CARGO_MANIFEST_DIR")).join(PID_FILE).exists();
    let reachable =
        ours && server().to_socket_addrs().is_ok_and(|mut at| at.any(|at| TcpStream::connect_timeout(&at, CONNECT_WAIT_MAX).is_ok()));
    SEEN.fetch_or(reachable, Ordering::Relaxed);
    if !reachable {
        assert!(!SEEN.load(Ordering::Relaxed), "the CQL server at {} has died", server());
        skip(&format!("no CQL server at {}; tests/cql/cassandra start 91 starts one", server()));
    }
    reachable
}

/// Whether a test may do to nodes what it likes, and knows how they are configured.
pub fn ours() -> bool {
    let is_given = std::env::var_os("TWINFOLD_TEST_CQL").is_some();
    if is_given {
        skip("TWINFOLD_TEST_CQL is somebody's, and not one of tests/cql/cassandra");
    }
    !is_given && there()
}

fn skip(why: &str) {
    let why = format!("{}: {why}", std::thread::current().name().unwrap_or("a test of the CQL store"));
    eprintln!("skipped: {why}");
    if let Some(path) = std::env::var_os("TWINFOLD_TEST_SKIPS") {
        let file = fs::OpenOptions::new().append(true).create(true).open(path);
        let _ = file.and_then(|mut file| writeln!(file, "{why}"));
    }
}

pub fn options() -> Options {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let keyspace = format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    // Nobody looks by himself, so that a test says who knows what when.
    let watch_every = Duration::from_secs(3_600);
    Options { nodes: vec![server()], keyspace, replication: Replication::Everywhere(1), logs: LOGS, watch_every, ..Options::default() }
}

/// A keyspace that stays: to drop one costs the server more than to keep it, for as long as it lives.
pub struct KeyspacePlace {
    pub options: Options,
}

impl KeyspacePlace {
    pub fn new(options: Options) -> Self {
        Self { options }
    }

    pub async fn open_here(&self) -> Opened {
        ScyllaStore::open(self.options.clone()).await.unwrap()
    }
}

impl Default for KeyspacePlace {
    fn default() -> Self {
        Self::new(options())
    }
}

#[async_trait]
impl Place for KeyspacePlace {
    async fn open(&self) -> contract::Opened {
        let Opened { store, identities } = self.open_here().await;
        contract::Opened { store, identities }
    }
}

pub fn id(text: &str) -> TwinId {
    TwinId::new(text).unwrap()
}

/// Looks at the tables themselves. Makes the keyspace, should no store have been opened in it yet.
pub async fn session(options: &Options) -> Session {
    let session = SessionBuilder::new().known_nodes(&options.nodes).build().await.unwrap();
    let make = "CREATE KEYSPACE IF NOT EXISTS";
    let make = format!("{make} {} WITH replication = {{'class': 'NetworkTopologyStrategy', 'replication_factor': 1}}", options.keyspace);
    session.query_unpaged(make, ()).await.unwrap();
    session.use_keyspace(&options.keyspace, false).await.unwrap();
    session
}

/// A room that stands on its own.
pub fn row(twin: &str, seq: u64) -> RegistryRow {
    RegistryRow {
        id: id(twin),
        model: ModelId::new("dtmi:twinfold:Room;1").unwrap(),
        parent: None,
        gateway: None,
        status: Status::Active,
        metadata: Default::default(),
        tags: Vec::new(),
        created_at: Timestamp::EPOCH,
        seq,
    }
}

/// Telemetry whose only value is its own number.
pub fn batch(twin: &TwinId, seq: u64) -> Batch {
    let at = Timestamp::from_millis(seq as i64).unwrap();
    let record = Record { at, id: None, values: vec![("t".into(), Value::Int(seq as i64))] };
    let raw = Raw { encoding: Encoding::Unknown, bytes: Default::default() };
    let mut batch = Batch::default();
    batch.push(twin, &[Event { seq, received_at: at, body: EventBody::Telemetry { stream: None, records: vec![record], raw } }]);
    batch
}

/// Numbers of a twin's events beyond the checkpoint, in their order.
pub async fn seqs(store: &dyn Store, twin: &TwinId) -> Vec<u64> {
    store.tail(twin).await.unwrap().iter().flat_map(|turn| &turn.events).map(|event| event.seq).collect()
}
