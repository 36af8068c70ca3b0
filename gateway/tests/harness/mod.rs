//! A front door with a runtime and a memory store behind it, and clients that write MQTT byte by byte.
//!
//! The packets here are built and read by hand, so that the tests do not lean on the codecs they test.

#![allow(dead_code, unused_imports, reason = "each test binary uses a part of it")]

mod client;
mod packets;
pub mod pki;

use std::{future::Future, sync::Arc, time::Duration};

use actors::{
    Registration, Twins,
    audit::{AuditFilter, Outcome},
    clock::{Clock, SystemClock},
    identity::Identities,
};
use gateway::{Gateway, Settings};
use hierarchy_models::{EventBody, ModelId, TwinId, access::Extent, model};
use persistence::{EventQuery, MemoryStore};

pub use client::{Client, Packet};
pub use packets::*;

pub const PATIENCE: Duration = Duration::from_secs(10);

pub struct Door {
    pub twins: Twins,
    pub store: MemoryStore,
    pub gateway: Gateway,
}

pub fn id(text: &str) -> TwinId {
    TwinId::new(text).unwrap()
}

impl Door {
    pub async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    pub async fn open_with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::open_at(Arc::new(SystemClock), change).await
    }

    /// The same, at another time.
    pub async fn open_at(clock: Arc<dyn Clock>, change: impl FnOnce(&mut Settings)) -> Self {
        let store = MemoryStore::new();
        let identities = Identities::new(Arc::new(store.clone()), Arc::new(store.clone()), [7; 32], "admin".into());
        let runtime = actors::Settings::default();
        let twins = Twins::open(Arc::new(store.clone()), identities, runtime, clock).await.unwrap();
        let mut settings = Settings { bind: Some(([127, 0, 0, 1], 0).into()), workers: 1, ..Settings::default() };
        change(&mut settings);
        let gateway = gateway::start(twins.clone(), settings).unwrap();
        Self { twins, store, gateway }
    }

    /// Registers a device and gives its key.
    pub async fn device(&self, name: &str) -> String {
        self.register(name, None).await
    }

    /// Registers a device that is reached through `gateway`.
    pub async fn child(&self, name: &str, gateway: &str) -> String {
        self.register(name, Some(id(gateway))).await
    }

    async fn register(&self, name: &str, gateway: Option<TwinId>) -> String {
        let registration = Registration {
            id: Some(id(name)),
            model: model("Device"),
            parent: None,
            gateway,
            metadata: Default::default(),
            tags: Vec::new(),
            keys: None,
        };
        self.twins.register(registration).await.unwrap().keys["primary"].clone()
    }

    /// The CONNACK's code for this CONNECT.
    pub async fn knock(&self, connect: Connect<'_>) -> u8 {
        let ack = self.dial().await.ask(&connect.bytes()).await;
        assert_eq!(ack.kind(), CONNACK, "{ack:?}");
        ack.body[1]
    }

    pub async fn token(&self, name: &str, scope: &str, seconds: u64) -> String {
        let (lifetime, now) = (Duration::from_secs(seconds), self.twins.clock().now());
        self.twins.identities().issue_scoped_token(&id(name), lifetime, scope.parse().unwrap(), now).await.unwrap()
    }

    pub async fn dial(&self) -> Client {
        Client::dial(self.gateway.plain.unwrap()).await
    }

    /// A device that has connected, with MQTT 5 and a session that ends with the connection unless said otherwise.
    pub async fn connected(&self, connect: Connect<'_>) -> Client {
        let mut client = self.dial().await;
        let key = self.key(connect.client_id).await;
        client.send(&Connect { password: Some(key.as_bytes()), ..connect }.bytes()).await;
        let ack = client.read().await;
        assert_eq!((ack.kind(), ack.body[1]), (CONNACK, 0), "{ack:?}");
        client
    }

    /// The device's own key: a fresh registration's, or derived again for one that is known.
    async fn key(&self, name: &str) -> String {
        self.twins.identities().issue_token(&id(name), Duration::from_secs(60), self.twins.clock().now()).await.unwrap()
    }

    pub async fn events(&self, name: &str) -> Vec<EventBody> {
        let query = EventQuery { after_seq: 0, twin: id(name), stream: None, from: None, to: None, limit: 1000, cursor: None };
        self.twins.events(query).await.unwrap().items.into_iter().map(|e| e.event.body).collect()
    }

    /// Whose, of what stands in the audit log under this action.
    pub async fn audited(&self, action: &str) -> Vec<String> {
        let (within, limit) = (Extent::Everywhere, 100);
        let all = AuditFilter { under: None, within, actor: None, outcome: Some(Outcome::Done), from: None, to: None, limit, cursor: None };
        let records = self.twins.audited(all).await.unwrap().items.into_iter().map(|recorded| recorded.entry);
        records.filter(|entry| entry.action == action).filter_map(|entry| entry.target.id).collect()
    }

    /// Telemetry values named `n`, in the order they were recorded.
    pub async fn numbers(&self, name: &str) -> Vec<i64> {
        let of = |body: EventBody| match body {
            EventBody::Telemetry { records, .. } => records,
            _ => Vec::new(),
        };
        let records = self.events(name).await.into_iter().flat_map(of);
        records.flat_map(|r| r.values).filter(|(n, _)| n == "n").filter_map(|(_, v)| v.as_f64()).map(|f| f as i64).collect()
    }
}

pub fn model(short: &str) -> ModelId {
    model::resolve(short).unwrap()
}

/// Waits until `condition` holds.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
