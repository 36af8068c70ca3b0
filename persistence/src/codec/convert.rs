//! Between events of the domain and their stored form, both ways. Every kind stands in both lists below, so that the compiler
//! finds a forgotten one.

use bytes::Bytes;
use hierarchy_models::{self as domain, EventBody, Name, TwinId, event};

use super::{body::*, damaged, peek, twin_id, wire::*};
use crate::error::Error;

fn texts(names: &[Name]) -> Vec<String> {
    names.iter().map(text).collect()
}

fn names(texts: Vec<String>) -> Vec<Name> {
    texts.into_iter().map(Into::into).collect()
}

fn maybe(twin: &Option<TwinId>) -> Option<String> {
    twin.as_ref().map(|t| t.as_str().to_owned())
}

fn maybe_twin(text: Option<String>) -> Result<Option<TwinId>, Error> {
    text.map(|t| twin_id(&t)).transpose()
}

fn small<T: TryFrom<u32>>(n: u32, what: &'static str) -> Result<T, Error> {
    T::try_from(n).map_err(|_| damaged(format!("{what} {n} is out of range")))
}

fn raw(raw: Option<Raw>) -> Result<domain::Raw, Error> {
    need(raw, "a payload")?.try_into()
}

impl From<&domain::Event> for Event {
    fn from(e: &domain::Event) -> Self {
        Self { seq: e.seq, received_at: e.received_at.as_millis(), body: Some(Body::from(&e.body)) }
    }
}

/// `bytes` are what `wire` was read from, for a good error.
pub(super) fn event_from(wire: Event, bytes: &Bytes) -> Result<domain::Event, Error> {
    let received_at = time(wire.received_at)?;
    let Some(body) = wire.body else {
        return Err(peek::unknown_kind(wire.seq, bytes));
    };
    Ok(domain::Event { seq: wire.seq, received_at, body: body.try_into()? })
}

