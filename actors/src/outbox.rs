//! Commands between twins on their way: from the durable outbox of one into the inbox of another.
//!
//! A task carries them, not the twin: it goes on whether the sender stays in memory or not, and tells the sender's own actor what
//! became of each. A process that dies in between starts over from the outbox; the idempotency key makes one command of it.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use hierarchy_models::{Command, CommandId, CommandState, OutboundCommand, TwinId};
use parking_lot::Mutex;

use crate::{
    body::SharedBody,
    envelope::{Ask, Problem},
    error::TwinError,
    runtime::{Runtime, new_command_id},
    twin::{
        OutboxEntry,
        decide::{Input, OVER},
    },
};

/// Pause before a command that could not be handed over is sent again, doubled each time.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The commands of this process that a task carries, by sender and event. As many as the outboxes of its twins hold.
#[derive(Default)]
pub struct OnTheWay(Mutex<HashSet<(TwinId, u64)>>);

impl OnTheWay {
    fn claim(&self, sender: &TwinId, queued: u64) -> bool {
        self.0.lock().insert((sender.clone(), queued))
    }

    fn release(&self, sender: &TwinId, queued: u64) {
        self.0.lock().remove(&(sender.clone(), queued));
    }

    pub fn len(&self) -> usize {
        self.0.lock().len()
    }
}

/// Sends what is durable in the twin's outbox and not on its way. `again`: it may have been sent before.
pub fn send(body: &SharedBody, again: bool) {
    let (runtime, sender, due) = {
        let b = body.borrow();
        if b.suspect || b.state.outbox().is_empty() {
            return;
        }
        let runtime = b.runtime().clone();
        let is_due = |entry: &&OutboxEntry| entry.queued <= b.durable_seq && runtime.on_the_way.claim(&b.id, entry.queued);
        let due: Vec<OutboxEntry> = b.state.outbox().iter().filter(is_due).cloned().collect();
        (runtime, b.id.clone(), due)
    };
    if !due.is_empty() {
        actix_rt::spawn(async move { carry(&runtime, &sender, due, again).await });
    }
}

/// To each twin in the order they were asked for; no twin waits for another.
async fn carry(runtime: &Arc<Runtime>, sender: &TwinId, due: Vec<OutboxEntry>, again: bool) {
    let mut by_target: BTreeMap<TwinId, Vec<OutboxEntry>> = BTreeMap::new();
    for entry in due {
        by_target.entry(entry.command.to.clone()).or_default().push(entry);
    }
    let to_one = |entries: Vec<OutboxEntry>| async move {
        for entry in entries {
            if let Some(outcome) = hand_over(runtime, sender, &entry, again).await {
                report(runtime, sender, entry.queued, outcome).await;
            }
            runtime.on_the_way.release(sender, entry.queued);
        }
    };
    join_all(by_target.into_values().map(to_one)).await;
}

/// The command's id at its target, or why it is given up; `None` when the server stops, and the next one goes on.
async fn hand_over(runtime: &Arc<Runtime>, sender: &TwinId, entry: &OutboxEntry, mut again: bool) -> Option<Result<CommandId, String>> {
    let mut pause = PAUSE;
    loop {
        if entry.is_over(runtime.clock.now()) {
            return Some(Err(OVER.into()));
        }
        match try_once(runtime, sender, entry, again).await {
            Ok(command) => return Some(Ok(command)),
            Err(TwinError::Stopping) => return None,
            Err(TwinError::Overloaded | TwinError::Store(_)) => {}
            Err(error) => return Some(Err(error.to_string())),
        }
        metrics::counter!("twinfold_outbound_repeated_total").increment(1);
        tokio::time::sleep(pause).await;
        (pause, again) = ((2 * pause).min(PAUSE_MAX), true);
    }
}

async fn try_once(runtime: &Arc<Runtime>, sender: &TwinId, entry: &OutboxEntry, again: bool) -> Result<CommandId, TwinError> {
    let OutboundCommand { to, name, payload, expires_at } = &entry.command;
    let key = OutboundCommand::idempotency_key(sender, entry.queued);
    if again && let Some(known) = runtime.known_command(to, &key, name, payload).await? {
        return Ok(known.id);
    }
    let command = Command {
        id: new_command_id(),
        name: name.clone(),
        payload: payload.clone(),
        state: CommandState::Queued,
        expires_at: *expires_at,
        queued_at: runtime.clock.now(),
        delivered_at: None,
        ended_at: None,
        deliveries: 0,
        result: None,
        idempotency_key: Some(key),
        sender: format!("twin:{sender}").into(),
    };
    Ok(runtime.queue(to, command).await?.id)
}

/// Has the sender record what became of it. Without that it would be sent again by the next process.
async fn report(runtime: &Arc<Runtime>, sender: &TwinId, queued: u64, outcome: Result<CommandId, String>) {
    if let Err(reason) = &outcome {
        tracing::warn!(twin = %sender, reason, "a command to another twin was not taken");
        metrics::counter!("twinfold_outbound_failed_total").increment(1);
    }
    let mut pause = PAUSE;
    loop {
        let input = Input::OutboundDone { queued, outcome: outcome.clone() };
        match runtime.ask(sender, Ask::Core(input)).await {
            Err(Problem::Call(TwinError::Overloaded | TwinError::Store(_))) => {}
            _ => return,
        }
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(PAUSE_MAX);
    }
}
