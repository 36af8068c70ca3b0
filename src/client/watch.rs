//! `twinfold watch ID`: what happens at a twin and below it, a line each, until Ctrl-C. A lost connection is taken up
//! again behind the last event seen.

use std::{io::BufReader, time::Duration};

use clap::Args;
use serde_json::{Value, json};

use super::{
    Server,
    http::{Api, ClientError, query},
    print, rest,
    sse::{Event, Events},
    table, text_at,
};

const PAUSE_FIRST: Duration = Duration::from_millis(250);
const PAUSE_LONGEST: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub struct Watch {
    /// This twin and everything below it; everything when left out
    id: Option<String>,
    /// Any of state,event,alert,command
    #[arg(long)]
    kinds: Option<String>,
}

impl Watch {
    pub fn run(self, server: &Server) -> Result<(), ClientError> {
        let api = server.api()?;
        let path = format!("/live{}", query(&[("under", self.id.as_deref()), ("kinds", self.kinds.as_deref())]));
        let mut last_id = None;
        let mut pause = PAUSE_FIRST;
        let mut ever_connected = false;
        loop {
            match follow(&api, &path, &mut last_id, server.json) {
                Ok(seen) => {
                    ever_connected = true;
                    pause = if seen > 0 { PAUSE_FIRST } else { pause };
                }
                // The first attempt tells what is wrong; later ones are a server that restarts.
                Err(error) if !ever_connected || is_final(&error) => return Err(error),
                Err(_) => {}
            }
            eprintln!("the connection was lost; trying again in {pause:?}");
            rest(pause);
            pause = (pause * 2).min(PAUSE_LONGEST);
        }
    }
}

/// Whether trying again would give the same answer.
fn is_final(error: &ClientError) -> bool {
    !matches!(error, ClientError::Unreachable { .. }) && error.status().is_none_or(|status| status < 500 && status != 429)
}

/// Prints events until the connection ends; how many there were.
fn follow(api: &Api, path: &str, last_id: &mut Option<String>, json: bool) -> Result<u64, ClientError> {
    let mut events = Events::new(BufReader::new(api.follow(path, last_id.as_deref())?), last_id.take());
    let mut seen = 0;
    while let Ok(Some(event)) = events.next() {
        seen += 1;
        print(&if json { machine(&event) } else { readable(&event) })?;
    }
    *last_id = events.last_id;
    Ok(seen)
}

/// One JSON document a line: the event's name and its data.
fn machine(event: &Event) -> String {
    let data = serde_json::from_str(&event.data).unwrap_or_else(|_| Value::from(event.data.as_str()));
    format!("{}\n", json!({"event": event.name, "data": data}))
}

/// `08:00:01.250  state  room-7  telemetry temperature=21.5`
fn readable(event: &Event) -> String {
    let Ok(data) = serde_json::from_str::<Value>(&event.data) else { return format!("{}\n", table::clean(&event.data)) };
    match event.name.as_str() {
        "reset" | "snapshot" => return String::new(),
        "live" => return format!("following {} twins\n", text_at(&data, "/twins")),
        _ => {}
    }
    let at = text_at(&data, "/at");
    let time = at.split('T').nth(1).unwrap_or(&at).trim_end_matches('Z').to_owned();
    let kind = data.get("kind").and_then(Value::as_str).unwrap_or(&event.name);
    table::clean(&format!("{time}  {kind:7}  {}  {}", text_at(&data, "/twin"), changes(data.get("data").unwrap_or(&Value::Null)))) + "\n"
}

/// What changed, without the members that only repeat when.
fn changes(data: &Value) -> String {
    let Some(members) = data.as_object() else { return data.to_string() };
    let one = |(name, value): (&String, &Value)| if name == "rollups" { rolled_up(value) } else { format!("{name} {}", inner(value)) };
    members.iter().map(one).collect::<Vec<_>>().join("  ")
}

/// A place's figures in short: who is connected, how many alerts, the averages.
fn rolled_up(figures: &Value) -> String {
    let values = figures.get("values").and_then(Value::as_object);
    let averages = values.into_iter().flatten().map(|(name, fold)| format!(" {name}={}", text_at(fold, "/avg")));
    let of = |pointer: &str| text_at(figures, pointer);
    format!("connected={}/{} alerts={}{}", of("/connected"), of("/count"), of("/alerts/count"), averages.collect::<String>())
}

fn inner(value: &Value) -> String {
    match value.as_object() {
        Some(values) => values.iter().map(|(name, v)| format!("{name}={}", bare(v))).collect::<Vec<_>>().join(" "),
        None => text_at(value, ""),
    }
}

fn bare(value: &Value) -> String {
    text_at(value, if value.get("value").is_some() { "/value" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_readable_line() {
        let data = r#"{"kind":"state","twin":"room-7","path":"s/room-7","seq":4,"at":"2026-11-21T08:00:01.250Z",
            "data":{"telemetry":{"temperature":{"value":21.5,"at":"x","received_at":"y"}}}}"#;
        let event = Event { name: "state".into(), data: data.into() };
        assert_eq!(readable(&event), "08:00:01.250  state    room-7  telemetry temperature=21.5\n");
    }

    #[test]
    fn a_places_figures_are_told_in_short() {
        let data = r#"{"kind":"state","twin":"room-7","seq":0,"at":"2026-11-21T08:00:01.250Z",
            "data":{"rollups":{"count":5,"connected":4,"alerts":{"count":1},"values":{"t":{"avg":21.5,"sum":43}}}}}"#;
        let event = Event { name: "state".into(), data: data.into() };
        assert_eq!(readable(&event), "08:00:01.250  state    room-7  connected=4/5 alerts=1 t=21.5\n");
    }

    #[test]
    fn a_revoked_key_ends_the_watch_and_a_restart_does_not() {
        let refused = |status| ClientError::Refused { status, detail: String::new(), retry_after: None };
        assert!(is_final(&refused(401)) && is_final(&refused(404)));
        assert!(!is_final(&refused(503)) && !is_final(&refused(429)));
        assert!(!is_final(&ClientError::Unreachable { url: String::new(), reason: String::new() }));
    }
}
