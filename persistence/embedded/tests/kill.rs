//! The store's process is killed in the middle of its work; what it had acknowledged is there.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    collections::HashMap,
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use common::{batch, id};
use persistence::{EventQuery, History, Journal, Projection, Projections};
use persistence_embedded::{EmbeddedStore, Opened, Options};

const FOLDER: &str = "TWINFOLD_TEST_KILLED_FOLDER";
const TWINS: usize = 8;
const ROUNDS: usize = 3;
const ACKS_BEFORE_THE_KILL: usize = 1_500;

fn twin(n: usize) -> String {
    format!("twin-{n}")
}

async fn logged(store: &EmbeddedStore, twin: &str) -> Vec<u64> {
    let query = EventQuery { after_seq: 0, twin: id(twin), stream: None, from: None, to: None, limit: 1_000_000, cursor: None };
    store.events(query).await.unwrap().items.iter().map(|l| l.event.seq).collect()
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).unwrap();
}

/// Says `ack twin seq` on standard output for everything that was acknowledged, until it is killed.
async fn work(store: Arc<EmbeddedStore>, n: usize) {
    let twin = twin(n);
    let next = logged(&store, &twin).await.len() as u64 + 1;
    for seq in next.. {
        store.append(batch(&id(&twin), seq, 40)).await.unwrap();
        say(&format!("ack {twin} {seq}"));
        if n == 0 && seq % 20 == 0 {
            let through = Some(store.mark());
            store.project(Projection { through, ..Projection::default() }).await.unwrap();
        }
    }
}

/// Not a test by itself: the process that the test below kills.
#[tokio::test]
async fn the_process_that_is_killed() {
    let Some(folder) = env::var_os(FOLDER) else { return };
    let Opened { store, .. } = EmbeddedStore::open(Path::new(&folder), Options::default()).unwrap();
    let workers: Vec<_> = (0..TWINS).map(|n| tokio::spawn(work(store.clone(), n))).collect();
    for worker in workers {
        worker.await.unwrap();
    }
}

/// The highest acknowledged sequence number of each twin.
fn run_and_kill(folder: &Path) -> HashMap<String, u64> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "the_process_that_is_killed", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acked = HashMap::new();
    let mut count = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        // The harness' own words share the pipe.
        let Some((twin, seq)) = line.split_once("ack ").and_then(|(_, rest)| rest.split_once(' ')) else { continue };
        acked.insert(twin.to_owned(), seq.parse().unwrap());
        count += 1;
        if count == ACKS_BEFORE_THE_KILL {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success());
    assert!(count >= ACKS_BEFORE_THE_KILL, "{count} acks before the process ended by itself");
    acked
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..ROUNDS {
        let acked = run_and_kill(folder.path());
        let Opened { store, .. } = EmbeddedStore::open(folder.path(), Options::default()).unwrap();
        for n in 0..TWINS {
            let found = logged(&store, &twin(n)).await;
            assert_eq!(found, (1..=found.len() as u64).collect::<Vec<_>>(), "round {round}: each event once, in order");
            let acked = acked.get(&twin(n)).copied().unwrap_or(0);
            assert!(found.len() as u64 >= acked, "round {round}: {} of {acked} acknowledged events", found.len());
        }
    }
}
