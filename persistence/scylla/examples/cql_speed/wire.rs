//! What a steady load sends to the cluster, counted on the wire: a thousand twins with an event each every two seconds, flushed every
//! two seconds, as a server does it. And the rows that it leaves.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use persistence::{Journal, Projection, Projections, Store};
use persistence_scylla::{Options, ScyllaStore};
use scylla::client::{session::Session, session_builder::SessionBuilder};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{Failure, batch, snapshot};

const TWINS: u64 = 1_000;
/// Events of each twin, and flushes: 20 s of the load.
const ROUNDS: u64 = 10;
/// Twins whose messages come together.
const TOGETHER: u64 = 25;
const HEADER_BYTES: usize = 9;
const TABLES: [&str; 8] = ["journal", "checkpoint", "snapshot", "history", "history_day", "by_day", "day", "wake"];

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    up_bytes: AtomicU64,
    down_bytes: AtomicU64,
}

impl Counts {
    fn now(&self) -> [u64; 3] {
        [&self.requests, &self.up_bytes, &self.down_bytes].map(|count| count.load(Ordering::Relaxed))
    }
}

/// Carries frames one way and counts them.
async fn carry(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, frames: Option<Arc<Counts>>, bytes: impl Fn(u64)) {
    let mut frame = Vec::new();
    loop {
        let mut header = [0; HEADER_BYTES];
        if from.read_exact(&mut header).await.is_err() {
            return;
        }
        frame.clear();
        frame.extend_from_slice(&header);
        frame.resize(HEADER_BYTES + u32::from_be_bytes([header[5], header[6], header[7], header[8]]) as usize, 0);
        if from.read_exact(&mut frame[HEADER_BYTES..]).await.is_err() || to.write_all(&frame).await.is_err() {
            return;
        }
        bytes(frame.len() as u64);
        if let Some(counts) = &frames {
            counts.requests.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Ordering::Relaxed);
}

async fn counted(node: String) -> Result<(String, Arc<Counts>), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (address, counts) = (listener.local_addr()?.to_string(), Arc::<Counts>::default());
    let of_task = counts.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(&node).await else { continue };
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            let (up, down) = (of_task.clone(), of_task.clone());
            let requests = Some(of_task.clone());
            tokio::spawn(carry(from_client, to_server, requests, move |bytes| add(&up.up_bytes, bytes)));
            tokio::spawn(carry(from_server, to_client, None, move |bytes| add(&down.down_bytes, bytes)));
        }
    });
    Ok((address, counts))
}

async fn rows(session: &Session, keyspace: &str, table: &str) -> Result<i64, Failure> {
    let answer = session.query_unpaged(format!("SELECT COUNT(*) FROM {keyspace}.{table}"), ()).await?;
    Ok(answer.into_rows_result()?.single_row::<(i64,)>()?.0)
}

pub async fn run(options: &Options, node: &str) -> Result<(), Failure> {
    let (address, counts) = counted(node.to_owned()).await?;
    let store = ScyllaStore::open(Options { nodes: vec![address], ..options.clone() }).await?.store;
    let session = SessionBuilder::new().known_node(node).build().await?;
    let (mut appends, mut flushes) = ([0; 3], [0; 3]);
    for round in 0..ROUNDS {
        let before = counts.now();
        for first in (0..TWINS).step_by(TOGETHER as usize) {
            store.append(batch(first..first + TOGETHER, round + 1)?).await?;
        }
        let between = counts.now();
        let snapshots = (0..TWINS).map(|n| snapshot(n, round + 1)).collect::<Result<Vec<_>, _>>()?;
        store.project(Projection { through: Some(store.mark()), snapshots, ..Projection::default() }).await?;
        let after = counts.now();
        for n in 0..3 {
            appends[n] += between[n] - before[n];
            flushes[n] += after[n] - between[n];
        }
    }
    let thousands = (TWINS * ROUNDS) as f64 / 1_000.0;
    println!("| for 1,000 events | requests | bytes to the cluster | bytes from it |\n|---|---|---|---|");
    for (what, [requests, up, down]) in [("appends", appends), ("flushes", flushes)] {
        let each = [requests, up, down].map(|count| count as f64 / thousands);
        println!("| {what} | {:.0} | {:.0} | {:.0} |", each[0], each[1], each[2]);
    }
    println!("\nrows after {} events of {TWINS} twins and {ROUNDS} flushes:", TWINS * ROUNDS);
    for table in TABLES {
        println!("- {table}: {}", rows(&session, &options.keyspace, table).await?);
    }
    println!();
    store.close().await?;
    Ok(())
}
