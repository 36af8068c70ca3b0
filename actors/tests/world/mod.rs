//! A runtime on a memory store with a hand-moved clock, and devices whose links can be read: what the tests stand on.

#![allow(dead_code, reason = "each test file uses its part")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use actors::{
    NewCommand, Registered, Registration, Settings, TwinError, TwinPatch, Twins,
    clock::ManualClock,
    device::{Connect, DeviceSession, Downlink, Link, LinkError, Refusal},
    identity::Identities,
    kind::Kinds,
    view::TwinView,
};
use bytes::Bytes;
use hierarchy_models::{
    Command, DeviceMessage, EventBody, Name, Raw, Record, Severity, Timestamp, TwinId, Value,
    event::{Encoding, Subscriptions},
    model,
    rule::{Action, Rule},
    value::Map,
};
use parking_lot::Mutex;
use persistence::{CommandQuery, EventQuery, MemoryStore};

pub fn id(text: &str) -> TwinId {
    TwinId::new(text).unwrap()
}

pub fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

pub fn map(text: &str) -> Map {
    json(text).into_map().unwrap()
}

pub fn raw() -> Raw {
    Raw { encoding: Encoding::Json, bytes: Bytes::from_static(b"{}") }
}

/// A rule over every twin that raises one warning, whose text is the value.
pub fn rule(id: &str, when: &str) -> Rule {
    Rule {
        id: id.into(),
        description: String::new(),
        enabled: true,
        model: None,
        under: None,
        when: when.into(),
        clear: None,
        actions: vec![Action::Alert { name: None, severity: Severity::Warning, text: "{value}".into() }],
        version: 1,
        created_at: Timestamp::EPOCH,
        changed_at: Timestamp::EPOCH,
    }
}

pub struct World {
    pub store: Arc<MemoryStore>,
    pub clock: Arc<ManualClock>,
    pub twins: Twins,
}

pub fn settings() -> Settings {
    Settings { rollup_tick: Duration::from_millis(5), ..Settings::default() }
}

/// Runs a test on a thread that twins can live on.
pub fn run<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&tokio, async {
        // Far beyond what any test takes: it ends a hang, it decides nothing.
        tokio::time::timeout(Duration::from_secs(60), test()).await.expect("the test hangs");
    });
}

impl World {
    pub async fn new() -> Self {
        Self::with(settings(), Kinds::built_in()).await
    }

    pub async fn with(settings: Settings, kinds: Kinds) -> Self {
        let clock = Arc::new(ManualClock::at("2026-01-01T00:00:00Z".parse().unwrap()));
        Self::on(Arc::new(MemoryStore::default()), clock, settings, kinds).await
    }

    /// On a store whose commits may wait for other machines.
    pub async fn far_away() -> Self {
        let clock = Arc::new(ManualClock::at("2026-01-01T00:00:00Z".parse().unwrap()));
        let store = Arc::new(MemoryStore::default());
        store.let_commits_wait();
        Self::on(store, clock, settings(), Kinds::built_in()).await
    }

    /// Starts on such a store, which does not answer at first.
    pub async fn start(store: Arc<MemoryStore>) -> Result<Twins, TwinError> {
        let identities = Identities::new(store.clone(), store.clone(), [1; 32], "admin".into());
        let clock = Arc::new(ManualClock::at("2026-01-01T00:00:00Z".parse().unwrap()));
        Twins::open_with(store, identities, settings(), clock, Kinds::built_in()).await
    }

    async fn on(store: Arc<MemoryStore>, clock: Arc<ManualClock>, settings: Settings, kinds: Kinds) -> Self {
        let identities = Identities::new(store.clone(), store.clone(), [1; 32], "admin".into());
        let twins = Twins::open_with(store.clone(), identities, settings, clock.clone(), kinds).await.unwrap();
        twins.join_thread();
        Self { store, clock, twins }
    }

    /// The process dies now; a new one starts on what is durable.
    pub async fn crash(self) -> Self {
        self.crash_into(Kinds::built_in()).await
    }

    /// The same, with the new one knowing these kinds.
    pub async fn crash_into(self, kinds: Kinds) -> Self {
        let store = Arc::new(self.store.crash());
        Self::on(store, self.clock.clone(), settings(), kinds).await
    }

    /// Lets the runtime work until there is an answer.
    pub async fn until<T>(&self, what: &str, mut ask: impl AsyncFnMut(&Self) -> Option<T>) -> T {
        for _ in 0..10_000 {
            if let Some(answer) = ask(self).await {
                return answer;
            }
            let _ = self.twins.tick().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("waited in vain: {what}");
    }

    /// Waits until the store holds a commit back; a flush would wait for it too.
    pub async fn held(&self) {
        while self.store.held_appends() == 0 {
            tokio::task::yield_now().await;
        }
    }

    /// Everything that happened to a twin.
    pub async fn log(&self, name: &str) -> Vec<EventBody> {
        let query = EventQuery { after_seq: 0, twin: id(name), stream: None, from: None, to: None, limit: 1_000, cursor: None };
        self.twins.events(query).await.unwrap().items.into_iter().map(|logged| logged.event.body).collect()
    }

    /// All commands a twin was ever sent, newest first.
    pub async fn commands_of(&self, name: &str) -> Vec<Command> {
        self.try_commands_of(name).await.unwrap()
    }

    /// The same, where the twin may be waiting for its store.
    pub async fn try_commands_of(&self, name: &str) -> Result<Vec<Command>, actors::TwinError> {
        let query = CommandQuery { twin: id(name), state: None, limit: 1_000, cursor: None };
        Ok(self.twins.commands(query).await?.items)
    }

    pub async fn crash_with(self, settings: Settings) -> Self {
        let store = Arc::new(self.store.crash());
        Self::on(store, self.clock.clone(), settings, Kinds::built_in()).await
    }

    pub fn now(&self) -> Timestamp {
        actors::clock::Clock::now(&*self.clock)
    }

    pub async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.twins.tick().await.unwrap();
    }

