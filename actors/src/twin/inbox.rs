//! The commands of one twin. They are the twin's state, not a queue table: so they are as durable as everything else
//! about it, and no store has to scan tombstones.

use std::collections::VecDeque;

use hierarchy_models::{Command, CommandId, CommandResult, CommandState, Timestamp, limits::ENDED_COMMANDS_MAX};

#[derive(Debug, Clone, PartialEq)]
pub struct OpenCommand {
    pub command: Command,
    /// The event that queued it: it may be delivered once that is durable.
    pub seq: u64,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Inbox {
    /// In the order of acceptance, which is the order of delivery.
    pub open: Vec<OpenCommand>,
    /// The last that ended, oldest first.
    pub ended: VecDeque<Command>,
}

impl Inbox {
    pub fn get(&self, id: &CommandId) -> Option<&Command> {
        let open = self.open.iter().map(|o| &o.command);
        open.chain(self.ended.iter().rev()).find(|c| c.id == *id)
    }

    pub fn by_key(&self, key: &str) -> Option<&Command> {
        let open = self.open.iter().map(|o| &o.command);
        open.chain(self.ended.iter()).find(|c| c.idempotency_key.as_deref() == Some(key))
    }

    pub fn next_expiry(&self) -> Option<Timestamp> {
        self.open.iter().map(|o| o.command.expires_at).min()
    }

    pub fn queue(&mut self, command: Command, seq: u64) {
        self.open.push(OpenCommand { command, seq });
    }

    pub fn delivered(&mut self, id: &CommandId, at: Timestamp) {
        if let Some(o) = self.open.iter_mut().find(|o| o.command.id == *id) {
            o.command.state = CommandState::Delivered;
            o.command.delivered_at.get_or_insert(at);
            o.command.deliveries += 1;
        }
    }

    pub fn ended(&mut self, id: &CommandId, state: CommandState, result: Option<CommandResult>, at: Timestamp) {
        let Some(i) = self.open.iter().position(|o| o.command.id == *id) else { return };
        let mut command = self.open.remove(i).command;
        command.state = state;
        command.ended_at = Some(at);
        command.result = result;
        if self.ended.len() == ENDED_COMMANDS_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back(command);
    }

    pub fn heap_bytes(&self) -> usize {
        let of = |c: &Command| c.payload.heap_bytes() + c.result.as_ref().map_or(0, |r| r.payload.heap_bytes());
        size_of::<Self>()
            + self.open.iter().map(|o| size_of::<OpenCommand>() + of(&o.command)).sum::<usize>()
            + self.ended.iter().map(|c| size_of::<Command>() + of(c)).sum::<usize>()
    }
}
