//! What is durable of a twin, folded.

use std::collections::BTreeMap;

use hierarchy_models::{AlertId, AlertRecord, Command, CommandId, Event, EventBody, TwinId};

use crate::{
    alerts::apply_noting,
    rules::webhooks::{Call, call_of},
    twin::TwinState,
};

/// A twin read back: its state, and the commands that changed since its snapshot.
pub struct Loaded {
    pub state: TwinState,
    pub commands: BTreeMap<CommandId, Command>,
    /// Alerts that changed since then, as they are or were last.
    pub alerts: BTreeMap<AlertId, AlertRecord>,
    /// Webhooks that were to be called since then.
    pub calls: Vec<Call>,
}

impl Loaded {
    pub fn new(state: TwinState) -> Self {
        Self { state, commands: BTreeMap::new(), alerts: BTreeMap::new(), calls: Vec::new() }
    }

    pub fn take(&mut self, twin: &TwinId, events: &[Event], dedupe_records_max: usize) {
        use EventBody::{CommandDelivered, CommandEnded, CommandQueued};
        for event in events {
            self.calls.extend(call_of(twin, event).filter(|_| event.seq > self.state.seq));
            if let Some(record) = apply_noting(&mut self.state, twin, event, dedupe_records_max) {
                self.alerts.insert(record.id(), record);
            }
            let id = match &event.body {
                CommandQueued(command) => &command.id,
                CommandDelivered { id } | CommandEnded { id, .. } => id,
                _ => continue,
            };
            if let Some(command) = self.state.inbox.as_deref().and_then(|i| i.get(id)) {
                self.commands.insert(id.clone(), command.clone());
            }
        }
        if !self.state.registered {
            self.commands.clear();
        }
    }
}
