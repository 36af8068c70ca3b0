//! The devices as real MQTT 5 clients, each over its own TCP connection, on one thread of their own.
//!
//! `ntex-mqtt` has a client and is in the tree already; `rumqttc` would bring a second MQTT implementation. The server's
//! listener runs on other threads and other event loops: what is said here crosses the loopback interface.

use std::{
    cell::RefCell,
    net::SocketAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use ntex::{
    rt::{DefaultRuntime, System},
    service::{ServiceFactory, cfg::SharedCfg, fn_service},
    time::{Millis, Seconds, sleep, timeout},
    util::{ByteString, Bytes},
};
use ntex_mqtt::v5::{
    MqttSink,
    client::{Client, Connect, MqttConnector, ProtocolMessage},
    codec::{PublishAckReason, QoS, RetainHandling, SubscriptionOptions},
};
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use super::{
    campus::Device,
    device::{Message, State},
    provision::Credentials,
    rhythm::{self, Moment},
};

const KEEP_ALIVE: Seconds = Seconds(20);
const CONNECT_TIMEOUT: Millis = Millis(5_000);
const RECONNECT_FIRST: Duration = Duration::from_millis(500);
const RECONNECT_LONGEST: Duration = Duration::from_secs(8);
/// How often a device that lost its connection looks whether it may come back.
const DROPPED_LOOK: Millis = Millis(500);
/// Connections are opened this far apart, so that 200 do not come in one instant.
const SPREAD_MS: u64 = 10;

/// What the fleet has done so far.
#[derive(Debug, Default)]
pub struct Figures {
    /// Readings the server has acknowledged.
    pub acknowledged: AtomicU64,
    pub refused: AtomicU64,
    pub commands: AtomicU64,
    pub connected: AtomicU64,
}

/// The running devices. They stop when it is dropped.
pub struct Fleet {
    pub figures: Arc<Figures>,
    began: Instant,
    day: Duration,
    stop: watch::Sender<bool>,
    thread: Option<thread::JoinHandle<()>>,
}

/// What every device knows.
#[derive(Clone)]
struct World {
    server: SocketAddr,
    began: Instant,
    day: Duration,
    figures: Arc<Figures>,
    stop: watch::Receiver<bool>,
}

impl Fleet {
    pub fn start(server: SocketAddr, day: Duration, devices: Vec<Credentials>) -> std::io::Result<Self> {
        let figures = Arc::new(Figures::default());
        let (stop, stopped) = watch::channel(false);
        let began = Instant::now();
        let world = World { server, began, day, figures: figures.clone(), stop: stopped };
        let thread = thread::Builder::new().name("demo-devices".into()).spawn(move || run(world, devices))?;
        Ok(Self { figures, began, day, stop, thread: Some(thread) })
    }

    pub fn now(&self) -> Moment {
        Moment { elapsed: self.began.elapsed(), day: self.day }
    }
}

impl Drop for Fleet {
    /// Says goodbye for every device and waits for the thread.
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(world: World, devices: Vec<Credentials>) {
    let system = System::build().name("demo-devices").disable_signals().build(DefaultRuntime);
    system.block_on(async move {
        join_all(devices.into_iter().enumerate().map(|(n, credentials)| live(world.clone(), credentials, n as u64))).await;
    });
}

/// A device's whole life: connects, speaks, loses its connection, comes back.
async fn live(mut world: World, credentials: Credentials, n: u64) {
    let device = credentials.device;
    let state = Rc::new(RefCell::new(State::new(device)));
    let mut pause = RECONNECT_FIRST;
    if world.rest(Duration::from_millis(n * SPREAD_MS)).await {
        return;
    }
    while !*world.stop.borrow() {
        if rhythm::is_dropped(device, world.began.elapsed()) {
            sleep(DROPPED_LOOK).await;
            continue;
        }
        match connect(&world, &credentials).await {
            Ok(client) => {
                pause = RECONNECT_FIRST;
                world.figures.connected.fetch_add(1, Relaxed);
                session(&mut world, client, &state).await;
                world.figures.connected.fetch_sub(1, Relaxed);
            }
            Err(reason) => {
                tracing::debug!(device = device.id(), reason, "a simulated device could not connect");
                pause = (pause * 2).min(RECONNECT_LONGEST);
            }
        }
        if world.rest(pause).await {
            return;
        }
    }
}

impl World {
    fn now(&self) -> Moment {
        Moment { elapsed: self.began.elapsed(), day: self.day }
    }

    /// Waits; whether all is to stop.
    async fn rest(&mut self, time: Duration) -> bool {
        tokio::select! {
            _ = sleep(Millis(u32::try_from(time.as_millis()).unwrap_or(u32::MAX))) => {}
            _ = self.stop.changed() => {}
        }
        *self.stop.borrow()
    }
}

async fn connect(world: &World, credentials: &Credentials) -> Result<Client, String> {
    let id = ByteString::from(credentials.device.id());
    let connect = Connect::new(world.server)
        .client_id(id.clone())
        .username(id)
        .password(Bytes::from(credentials.key.clone().into_bytes()))
        .clean_start()
        .keep_alive(KEEP_ALIVE);
    let connector = MqttConnector::new().pipeline(SharedCfg::default()).await.map_err(|e| format!("{e:?}"))?;
    match timeout(CONNECT_TIMEOUT, connector.call(connect)).await {
        Ok(connected) => connected.map_err(|e| format!("{e}")),
        Err(()) => Err("no CONNACK in time".to_owned()),
    }
}

/// Messages that came down and are not carried out yet; what is beyond is dropped, as a small device would.
const INCOMING_MAX: usize = 64;

/// What comes down to a device.
struct Incoming {
    topic: String,
    payload: Value,
}

/// One connection, from its CONNACK to its end.
async fn session(world: &mut World, client: Client, state: &Rc<RefCell<State>>) {
    let sink = client.sink();
    let (sender, mut incoming) = mpsc::channel(INCOMING_MAX);
    let dispatcher = ntex::rt::spawn(client.start(fn_service(move |message| receive(message, sender.clone()))));
    let device = state.borrow().device;
    if subscribe(&sink, &device.id()).await {
        while sink.is_open() && !rhythm::is_dropped(device, world.began.elapsed()) {
            let said = state.borrow_mut().speak(world.now());
            publish(&sink, &device, &said, &world.figures);
            if speak_and_listen(world, &sink, &mut incoming, state).await {
                sink.close();
                break;
            }
        }
    }
    // A device that drops off says no goodbye.
    sink.force_close();
    let _ = dispatcher.await;
}

/// Until its next reading is due it carries out what comes down; whether all is to stop.
async fn speak_and_listen(world: &mut World, sink: &MqttSink, incoming: &mut mpsc::Receiver<Incoming>, state: &Rc<RefCell<State>>) -> bool {
    let device = state.borrow().device;
    let due = sleep(Millis(u32::try_from(device.kind.period_ms()).unwrap_or(u32::MAX)));
    tokio::pin!(due);
    loop {
        tokio::select! {
            () = &mut due => return *world.stop.borrow(),
            _ = world.stop.changed() => return *world.stop.borrow(),
            message = incoming.recv() => match message {
                Some(message) => {
                    let answers = obey(state, &message, &world.figures);
                    publish(sink, &device, &answers, &world.figures);
                }
                None => return false,
            },
        }
    }
}

/// `devices/{id}/commands/{name}/{command_id}` is answered on `results/{command_id}`, and what it changed is said at once.
fn obey(state: &Rc<RefCell<State>>, message: &Incoming, figures: &Figures) -> Vec<Message> {
    let mut state = state.borrow_mut();
    let levels: Vec<&str> = message.topic.split('/').collect();
    match levels.as_slice() {
        [_, _, "commands", name, id] => {
            figures.commands.fetch_add(1, Relaxed);
            vec![Message { topic: format!("results/{id}"), payload: state.obey(name, &message.payload) }]
        }
        [_, _, "desired"] => {
            state.desire(&message.payload);
            Vec::new()
        }
        _ => Vec::new(),
    }
}

async fn receive(message: ProtocolMessage, to: mpsc::Sender<Incoming>) -> Result<ntex_mqtt::v5::ProtocolMessageAck, ()> {
    let ProtocolMessage::Publish(publish) = message else { return Ok(message.ack()) };
    let payload = publish.read_all().await.unwrap_or_default();
    let payload = serde_json::from_slice(&payload).unwrap_or_default();
    let _ = to.try_send(Incoming { topic: publish.packet().topic.to_string(), payload });
    Ok(publish.ack(PublishAckReason::Success))
}

async fn subscribe(sink: &MqttSink, id: &str) -> bool {
    let options = SubscriptionOptions {
        qos: QoS::AtLeastOnce,
        no_local: false,
        retain_as_published: false,
        retain_handling: RetainHandling::AtSubscribe,
    };
    let filters = [format!("devices/{id}/commands/#"), format!("devices/{id}/desired")];
    let packet = filters.into_iter().fold(sink.subscribe(None), |packet, filter| packet.topic_filter(filter.into(), options));
    packet.send().await.is_ok()
}

/// Sends with quality of service 1. The acknowledgement is awaited aside: it means that the reading is durable.
fn publish(sink: &MqttSink, device: &Device, messages: &[Message], figures: &Arc<Figures>) {
    for message in messages {
        let topic = format!("devices/{}/{}", device.id(), message.topic);
        let sent = sink.publish(topic).send_at_least_once(Bytes::from(message.payload.to_string().into_bytes()));
        let figures = figures.clone();
        ntex::rt::spawn(async move {
            match sent.await {
                Ok(ack) if ack.reason_code == PublishAckReason::Success => figures.acknowledged.fetch_add(1, Relaxed),
                Ok(_) => figures.refused.fetch_add(1, Relaxed),
                Err(_) => 0,
            };
        });
    }
}