impl From<&EventBody> for Body {
    fn from(b: &EventBody) -> Self {
        use EventBody as E;
        match b {
            E::Registered { model, parent, gateway, metadata, tags } => Self::Registered(Registered {
                model: model.as_str().to_owned(),
                parent: maybe(parent),
                gateway: maybe(gateway),
                metadata: Some(metadata.into()),
                tags: texts(tags),
            }),
            E::Unregistered => Self::Unregistered(true),
            E::MetadataPatched { patch } => Self::MetadataPatched(patch.into()),
            E::TagsSet { tags } => Self::TagsSet(Tags { tags: texts(tags) }),
            E::Moved { parent } => Self::Moved(Twin { id: maybe(parent) }),
            E::GatewaySet { gateway } => Self::GatewaySet(Twin { id: maybe(gateway) }),
            E::StatusSet { status } => Self::StatusSet(status_code(*status)),
            E::DesiredPatched { patch } => Self::DesiredPatched(patch.into()),
            E::Telemetry { stream, records, raw } => Self::Telemetry(Telemetry {
                stream: stream.as_ref().map(text),
                records: records.iter().map(Record::from).collect(),
                raw: Some(raw.into()),
            }),
            E::ReportedPatched { patch, raw } => Self::ReportedPatched(Reported { properties: Some(patch.into()), raw: Some(raw.into()) }),
            E::ReportedReplaced { properties, raw } => {
                Self::ReportedReplaced(Reported { properties: Some(properties.into()), raw: Some(raw.into()) })
            }
            E::Special { name, payload, raw } => {
                Self::Special(Said { name: text(name), payload: Some(payload.into()), raw: Some(raw.into()) })
            }
            E::Diagnostics { payload, raw } => {
                Self::Diagnostics(Said { name: String::new(), payload: Some(payload.into()), raw: Some(raw.into()) })
            }
            E::Rejected { topic, reason, raw } => {
                Self::Rejected(Failed { what: topic.clone(), why: reason.clone(), raw: Some(raw.into()) })
            }
            E::Connected { session, protocol, remote } => {
                Self::Connected(Connected { session: *session, protocol: text(protocol), remote: remote.clone() })
            }
            E::Disconnected { session, reason, will } => Self::Disconnected(Disconnected {
                session: *session,
                reason: reason_code(*reason),
                will: will.as_ref().map(|w| Will { topic: w.topic.clone(), raw: Some((&w.raw).into()) }),
            }),
            E::SessionOpened { expiry_seconds } => Self::SessionOpened(*expiry_seconds),
            E::Subscribed { subscriptions: s } => Self::Subscribed(Subscribed {
                commands: s.commands.map(u32::from),
                desired: s.desired.map(u32::from),
                twin: s.twin.map(u32::from),
            }),
            E::SessionExpired => Self::SessionExpired(true),
            E::PacketHeld { packet } => Self::PacketHeld(u32::from(*packet)),
            E::PacketReleased { packet } => Self::PacketReleased(u32::from(*packet)),
            E::ChildAttached { child } => Self::ChildAttached(child.as_str().to_owned()),
            E::ChildDetached { child } => Self::ChildDetached(child.as_str().to_owned()),
            E::CommandQueued(command) => Self::CommandQueued((&**command).into()),
            E::CommandDelivered { id } => Self::CommandDelivered(id.as_str().to_owned()),
            E::CommandEnded { id, state, result } => Self::CommandEnded(CommandEnded {
                id: id.as_str().to_owned(),
                state: state_code(*state),
                result: result.as_ref().map(Into::into),
            }),
            E::AlertRaised(alert) => Self::AlertRaised((&**alert).into()),
            E::AlertCleared { name } => Self::AlertCleared(text(name)),
            E::BehaviourState { state } => Self::BehaviourState(state.into()),
            E::Emitted { name, payload } => Self::Emitted(Said { name: text(name), payload: Some(payload.into()), raw: None }),
            E::TimerSet { name, due } => Self::TimerSet(TimerSet { name: text(name), due: due.as_millis() }),
            E::TimerFired { name } => Self::TimerFired(text(name)),
            E::Poisoned { what, error, raw } => {
                Self::Poisoned(Failed { what: what.clone(), why: error.clone(), raw: raw.as_ref().map(Into::into) })
            }
            E::Quarantined { until_released, restarts, error } => {
                Self::Quarantined(Quarantined { until_released: *until_released, restarts: *restarts, error: error.clone() })
            }
            E::Released => Self::Released(true),
            E::AlertAcknowledged { name, by } => Self::AlertAcknowledged(AlertWord { name: text(name), by: text(by), at: 0 }),
            E::AlertEnded { name, by, at } => Self::AlertEnded(AlertWord { name: text(name), by: text(by), at: at.as_millis() }),
            E::RuleTurned { rule, on, at } => Self::RuleTurned(RuleTurned { rule: text(rule), on: *on, at: at.as_millis() }),
            E::WebhookQueued { rule, action, payload } => {
                Self::WebhookQueued(WebhookQueued { rule: text(rule), action: *action, payload: Some(payload.into()) })
            }
        }
    }
}

impl TryFrom<Body> for EventBody {
    type Error = Error;

