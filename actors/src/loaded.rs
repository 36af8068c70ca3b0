//! What is durable of a twin, folded.

use std::collections::BTreeMap;

use hierarchy_models::{Command, CommandId, Event, EventBody};

use crate::twin::TwinState;

/// A twin read back: its state, and the commands that changed since its snapshot.
pub struct Loaded {
    pub state: TwinState,
    pub commands: BTreeMap<CommandId, Command>,
}

impl Loaded {
    pub fn take(&mut self, events: &[Event], dedupe_records_max: usize) {
        use EventBody::{CommandDelivered, CommandEnded, CommandQueued};
        for event in events {
            self.state.apply(event, dedupe_records_max);
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
