//! Recorded events as inputs: what devices and people did, without what was made of it then.

use std::time::Duration;

use hierarchy_models::{Timestamp, event::DisconnectReason, limits::COMMAND_TTL_DEFAULT};
use serde::Deserialize;
use serde_json::Value;

use super::{feed, seat::Seat};
use crate::{
    behaviour::{Error, Result},
    twin::decide::Input,
};

/// An event of the log, as the HTTP API writes it.
#[derive(Debug, Deserialize)]
struct Logged {
    received_at: Timestamp,
    kind: String,
    #[serde(default)]
    data: Value,
}

/// What happened from outside.
#[derive(Debug)]
pub struct Recorded {
    pub at: Timestamp,
    what: What,
}

#[derive(Debug)]
enum What {
    Telemetry { stream: Option<String>, records: Value },
    Reported { patch: Value },
    ReportedFull { properties: Value },
    Event { name: String, payload: Value },
    Connected,
    Disconnected { reason: DisconnectReason },
    Command { name: String, payload: Value, ttl: Duration },
    Answer { command: String, status: u16, payload: Value },
}

/// One event or one page (`{"items": […]}`) a line; empty lines are left out.
pub fn read(ndjson: &str) -> Result<Vec<Recorded>> {
    let mut recorded = Vec::new();
    // Names of the commands by their ids of then: in the kit they have others.
    let mut commands = std::collections::BTreeMap::new();
    for (n, line) in ndjson.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |error: Error| Error::new(format!("line {}: {error}", n + 1));
        let mut value: Value = serde_json::from_str(line).map_err(|error| wrong(error.into()))?;
        let items = match value.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => items,
            _ => vec![value],
        };
        for item in items {
            let logged: Logged = serde_json::from_value(item).map_err(|error| wrong(error.into()))?;
            let at = logged.received_at;
            if let Some(what) = what(logged, &mut commands).map_err(wrong)? {
                recorded.push(Recorded { at, what });
            }
        }
    }
    Ok(recorded)
}

fn what(logged: Logged, commands: &mut std::collections::BTreeMap<String, String>) -> Result<Option<What>> {
    let Logged { received_at, kind, mut data } = logged;
    let mut take = |name: &str| data.get_mut(name).map(Value::take).unwrap_or_default();
    let text = |value: Value| value.as_str().map(str::to_owned);
    Ok(Some(match kind.as_str() {
        "telemetry" => What::Telemetry { stream: text(take("stream")), records: take("records") },
        "reported_patched" => What::Reported { patch: take("patch") },
        "reported_replaced" => What::ReportedFull { properties: take("properties") },
        "event" => What::Event { name: text(take("name")).unwrap_or_default(), payload: take("payload") },
        "connected" => What::Connected,
        "disconnected" => What::Disconnected { reason: serde_json::from_value(take("reason"))? },
        "command_queued" => {
            let mut command = take("command");
            let mut of = |name: &str| command.get_mut(name).map(Value::take).unwrap_or_default();
            let name = text(of("name")).unwrap_or_default();
            commands.insert(text(of("id")).unwrap_or_default(), name.clone());
            let expires: Option<Timestamp> = serde_json::from_value(of("expires_at")).ok();
            let ttl = of("ttl").as_f64().and_then(|s| Duration::try_from_secs_f64(s).ok());
            let ttl = ttl.or(expires.map(|at| at.since(received_at))).unwrap_or(COMMAND_TTL_DEFAULT);
            What::Command { name, payload: of("payload"), ttl }
        }
        // What ended without an answer of the device ends by the kit's clock, or by the behaviour.
        "command_ended" => {
            let mut result = take("result");
            let status = result.get("status").and_then(Value::as_u64).and_then(|s| u16::try_from(s).ok());
            let command = text(take("id")).and_then(|id| commands.get(&id).cloned());
            let (Some(status), Some(command)) = (status, command) else { return Ok(None) };
            What::Answer { command, status, payload: result.get_mut("payload").map(Value::take).unwrap_or_default() }
        }
        _ => return Ok(None),
    }))
}

impl Recorded {
    /// What the twin is asked now. An answer to a command that has ended by then is nothing new.
    pub fn input(&self, seat: &Seat, now: Timestamp) -> Result<Input> {
        Ok(match &self.what {
            What::Telemetry { stream, records } => Seat::say(feed::telemetry(records.clone(), stream.as_deref(), now)?),
            What::Reported { patch } => Seat::say(feed::reported(patch.clone())?),
            What::ReportedFull { properties } => Seat::say(feed::reported_full(properties.clone())?),
            What::Event { name, payload } => Seat::say(feed::event(name, payload.clone())?),
            What::Connected => seat.connect(),
            What::Disconnected { reason } => seat.disconnect(*reason),
            What::Command { name, payload, ttl } => Input::Queue(Box::new(seat.command(name, payload.clone(), *ttl, now)?)),
            What::Answer { command, status, payload } => seat.device_answers(command, *status, payload.clone()).unwrap_or(Input::Wake),
        })
    }
}
