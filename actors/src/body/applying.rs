//! What a turn's events do to a twin in memory, and what is to be told of them.

use hierarchy_models::{AlertRecord, Event, EventBody};

use super::Body;
use crate::{
    alerts::apply_noting,
    live::LiveEvent,
    rules::webhooks::{Call, call_of},
    twin::live_events::{live_alert, live_event},
};

/// What of a turn is to be told once it is durable.
#[derive(Default)]
pub struct Told {
    pub live: Vec<LiveEvent>,
    pub alerts: Vec<AlertRecord>,
    pub calls: Vec<Call>,
}

impl Body {
    /// Applies a turn's events; what is to be told of them.
    pub fn apply(&mut self, events: &[Event]) -> Told {
        self.keep_durable(events);
        let wants_live = self.runtime.hub.is_followed();
        let dedupe = self.runtime.settings.dedupe_records_max;
        let Told { mut live, mut alerts, mut calls } = Told::default();
        for event in events {
            let alert = apply_noting(&mut self.state, &self.id, event, dedupe);
            match &event.body {
                EventBody::CommandQueued(command) => self.command_changed(&command.id.clone()),
                EventBody::CommandDelivered { id } | EventBody::CommandEnded { id, .. } => self.command_changed(&id.clone()),
                EventBody::Registered { .. } | EventBody::ModelSet { .. } => {
                    self.learn_model();
                    self.registry_dirty = true;
                    self.rules = Default::default();
                    self.redefine();
                }
                EventBody::RollupsSet { .. } | EventBody::Unregistered => self.redefine(),
                // There is nobody above any more who would say so.
                EventBody::Moved { parent: None } => {
                    self.registry_dirty = true;
                    self.adopt(None);
                }
                EventBody::MetadataPatched { .. }
                | EventBody::TagsSet { .. }
                | EventBody::Moved { .. }
                | EventBody::GatewaySet { .. }
                | EventBody::StatusSet { .. } => self.registry_dirty = true,
                EventBody::WebhookQueued { .. } => calls.extend(call_of(&self.id, event)),
                _ => {}
            }
            if wants_live {
                live.extend(match &alert {
                    Some(record) => Some(live_alert(&self.path, record, event)),
                    None => live_event(&self.id, &self.path, &self.state, event),
                });
            }
            alerts.extend(alert);
        }
        Told { live, alerts, calls }
    }

    /// Whether models came or went since the twin's own was looked up.
    pub fn models_changed(&self) -> bool {
        self.models_seen != self.runtime.models.generation()
    }

    /// Looks up the twin's model and how twins of it behave.
    pub fn learn_model(&mut self) {
        let (seen, known) = self.runtime.models.current();
        self.models_seen = seen;
        self.model = known.checked(&self.state.model);
        self.kind = self.runtime.kinds.inherited(&self.state.model, &known.catalogue, self.state.is_place).clone();
    }
}
