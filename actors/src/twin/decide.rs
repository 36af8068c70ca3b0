//! What follows from an input: events, and what to say to whoever asked. Reads the twin, never changes it.

use hierarchy_models::{
    Alert, AlertId, Command, CommandId, CommandResult, CommandState, DeviceMessage, Event, EventBody, Name, Raw, Timestamp, TwinId,
    event::{DisconnectReason, Encoding, Status},
    limits::{INBOX_COMMANDS_MAX, PROPERTIES_BYTES_MAX},
    model,
    value::{Map, map_heap_bytes},
};

pub use super::input::{Decided, Failure, Input, NewTwin, Rejection, Said};
use super::{
    device_input::{HELD_PACKETS_MAX, Speaker},
    input::TwinPatch,
    refusal::Refusal,
    state::TwinState,
    surroundings::Surroundings,
};
use crate::{
    error::TwinError,
    kind::{Kind, Trigger, Turn, run_turn},
};

fn done(events: Vec<EventBody>) -> Result<Decided, Rejection> {
    Ok(Decided { events, failed: None, said: Said::Done })
}

/// Numbers the events of a turn.
pub fn number(seq: u64, now: Timestamp, bodies: Vec<EventBody>) -> Vec<Event> {
    (seq + 1..).zip(bodies).map(|(seq, body)| Event { seq, received_at: now, body }).collect()
}

