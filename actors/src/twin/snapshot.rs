//! A twin's state as bytes, for the store: protobuf with a format number, so that it can grow.

use hierarchy_models::{
    Alert, Command, Name, Timestamp, TwinId, Value,
    event::Subscriptions,
    rollup::{Contribution, Counts, Fold},
    value::Map,
};
use persistence::{
    Error,
    codec::wire::{self, reason_code, reason_from, status_code, status_from},
};
use prost::Message;

use super::{
    inbox::{Inbox, OpenCommand},
    slots::{Slot, Slots},
    state::{Connection, Rare, TwinState},
};
use crate::view::KeptMessage;

/// The format this program writes. Readers refuse what is newer.
pub const FORMAT: u32 = 1;

#[derive(Clone, PartialEq, Message)]
struct SlotWire {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    value: Option<wire::Value>,
    #[prost(sint64, tag = "3")]
    at: i64,
    #[prost(sint64, tag = "4")]
    received_at: i64,
}

#[derive(Clone, PartialEq, Message)]
struct KeptWire {
    #[prost(sint64, tag = "1")]
    at: i64,
    #[prost(string, tag = "2")]
    what: String,
    #[prost(string, tag = "3")]
    reason: String,
    #[prost(string, tag = "4")]
    payload: String,
}

#[derive(Clone, PartialEq, Message)]
struct OpenWire {
    #[prost(message, optional, tag = "1")]
    command: Option<wire::Command>,
    #[prost(uint64, tag = "2")]
    seq: u64,
}

