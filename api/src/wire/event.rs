//! An event of the log as people and systems read it: `{seq, received_at, stream, kind, data, raw?}`.
//!
//! `kind` names what happened, `data` says what is particular to it, and `raw` is the payload exactly as it came. A match
//! without a wildcard, so that a new kind of event gets its form before it can be recorded.

use base64::{Engine, prelude::BASE64_STANDARD};
use hierarchy_models::{EventBody, Raw, Record, event::Encoding};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{query::LoggedEvent, wire::command::CommandDocument};

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventDocument {
    /// 1 for the twin's first event, one more for each that follows.
    pub seq: u64,
    #[schema(value_type = String, format = DateTime)]
    pub received_at: hierarchy_models::Timestamp,
    /// The stream that `?stream=` asks for.
    #[schema(value_type = String, example = "telemetry")]
    pub stream: &'static str,
    /// What happened, such as `telemetry`, `reported_patched`, `command_queued`, `alert_raised`.
    #[schema(value_type = String, example = "telemetry")]
    pub kind: &'static str,
    /// What is particular to the kind.
    #[schema(value_type = Object)]
    pub data: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub raw: Option<RawDocument>,
}

/// A payload exactly as it came: as text where it is UTF-8, else in base64.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RawPayload)]
pub struct RawDocument {
    #[schema(value_type = String, example = "json")]
    pub encoding: Encoding,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub payload: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub payload_base64: Option<String>,
}

impl From<&Raw> for RawDocument {
    fn from(raw: &Raw) -> Self {
        match std::str::from_utf8(&raw.bytes) {
            Ok(text) => Self { encoding: raw.encoding, payload: Some(text.to_owned()), payload_base64: None },
            Err(_) => Self { encoding: raw.encoding, payload: None, payload_base64: Some(BASE64_STANDARD.encode(&raw.bytes)) },
        }
    }
}

impl From<LoggedEvent> for EventDocument {
    fn from(logged: LoggedEvent) -> Self {
        let event = logged.event;
        let stream = event.body.stream();
        let raw = raw_of(&event.body).map(RawDocument::from);
        let (kind, data) = described(event.body);
        Self { seq: hierarchy_models::event::shown_seq(event.seq), received_at: event.received_at, stream, kind, data, raw }
    }
}

fn raw_of(body: &EventBody) -> Option<&Raw> {
    use EventBody::*;
    match body {
        Telemetry { raw, .. } | ReportedPatched { raw, .. } | ReportedReplaced { raw, .. } => Some(raw),
        Special { raw, .. } | Diagnostics { raw, .. } | Rejected { raw, .. } => Some(raw),
        Poisoned { raw, .. } => raw.as_ref(),
        _ => None,
    }
}

fn record(record: &Record) -> Value {
    let values: serde_json::Map<String, Value> = record.values.iter().map(|(name, value)| (name.to_string(), json!(value))).collect();
    match &record.id {
        Some(id) => json!({"at": record.at, "id": id, "values": values}),
        None => json!({"at": record.at, "values": values}),
    }
}

