//! Commands: into the inbox, out of it, and waiting for their end.

use std::{sync::Arc, time::Duration};

use hierarchy_models::{Command, CommandId, CommandState, Name, TwinId, Value, limits::COMMAND_TTL_MAX};
use persistence::{CommandQuery, Page};
use tokio::sync::oneshot;

use super::{NewCommand, Twins, error_of};
use crate::{
    envelope::{Answer, Ask},
    error::TwinError,
    runtime::{Runtime, new_command_id},
    twin::{
        command_check,
        decide::{Input, Said},
    },
};

impl Twins {
    /// Durable in the twin's inbox when it returns. The same idempotency key gives the same command.
    pub async fn command(&self, id: &TwinId, command: NewCommand) -> Result<Command, TwinError> {
        check(&command)?;
        if let Some(key) = command.idempotency_key.as_deref()
            && let Some(known) = self.runtime.known_command(id, key, &command.name, &command.payload).await?
        {
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
        self.runtime.queue(id, command).await
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

impl Runtime {
    /// Puts a command into a twin's inbox: as it is there now, which may be another one under the same idempotency key.
    pub(crate) async fn queue(self: &Arc<Self>, id: &TwinId, command: Command) -> Result<Command, TwinError> {
        let queued = self.ask(id, Ask::Core(Input::Queue(Box::new(command.clone())))).await;
        match queued.map_err(error_of)? {
            Answer::Said(Said::Existing(known) | Said::Answered(known)) => Ok(*known),
            _ => Ok(command),
        }
    }

    /// The command that this idempotency key made before, wherever it is by now.
    pub(crate) async fn known_command(
        self: &Arc<Self>,
        id: &TwinId,
        key: &str,
        name: &Name,
        payload: &Value,
    ) -> Result<Option<Command>, TwinError> {
        let found = match self.ask(id, Ask::CommandByKey(key.into())).await.map_err(error_of)? {
            Answer::Command(Some(known)) => Some(*known),
            _ => self.store.command_by_key(id, key).await?,
        };
        match found {
            Some(known) if known.name != *name || known.payload != *payload => Err(TwinError::KeyReused),
            found => Ok(found),
        }
    }
}

pub(super) fn check(command: &NewCommand) -> Result<(), TwinError> {
    let invalid = |pointer: &str, reason: String| TwinError::Invalid { pointer: pointer.into(), reason };
    command_check::name(&command.name).map_err(|why| invalid("/name", why))?;
    if command.ttl.is_zero() || command.ttl > COMMAND_TTL_MAX {
        return Err(invalid("/ttl", format!("must be more than 0 and at most {} seconds", COMMAND_TTL_MAX.as_secs())));
    }
    command_check::payload(&command.payload).map_err(|why| invalid("/payload", why))
}
