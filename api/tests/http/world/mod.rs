//! A running server with a hand-moved clock, a client for it, and devices that answer.

mod client;

use std::{
    rc::Rc,
    sync::{Arc, LazyLock},
    time::Duration,
};

use actors::{
    Twins,
    clock::ManualClock,
    device::{Connect, DeviceSession, Downlink, Link, LinkError},
    identity::Identities,
};
use bytes::Bytes;
use hierarchy_models::{
    CommandId, CommandResult, DeviceMessage, Raw, Record, TwinId, Value,
    event::{Encoding, Subscriptions},
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use persistence::MemoryStore;
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;

pub use client::{Answer, Client, Stream};

pub const ADMIN: &str = "the-first-key";

/// One for all tests of the process, as the recorder is: figures only grow.
static METRICS: LazyLock<PrometheusHandle> = LazyLock::new(|| PrometheusBuilder::new().install_recorder().unwrap());

pub fn id(text: &str) -> TwinId {
    TwinId::new(text).unwrap()
}

pub struct World {
    pub twins: Twins,
    pub clock: Arc<ManualClock>,
    pub api: api::Api,
    pub admin: Client,
}

/// Runs a test on a thread that twins can live on.
pub fn run<F: Future<Output = ()>>(test: impl FnOnce(World) -> F) {
    run_with(settings(), test);
}

pub fn settings() -> api::Settings {
    api::Settings { bind: "127.0.0.1:0".parse().unwrap(), workers: 1, ..api::Settings::default() }
}

pub fn run_with<F: Future<Output = ()>>(settings: api::Settings, test: impl FnOnce(World) -> F) {
    run_both(settings, actors::Settings::default(), test);
}

pub fn run_both<F: Future<Output = ()>>(settings: api::Settings, runtime: actors::Settings, test: impl FnOnce(World) -> F) {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&tokio, async {
        // Far beyond what any test takes: it ends a hang, it decides nothing.
        let test = async { test(World::new(settings, runtime).await).await };
        tokio::time::timeout(Duration::from_secs(60), test).await.expect("the test hangs");
    });
}

impl World {
    pub async fn new(settings: api::Settings, runtime: actors::Settings) -> Self {
        let clock = Arc::new(ManualClock::at("2026-01-01T00:00:00Z".parse().unwrap()));
        let store = Arc::new(MemoryStore::default());
        let identities = Identities::new(store.clone(), store.clone(), [1; 32], ADMIN.into());
        let twins = Twins::open(store, identities, runtime, clock.clone()).await.unwrap();
        twins.join_thread();
        let metrics = METRICS.clone();
        let api = api::start(twins.clone(), settings, metrics).await.unwrap();
        let admin = Client::new(api.address, Some(ADMIN));
        Self { twins, clock, api, admin }
    }

    pub fn with_key(&self, key: &str) -> Client {
        Client::new(self.api.address, Some(key))
    }

    pub fn without_key(&self) -> Client {
        Client::new(self.api.address, None)
    }

    pub async fn register(&self, name: &str, model: &str, parent: Option<&str>) -> Json {
        let answer = self.admin.post("/twins", json!({"id": name, "model": model, "parent": parent})).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json
    }

    /// A site with a room, devices in it, and another site.
    pub async fn building(&self, devices: &[&str]) {
        self.register("site", "Site", None).await;
        self.register("room", "Room", Some("site")).await;
        for device in devices {
            self.register(device, "Device", Some("room")).await;
        }
        self.register("elsewhere", "Site", None).await;
    }

    /// A client with these rights.
    pub async fn principal(&self, role: &str, scope: Option<&str>) -> Client {
        let answer = self.admin.post("/principals", json!({"name": format!("a {role}"), "role": role, "scope": scope})).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        self.with_key(answer.json["key"].as_str().unwrap())
    }

    /// A device that answers every command with `status` and the command's own payload.
    pub async fn answering_device(&self, name: &str, status: u16) -> Rc<DeviceSession> {
        let (link, mut commands) = CommandLink::new();
        let connect = Connect {
            device: id(name),
            protocol: "test".into(),
            remote: "here".into(),
            clean_start: true,
            expiry: Duration::from_secs(3600),
            proof: None,
            link,
        };
        let session = Rc::new(self.twins.connect(connect).await.unwrap());
        session.ready().await;
        session.subscribe(&id(name), Subscriptions { commands: Some(1), desired: None, twin: None }).await.unwrap();
        let (answering, device) = (session.clone(), id(name));
        tokio::task::spawn_local(async move {
            while let Some((command, payload)) = commands.recv().await {
                answering.delivered(&device, command.clone()).await;
                let result = CommandResult { status, payload };
                answering.send(&device, DeviceMessage::Result { command, result }, None).await.unwrap();
            }
        });
        session
    }

    pub async fn telemetry(&self, device: &str, at: &str, values: &str) {
        let values = serde_json::from_str::<Value>(values).unwrap().into_map().unwrap();
        let raw = Raw { encoding: Encoding::Json, bytes: Bytes::from(serde_json::to_vec(&values).unwrap()) };
        let record = Record { at: at.parse().unwrap(), id: None, values: values.into_iter().collect() };
        self.twins.send(&id(device), DeviceMessage::Telemetry { stream: None, records: vec![record], raw }).await.unwrap();
    }
}

struct CommandLink(mpsc::UnboundedSender<(CommandId, Value)>);

impl CommandLink {
    fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<(CommandId, Value)>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Arc::new(Self(sender)), receiver)
    }
}

impl Link for CommandLink {
    fn deliver(&self, _: &TwinId, message: Downlink) -> Result<(), LinkError> {
        if let Downlink::Command { id, payload, .. } = message {
            self.0.send((id, payload)).map_err(|_| LinkError::Closed)?;
        }
        Ok(())
    }

    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}
