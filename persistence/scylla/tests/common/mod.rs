//! A keyspace that a test opens a store in.

#![allow(clippy::unwrap_used, dead_code)]

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use persistence::contract::{self, Place};
use persistence_scylla::{Opened, Options, Replication, ScyllaStore};

/// Few logs: each start of a store claims every one of them.
const LOGS: u16 = 3;

/// Where the server is that the tests run against.
pub fn server() -> String {
    std::env::var("TWINFOLD_TEST_CQL").unwrap_or_else(|_| "127.0.0.1:9042".into())
}

pub fn options() -> Options {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let keyspace = format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    Options { nodes: vec![server()], keyspace, replication: Replication::Everywhere(1), logs: LOGS, ..Options::default() }
}

pub struct KeyspacePlace {
    options: Options,
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
