//! What a twin remembers. Small on purpose: the values lie in sorted vectors, and what few twins have is behind a box.

use std::collections::VecDeque;

use hierarchy_models::{
    Alert, ModelId, Name, Timestamp, TwinId, Value,
    event::{DisconnectReason, Status, Subscriptions},
    limits::ROLLUP_NAMES_PER_TWIN_MAX,
    model,
    rollup::{Contribution, Counts, Fold},
    value::{Map, map_heap_bytes},
};

use super::{
    inbox::Inbox,
    slots::{Slot, Slots},
};
use crate::view::KeptMessage;

/// Whether, how and since when the device is connected.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Connection {
    pub connected: bool,
    /// Of the session that is connected, or was last; 0 when there was none.
    pub session: u64,
    pub since: Option<Timestamp>,
    pub last_seen: Option<Timestamp>,
    pub protocol: Name,
    pub remote: Box<str>,
    pub reason: Option<DisconnectReason>,
    /// How long the MQTT session outlives its connection; `None` when there is no session.
    pub expiry_seconds: Option<u32>,
    pub subscriptions: Subscriptions,
}

/// What few twins have.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rare {
    pub held_packets: Vec<u16>,
    /// Hashes of the last record ids, oldest first.
    pub record_ids: VecDeque<u64>,
    pub rejected: VecDeque<KeptMessage>,
    pub rejected_total: u64,
    pub diagnostics: Option<Slot>,
    pub attached: Vec<TwinId>,
    pub timers: Vec<(Name, Timestamp)>,
    pub behaviour: Value,
    pub poison: VecDeque<KeptMessage>,
    pub restarts: u64,
    /// Rules whose condition stands as true, and since when by the time of the records.
    pub rules_on: Vec<(Name, Timestamp)>,
    /// Why it is quarantined, when it is.
    pub quarantined: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct TwinState {
    pub seq: u64,
    /// Raised by what people decide about the twin.
    pub version: u64,
    pub registered: bool,
    pub status: Status,
    pub model: ModelId,
    pub parent: Option<TwinId>,
    pub gateway: Option<TwinId>,
    pub created_at: Timestamp,
    pub metadata: Map,
    pub tags: Vec<Name>,
    pub telemetry: Slots,
    pub reported: Slots,
    pub desired: Map,
    pub desired_version: u64,
    pub connection: Box<Connection>,
    pub inbox: Option<Box<Inbox>>,
    pub alerts: Vec<Alert>,
    pub rare: Option<Box<Rare>>,
}

impl TwinState {
    /// A twin that is not registered yet.
    pub fn blank() -> Self {
        Self {
            seq: 0,
            version: 0,
            registered: false,
            status: Status::Active,
            model: model::resolve("Device").expect("a built-in model's name resolves"),
            parent: None,
            gateway: None,
            created_at: Timestamp::EPOCH,
            metadata: Map::new(),
            tags: Vec::new(),
            telemetry: Slots::default(),
            reported: Slots::default(),
            desired: Map::new(),
            desired_version: 0,
            connection: Box::default(),
            inbox: None,
            alerts: Vec::new(),
            rare: None,
        }
    }

    pub fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    pub fn inbox_mut(&mut self) -> &mut Inbox {
        self.inbox.get_or_insert_default()
    }

    pub fn held_packets(&self) -> &[u16] {
        self.rare.as_deref().map_or(&[], |r| &r.held_packets)
    }

    pub fn behaviour(&self) -> &Value {
        static NULL: Value = Value::Null;
        self.rare.as_deref().map_or(&NULL, |r| &r.behaviour)
    }

    pub fn quarantined(&self) -> Option<&str> {
        self.rare.as_deref().and_then(|r| r.quarantined.as_deref())
    }

    pub fn rules_on(&self) -> &[(Name, Timestamp)] {
        self.rare.as_deref().map_or(&[], |r| &r.rules_on)
    }

    pub fn knows_record(&self, hash: u64) -> bool {
        self.rare.as_deref().is_some_and(|r| r.record_ids.contains(&hash))
    }

    /// When the twin must act without being spoken to: a command expires, a timer is due, a session ends.
    pub fn wake_at(&self) -> Option<Timestamp> {
        let command = self.inbox.as_deref().and_then(Inbox::next_expiry);
        let timer = self.rare.as_deref().and_then(|r| r.timers.iter().map(|(_, due)| *due).min());
        [command, timer, self.session_ends_at()].into_iter().flatten().min()
    }

    /// When the session of a device that is away is over.
    pub fn session_ends_at(&self) -> Option<Timestamp> {
        let c = &self.connection;
        match (c.connected, c.expiry_seconds, c.since) {
            (false, Some(seconds), Some(since)) if seconds != u32::MAX => Some(since.plus(std::time::Duration::from_secs(seconds.into()))),
            _ => None,
        }
    }

    /// What the twin itself, without what is below it, passes to its parent.
    pub fn own_contribution(&self) -> Contribution {
        let mut counts = Counts::default();
        let is_device = !model::is_place(&self.model);
        if is_device {
            counts.devices = 1;
            counts.connected = self.connection.connected.into();
        }
        counts.quarantined = self.quarantined().is_some().into();
        for alert in &self.alerts {
            counts.alert(alert.severity);
        }
        let values = self
            .telemetry
            .iter()
            .filter_map(|(name, s)| s.value.as_f64().map(|v| (name.clone(), Fold::of(v, s.at))))
            .take(ROLLUP_NAMES_PER_TWIN_MAX)
            .collect();
        Contribution { counts, values, last_seen: self.connection.last_seen.filter(|_| is_device) }
    }

    /// Bytes on the heap, to the nearest guess: what the memory budget counts.
    pub fn heap_bytes(&self) -> usize {
        let rare = self.rare.as_deref().map_or(0, |r| {
            size_of::<Rare>()
                + r.record_ids.capacity() * 8
                + (r.rejected.len() + r.poison.len()) * 512
                + r.diagnostics.as_ref().map_or(0, |d| d.value.heap_bytes())
                + r.behaviour.heap_bytes()
        });
        self.telemetry.heap_bytes()
            + self.reported.heap_bytes()
            + map_heap_bytes(&self.metadata)
            + map_heap_bytes(&self.desired)
            + size_of::<Connection>()
            + self.inbox.as_deref().map_or(0, Inbox::heap_bytes)
            + self.alerts.capacity() * size_of::<Alert>()
            + rare
    }
}