pub fn decide(here: Surroundings<'_>, twin: &TwinState, kind: &dyn Kind, input: Input, now: Timestamp) -> Result<Decided, Rejection> {
    let id = here.id;
    match input {
        Input::Register(_) if twin.registered => Err(TwinError::AlreadyRegistered(id.clone()).into()),
        Input::Register(new) => {
            let NewTwin { model, is_place, parent, gateway, metadata, tags, .. } = *new;
            // The model's name says it of the built-in ones only; of others what was found is recorded.
            let kind = (is_place != model::is_place(&model)).then(|| EventBody::ModelSet { model: model.clone(), is_place });
            let mut events = vec![EventBody::Registered { model, parent, gateway, metadata, tags }];
            events.extend(kind);
            done(events)
        }
        Input::Device { speaker, message, packet } => hear(here, twin, kind, &speaker, message, packet, now),
        _ if !twin.registered => Err(TwinError::NoSuchTwin(id.clone()).into()),
        Input::Unregister => {
            // Its alerts end with it, each by its own word, so that none is listed as standing on nothing.
            let mut events: Vec<EventBody> = twin.alerts.iter().map(|a| EventBody::AlertCleared { name: a.name.clone() }).collect();
            events.push(EventBody::Unregistered);
            done(events)
        }
        Input::Patch { patch, is_place, if_version } => {
            check_version(twin, if_version)?;
            done(patch_events(twin, *patch, is_place)?)
        }
        Input::SetRollups { rollups, if_version } => {
            check_version(twin, if_version)?;
            let definitions: Vec<(Name, Name)> = rollups.texts().map(|(name, text)| (name.clone(), text.clone())).collect();
            let is_same = definitions.iter().map(|(name, text)| (name, text)).eq(twin.rollups().iter().flat_map(|set| set.texts()));
            done(if is_same { vec![] } else { vec![EventBody::RollupsSet { definitions }] })
        }
        Input::SetStatus(status) => done(if twin.status == status { vec![] } else { vec![EventBody::StatusSet { status }] }),
        Input::Release => match twin.quarantined() {
            Some(_) => done(vec![EventBody::Released, EventBody::AlertCleared { name: QUARANTINED.into() }]),
            None => done(vec![]),
        },
        Input::HoldPacket { session, .. } if twin.connection.session != session || !twin.connection.connected => {
            Err(Refusal::SessionEnded.into())
        }
        Input::HoldPacket { .. } if twin.held_packets().len() >= HELD_PACKETS_MAX => Err(held_too_many()),
        Input::HoldPacket { packet, .. } => done(vec![EventBody::PacketHeld { packet }]),
        Input::ReleasePacket { session, packet } => {
            let held = twin.connection.session == session && twin.held_packets().contains(&packet);
            done(if held { vec![EventBody::PacketReleased { packet }] } else { vec![] })
        }
        Input::Connect { session, protocol, remote, clean_start, expiry_seconds } => {
            if twin.status != Status::Active {
                return Err(Refusal::NotAuthorized { reason: "the device is not active".into() }.into());
            }
            connect(here, twin, kind, Connecting { session, protocol, remote, clean_start, expiry_seconds }, now)
        }
        Input::Disconnect { session, reason, will, expiry_seconds } => {
            if twin.connection.session != session || !twin.connection.connected {
                return done(vec![]);
            }
            let mut events = vec![EventBody::Disconnected { session, reason, will }];
            match expiry_seconds.or(twin.connection.expiry_seconds) {
                Some(0) | None => events.push(EventBody::SessionExpired),
                Some(seconds) if Some(seconds) != twin.connection.expiry_seconds => reopen(twin, seconds, &mut events),
                Some(_) => {}
            }
            with_turn(here, twin, kind, events, &Trigger::Disconnected { reason }, now, "the end of a connection")
        }
        Input::Subscribe { session, subscriptions } => {
            if twin.connection.session != session || !twin.connection.connected {
                return Err(Refusal::SessionEnded.into());
            }
            let same = twin.connection.subscriptions == subscriptions;
            done(if same { vec![] } else { vec![EventBody::Subscribed { subscriptions }] })
        }
        Input::Queue(command) => queue(here, twin, kind, *command, now),
        Input::Cancel(command) => cancel(id, twin, &command),
        Input::Delivered(command) => {
            let open = twin.inbox.as_deref().and_then(|i| i.get(&command)).is_some_and(|c| !c.state.is_end());
            done(if open { vec![EventBody::CommandDelivered { id: command }] } else { vec![] })
        }
        Input::Wake => wake(here, twin, kind, now),
        Input::AcknowledgeAlert { alert, by } => match standing(id, twin, &alert)? {
            Alert { acknowledged: Some(_), .. } => done(vec![]),
            Alert { name, .. } => done(vec![EventBody::AlertAcknowledged { name: name.clone(), by }]),
        },
        Input::ClearAlert { alert, by } => {
            let name = standing(id, twin, &alert)?.name.clone();
            done(vec![EventBody::AlertEnded { name, by, at: now }])
        }
        Input::Evaluate => done(vec![]),
        Input::Children if kind.is_built_in() => done(vec![]),
        Input::Children => with_turn(here, twin, kind, vec![], &Trigger::Children, now, "figures of its children"),
        Input::OutboundDone { queued, .. } if !twin.outbox().iter().any(|o| o.queued == queued) => done(vec![]),
        Input::OutboundDone { queued, outcome } => done(vec![match outcome {
            Ok(command) => EventBody::OutboundSent { queued, command },
            Err(reason) => EventBody::OutboundDropped { queued, reason },
        }]),
        Input::Poison { what, error, raw, quarantine } => {
            let mut events = vec![EventBody::Poisoned { what, error: error.clone(), raw }];
            if let Some(restarts) = quarantine {
                let mut cx = crate::kind::Context::new(here, twin, now);
                cx.raise(QUARANTINED, hierarchy_models::Severity::Critical, &error, Map::new());
                for event in &mut cx.events {
                    if let EventBody::AlertRaised(alert) = event {
                        alert.source = "supervision".into();
                    }
                }
                events.push(EventBody::Quarantined { until_released: true, restarts, error });
                events.append(&mut cx.events);
            }
            done(events)
        }
    }
}

/// The open alert of this id.
fn standing<'a>(id: &TwinId, twin: &'a TwinState, alert: &AlertId) -> Result<&'a Alert, TwinError> {
    twin.alerts.iter().find(|a| AlertId::of(id, a) == *alert).ok_or_else(|| TwinError::NoSuchAlert(alert.clone()))
}

