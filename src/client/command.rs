//! `twinfold command …`: a twin's inbox.

use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    Server,
    http::{ClientError, escaped, query},
    json_argument, listing, seconds_argument, table, text_at,
};

#[derive(Debug, Subcommand)]
pub enum CommandAction {
    /// Queue a command; with --wait, wait for the device's answer
    Send {
        id: String,
        name: String,
        /// JSON, or @FILE
        #[arg(value_parser = json_argument)]
        payload: Option<Value>,
        /// How long it may wait for the device, as 60 or 2m
        #[arg(long, value_parser = seconds_argument)]
        ttl: Option<Duration>,
        /// Wait this long for the answer, as 10 or 10s
        #[arg(long, value_parser = seconds_argument, num_args = 0..=1, default_missing_value = "30")]
        wait: Option<Duration>,
    },
    /// The inbox, newest first
    List {
        id: String,
        /// queued, delivered, completed, failed, expired or cancelled
        #[arg(long)]
        state: Option<String>,
        #[arg(long)]
        limit: Option<u32>,
        #[arg(long)]
        cursor: Option<String>,
    },
    /// One command
    Get { id: String, command: String },
    /// Take it back, unless it has ended
    Cancel { id: String, command: String },
}

impl CommandAction {
    pub fn run(self, server: &Server) -> Result<(), ClientError> {
        let api = server.api()?;
        match self {
            Self::Send { id, name, payload, ttl, wait } => {
                let body = request(&name, payload, ttl, wait);
                let answer = api.call_patiently("POST", &inbox(&id), Some(&body), wait.unwrap_or_default())?;
                server.print(&answer, one)
            }
            Self::List { id, state, limit, cursor } => {
                let limit = limit.map(|n| n.to_string());
                let query = query(&[("state", state.as_deref()), ("limit", limit.as_deref()), ("cursor", cursor.as_deref())]);
                let answer = api.get(&format!("{}{query}", inbox(&id)))?;
                let columns = ["/id", "/name", "/state", "/queued_at", "/result/status"];
                server.print(&answer, |a| listing(&["ID", "NAME", "STATE", "QUEUED", "STATUS"], &columns, a))
            }
            Self::Get { id, command } => server.print(&api.get(&format!("{}/{}", inbox(&id), escaped(&command)))?, one),
            Self::Cancel { id, command } => server.print(&api.delete(&format!("{}/{}", inbox(&id), escaped(&command)))?, one),
        }
    }
}

fn inbox(id: &str) -> String {
    format!("/twins/{}/commands", escaped(id))
}

fn request(name: &str, payload: Option<Value>, ttl: Option<Duration>, wait: Option<Duration>) -> Value {
    let mut body = json!({"name": name});
    if let Some(payload) = payload {
        body["payload"] = payload;
    }
    if let Some(ttl) = ttl {
        body["ttl"] = ttl.as_secs().into();
    }
    if let Some(wait) = wait {
        body["wait"] = wait.as_secs().into();
    }
    body
}

/// What matters of a command: its name here, its place in the document.
#[rustfmt::skip]
const FACTS: [(&str, &str); 8] = [
    ("id", "/id"), ("name", "/name"), ("state", "/state"), ("queued", "/queued_at"), ("delivered", "/delivered_at"),
    ("ended", "/ended_at"), ("status", "/result/status"), ("answer", "/result/payload"),
];

fn one(command: &Value) -> String {
    if command.is_null() {
        return "done\n".to_owned();
    }
    let rows = FACTS.iter().map(|(name, at)| vec![(*name).to_owned(), text_at(command, at)]).filter(|row| row[1] != "-");
    table::table(&["COMMAND", ""], &rows.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_asks_only_for_what_was_said() {
        assert_eq!(request("beep", None, None, None), json!({"name": "beep"}));
        let all = request("set", Some(json!({"a": 1})), Some(Duration::from_secs(60)), Some(Duration::from_secs(10)));
        assert_eq!(all, json!({"name": "set", "payload": {"a": 1}, "ttl": 60, "wait": 10}));
    }
}
