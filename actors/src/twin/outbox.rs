//! What a twin has to say to other twins, until they have taken it. It is the twin's state, as the inbox is: a command that a
//! durable turn asked for outlives every crash, and is sent again under the same idempotency key.

use hierarchy_models::{EventBody, OutboundCommand, Timestamp};

#[derive(Debug, Clone, PartialEq)]
pub struct OutboxEntry {
    /// The event that asked for it: it may be sent once that is durable.
    pub queued: u64,
    pub command: OutboundCommand,
}

impl OutboxEntry {
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.command.expires_at <= now
    }
}

/// Commands to other twins that a turn asks for.
pub fn queued(events: &[EventBody]) -> usize {
    events.iter().filter(|event| matches!(event, EventBody::OutboundQueued(_))).count()
}
