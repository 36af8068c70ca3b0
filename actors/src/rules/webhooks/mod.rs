//! Calls to the outside that rules ask for: durable, signed, again and again until they are taken.
//!
//! A call is an event of its twin, in the same turn as what caused it. It waits in memory and, from the next flush on, in a document
//! of the outbox, so that the journal can be trimmed; recovery makes the document of every call whose event it finds. A call that was
//! taken and not yet forgotten when the process died is made again: at least once, under the same `Idempotency-Key`.

mod guard;
mod send;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use hierarchy_models::{Event, EventBody, Name, Timestamp, TwinId, Value, rule::Action};
use parking_lot::Mutex;
use persistence::{Error, Store};
use serde::{Deserialize, Serialize};

use crate::{error::TwinError, runtime::Runtime};
use send::Sender;

/// Calls written at the same time: a store across a network answers each after a while.
const WRITTEN_AT_ONCE: usize = 64;
pub const KIND: &str = "webhook";
/// Calls made at the same time.
const IN_FLIGHT_MAX: usize = 8;
const TICK: Duration = Duration::from_millis(100);
/// Pause after the first failure, doubled after each that follows, and the longest.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// Documents read at once.
const READ_AT_ONCE: usize = 1_000;
/// Calls remembered after they are over: a twin that is read back from its journal finds their events again.
const OVER_MAX: usize = 4_096;

/// One call that is to be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The event that asked for it; what the other side knows a repetition by.
    pub key: String,
    pub rule: Name,
    /// Its place among the rule's actions.
    pub action: u32,
    pub payload: Value,
    pub queued_at: Timestamp,
}

/// The call that an event asks for.
pub fn call_of(twin: &TwinId, event: &Event) -> Option<Call> {
    let EventBody::WebhookQueued { rule, action, payload } = &event.body else { return None };
    let (rule, payload) = (rule.clone(), payload.clone());
    Some(Call { key: format!("{:x}-{twin}", event.seq), rule, action: *action, payload, queued_at: event.received_at })
}

struct Waiting {
    call: Call,
    due: Timestamp,
    failures: u32,
    is_written: bool,
    in_flight: bool,
}

#[derive(Default)]
pub struct Webhooks {
    waiting: Mutex<BTreeMap<String, Waiting>>,
    /// Oldest first.
    over: Mutex<VecDeque<String>>,
    max: std::sync::OnceLock<usize>,
}

impl Webhooks {
    /// Takes calls that are durable as events.
    pub fn queue(&self, calls: Vec<Call>) {
        if calls.is_empty() {
            return;
        }
        let max = self.max.get().copied().unwrap_or(usize::MAX);
        let over = self.over.lock();
        let mut waiting = self.waiting.lock();
        for call in calls.into_iter().filter(|call| !over.contains(&call.key)) {
            if waiting.len() >= max && !waiting.contains_key(&call.key) {
                tracing::error!(rule = %call.rule, key = %call.key, "webhooks.waiting_max is reached: a call is not made");
                metrics::counter!("twinfold_webhooks_refused_total").increment(1);
                continue;
            }
            let due = call.queued_at;
            waiting.entry(call.key.clone()).or_insert(Waiting { call, due, failures: 0, is_written: false, in_flight: false });
        }
    }