fn held_too_many() -> Rejection {
    Refusal::Quota { limit: "HELD_PACKETS_MAX", detail: "QoS 2 messages are not being released".into() }.into()
}

/// How a connection through a gateway is named.
pub const GATEWAY_PROTOCOL: &str = "gateway";

/// Why a command to another twin is given up that was not taken in time.
pub const OVER: &str = "its time to live is over";

/// The alert that stands on a quarantined twin.
pub const QUARANTINED: &str = "quarantined";

fn check_version(twin: &TwinState, if_version: Option<u64>) -> Result<(), TwinError> {
    match if_version {
        Some(version) if version != twin.version => Err(TwinError::VersionMismatch { current: twin.version }),
        _ => Ok(()),
    }
}

/// Adds what the kind makes of it; the events and the effects commit together.
fn with_turn(
    here: Surroundings<'_>,
    twin: &TwinState,
    kind: &dyn Kind,
    mut events: Vec<EventBody>,
    trigger: &Trigger<'_>,
    now: Timestamp,
    what: &str,
) -> Result<Decided, Rejection> {
    if twin.quarantined().is_some() {
        return done(events);
    }
    // The fact stands whatever the behaviour makes of it: a device that is gone is gone.
    let failed = match run_turn(kind, trigger, here, twin, now) {
        Ok(mut turn) => {
            events.append(&mut turn.events);
            None
        }
        Err(error) => Some(Failure { what: what.into(), error }),
    };
    Ok(Decided { events, failed, said: Said::Done })
}

fn hear(
    here: Surroundings<'_>,
    twin: &TwinState,
    kind: &dyn Kind,
    speaker: &Speaker,
    message: DeviceMessage,
    packet: Option<u16>,
    now: Timestamp,
) -> Result<Decided, Rejection> {
    twin.authorise(speaker)?;
    let topic = message.kind();
    // A handle, not a copy.
    let raw = message.raw().cloned();
    let mut events = match (twin.hear(message, now), raw) {
        (Ok(events), _) => events,
        // It broke a rule: kept for whoever mends the device, as what cannot be read is.
        (Err(Refusal::Invalid { reason }), Some(raw)) => {
            let events = vec![EventBody::Rejected { topic: topic.into(), reason: reason.clone(), raw }];
            return Ok(Decided { events, failed: None, said: Said::Refused(Refusal::Invalid { reason }) });
        }
        (Err(refusal), _) => return Err(refusal.into()),
    };
    if let Some(packet) = packet {
        if twin.held_packets().len() >= HELD_PACKETS_MAX {
            return Err(held_too_many());
        }
        events.push(EventBody::PacketHeld { packet });
    }
    if twin.quarantined().is_some() {
        return done(events);
    }
    if let Some((command, state, result)) = ended_command(twin, &events) {
        let trigger = Trigger::CommandEnded { command, state, result: result.as_ref() };
        return with_turn(here, twin, kind, events, &trigger, now, "the end of a command");
    }
    let (trigger, raw) = match events.first() {
        Some(EventBody::Telemetry { stream, records, raw }) => (Trigger::Telemetry { stream: stream.as_deref(), records }, raw),
        Some(EventBody::ReportedPatched { patch, raw } | EventBody::ReportedReplaced { properties: patch, raw }) => {
            (Trigger::Reported { patch }, raw)
        }
        Some(EventBody::Special { name, payload, raw }) => (Trigger::Event { name, payload }, raw),
        Some(EventBody::Diagnostics { payload, raw }) => (Trigger::Diagnostics { payload }, raw),
        _ => return done(events),
    };
    match run_turn(kind, &trigger, here, twin, now) {
        Ok(mut turn) => {
            events.append(&mut turn.events);
            done(events)
        }
        Err(error) => Err(Rejection::Failed { error, what: what_failed(topic, &trigger), raw: Some(raw.clone()) }),
    }
}

