//! One twin of a kit: its core, asked as the server's actor asks it.

use std::{sync::Arc, time::Duration};

use hierarchy_models::{
    Command, CommandId, CommandResult, CommandState, DeviceMessage, Event, EventBody, ModelId, OutboundCommand, Raw, Timestamp, TwinId,
    event::DisconnectReason, limits::DEDUPE_RECORDS_MAX, rollup::Aggregate, tree::Path, value::Map,
};
use serde_json::Value;

use super::Handled;
use crate::{
    behaviour::{Error, Result, from_json},
    kind::Kind,
    twin::{
        OutboxEntry, Surroundings, TwinState, decide,
        decide::{Input, NewTwin, Rejection, Said, number},
        device_input::Speaker,
    },
};

/// The connection of a kit's device lasts this long beyond its end.
const SESSION_EXPIRY_SECONDS: u32 = 3_600;

pub struct Seat {
    pub id: TwinId,
    pub path: Path,
    pub kind: Arc<dyn Kind>,
    pub twin: TwinState,
    pub below: Aggregate,
    /// The fingerprint of what the behaviour was last told of its children.
    pub heard_children: Option<u64>,
    /// Of what the parent was last told.
    pub passed_on: Option<u64>,
    /// Everything that happened to it.
    pub log: Vec<Event>,
}

impl Seat {
    pub fn new(
        id: TwinId,
        path: Path,
        kind: Arc<dyn Kind>,
        (model, is_place): (ModelId, bool),
        parent: Option<TwinId>,
        now: Timestamp,
    ) -> Result<Self> {
        let (twin, below) = (TwinState::blank(), Aggregate::default());
        let mut seat = Self { id, path, kind, twin, below, heard_children: None, passed_on: None, log: Vec::new() };
        let new = NewTwin { model, is_place, parent, gateway: None, metadata: Map::new(), tags: Vec::new(), seq_base: 0 };
        seat.take(Input::Register(Box::new(new)), now)?;
        Ok(seat)
    }

    /// What came of an input: the events it led to, and what is said to whoever gave it.
    pub fn take(&mut self, input: Input, now: Timestamp) -> Result<(Vec<Event>, Said)> {
        let here = Surroundings { id: &self.id, path: &self.path, below: &self.below };
        match decide(here, &self.twin, &*self.kind, input, now) {
            Ok(decided) => {
                let events = self.apply(decided.events, now);
                match (decided.failed, decided.said) {
                    (Some(failure), _) => Err(self.fail(failure.what, failure.error, None, now)),
                    (None, Said::Refused(refusal)) => Err(Error::new(refusal)),
                    (None, said) => Ok((events, said)),
                }
            }
            Err(Rejection::Failed { error, what, raw }) => Err(self.fail(what, error, raw, now)),
            Err(Rejection::Device(refusal)) => Err(Error::new(refusal)),
            Err(Rejection::Call(error)) => Err(Error::new(error)),
        }
    }

    fn apply(&mut self, bodies: Vec<EventBody>, now: Timestamp) -> Vec<Event> {
        let events = number(self.twin.seq, now, bodies);
        for event in &events {
            self.twin.apply(event, DEDUPE_RECORDS_MAX);
        }
        self.log.extend(events.iter().cloned());
        events
    }

    /// As the server does: the message is kept for reading, and nothing else came of it.
    fn fail(&mut self, what: String, error: String, raw: Option<Raw>, now: Timestamp) -> Error {
        self.apply(vec![EventBody::Poisoned { what, error: error.clone(), raw }], now);
        Error::new(error)
    }

    pub fn say(message: DeviceMessage) -> Input {
        Input::Device { speaker: Speaker::Server, message, packet: None }
    }

    pub fn connect(&self) -> Input {
        Input::Connect {
            session: self.twin.connection.session + 1,
            protocol: "kit".into(),
            remote: String::new(),
            clean_start: false,
            expiry_seconds: SESSION_EXPIRY_SECONDS,
        }
    }

    pub fn disconnect(&self, reason: DisconnectReason) -> Input {
        Input::Disconnect { session: self.twin.connection.session, reason, will: None, expiry_seconds: None }
    }

    /// A command that a person or a system sends.
    pub fn command(&self, name: &str, payload: Value, ttl: Duration, now: Timestamp) -> Result<Command> {
        Ok(Command {
            id: command_id(self.twin.seq),
            name: name.into(),
            payload: from_json(payload)?,
            state: CommandState::Queued,
            expires_at: now.plus(ttl),
            queued_at: now,
            delivered_at: None,
            ended_at: None,
            deliveries: 0,
            result: None,
            idempotency_key: None,
            sender: "kit".into(),
        })
    }

    /// The device answers the oldest command of this name that has not ended.
    pub fn device_answers(&self, name: &str, status: u16, payload: Value) -> Result<Input> {
        let open = self.twin.inbox.iter().flat_map(|inbox| &inbox.open).find(|open| open.command.name == name);
        let open = open.ok_or_else(|| Error::new(format!("no command {name:?} waits for {}", self.id)))?;
        let result = CommandResult { status, payload: from_json(payload)? };
        Ok(Self::say(DeviceMessage::Result { command: open.command.id.clone(), result }))
    }

    pub fn handled(&self, id: &CommandId) -> Option<Handled> {
        self.twin.inbox.as_deref()?.get(id).map(Handled::from)
    }

    /// The commands that have not ended, oldest first.
    pub fn inbox(&self) -> Vec<Handled> {
        self.twin.inbox.iter().flat_map(|inbox| &inbox.open).map(|open| Handled::from(&open.command)).collect()
    }

    /// Through its stored form and back, as a restart does it.
    pub fn restart(&mut self) -> Result<()> {
        self.twin = TwinState::from_bytes(&self.twin.to_bytes())?;
        self.heard_children = None;
        Ok(())
    }
}

/// A command that one twin has sent, as it comes to another.
pub fn inbound(sender: &TwinId, entry: &OutboxEntry, now: Timestamp) -> Command {
    let OutboundCommand { name, payload, expires_at, .. } = entry.command.clone();
    Command {
        id: sent_id(sender, entry.queued),
        name,
        payload,
        state: CommandState::Queued,
        expires_at,
        queued_at: now,
        delivered_at: None,
        ended_at: None,
        deliveries: 0,
        result: None,
        idempotency_key: Some(OutboundCommand::idempotency_key(sender, entry.queued)),
        sender: format!("twin:{sender}").into(),
    }
}

/// Two twins may have sent with the same number, so it names the sender too.
fn sent_id(sender: &TwinId, queued: u64) -> CommandId {
    const NAMED_CHARS_MAX: usize = 40;
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let named: String = sender.as_str().chars().take(NAMED_CHARS_MAX).map(plain).collect();
    CommandId::new(format!("{named}-{queued}")).expect("letters, digits, '_' and a hyphen are a command id")
}

/// One of its own for each state of a twin, and the same in every run of a test.
fn command_id(seq: u64) -> CommandId {
    CommandId::new(format!("kit-{seq}")).expect("letters, digits and a hyphen are a command id")
}