    /// Reads the outbox.
    pub async fn load(&self, store: &dyn Store, max: usize) -> Result<(), TwinError> {
        let _ = self.max.set(max);
        let mut after = None;
        loop {
            let documents = store.documents(KIND, after, READ_AT_ONCE).await?;
            let last = documents.last().map(|d| d.id.clone()).filter(|_| documents.len() == READ_AT_ONCE);
            let mut waiting = self.waiting.lock();
            for document in documents {
                match serde_json::from_slice::<Call>(&document.body) {
                    Ok(call) => {
                        let due = call.queued_at;
                        waiting.insert(document.id, Waiting { call, due, failures: 0, is_written: true, in_flight: false });
                    }
                    Err(error) => tracing::error!(key = %document.id, %error, "a call in the outbox cannot be read"),
                }
            }
            match last {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
    }

    /// Writes what the outbox does not hold yet.
    pub async fn flush(&self, store: &dyn Store) -> Result<(), Error> {
        let fresh: Vec<Call> = self.waiting.lock().values().filter(|w| !w.is_written).map(|w| w.call.clone()).collect();
        recover(store, &fresh).await?;
        for call in fresh {
            let is_waiting = match self.waiting.lock().get_mut(&call.key) {
                Some(waiting) => {
                    waiting.is_written = true;
                    true
                }
                None => false,
            };
            if !is_waiting {
                // It was taken meanwhile.
                store.delete_document(KIND, &call.key).await?;
            }
        }
        Ok(())
    }

    /// Calls that wait or are being made.
    pub fn len(&self) -> usize {
        self.waiting.lock().len()
    }

    fn take_due(&self, now: Timestamp) -> Vec<Call> {
        let mut waiting = self.waiting.lock();
        let under_way = waiting.values().filter(|w| w.in_flight).count();
        let due = waiting.values_mut().filter(|w| !w.in_flight && w.due <= now).take(IN_FLIGHT_MAX.saturating_sub(under_way));
        due.map(|w| {
            w.in_flight = true;
            w.call.clone()
        })
        .collect()
    }

    /// The call is over, one way or the other.
    async fn forget(&self, store: &dyn Store, key: &str) {
        let is_written = {
            let mut over = self.over.lock();
            if over.len() >= OVER_MAX {
                over.pop_front();
            }
            over.push_back(key.to_owned());
            self.waiting.lock().remove(key).is_some_and(|w| w.is_written)
        };
        if is_written && let Err(error) = store.delete_document(KIND, key).await {
            tracing::warn!(key, %error, "a call that is over stays in the outbox and is made again after a restart");
        }
    }

    fn failed(&self, key: &str, now: Timestamp) {
        if let Some(waiting) = self.waiting.lock().get_mut(key) {
            let pause = PAUSE.saturating_mul(1 << waiting.failures.min(16)).min(PAUSE_MAX);
            waiting.failures += 1;
            waiting.in_flight = false;
            waiting.due = now.plus(pause);
        }
    }
}

/// Writes these calls into the outbox.
pub async fn recover(store: &dyn Store, calls: &[Call]) -> Result<(), Error> {
    let writes: Vec<_> = calls.iter().map(|call| write(store, call)).collect();
    stream::iter(writes).buffer_unordered(WRITTEN_AT_ONCE).try_collect().await
}

async fn write(store: &dyn Store, call: &Call) -> Result<(), Error> {
    let body = serde_json::to_vec(call).map_err(|e| Error::Damaged { doing: "writing a call", detail: e.to_string() })?;
    store.put_document(KIND, &call.key, body.into()).await
}

/// Makes calls until the runtime stops.
pub async fn run(runtime: Arc<Runtime>) {
    let sender = Sender::new(runtime.settings.webhooks_allow_private, runtime.settings.webhooks_timeout);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !runtime.is_stopping() {
        ticks.tick().await;
        for call in runtime.webhooks.take_due(runtime.clock.now()) {
            actix_rt::spawn(make(runtime.clone(), sender.clone(), call));
        }
        metrics::gauge!("twinfold_webhooks_waiting").set(runtime.webhooks.len() as f64);
    }
}

async fn make(runtime: Arc<Runtime>, sender: Sender, call: Call) {
    let set = runtime.rules.set();
    let rule = set.get(&call.rule).map(|rule| &rule.rule);
    let Some(Action::Webhook { url, secret }) = rule.and_then(|rule| rule.actions.get(call.action as usize)).cloned() else {
        tracing::warn!(rule = %call.rule, key = %call.key, "the rule is gone or calls nobody any more: its call is dropped");
        metrics::counter!("twinfold_webhooks_total", "outcome" => "dropped").increment(1);
        return runtime.webhooks.forget(&*runtime.store, &call.key).await;
    };
    let now = runtime.clock.now();
    let (key, queued_at) = (call.key.clone(), call.queued_at);
    let sent = tokio::task::spawn_blocking(move || sender.send(&url, secret.as_deref(), &call, now)).await;
    let error = match sent {
        Ok(Ok(())) => {
            metrics::counter!("twinfold_webhooks_total", "outcome" => "taken").increment(1);
            return runtime.webhooks.forget(&*runtime.store, &key).await;
        }
        Ok(Err(error)) => error,
        Err(panic) => panic.to_string(),
    };
    let now = runtime.clock.now();
    if now.since(queued_at) >= runtime.settings.webhooks_patience {
        tracing::error!(%key, %error, "a webhook's call is given up after webhooks.patience");
        metrics::counter!("twinfold_webhooks_total", "outcome" => "given_up").increment(1);
        return runtime.webhooks.forget(&*runtime.store, &key).await;
    }
    tracing::warn!(%key, %error, "a webhook was not taken; it is called again");
    metrics::counter!("twinfold_webhooks_total", "outcome" => "failed").increment(1);
    runtime.webhooks.failed(&key, now);
}