/// With the name that stands in no payload, so that the message can be done again.
fn what_failed(topic: &str, trigger: &Trigger<'_>) -> String {
    match trigger {
        Trigger::Telemetry { stream: Some(name), .. } | Trigger::Event { name, .. } => format!("{topic} {name}"),
        _ => topic.into(),
    }
}

/// The command that these events end, when they end one.
fn ended_command<'a>(twin: &'a TwinState, events: &[EventBody]) -> Option<(&'a Command, CommandState, Option<CommandResult>)> {
    events.iter().find_map(|event| match event {
        EventBody::CommandEnded { id, state, result } => Some((twin.inbox.as_deref()?.get(id)?, *state, result.clone())),
        _ => None,
    })
}

struct Connecting {
    session: u64,
    protocol: Name,
    remote: String,
    clean_start: bool,
    expiry_seconds: u32,
}

fn connect(here: Surroundings<'_>, twin: &TwinState, kind: &dyn Kind, c: Connecting, now: Timestamp) -> Result<Decided, Rejection> {
    let mut events = Vec::new();
    let before = &twin.connection;
    if before.connected {
        events.push(EventBody::Disconnected { session: before.session, reason: DisconnectReason::TakenOver, will: None });
    }
    let over = twin.session_ends_at().is_some_and(|end| end <= now) || (before.connected && before.expiry_seconds == Some(0));
    let session_present = !c.clean_start && before.expiry_seconds.is_some() && !over;
    if !session_present {
        events.push(EventBody::SessionOpened { expiry_seconds: c.expiry_seconds });
    } else if before.expiry_seconds != Some(c.expiry_seconds) {
        reopen(twin, c.expiry_seconds, &mut events);
    }
    events.push(EventBody::Connected { session: c.session, protocol: c.protocol, remote: c.remote });
    let mut decided = with_turn(here, twin, kind, events, &Trigger::Connected, now, "a connection")?;
    decided.said = Said::Connected { session_present };
    Ok(decided)
}

/// Changes how long a session lasts without losing what it holds.
fn reopen(twin: &TwinState, expiry_seconds: u32, events: &mut Vec<EventBody>) {
    events.push(EventBody::SessionOpened { expiry_seconds });
    events.push(EventBody::Subscribed { subscriptions: twin.connection.subscriptions });
    events.extend(twin.held_packets().iter().map(|packet| EventBody::PacketHeld { packet: *packet }));
}

fn queue(here: Surroundings<'_>, twin: &TwinState, kind: &dyn Kind, command: Command, now: Timestamp) -> Result<Decided, Rejection> {
    let inbox = twin.inbox.as_deref();
    if let Some(key) = command.idempotency_key.as_deref()
        && let Some(known) = inbox.and_then(|i| i.by_key(key))
    {
        if known.name != command.name || known.payload != command.payload {
            return Err(TwinError::KeyReused.into());
        }
        return Ok(Decided { events: vec![], failed: None, said: Said::Existing(Box::new(known.clone())) });
    }
    if inbox.is_some_and(|i| i.open.len() >= INBOX_COMMANDS_MAX) {
        let detail = format!("{INBOX_COMMANDS_MAX} commands have not ended");
        return Err(TwinError::Limit { limit: "INBOX_COMMANDS_MAX", detail }.into());
    }
    if twin.quarantined().is_some() {
        return done(vec![EventBody::CommandQueued(Box::new(command))]);
    }
    let turn = run_turn(kind, &Trigger::Command { command: &command }, here, twin, now).map_err(|error| Rejection::Failed {
        error,
        what: format!("command {}", command.name),
        raw: serde_json::to_vec(&command.payload).ok().map(|bytes| Raw { encoding: Encoding::Json, bytes: bytes.into() }),
    })?;
    let Turn { events: mut effects, answer } = turn;
    let mut said = Said::Done;
    let mut events = vec![EventBody::CommandQueued(Box::new(command.clone()))];
    if let Some(result) = answer {
        let (id, state) = (command.id.clone(), result.end());
        events.push(EventBody::CommandEnded { id, state, result: Some(result.clone()) });
        said = Said::Answered(Box::new(Command { state, ended_at: Some(now), result: Some(result), ..command }));
    }
    events.append(&mut effects);
    Ok(Decided { events, failed: None, said })
}