/// The event's kind and its data.
fn described(body: EventBody) -> (&'static str, Value) {
    use EventBody::*;
    match body {
        Registered { model, parent, gateway, metadata, tags } => {
            ("registered", json!({"model": model, "parent": parent, "gateway": gateway, "metadata": metadata, "tags": tags}))
        }
        Unregistered => ("unregistered", json!({})),
        MetadataPatched { patch } => ("metadata_patched", json!({"patch": patch})),
        TagsSet { tags } => ("tags_set", json!({"tags": tags})),
        Moved { parent } => ("moved", json!({"parent": parent})),
        GatewaySet { gateway } => ("gateway_set", json!({"gateway": gateway})),
        StatusSet { status } => ("status_set", json!({"status": status})),
        DesiredPatched { patch } => ("desired_patched", json!({"patch": patch})),
        Telemetry { stream, records, .. } => {
            ("telemetry", json!({"stream": stream, "records": records.iter().map(record).collect::<Vec<_>>()}))
        }
        ReportedPatched { patch, .. } => ("reported_patched", json!({"patch": patch})),
        ReportedReplaced { properties, .. } => ("reported_replaced", json!({"properties": properties})),
        Special { name, payload, .. } => ("event", json!({"name": name, "payload": payload})),
        Diagnostics { payload, .. } => ("diagnostics", json!({"payload": payload})),
        Rejected { topic, reason, .. } => ("rejected", json!({"topic": topic, "reason": reason})),
        Connected { session, protocol, remote } => ("connected", json!({"session": session, "protocol": protocol, "remote": remote})),
        Disconnected { session, reason, will } => {
            let will = will.map(|will| json!({"topic": will.topic, "raw": RawDocument::from(&will.raw)}));
            ("disconnected", json!({"session": session, "reason": reason, "will": will}))
        }
        SessionOpened { expiry_seconds } => ("session_opened", json!({"expiry_seconds": expiry_seconds})),
        Subscribed { subscriptions } => ("subscribed", json!({"subscriptions": subscriptions})),
        SessionExpired => ("session_expired", json!({})),
        PacketHeld { packet } => ("packet_held", json!({"packet": packet})),
        PacketReleased { packet } => ("packet_released", json!({"packet": packet})),
        ChildAttached { child } => ("child_attached", json!({"child": child})),
        ChildDetached { child } => ("child_detached", json!({"child": child})),
        CommandQueued(command) => ("command_queued", json!({"command": CommandDocument::from(*command)})),
        CommandDelivered { id } => ("command_delivered", json!({"id": id})),
        CommandEnded { id, state, result } => ("command_ended", json!({"id": id, "state": state, "result": result})),
        AlertRaised(alert) => ("alert_raised", json!({"alert": alert})),
        AlertCleared { name } => ("alert_cleared", json!({"name": name})),
        BehaviourState { state } => ("behaviour_state", json!({"state": state})),
        Emitted { name, payload } => ("emitted", json!({"name": name, "payload": payload})),
        TimerSet { name, due } => ("timer_set", json!({"name": name, "due": due})),
        TimerFired { name } => ("timer_fired", json!({"name": name})),
        Poisoned { what, error, .. } => ("poisoned", json!({"what": what, "error": error})),
        Quarantined { until_released, restarts, error } => {
            ("quarantined", json!({"until_released": until_released, "restarts": restarts, "error": error}))
        }
        Released => ("released", json!({})),
        AlertAcknowledged { name, by } => ("alert_acknowledged", json!({"name": name, "by": by})),
        AlertEnded { name, by, at } => ("alert_cleared", json!({"name": name, "by": by, "at": at})),
        RuleTurned { rule, on, at } => ("rule_turned", json!({"rule": rule, "on": on, "at": at})),
        WebhookQueued { rule, action, payload } => ("webhook_queued", json!({"rule": rule, "action": action, "payload": payload})),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hierarchy_models::{
        Event, Timestamp, TwinId,
        event::{DisconnectReason, Will},
    };

    use super::*;

    fn document(body: EventBody) -> Value {
        let event = Event { seq: 7, received_at: Timestamp::EPOCH, body };
        serde_json::to_value(EventDocument::from(LoggedEvent { twin: TwinId::new("t").unwrap(), event })).unwrap()
    }

    fn raw(bytes: &'static [u8]) -> Raw {
        Raw { encoding: Encoding::Json, bytes: Bytes::from_static(bytes) }
    }

    #[test]
    fn telemetry_shows_its_records_and_its_raw_payload() {
        let records = vec![Record { at: Timestamp::EPOCH, id: Some("r1".into()), values: vec![("t".into(), 21.5.into())] }];
        let document = document(EventBody::Telemetry { stream: None, records, raw: raw(br#"{"t":21.5}"#) });
        let want = json!({
            "seq": 7, "received_at": "1970-01-01T00:00:00.000Z", "stream": "telemetry", "kind": "telemetry",
            "data": {"stream": null, "records": [{"at": "1970-01-01T00:00:00.000Z", "id": "r1", "values": {"t": 21.5}}]},
            "raw": {"encoding": "json", "payload": "{\"t\":21.5}"},
        });
        assert_eq!(document, want);
    }

    #[test]
    fn a_payload_that_is_not_text_is_base64() {
        let document = document(EventBody::Rejected { topic: "x".into(), reason: "no".into(), raw: raw(&[0xff, 0x00]) });
        assert_eq!(document["raw"], json!({"encoding": "json", "payload_base64": "/wA="}));
    }

    #[test]
    fn what_has_no_payload_has_no_raw() {
        let document = document(EventBody::Released);
        assert_eq!((document.get("raw"), &document["kind"], &document["data"]), (None, &json!("released"), &json!({})));
    }

    #[test]
    fn a_will_is_part_of_the_end_it_belongs_to() {
        let will = Some(Will { topic: "devices/t/events/lost".into(), raw: raw(b"1") });
        let document = document(EventBody::Disconnected { session: 1, reason: DisconnectReason::TakenOver, will });
        assert_eq!(document["data"]["reason"], "taken_over");
        assert_eq!(document["data"]["will"]["raw"]["payload"], "1");
    }
}