#[derive(Clone, PartialEq, Message)]
struct TimerWire {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(sint64, tag = "2")]
    due: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ConnectionWire {
    #[prost(bool, tag = "1")]
    connected: bool,
    #[prost(uint64, tag = "2")]
    session: u64,
    #[prost(sint64, optional, tag = "3")]
    since: Option<i64>,
    #[prost(sint64, optional, tag = "4")]
    last_seen: Option<i64>,
    #[prost(string, tag = "5")]
    protocol: String,
    #[prost(string, tag = "6")]
    remote: String,
    #[prost(uint32, optional, tag = "7")]
    reason: Option<u32>,
    #[prost(uint32, optional, tag = "8")]
    expiry_seconds: Option<u32>,
    #[prost(uint32, optional, tag = "9")]
    commands: Option<u32>,
    #[prost(uint32, optional, tag = "10")]
    desired: Option<u32>,
    #[prost(uint32, optional, tag = "11")]
    twin: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
struct StateWire {
    #[prost(uint32, tag = "1")]
    format: u32,
    #[prost(uint64, tag = "2")]
    seq: u64,
    #[prost(uint64, tag = "3")]
    version: u64,
    #[prost(bool, tag = "4")]
    registered: bool,
    #[prost(uint32, tag = "5")]
    status: u32,
    #[prost(string, tag = "6")]
    model: String,
    #[prost(string, optional, tag = "7")]
    parent: Option<String>,
    #[prost(string, optional, tag = "8")]
    gateway: Option<String>,
    #[prost(sint64, tag = "9")]
    created_at: i64,
    #[prost(message, optional, tag = "10")]
    metadata: Option<wire::Map>,
    #[prost(string, repeated, tag = "11")]
    tags: Vec<String>,
    #[prost(message, repeated, tag = "12")]
    telemetry: Vec<SlotWire>,
    #[prost(message, repeated, tag = "13")]
    reported: Vec<SlotWire>,
    #[prost(message, optional, tag = "14")]
    desired: Option<wire::Map>,
    #[prost(uint64, tag = "15")]
    desired_version: u64,
    #[prost(message, optional, tag = "16")]
    connection: Option<ConnectionWire>,
    #[prost(message, repeated, tag = "17")]
    open: Vec<OpenWire>,
    #[prost(message, repeated, tag = "18")]
    ended: Vec<wire::Command>,
    #[prost(message, repeated, tag = "19")]
    alerts: Vec<wire::Alert>,
    #[prost(uint32, repeated, tag = "20")]
    held_packets: Vec<u32>,
    #[prost(fixed64, repeated, tag = "21")]
    record_ids: Vec<u64>,
    #[prost(message, repeated, tag = "22")]
    rejected: Vec<KeptWire>,
    #[prost(uint64, tag = "23")]
    rejected_total: u64,
    #[prost(message, optional, tag = "24")]
    diagnostics: Option<SlotWire>,
    #[prost(string, repeated, tag = "25")]
    attached: Vec<String>,
    #[prost(message, repeated, tag = "26")]
    timers: Vec<TimerWire>,
    #[prost(message, optional, tag = "27")]
    behaviour: Option<wire::Value>,
    #[prost(message, repeated, tag = "28")]
    poison: Vec<KeptWire>,
    #[prost(uint64, tag = "29")]
    restarts: u64,
    #[prost(string, optional, tag = "30")]
    quarantined: Option<String>,
    #[prost(message, repeated, tag = "41")]
    rules_on: Vec<TimerWire>,
}

fn damaged(detail: impl ToString) -> Error {
    Error::Damaged { doing: "reading a twin's snapshot", detail: detail.to_string() }
}

fn time(ms: i64) -> Timestamp {
    Timestamp::from_millis_clamped(ms)
}

fn slot_to((name, slot): (&Name, &Slot)) -> SlotWire {
    SlotWire {
        name: name.to_string(),
        value: Some((&slot.value).into()),
        at: slot.at.as_millis(),
        received_at: slot.received_at.as_millis(),
    }
}

fn slot_from(wire: SlotWire) -> Result<(Name, Slot), Error> {
    let slot = Slot { value: value_from(wire.value)?, at: time(wire.at), received_at: time(wire.received_at) };
    Ok((wire.name.into(), slot))
}

fn value_from(wire: Option<wire::Value>) -> Result<Value, Error> {
    wire.map_or(Ok(Value::Null), Value::try_from)
}

fn map_from(wire: Option<wire::Map>) -> Result<Map, Error> {
    wire.map_or(Ok(Map::new()), Map::try_from)
}

fn kept_to(kept: &KeptMessage) -> KeptWire {
    KeptWire { at: kept.at.as_millis(), what: kept.what.clone(), reason: kept.reason.clone(), payload: kept.payload.clone() }
}

fn kept_from(wire: KeptWire) -> KeptMessage {
    KeptMessage { at: time(wire.at), what: wire.what, reason: wire.reason, payload: wire.payload }
}

fn id_from(text: String) -> Result<TwinId, Error> {
    TwinId::new(text).map_err(damaged)
}

fn connection_to(c: &Connection) -> ConnectionWire {
    ConnectionWire {
        connected: c.connected,
        session: c.session,
        since: c.since.map(Timestamp::as_millis),
        last_seen: c.last_seen.map(Timestamp::as_millis),
        protocol: c.protocol.to_string(),
        remote: c.remote.to_string(),
        reason: c.reason.map(reason_code),
        expiry_seconds: c.expiry_seconds,
        commands: c.subscriptions.commands.map(Into::into),
        desired: c.subscriptions.desired.map(Into::into),
        twin: c.subscriptions.twin.map(Into::into),
    }
}

fn connection_from(wire: ConnectionWire) -> Result<Connection, Error> {
    let qos = |q: Option<u32>| q.map(|q| q.min(2) as u8);
    Ok(Connection {
        connected: wire.connected,
        session: wire.session,
        since: wire.since.map(time),
        last_seen: wire.last_seen.map(time),
        protocol: wire.protocol.into(),
        remote: wire.remote.into(),
        reason: wire.reason.map(reason_from).transpose()?,
        expiry_seconds: wire.expiry_seconds,
        subscriptions: Subscriptions { commands: qos(wire.commands), desired: qos(wire.desired), twin: qos(wire.twin) },
    })
}

impl TwinState {
    pub fn to_bytes(&self) -> Vec<u8> {
        let blank = Rare::default();
        let rare = self.rare.as_deref().unwrap_or(&blank);
        let (open, ended) = match self.inbox.as_deref() {
            Some(inbox) => (
                inbox.open.iter().map(|o| OpenWire { command: Some((&o.command).into()), seq: o.seq }).collect(),
                inbox.ended.iter().map(Into::into).collect(),
            ),
            None => (Vec::new(), Vec::new()),
        };
        StateWire {
            format: FORMAT,
            seq: self.seq,
            version: self.version,
            registered: self.registered,
            status: status_code(self.status),
            model: self.model.to_string(),
            parent: self.parent.as_ref().map(ToString::to_string),
            gateway: self.gateway.as_ref().map(ToString::to_string),
            created_at: self.created_at.as_millis(),
            metadata: Some((&self.metadata).into()),
            tags: self.tags.iter().map(ToString::to_string).collect(),
            telemetry: self.telemetry.iter().map(slot_to).collect(),
            reported: self.reported.iter().map(slot_to).collect(),
            desired: Some((&self.desired).into()),
            desired_version: self.desired_version,
            connection: Some(connection_to(&self.connection)),
            open,
            ended,
            alerts: self.alerts.iter().map(Into::into).collect(),
            held_packets: rare.held_packets.iter().map(|p| u32::from(*p)).collect(),
            record_ids: rare.record_ids.iter().copied().collect(),
            rejected: rare.rejected.iter().map(kept_to).collect(),
            rejected_total: rare.rejected_total,
            diagnostics: rare.diagnostics.as_ref().map(|slot| slot_to((&"diagnostics".into(), slot))),
            attached: rare.attached.iter().map(ToString::to_string).collect(),
            timers: rare.timers.iter().map(|(n, due)| TimerWire { name: n.to_string(), due: due.as_millis() }).collect(),
            behaviour: (rare.behaviour != Value::Null).then(|| (&rare.behaviour).into()),
            poison: rare.poison.iter().map(kept_to).collect(),
            restarts: rare.restarts,
            quarantined: rare.quarantined.clone(),
            rules_on: rare.rules_on.iter().map(|(n, at)| TimerWire { name: n.to_string(), due: at.as_millis() }).collect(),
        }
        .encode_to_vec()
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let w = StateWire::decode(bytes).map_err(damaged)?;
        if w.format > FORMAT {
            return Err(Error::TooNew { found: w.format, known: FORMAT });
        }
        let slots = |list: Vec<SlotWire>| list.into_iter().map(slot_from).collect::<Result<Vec<_>, _>>().map(Slots::from_sorted);
        let open = w.open.into_iter().map(|o| {
            let command = o.command.ok_or_else(|| damaged("an open command is missing"))?;
            Ok::<_, Error>(OpenCommand { command: Command::try_from(command)?, seq: o.seq })
        });
        let inbox =
            Inbox { open: open.collect::<Result<_, _>>()?, ended: w.ended.into_iter().map(Command::try_from).collect::<Result<_, _>>()? };
        let rare = Rare {
            held_packets: w.held_packets.into_iter().map(|p| p as u16).collect(),
            record_ids: w.record_ids.into(),
            rejected: w.rejected.into_iter().map(kept_from).collect(),
            rejected_total: w.rejected_total,
            diagnostics: w.diagnostics.map(slot_from).transpose()?.map(|(_, slot)| slot),
            attached: w.attached.into_iter().map(id_from).collect::<Result<_, _>>()?,
            timers: w.timers.into_iter().map(|t| (t.name.into(), time(t.due))).collect(),
            behaviour: value_from(w.behaviour)?,
            poison: w.poison.into_iter().map(kept_from).collect(),
            restarts: w.restarts,
            quarantined: w.quarantined,
            rules_on: w.rules_on.into_iter().map(|r| (r.name.into(), time(r.due))).collect(),
        };
        Ok(Self {
            seq: w.seq,
            version: w.version,
            registered: w.registered,
            status: status_from(w.status)?,
            model: hierarchy_models::ModelId::new(w.model).map_err(damaged)?,
            parent: w.parent.map(id_from).transpose()?,
            gateway: w.gateway.map(id_from).transpose()?,
            created_at: time(w.created_at),
            metadata: map_from(w.metadata)?,
            tags: w.tags.into_iter().map(Into::into).collect(),
            telemetry: slots(w.telemetry)?,
            reported: slots(w.reported)?,
            desired: map_from(w.desired)?,
            desired_version: w.desired_version,
            connection: Box::new(connection_from(w.connection.unwrap_or_default())?),
            inbox: (inbox != Inbox::default()).then(|| Box::new(inbox)),
            alerts: w.alerts.into_iter().map(Alert::try_from).collect::<Result<_, _>>()?,
            rare: (rare != Rare::default()).then(|| Box::new(rare)),
        })
    }
}

#[derive(Clone, PartialEq, Message)]
struct FoldWire {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(sint64, tag = "3")]
    at: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ContributionWire {
    #[prost(uint64, repeated, tag = "1")]
    counts: Vec<u64>,
    #[prost(message, repeated, tag = "2")]
    values: Vec<FoldWire>,
    #[prost(sint64, optional, tag = "3")]
    last_seen: Option<i64>,
}

/// A twin's own contribution, kept beside its snapshot so that its parent starts without waking it.
pub fn contribution_to_bytes(c: &Contribution) -> Vec<u8> {
    let n = &c.counts;
    ContributionWire {
        counts: vec![n.devices, n.quarantined, n.alerts_info, n.alerts_warning, n.alerts_critical],
        values: c.values.iter().map(|(name, f)| FoldWire { name: name.to_string(), value: f.last, at: f.last_at.as_millis() }).collect(),
        last_seen: c.last_seen.map(Timestamp::as_millis),
    }
    .encode_to_vec()
}

/// Reads it back. Nobody is connected: a connected twin is in memory and speaks for itself.
pub fn contribution_from_bytes(bytes: &[u8]) -> Result<Contribution, Error> {
    let w = ContributionWire::decode(bytes).map_err(damaged)?;
    let at = |i: usize| w.counts.get(i).copied().unwrap_or(0);
    Ok(Contribution {
        counts: Counts {
            devices: at(0),
            quarantined: at(1),
            alerts_info: at(2),
            alerts_warning: at(3),
            alerts_critical: at(4),
            ..Counts::default()
        },
        values: w.values.into_iter().map(|f| (Name::from(f.name), Fold::of(f.value, time(f.at)))).collect(),
        last_seen: w.last_seen.map(time),
    })
}
