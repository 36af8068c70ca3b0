//! Recorded events as inputs: what devices and people did, without what was made of it then.

use std::{collections::BTreeMap, time::Duration};

use hierarchy_models::{Map, Name, Timestamp, TwinId, event::DisconnectReason, limits::COMMAND_TTL_DEFAULT};
use serde::Deserialize;
use serde_json::Value;

use super::{feed, seat::Seat};
use crate::{
    behaviour::{Error, Result},
    twin::{TwinPatch, decide::Input},
};

/// An event of the log, as the HTTP API writes it.
#[derive(Debug, Deserialize)]
struct Logged {
    received_at: Timestamp,
    kind: String,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    raw: Value,
}

/// What happened from outside.
#[derive(Debug)]
pub struct Recorded {
    pub at: Timestamp,
    line: usize,
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
    Metadata { patch: Value },
    Command { name: String, payload: Value, ttl: Duration, sender: Option<String> },
    Answer { command: String, status: u16, payload: Value },
}

/// One event or one page (`{"items": […]}`) a line; empty lines are left out.
pub fn read(ndjson: &str) -> Result<Vec<Recorded>> {
    let mut recorded = Vec::new();
    // Names of the commands by their ids of then: in the kit they have others.
    let mut commands = BTreeMap::new();
    for (n, text) in ndjson.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let line = n + 1;
        let mut value: Value = serde_json::from_str(text).map_err(|error| at_line(line, error.into()))?;
        let items = match value.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => items,
            _ => vec![value],
        };
        for item in items {
            let logged: Logged = serde_json::from_value(item).map_err(|error| at_line(line, error.into()))?;
            let at = logged.received_at;
            if let Some(what) = what(logged, &mut commands).map_err(|error| at_line(line, error))? {
                recorded.push(Recorded { at, line, what });
            }
        }
    }
    Ok(recorded)
}

fn at_line(line: usize, error: Error) -> Error {
    Error::new(format!("line {line}: {error}"))
}

fn text(value: Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn what(logged: Logged, commands: &mut BTreeMap<String, String>) -> Result<Option<What>> {
    let Logged { received_at, kind, mut data, raw } = logged;
    let mut take = |name: &str| data.get_mut(name).map(Value::take).unwrap_or_default();
    Ok(Some(match kind.as_str() {
        "telemetry" => What::Telemetry { stream: text(take("stream")), records: take("records") },
        "reported_patched" => What::Reported { patch: take("patch") },
        "reported_replaced" => What::ReportedFull { properties: take("properties") },
        "event" => What::Event { name: text(take("name")).unwrap_or_default(), payload: take("payload") },
        "connected" => What::Connected,
        "disconnected" => What::Disconnected { reason: serde_json::from_value(take("reason"))? },
        "registered" => match take("metadata") {
            patch @ Value::Object(_) => What::Metadata { patch },
            _ => return Ok(None),
        },
        "metadata_patched" => What::Metadata { patch: take("patch") },
        "poisoned" => return failed(&text(take("what")).unwrap_or_default(), &raw),
        "command_queued" => {
            let mut command = take("command");
            let mut of = |name: &str| command.get_mut(name).map(Value::take).unwrap_or_default();
            let name = text(of("name")).unwrap_or_default();
            commands.insert(text(of("id")).unwrap_or_default(), name.clone());
            let expires: Option<Timestamp> = serde_json::from_value(of("expires_at")).ok();
            let ttl = of("ttl").as_f64().and_then(|s| Duration::try_from_secs_f64(s).ok());
            let ttl = ttl.or(expires.map(|at| at.since(received_at))).unwrap_or(COMMAND_TTL_DEFAULT);
            What::Command { name, payload: of("payload"), ttl, sender: text(of("sender")) }
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

/// A message that the behaviour of then failed on, from its payload as it came; `None` when that is not JSON.
fn failed(what: &str, raw: &Value) -> Result<Option<What>> {
    let Some(payload) = raw.get("payload").and_then(Value::as_str).filter(|_| raw.get("encoding").is_some_and(|e| e == "json")) else {
        return Ok(None);
    };
    let payload: Value = serde_json::from_str(payload)?;
    let (topic, name) = what.split_once(' ').map_or((what, None), |(topic, name)| (topic, Some(name.to_owned())));
    Ok(Some(match (topic, name) {
        ("telemetry", stream) => What::Telemetry { stream, records: payload },
        ("reported", _) => What::Reported { patch: payload },
        ("reported_full", _) => What::ReportedFull { properties: payload },
        ("event", Some(name)) => What::Event { name, payload },
        ("command", Some(name)) => What::Command { name, payload, ttl: COMMAND_TTL_DEFAULT, sender: None },
        _ => return Ok(None),
    }))
}

impl Recorded {
    /// Whether one of these twins sent it: its behaviour sends it again, or does not.
    pub fn is_sent_by(&self, is_here: impl Fn(&str) -> bool) -> bool {
        match &self.what {
            What::Command { sender: Some(sender), .. } => sender.strip_prefix("twin:").is_some_and(is_here),
            _ => false,
        }
    }

    pub fn at_its_line(&self, error: Error) -> Error {
        at_line(self.line, error)
    }

    /// What the twin is asked now. An answer to a command that has ended by then is nothing new.
    pub fn input(&self, seat: &Seat, now: Timestamp) -> Result<Input> {
        Ok(match &self.what {
            What::Telemetry { stream, records } => Seat::say(feed::telemetry(records.clone(), stream.as_deref(), now)?),
            What::Reported { patch } => Seat::say(feed::reported(patch.clone())?),
            What::ReportedFull { properties } => Seat::say(feed::reported_full(properties.clone())?),
            What::Event { name, payload } => Seat::say(feed::event(name, payload.clone())?),
            What::Connected => seat.connect(),
            What::Disconnected { reason } => seat.disconnect(*reason),
            What::Metadata { patch } => patched(feed::properties(patch.clone(), "metadata")?),
            What::Command { name, payload, ttl, sender } => {
                let mut command = seat.command(name, payload.clone(), *ttl, now)?;
                if let Some(sender) = sender {
                    command.sender = Name::from(sender.as_str());
                }
                Input::Queue(Box::new(command))
            }
            What::Answer { command, status, payload } => seat.device_answers(command, *status, payload.clone()).unwrap_or(Input::Wake),
        })
    }
}

fn patched(metadata: Map) -> Input {
    let patch = TwinPatch { metadata: Some(metadata), ..TwinPatch::default() };
    Input::Patch { patch: Box::new(patch), is_place: false, if_version: None }
}

/// The logs of several twins as one, in the order of time.
pub fn read_all<'a>(logs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Vec<(TwinId, Recorded)>> {
    let mut all = Vec::new();
    for (id, ndjson) in logs {
        let twin: TwinId = id.parse()?;
        let recorded = read(ndjson).map_err(|error| Error::new(format!("{id}: {error}")))?;
        all.extend(recorded.into_iter().map(|one| (twin.clone(), one)));
    }
    all.sort_by_key(|(_, one)| one.at);
    Ok(all)
}
