//! How an event changes a twin. Total and deterministic: replaying a twin's events always gives the same twin.

use std::collections::VecDeque;

use hierarchy_models::{
    Alert, Event, EventBody, Raw, Timestamp,
    alert::Acknowledgement,
    event::{Encoding, Status},
    limits::{KEPT_PAYLOAD_BYTES_MAX, POISON_MAX, REJECTED_MAX},
    patch::merge,
};

use super::{
    slots::{Slot, Slots},
    state::TwinState,
};
use crate::view::KeptMessage;

/// The identity of a record id in the dedupe window. 64 bits of FNV-1a: among 256 remembered ids a false match has odds of 10^-17.
pub fn record_hash(id: &str) -> u64 {
    id.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// A payload as a person reads it: its first bytes, as text where it is text.
pub fn excerpt(raw: &Raw) -> String {
    let bytes = &raw.bytes[..raw.bytes.len().min(KEPT_PAYLOAD_BYTES_MAX)];
    match raw.encoding {
        Encoding::Json => String::from_utf8_lossy(bytes).into_owned(),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => text.to_owned(),
            _ => bytes.iter().take(64).map(|b| format!("{b:02x}")).collect(),
        },
    }
}

fn keep(ring: &mut VecDeque<KeptMessage>, max: usize, message: KeptMessage) {
    if ring.len() >= max {
        ring.pop_front();
    }
    ring.push_back(message);
}

impl TwinState {
    /// Folds one event in. Events at or before [`TwinState::seq`] are known already and change nothing.
    pub fn apply(&mut self, event: &Event, dedupe_records_max: usize) {
        if event.seq <= self.seq {
            return;
        }
        self.seq = event.seq;
        let now = event.received_at;
        use EventBody::*;
        match &event.body {
            Telemetry { records, .. } => {
                self.heard(now);
                for record in records {
                    self.telemetry.put_all(&record.values, record.at, now);
                    if let Some(id) = &record.id {
                        let ids = &mut self.rare_mut().record_ids;
                        while ids.len() >= dedupe_records_max.max(1) {
                            ids.pop_front();
                        }
                        ids.push_back(record_hash(id));
                    }
                }
            }
            ReportedPatched { patch, .. } => {
                self.heard(now);
                self.reported.patch_all(patch, now);
            }
            ReportedReplaced { properties, .. } => {
                self.heard(now);
                self.reported = Slots::default();
                self.reported.patch_all(properties, now);
            }
            Special { .. } => self.heard(now),
            Diagnostics { payload, .. } => {
                self.heard(now);
                let slot = Slot { value: payload.clone(), at: now, received_at: now };
                self.rare_mut().diagnostics = Some(slot);
            }
            Rejected { topic, reason, raw } => {
                let rare = self.rare_mut();
                rare.rejected_total += 1;
                let kept = KeptMessage { at: now, what: topic.clone(), reason: reason.clone(), payload: excerpt(raw) };
                keep(&mut rare.rejected, REJECTED_MAX, kept);
            }
            Poisoned { what, error, raw } => {
                let rare = self.rare_mut();
                rare.restarts += 1;
                let payload = raw.as_ref().map(excerpt).unwrap_or_default();
                keep(&mut rare.poison, POISON_MAX, KeptMessage { at: now, what: what.clone(), reason: error.clone(), payload });
            }
            Quarantined { error, .. } => self.rare_mut().quarantined = Some(error.clone()),
            Released => self.rare_mut().quarantined = None,
            CommandQueued(command) => self.inbox_mut().queue((**command).clone(), event.seq),
            CommandDelivered { id } => self.inbox_mut().delivered(id, now),
            CommandEnded { id, state, result } => self.inbox_mut().ended(id, *state, result.clone(), now),
            AlertRaised(alert) => match self.alerts.iter_mut().find(|a| a.name == alert.name) {
                // What an older program raised has no number of its own.
                Some(open) => *open = Alert { seq: open.seq, ..(**alert).clone() },
                None => self.alerts.push(Alert { seq: if alert.seq == 0 { event.seq } else { alert.seq }, ..(**alert).clone() }),
            },
            AlertAcknowledged { name, by } => {
                if let Some(alert) = self.alerts.iter_mut().find(|a| a.name == *name) {
                    alert.acknowledged = Some(Acknowledgement { at: now, by: by.clone() });
                }
            }
            AlertCleared { name } | AlertEnded { name, .. } => self.alerts.retain(|a| a.name != *name),
            RuleTurned { rule, on, at } => {
                let on_now = &mut self.rare_mut().rules_on;
                on_now.retain(|(known, _)| known != rule);
                if *on {
                    on_now.push((rule.clone(), *at));
                }
            }
            BehaviourState { state } => self.rare_mut().behaviour = state.clone(),
            TimerSet { name, due } => {
                let timers = &mut self.rare_mut().timers;
                timers.retain(|(n, _)| n != name);
                timers.push((name.clone(), *due));
            }
            TimerFired { name } => self.rare_mut().timers.retain(|(n, _)| n != name),
            Emitted { .. } | WebhookQueued { .. } => {}
            Registered { .. }
            | Unregistered
            | MetadataPatched { .. }
            | TagsSet { .. }
            | Moved { .. }
            | GatewaySet { .. }
            | StatusSet { .. }
            | DesiredPatched { .. } => self.apply_registry(event),
            Connected { .. }
            | Disconnected { .. }
            | SessionOpened { .. }
            | Subscribed { .. }
            | SessionExpired
            | PacketHeld { .. }
            | PacketReleased { .. }
            | ChildAttached { .. }
            | ChildDetached { .. } => self.apply_connection(event),
        }
    }

