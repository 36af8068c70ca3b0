//! A load that outlives the server: devices that send again what was not acknowledged, and callers that repeat their commands.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{
    record::Record,
    support::{
        Api, Client, Connect, json,
        mqtt::{Packet, Publish},
    },
};

/// Messages a device has on their way.
const WINDOW: usize = 8;
/// A device's breath between two looks at its connection: keeps a long run's log readable.
const BREATH: Duration = Duration::from_millis(4);
/// 2026-01-01T00:00Z in milliseconds; record n is of n milliseconds later.
const START_MS: u64 = 1_767_225_600_000;

/// Where the server is now: it moves with every restart.
#[derive(Clone)]
pub struct Address(Arc<Mutex<(SocketAddr, SocketAddr)>>);

impl Address {
    pub fn new(http: SocketAddr, mqtt: SocketAddr) -> Self {
        Self(Arc::new(Mutex::new((http, mqtt))))
    }

    pub fn moved(&self, http: SocketAddr, mqtt: SocketAddr) {
        *self.0.lock().unwrap() = (http, mqtt);
    }

    fn http(&self) -> SocketAddr {
        self.0.lock().unwrap().0
    }

    fn mqtt(&self) -> SocketAddr {
        self.0.lock().unwrap().1
    }
}

pub struct Load {
    new_work: Arc<AtomicBool>,
    open_commands: Arc<AtomicUsize>,
    callers: Vec<JoinHandle<()>>,
    devices: Vec<JoinHandle<()>>,
    no_more: Arc<AtomicBool>,
}

impl Load {
    /// One device for each key, one caller for all; records and commands are numbered from `first`.
    pub fn start(first: u64, keys: &BTreeMap<String, String>, admin: &str, at: &Address, record: &Record) -> Self {
        let (new_work, no_more) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
        let open_commands = Arc::new(AtomicUsize::new(0));
        let devices = keys.iter().map(|(id, key)| {
            let device = Device {
                id: id.clone(),
                key: key.clone(),
                at: at.clone(),
                record: record.clone(),
                next: first,
                unacknowledged: VecDeque::new(),
            };
            let (new_work, no_more) = (new_work.clone(), no_more.clone());
            thread::spawn(move || device.live(&new_work, &no_more))
        });
        let devices = devices.collect();
        let (ids, admin, at, record) = (keys.keys().cloned().collect::<Vec<_>>(), admin.to_owned(), at.clone(), record.clone());
        let (work, open) = (new_work.clone(), open_commands.clone());
        let callers = vec![thread::spawn(move || call(first, &ids, &admin, &at, &record, &work, &open))];
        Self { new_work, open_commands, callers, devices, no_more }
    }

    /// Lets what is on its way come to its end, with the server up, and ends the load.
    pub fn finish(self, commands_ended: impl Fn() -> bool) {
        self.new_work.store(false, Ordering::SeqCst);
        self.callers.into_iter().for_each(|caller| caller.join().unwrap());
        assert_eq!(self.open_commands.load(Ordering::SeqCst), 0);
        super::support::until("every command has ended", commands_ended);
        self.no_more.store(true, Ordering::SeqCst);
        self.devices.into_iter().for_each(|device| device.join().unwrap());
    }
}

struct Device {
    id: String,
    key: String,
    at: Address,
    record: Record,
    next: u64,
    /// Record numbers in the order they were first sent in, with the packet id of the last attempt.
    unacknowledged: VecDeque<(u64, u16)>,
}

impl Device {
    fn live(mut self, new_work: &AtomicBool, no_more: &AtomicBool) {
        let over = |device: &Self| no_more.load(Ordering::SeqCst) && device.unacknowledged.is_empty();
        while !over(&self) {
            let Some(mut client) = Connect::v5(&self.id, &self.key).persistent().attempt(self.at.mqtt()) else {
                thread::park_timeout(BREATH);
                continue;
            };
            self.converse(&mut client, new_work, over);
        }
    }

    /// Until the connection is lost, or the load is over.
    fn converse(&mut self, client: &mut Client, new_work: &AtomicBool, over: impl Fn(&Self) -> bool) {
        client.send_raw(&subscribe(&format!("devices/{}/commands/#", self.id)));
        for (number, packet) in &mut self.unacknowledged {
            *packet = client.send(message(&self.id, *number));
        }
        while !over(self) {
            while self.unacknowledged.len() < WINDOW && new_work.load(Ordering::SeqCst) {
                self.record.sent(&self.id, self.next);
                let packet = client.send(message(&self.id, self.next));
                self.unacknowledged.push_back((self.next, packet));
                self.next += 1;
            }
            match client.read_for(BREATH) {
                None => {}
                Some(None) => return,
                Some(Some(packet)) => self.heard(client, packet),
            }
        }
    }

    fn heard(&mut self, client: &mut Client, packet: Packet) {
        match packet {
            Packet::PubAck { id, reason, .. } if reason == 0 || reason == 0x10 => {
                if let Some(at) = self.unacknowledged.iter().position(|(_, packet)| *packet == id) {
                    let (number, _) = self.unacknowledged.remove(at).unwrap();
                    self.record.acknowledged(&self.id, number);
                }
            }
            Packet::Publish(command) => {
                client.ack(command.id);
                let id = command.topic.rsplit('/').next().unwrap();
                // Never acknowledged to anybody: a lost answer leads to a redelivery.
                client.send(Publish::new(&format!("devices/{}/results/{id}", self.id), 1, r#"{"status": 200}"#));
            }
            _ => {}
        }
    }
}

fn message(device: &str, number: u64) -> Publish {
    let record = json!({"at": START_MS + number, "id": format!("r{number}"), "values": {"n": number}});
    Publish::new(&format!("devices/{device}/telemetry"), 1, record.to_string())
}

fn subscribe(filter: &str) -> Vec<u8> {
    let mut body = vec![0xFF, 0xFF, 0];
    body.extend((filter.len() as u16).to_be_bytes());
    body.extend(filter.as_bytes());
    body.push(1);
    super::support::mqtt::frame(0x82, &body)
}

/// One command after the other, each repeated with its idempotency key until the server has answered.
fn call(first: u64, ids: &[String], admin: &str, at: &Address, record: &Record, new_work: &AtomicBool, open: &AtomicUsize) {
    for number in first.. {
        if !new_work.load(Ordering::SeqCst) {
            return;
        }
        let device = &ids[number as usize % ids.len()];
        let body = json!({"name": format!("c{number}"), "ttl": 3600}).to_string();
        open.fetch_add(1, Ordering::SeqCst);
        loop {
            let api = Api::new(at.http(), admin);
            let key = format!("key-{number}");
            let answer = api.try_call("POST", &format!("/twins/{device}/commands"), &[("idempotency-key", &key)], Some(body.clone()));
            match answer.map(|a| a.status) {
                Ok(202) => break record.accepted(device, number),
                Ok(429 | 503) | Err(_) => thread::park_timeout(BREATH),
                Ok(status) => panic!("a command was answered with {status}"),
            }
        }
        open.fetch_sub(1, Ordering::SeqCst);
        thread::park_timeout(BREATH * 5);
    }
}
