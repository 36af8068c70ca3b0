//! Commands: into the inbox, out of it, and waiting for their end.

use std::time::Duration;

use hierarchy_models::{
    Command, CommandId, CommandState, TwinId,
    limits::{COMMAND_PAYLOAD_BYTES_MAX, COMMAND_TTL_MAX, NAME_BYTES_MAX},
};
use persistence::{CommandQuery, Page};
use tokio::sync::oneshot;

use super::{NewCommand, Twins, error_of};
use crate::{
    envelope::{Answer, Ask},
    error::TwinError,
    runtime::new_command_id,
    twin::decide::{Input, Said},
};

impl Twins {
    /// Durable in the twin's inbox when it returns. The same idempotency key gives the same command.
    pub async fn command(&self, id: &TwinId, command: NewCommand) -> Result<Command, TwinError> {
        check(&command)?;
        if let Some(known) = self.known_command(id, &command).await? {
            return Ok(known);
        }
        let now = self.runtime.clock.now();
        let NewCommand { name, payload, ttl, idempotency_key, sender } = command;
        let command = Command {
            id: new_command_id(),
            name,
            payload,
            state: CommandState::Queued,
            expires_at: now.plus(ttl),
            queued_at: now,
            delivered_at: None,
            ended_at: None,
            deliveries: 0,
            result: None,
            idempotency_key,
            sender,
        };
        let queued = self.runtime.ask(id, Ask::Core(Input::Queue(Box::new(command.clone())))).await;
        match queued.map_err(error_of)? {
            Answer::Said(Said::Existing(known)) => Ok(*known),
            _ => Ok(command),
        }
    }

    /// The command that this idempotency key made before, wherever it is by now.
    async fn known_command(&self, id: &TwinId, command: &NewCommand) -> Result<Option<Command>, TwinError> {
        let Some(key) = command.idempotency_key.clone() else { return Ok(None) };
        let found = match self.runtime.ask(id, Ask::CommandByKey(key.clone())).await.map_err(error_of)? {
            Answer::Command(Some(known)) => Some(*known),
            _ => self.runtime.store.command_by_key(id, &key).await?,
        };
        match found {
            Some(known) if known.name != command.name || known.payload != command.payload => Err(TwinError::KeyReused),
            found => Ok(found),
        }
    }

    /// Waits until the command ends, at most `timeout`; the command as it is then.
    pub async fn await_command(&self, id: &TwinId, command: &CommandId, timeout: Duration) -> Result<Command, TwinError> {
        let deadline = tokio::time::Instant::now() + timeout;
        loop {
            let (tell, told) = oneshot::channel();
            let ask = Ask::Await { command: command.clone(), tell };
            match self.runtime.ask(id, ask).await.map_err(error_of) {
                Ok(_) => {}
                // It has left the twin's memory: then it has ended.
                Err(TwinError::NoSuchCommand { .. }) => return self.command_of(id, command).await,
                Err(error) => return Err(error),
            }
            match tokio::time::timeout_at(deadline, told).await {
                Ok(Ok(command)) => return Ok(command),
                // The twin moved or restarted meanwhile: wait at its new place.
                Ok(Err(_)) => {}
                Err(_) => return self.command_of(id, command).await,
            }
        }
    }

    pub async fn command_of(&self, id: &TwinId, command: &CommandId) -> Result<Command, TwinError> {
        self.entry(id).await?;
        if let Answer::Command(Some(found)) = self.runtime.ask(id, Ask::Command(command.clone())).await.map_err(error_of)? {
            return Ok(*found);
        }
        let missing = || TwinError::NoSuchCommand { twin: id.clone(), command: command.clone() };
        self.runtime.store.command(id, command).await?.ok_or_else(missing)
    }

    /// Newest first.
    pub async fn commands(&self, query: CommandQuery) -> Result<Page<Command>, TwinError> {
        self.entry(&query.twin).await?;
        // What no row shows yet is written first; then the rows are the whole truth.
        if let Answer::Commands(recent) = self.runtime.ask(&query.twin, Ask::Commands).await.map_err(error_of)? {
            let commands = recent.into_iter().map(|c| (query.twin.clone(), c)).collect();
            // Asked before the lock is taken: an answer may have to wait for somebody who waits for a flush.
            let _shared = self.runtime.rows.read().await;
            self.runtime.store.project(persistence::Projection { commands, ..Default::default() }).await?;
        }
        Ok(self.runtime.store.commands(query).await?)
    }

    pub async fn cancel_command(&self, id: &TwinId, command: &CommandId) -> Result<Command, TwinError> {
        match self.runtime.ask(id, Ask::Core(Input::Cancel(command.clone()))).await.map_err(error_of) {
            Ok(_) => self.command_of(id, command).await,
            // It may have ended long ago and left the twin's memory.
            Err(TwinError::NoSuchCommand { .. }) => {
                let known = self.command_of(id, command).await?;
                Err(TwinError::CommandEnded { state: known.state.as_str() })
            }
            Err(error) => Err(error),
        }
    }
}

fn check(command: &NewCommand) -> Result<(), TwinError> {
    let invalid = |pointer: &str, reason: String| Err(TwinError::Invalid { pointer: pointer.into(), reason });
    let name = command.name.as_str();
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(|c| c.is_control() || "/+#".contains(c)) {
        return invalid("/name", format!("a name has 1 to {NAME_BYTES_MAX} bytes and none of '/', '+', '#' or control characters"));
    }
    if command.ttl.is_zero() || command.ttl > COMMAND_TTL_MAX {
        return invalid("/ttl", format!("must be more than 0 and at most {} seconds", COMMAND_TTL_MAX.as_secs()));
    }
    if persistence::codec::value_to_bytes(&command.payload).len() > COMMAND_PAYLOAD_BYTES_MAX {
        return invalid("/payload", format!("takes more than {COMMAND_PAYLOAD_BYTES_MAX} bytes"));
    }
    Ok(())
}