    fn try_from(b: Body) -> Result<Self, Error> {
        Ok(match b {
            Body::Registered(r) => Self::Registered {
                model: domain::ModelId::new(&r.model).map_err(|e| damaged(e.to_string()))?,
                parent: maybe_twin(r.parent)?,
                gateway: maybe_twin(r.gateway)?,
                metadata: need(r.metadata, "a twin's metadata")?.try_into()?,
                tags: names(r.tags),
            },
            Body::Unregistered(_) => Self::Unregistered,
            Body::MetadataPatched(patch) => Self::MetadataPatched { patch: patch.try_into()? },
            Body::TagsSet(t) => Self::TagsSet { tags: names(t.tags) },
            Body::Moved(t) => Self::Moved { parent: maybe_twin(t.id)? },
            Body::GatewaySet(t) => Self::GatewaySet { gateway: maybe_twin(t.id)? },
            Body::StatusSet(code) => Self::StatusSet { status: status_from(code)? },
            Body::DesiredPatched(patch) => Self::DesiredPatched { patch: patch.try_into()? },
            Body::Telemetry(t) => Self::Telemetry {
                stream: t.stream.map(Into::into),
                records: t.records.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
                raw: raw(t.raw)?,
            },
            Body::ReportedPatched(r) => Self::ReportedPatched { patch: need(r.properties, "a patch")?.try_into()?, raw: raw(r.raw)? },
            Body::ReportedReplaced(r) => {
                Self::ReportedReplaced { properties: need(r.properties, "reported properties")?.try_into()?, raw: raw(r.raw)? }
            }
            Body::Special(s) => {
                Self::Special { name: s.name.into(), payload: need(s.payload, "an event's payload")?.try_into()?, raw: raw(s.raw)? }
            }
            Body::Diagnostics(s) => Self::Diagnostics { payload: need(s.payload, "diagnostics")?.try_into()?, raw: raw(s.raw)? },
            Body::Rejected(f) => Self::Rejected { topic: f.what, reason: f.why, raw: raw(f.raw)? },
            Body::Connected(c) => Self::Connected { session: c.session, protocol: c.protocol.into(), remote: c.remote },
            Body::Disconnected(d) => {
                Self::Disconnected { session: d.session, reason: reason_from(d.reason)?, will: d.will.map(will).transpose()? }
            }
            Body::SessionOpened(expiry_seconds) => Self::SessionOpened { expiry_seconds },
            Body::Subscribed(s) => Self::Subscribed { subscriptions: subscriptions(s)? },
            Body::SessionExpired(_) => Self::SessionExpired,
            Body::PacketHeld(packet) => Self::PacketHeld { packet: small(packet, "packet id")? },
            Body::PacketReleased(packet) => Self::PacketReleased { packet: small(packet, "packet id")? },
            Body::ChildAttached(child) => Self::ChildAttached { child: twin_id(&child)? },
            Body::ChildDetached(child) => Self::ChildDetached { child: twin_id(&child)? },
            Body::CommandQueued(command) => Self::CommandQueued(Box::new(command.try_into()?)),
            Body::CommandDelivered(id) => Self::CommandDelivered { id: command_id(&id)? },
            Body::CommandEnded(c) => Self::CommandEnded {
                id: command_id(&c.id)?,
                state: state_from(c.state)?,
                result: c.result.map(TryInto::try_into).transpose()?,
            },
            Body::AlertRaised(alert) => Self::AlertRaised(Box::new(alert.try_into()?)),
            Body::AlertCleared(name) => Self::AlertCleared { name: name.into() },
            Body::BehaviourState(state) => Self::BehaviourState { state: state.try_into()? },
            Body::Emitted(s) => Self::Emitted { name: s.name.into(), payload: need(s.payload, "an event's payload")?.try_into()? },
            Body::TimerSet(t) => Self::TimerSet { name: t.name.into(), due: time(t.due)? },
            Body::TimerFired(name) => Self::TimerFired { name: name.into() },
            Body::Poisoned(f) => Self::Poisoned { what: f.what, error: f.why, raw: f.raw.map(TryInto::try_into).transpose()? },
            Body::Quarantined(q) => Self::Quarantined { until_released: q.until_released, restarts: q.restarts, error: q.error },
            Body::Released(_) => Self::Released,
            Body::AlertAcknowledged(w) => Self::AlertAcknowledged { name: w.name.into(), by: w.by.into() },
            Body::AlertEnded(w) => Self::AlertEnded { name: w.name.into(), by: w.by.into(), at: time(w.at)? },
            Body::RuleTurned(r) => Self::RuleTurned { rule: r.rule.into(), on: r.on, at: time(r.at)? },
            Body::WebhookQueued(w) => {
                Self::WebhookQueued { rule: w.rule.into(), action: w.action, payload: need(w.payload, "a webhook's payload")?.try_into()? }
            }
        })
    }
}

impl From<&domain::Record> for Record {
    fn from(r: &domain::Record) -> Self {
        let entry = |(name, value): &(Name, domain::Value)| Entry { name: text(name), value: Some(value.into()) };
        Self { at: r.at.as_millis(), id: r.id.as_ref().map(text), values: r.values.iter().map(entry).collect() }
    }
}

impl TryFrom<Record> for domain::Record {
    type Error = Error;

    fn try_from(r: Record) -> Result<Self, Error> {
        let entry = |e: Entry| Ok((e.name.into(), need(e.value, "a record's value")?.try_into()?));
        Ok(Self { at: time(r.at)?, id: r.id.map(Into::into), values: r.values.into_iter().map(entry).collect::<Result<_, Error>>()? })
    }
}

fn will(w: Will) -> Result<event::Will, Error> {
    Ok(event::Will { topic: w.topic, raw: raw(w.raw)? })
}

fn subscriptions(s: Subscribed) -> Result<event::Subscriptions, Error> {
    let qos = |n: Option<u32>| n.map(|n| small(n, "quality of service")).transpose();
    Ok(event::Subscriptions { commands: qos(s.commands)?, desired: qos(s.desired)?, twin: qos(s.twin)? })
}