fn cancel(id: &TwinId, twin: &TwinState, command: &CommandId) -> Result<Decided, Rejection> {
    match twin.inbox.as_deref().and_then(|i| i.get(command)) {
        None => Err(TwinError::NoSuchCommand { twin: id.clone(), command: command.clone() }.into()),
        Some(c) if c.state == CommandState::Cancelled => done(vec![]),
        Some(c) if c.state.is_end() => Err(TwinError::CommandEnded { state: c.state.as_str() }.into()),
        Some(_) => done(vec![EventBody::CommandEnded { id: command.clone(), state: CommandState::Cancelled, result: None }]),
    }
}

fn wake(here: Surroundings<'_>, twin: &TwinState, kind: &dyn Kind, now: Timestamp) -> Result<Decided, Rejection> {
    let mut events: Vec<EventBody> = twin
        .inbox
        .iter()
        .flat_map(|i| &i.open)
        .filter(|o| o.command.expires_at <= now)
        .map(|o| EventBody::CommandEnded { id: o.command.id.clone(), state: CommandState::Expired, result: None })
        .collect();
    let over = twin.outbox().iter().filter(|o| o.is_over(now));
    events.extend(over.map(|o| EventBody::OutboundDropped { queued: o.queued, reason: OVER.into() }));
    if twin.session_ends_at().is_some_and(|end| end <= now) {
        events.push(EventBody::SessionExpired);
    }
    let due = twin.timers().iter().filter(|t| t.due <= now).min_by_key(|t| t.due);
    // One timer a turn: a failing one costs itself, and the next wake takes the next.
    if let Some(timer) = due {
        events.push(EventBody::TimerFired { name: timer.name.clone() });
        return with_turn(here, twin, kind, events, &Trigger::Timer { timer }, now, &format!("timer {}", timer.name));
    }
    done(events)
}

fn patch_events(twin: &TwinState, patch: TwinPatch, is_place: bool) -> Result<Vec<EventBody>, TwinError> {
    let TwinPatch { metadata, desired, tags, parent, gateway, model } = patch;
    for (pointer, change, held) in [("/metadata", &metadata, &twin.metadata), ("/desired", &desired, &twin.desired)] {
        if change.as_ref().is_some_and(|c| map_heap_bytes(c) + map_heap_bytes(held) > PROPERTIES_BYTES_MAX) {
            let reason = format!("would take more than {PROPERTIES_BYTES_MAX} bytes");
            return Err(TwinError::Invalid { pointer: pointer.into(), reason });
        }
    }
    let mut events = Vec::new();
    if let Some(model) = model.filter(|m| *m != twin.model || is_place != twin.is_place) {
        events.push(EventBody::ModelSet { model, is_place });
    }
    if let Some(patch) = metadata.filter(|m| !m.is_empty()) {
        events.push(EventBody::MetadataPatched { patch });
    }
    if let Some(tags) = tags.filter(|t| *t != twin.tags) {
        events.push(EventBody::TagsSet { tags });
    }
    if let Some(parent) = parent.filter(|p| *p != twin.parent) {
        events.push(EventBody::Moved { parent });
    }
    if let Some(gateway) = gateway.filter(|g| *g != twin.gateway) {
        events.push(EventBody::GatewaySet { gateway });
        if twin.connection.connected && &*twin.connection.protocol == GATEWAY_PROTOCOL {
            // The former gateway must not go on receiving what is meant for this twin.
            let session = twin.connection.session;
            events.push(EventBody::Disconnected { session, reason: DisconnectReason::Revoked, will: None });
            events.push(EventBody::SessionExpired);
        }
    }
    if let Some(patch) = desired.filter(|d| !d.is_empty()) {
        events.push(EventBody::DesiredPatched { patch });
    }
    Ok(events)
}
