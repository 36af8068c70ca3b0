//! A folder that a test opens a store in, and turns to put into it.

#![allow(clippy::unwrap_used, dead_code)]

use async_trait::async_trait;
use bytes::Bytes;
use hierarchy_models::{Event, EventBody, Raw, Record, Timestamp, TwinId, Value, event::Encoding};
use persistence::{
    Batch,
    contract::{self, Place},
};
use persistence_embedded::{EmbeddedStore, Opened, Options};
use tempfile::TempDir;

pub struct FolderPlace {
    pub folder: TempDir,
    options: Options,
}

impl FolderPlace {
    pub fn new(options: Options) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), options }
    }

    pub fn open_here(&self) -> Opened {
        EmbeddedStore::open(self.folder.path(), self.options.clone()).unwrap()
    }
}

impl Default for FolderPlace {
    fn default() -> Self {
        Self::new(Options::default())
    }
}

#[async_trait]
impl Place for FolderPlace {
    async fn open(&self) -> contract::Opened {
        let Opened { store, identities } = self.open_here();
        contract::Opened { store, identities }
    }
}

pub fn id(text: &str) -> TwinId {
    TwinId::new(text).unwrap()
}

/// Telemetry with a payload of `bytes` bytes that do not compress.
pub fn event(seq: u64, bytes: usize) -> Event {
    let at = Timestamp::from_millis(seq as i64).unwrap();
    let mut state = seq | 1 << 40;
    let noise = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    let raw = Raw { encoding: Encoding::Unknown, bytes: Bytes::from_iter((0..bytes).map(noise)) };
    let record = Record { at, id: None, values: vec![("t".into(), Value::Int(seq as i64))] };
    Event { seq, received_at: at, body: EventBody::Telemetry { stream: None, records: vec![record], raw } }
}

pub fn batch(twin: &TwinId, seq: u64, bytes: usize) -> Batch {
    let mut batch = Batch::default();
    batch.push(twin, &[event(seq, bytes)]);
    batch
}