    pub async fn register(&self, name: &str, kind: &str, parent: Option<&str>) -> Registered {
        self.try_register(name, kind, parent, None).await.unwrap()
    }

    pub async fn try_register(
        &self,
        name: &str,
        kind: &str,
        parent: Option<&str>,
        gateway: Option<&str>,
    ) -> Result<Registered, actors::TwinError> {
        let registration = Registration {
            id: Some(id(name)),
            model: model::resolve(kind).unwrap(),
            parent: parent.map(id),
            gateway: gateway.map(id),
            metadata: Map::new(),
            tags: vec![],
            keys: None,
        };
        self.twins.register(registration).await
    }

    /// A site with a floor, a room, and devices in it.
    pub async fn building(&self, devices: &[&str]) {
        self.register("site", "Site", None).await;
        self.register("floor", "Floor", Some("site")).await;
        self.register("room", "Room", Some("floor")).await;
        for device in devices {
            self.register(device, "Device", Some("room")).await;
        }
    }

    pub async fn view(&self, name: &str) -> TwinView {
        self.twins.get(&id(name)).await.unwrap()
    }

    pub async fn connect(&self, name: &str) -> Device {
        self.connect_with(name, true, Duration::from_secs(3600)).await
    }

    pub async fn connect_with(&self, name: &str, clean_start: bool, expiry: Duration) -> Device {
        let link = Arc::new(TestLink::default());
        let connect = Connect {
            device: id(name),
            protocol: "test".into(),
            remote: "here".into(),
            clean_start,
            expiry,
            proof: None,
            link: link.clone(),
        };
        let session = self.twins.connect(connect).await.unwrap();
        session.ready().await;
        Device { name: id(name), session, link }
    }

    pub async fn command(&self, device: &str, name: &str, ttl: u64) -> Command {
        self.try_command(device, name, ttl, None).await.unwrap()
    }

    pub async fn try_command(&self, device: &str, name: &str, ttl: u64, key: Option<&str>) -> Result<Command, actors::TwinError> {
        let command = NewCommand {
            name: name.into(),
            payload: Value::Null,
            ttl: Duration::from_secs(ttl),
            idempotency_key: key.map(Name::from),
            sender: "test".into(),
        };
        self.twins.command(&id(device), command).await
    }

    pub async fn move_to(&self, name: &str, parent: Option<&str>) -> Result<TwinView, actors::TwinError> {
        let patch = TwinPatch { parent: Some(parent.map(id)), ..TwinPatch::default() };
        self.twins.patch(&id(name), patch, None).await
    }
}

/// A link that keeps what it was handed, and can be made full.
#[derive(Default)]
pub struct TestLink {
    pub down: Mutex<Vec<Downlink>>,
    pub forgotten: Mutex<Vec<TwinId>>,
    pub full: std::sync::atomic::AtomicBool,
}

impl Link for TestLink {
    fn deliver(&self, _: &TwinId, message: Downlink) -> Result<(), LinkError> {
        if self.full.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(LinkError::Full);
        }
        self.down.lock().push(message);
        Ok(())
    }

    fn is_closed(&self) -> bool {
        false
    }

    fn forget(&self, target: &TwinId) {
        self.forgotten.lock().push(target.clone());
    }
}

pub struct Device {
    pub name: TwinId,
    pub session: DeviceSession,
    pub link: Arc<TestLink>,
}

impl Device {
    pub async fn telemetry(&self, values: &str) -> Result<(), Refusal> {
        self.record(None, None, values).await
    }

    pub async fn record(&self, record: Option<&str>, at: Option<Timestamp>, values: &str) -> Result<(), Refusal> {
        self.session.send(&self.name, telemetry(record, at, values), None).await
    }

    pub async fn subscribe(&self) {
        let all = Subscriptions { commands: Some(1), desired: Some(1), twin: Some(1) };
        self.session.subscribe(&self.name, all).await.unwrap();
    }

    /// Names of the commands that came down, in order, each with whether it was a redelivery.
    pub fn commands(&self) -> Vec<(String, bool)> {
        let name = |d: &Downlink| match d {
            Downlink::Command { name, redelivery, .. } => Some((name.to_string(), *redelivery)),
            _ => None,
        };
        self.link.down.lock().iter().filter_map(name).collect()
    }

    pub fn is_closed(&self) -> bool {
        self.link.down.lock().iter().any(|d| matches!(d, Downlink::Close(_)))
    }
}

pub fn telemetry(record: Option<&str>, at: Option<Timestamp>, values: &str) -> DeviceMessage {
    let values = map(values).into_iter().collect();
    let at = at.unwrap_or_else(|| "2026-01-01T00:00:00Z".parse().unwrap());
    DeviceMessage::Telemetry { stream: None, records: vec![Record { at, id: record.map(Name::from), values }], raw: raw() }
}

pub fn numbers(view: &TwinView) -> BTreeMap<String, f64> {
    view.telemetry.iter().filter_map(|(n, v)| Some((n.to_string(), v.value.as_f64()?))).collect()
}
