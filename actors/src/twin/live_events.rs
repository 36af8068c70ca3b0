//! What a live reader is told of an event: the members of the twin's document that it changed, in absolute values.

use hierarchy_models::{AlertRecord, Command, Event, EventBody, Timestamp, TwinId, Value, event::shown_seq, tree::Path, value::Map};

use super::{slots::Slot, state::TwinState};
use crate::live::{LiveEvent, LiveKind};

fn time(at: Timestamp) -> Value {
    Value::Text(at.to_string().into())
}

fn slot(s: &Slot) -> Value {
    [("value", s.value.clone()), ("at", time(s.at)), ("received_at", time(s.received_at))].into_iter().collect()
}

fn one(name: &str, value: impl Into<Value>) -> Value {
    [(name, value.into())].into_iter().collect()
}

fn command(c: &Command) -> Value {
    let mut map = Map::from([
        ("id".into(), Value::from(c.id.as_str())),
        ("name".into(), Value::Text(c.name.clone())),
        ("state".into(), Value::from(c.state.as_str())),
        ("queued_at".into(), time(c.queued_at)),
        ("expires_at".into(), time(c.expires_at)),
    ]);
    if let Some(at) = c.ended_at {
        map.insert("ended_at".into(), time(at));
    }
    if let Some(result) = &c.result {
        map.insert(
            "result".into(),
            [("status", Value::Int(result.status.into())), ("payload", result.payload.clone())].into_iter().collect(),
        );
    }
    Value::from(map)
}

/// What became of an alert.
pub fn live_alert(path: &Path, record: &AlertRecord, event: &Event) -> LiveEvent {
    let AlertRecord { twin, alert, cleared } = record;
    let mut data = Map::from([
        ("id".into(), Value::from(record.id().as_str())),
        ("name".into(), Value::Text(alert.name.clone())),
        ("state".into(), Value::from(record.state().as_str())),
        ("severity".into(), Value::from(alert.severity.as_str())),
        ("text".into(), Value::from(alert.text.as_str())),
        ("count".into(), Value::Int(alert.count as i64)),
        ("raised_at".into(), time(alert.raised_at)),
    ]);
    if let Some(word) = &alert.acknowledged {
        data.insert("acknowledged_at".into(), time(word.at));
        data.insert("acknowledged_by".into(), Value::Text(word.by.clone()));
    }
    if let Some(end) = cleared {
        data.insert("cleared_at".into(), time(end.at));
        if !end.by.is_empty() {
            data.insert("cleared_by".into(), Value::Text(end.by.clone()));
        }
    }
    let data = Value::from(data);
    LiveEvent { kind: LiveKind::Alert, twin: twin.clone(), path: path.clone(), seq: shown_seq(event.seq), at: event.received_at, data }
}

/// The live event of one event, but for those of alerts, read off the twin after it was applied.
pub fn live_event(id: &TwinId, path: &Path, twin: &TwinState, event: &Event) -> Option<LiveEvent> {
    use EventBody::*;
    let (kind, data) = match &event.body {
        Telemetry { records, .. } => {
            let names = records.iter().flat_map(|r| &r.values).map(|(n, _)| n);
            let values: Map = names.filter_map(|n| twin.telemetry.get(n).map(|s| (n.clone(), slot(s)))).collect();
            (LiveKind::State, one("telemetry", values))
        }
        ReportedPatched { patch, .. } | ReportedReplaced { properties: patch, .. } => {
            let gone = |n| (n, Value::Null);
            let values: Map =
                patch.keys().map(|n| twin.reported.get(n).map_or_else(|| gone(n.clone()), |s| (n.clone(), slot(s)))).collect();
            let key = if matches!(event.body, ReportedReplaced { .. }) { "reported_full" } else { "reported" };
            (LiveKind::State, one(key, values))
        }
        Special { name, payload, .. } | Emitted { name, payload } => {
            (LiveKind::Event, [("name", Value::Text(name.clone())), ("payload", payload.clone())].into_iter().collect())
        }
        Diagnostics { payload, .. } => (LiveKind::State, one("diagnostics", payload.clone())),
        Connected { .. } | Disconnected { .. } => {
            let state = if twin.connection.connected { "connected" } else { "disconnected" };
            let connection: Value = [("state", Value::from(state)), ("since", time(event.received_at))].into_iter().collect();
            (LiveKind::State, one("connection", connection))
        }
        CommandQueued(c) => (LiveKind::Command, command(c)),
        CommandDelivered { id } | CommandEnded { id, .. } => (LiveKind::Command, command(twin.inbox.as_deref()?.get(id)?)),
        MetadataPatched { .. } => (LiveKind::State, one("metadata", twin.metadata.clone())),
        DesiredPatched { .. } => (LiveKind::State, one("desired", super::view::desired_document(twin))),
        TagsSet { tags } => (LiveKind::State, one("tags", tags.iter().map(|t| Value::Text(t.clone())).collect::<Vec<_>>())),
        Registered { .. } => (LiveKind::State, one("registered", true)),
        Unregistered => (LiveKind::State, one("registered", false)),
        Moved { parent } => (LiveKind::State, one("parent", parent.as_ref().map_or(Value::Null, |p| Value::from(p.as_str())))),
        GatewaySet { gateway } => (LiveKind::State, one("gateway", gateway.as_ref().map_or(Value::Null, |g| Value::from(g.as_str())))),
        StatusSet { status } => {
            let text = if *status == hierarchy_models::event::Status::Active { "active" } else { "inactive" };
            (LiveKind::State, one("status", text))
        }
        Quarantined { .. } => (LiveKind::State, one("supervision", one("state", "quarantined"))),
        Released => (LiveKind::State, one("supervision", one("state", "running"))),
        _ => return None,
    };
    Some(LiveEvent { kind, twin: id.clone(), path: path.clone(), seq: shown_seq(event.seq), at: event.received_at, data })
}
