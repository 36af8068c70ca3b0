//! What this store costs on a cluster: `cargo run --release -p persistence-scylla --example cql_speed [host:port] [twins]`.
//!
//! Three parts, in a keyspace `speed_…` that stays behind. *Appends*: callers that append one batch after another, as the batchers of
//! the runtime's threads do: turns a second, how long an append takes, CPU time and allocations of this process a turn. *Wire*: the same
//! events as a server on a steady load writes them, over a wire that counts: requests and bytes, and the rows they leave. *Start*: a
//! registry of so many twins (100,000 when not said) with a snapshot each, and how long a start with it takes.

mod appends;
mod start;
mod usage;
mod wire;

use std::error::Error;

use bytes::Bytes;
use hierarchy_models::{Event, EventBody, Raw, Record, Timestamp, TwinId, Value, event::Encoding};
use persistence::{Batch, Snapshot, Store};
use persistence_scylla::{Options, ScyllaStore};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

type Failure = Box<dyn Error + Send + Sync>;

const TWINS_DEFAULT: u64 = 100_000;
/// Of a twin with ten values, as the runtime writes it.
const SNAPSHOT_BYTES: usize = 600;
const CONTRIBUTION_BYTES: usize = 60;

/// A reading of two values with its payload, 2 s after the one before.
fn event(seq: u64) -> Event {
    let at = Timestamp::from_millis_clamped(1_700_000_000_000 + 2_000 * seq as i64);
    let temperature = 20.0 + (seq % 700) as f64 / 100.0;
    let values = vec![("temperature".into(), Value::Float(temperature)), ("seq".into(), Value::Int(seq as i64))];
    let raw = Raw { encoding: Encoding::Json, bytes: Bytes::from(format!(r#"{{"temperature":{temperature:.2},"seq":{seq}}}"#)) };
    Event { seq, received_at: at, body: EventBody::Telemetry { stream: None, records: vec![Record { at, id: None, values }], raw } }
}

fn twin(n: u64) -> Result<TwinId, Failure> {
    Ok(TwinId::new(format!("device-{n:07}"))?)
}

fn snapshot(n: u64, seq: u64) -> Result<Snapshot, Failure> {
    let (state, contribution) = (Bytes::from(vec![7; SNAPSHOT_BYTES]), Bytes::from(vec![7; CONTRIBUTION_BYTES]));
    Ok(Snapshot { twin: twin(n)?, seq, state, contribution, wake_at: None })
}

/// One event of each of these twins.
fn batch(twins: impl Iterator<Item = u64>, seq: u64) -> Result<Batch, Failure> {
    let mut batch = Batch::default();
    for n in twins {
        batch.push(&twin(n)?, &[event(seq)]);
    }
    Ok(batch)
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let node = arguments.next().unwrap_or_else(|| "127.0.0.1:9042".into());
    let twins = arguments.next().map_or(Ok(TWINS_DEFAULT), |text| text.parse())?;
    let options =
        |part: &str| Options { nodes: vec![node.clone()], keyspace: format!("speed_{part}_{}", std::process::id()), ..Options::default() };

    let store = ScyllaStore::open(options("appends")).await?.store;
    appends::run(&store).await?;
    store.close().await?;
    wire::run(&options("wire"), &node).await?;
    start::run(&options("start"), twins).await
}