    fn heard(&mut self, now: Timestamp) {
        self.connection.last_seen = Some(now);
    }

    fn apply_registry(&mut self, event: &Event) {
        use EventBody::*;
        self.version += 1;
        match &event.body {
            Registered { model, parent, gateway, metadata, tags } => {
                *self = Self {
                    seq: event.seq,
                    version: 1,
                    registered: true,
                    status: Status::Active,
                    model: model.clone(),
                    parent: parent.clone(),
                    gateway: gateway.clone(),
                    created_at: event.received_at,
                    metadata: metadata.clone(),
                    tags: tags.clone(),
                    ..Self::blank()
                };
            }
            Unregistered => *self = Self { seq: event.seq, ..Self::blank() },
            MetadataPatched { patch } => merge(&mut self.metadata, patch),
            TagsSet { tags } => self.tags.clone_from(tags),
            Moved { parent } => self.parent.clone_from(parent),
            GatewaySet { gateway } => self.gateway.clone_from(gateway),
            StatusSet { status } => self.status = *status,
            DesiredPatched { patch } => {
                merge(&mut self.desired, patch);
                self.desired_version += 1;
            }
            _ => {}
        }
    }

    fn apply_connection(&mut self, event: &Event) {
        use EventBody::*;
        let now = event.received_at;
        let connection = &mut *self.connection;
        match &event.body {
            Connected { session, protocol, remote } => {
                connection.connected = true;
                connection.session = *session;
                connection.since = Some(now);
                connection.last_seen = Some(now);
                connection.protocol = protocol.clone();
                connection.remote = remote.as_str().into();
                connection.reason = None;
            }
            Disconnected { reason, .. } => {
                connection.connected = false;
                connection.since = Some(now);
                connection.reason = Some(*reason);
            }
            SessionOpened { expiry_seconds } => {
                connection.expiry_seconds = Some(*expiry_seconds);
                connection.subscriptions = Default::default();
                if let Some(rare) = self.rare.as_deref_mut() {
                    rare.held_packets.clear();
                }
            }
            Subscribed { subscriptions } => connection.subscriptions = *subscriptions,
            SessionExpired => {
                connection.expiry_seconds = None;
                connection.subscriptions = Default::default();
                if let Some(rare) = self.rare.as_deref_mut() {
                    rare.held_packets.clear();
                }
            }
            PacketHeld { packet } => {
                let held = &mut self.rare_mut().held_packets;
                if !held.contains(packet) {
                    held.push(*packet);
                }
            }
            PacketReleased { packet } => self.rare_mut().held_packets.retain(|p| p != packet),
            ChildAttached { child } => {
                let attached = &mut self.rare_mut().attached;
                if !attached.contains(child) {
                    attached.push(child.clone());
                }
            }
            ChildDetached { child } => self.rare_mut().attached.retain(|c| c != child),
            _ => {}
        }
    }
}
